use std::path::PathBuf;

use harness::cluster::Home;

fn path(home: &Home) -> PathBuf {
    home.change_lock() //~ E0624 change_lock
}

fn main() {}
