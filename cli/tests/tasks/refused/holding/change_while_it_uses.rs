use harness::cluster::{ClusterState, Use};

async fn change(held: Use, cluster_state: &ClusterState) {
    let _ = held.change(cluster_state, "deploying").await; //~ E0599 change
}

fn main() {}
