use harness::cluster::Hold;

fn another() -> Hold {
    Hold::nothing() //~ E0624 nothing
}

fn main() {}
