use std::time::Duration;

use harness::cluster::{Change, ClusterState};

async fn change(cluster_state: &ClusterState) {
    let _ = Change::take(cluster_state, "deploying", Duration::MAX).await; //~ E0624 take
}

fn main() {}
