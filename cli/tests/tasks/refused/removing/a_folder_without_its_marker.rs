use std::path::PathBuf;

use harness::folders::{Marked, Marker};

fn claim(path: PathBuf, marker: Marker) -> Marked {
    Marked { path, marker } //~ E0451 path
}

fn main() {}
