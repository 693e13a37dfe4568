use harness::cluster::{ClusterState, Use};

async fn change(held: Use, home: &ClusterState) {
    let _ = held.change(home, "deploying").await; //~ E0599 change
}

fn main() {}
