use std::path::PathBuf;

use harness::cluster::ClusterState;

fn path(cluster_state: &ClusterState) -> PathBuf {
    cluster_state.change_lock() //~ E0624 change_lock
}

fn main() {}
