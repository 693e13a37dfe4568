use std::time::Duration;

use harness::cluster::{Change, ClusterState};

async fn change(home: &ClusterState) {
    let _ = Change::take(home, "deploying", Duration::MAX).await; //~ E0624 take
}

fn main() {}
