use std::path::PathBuf;

use harness::cluster::ClusterState;

fn path(home: &ClusterState) -> PathBuf {
    home.change_lock() //~ E0624 change_lock
}

fn main() {}
