use harness::cluster::{Alone, Change, Lock};

fn claim<'a>(change: &'a Change<'a>, lock: Lock) -> Alone<'a> {
    Alone { change, _everyone_out: lock } //~ E0451 _everyone_out
}

fn main() {}
