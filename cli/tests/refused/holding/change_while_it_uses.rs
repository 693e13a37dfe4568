use harness::cluster::{Home, Use};

async fn change(held: Use, home: &Home) {
    let _ = held.change(home, "deploying").await; //~ E0599 change
}

fn main() {}
