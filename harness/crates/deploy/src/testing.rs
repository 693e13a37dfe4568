//! What the unit tests of several modules need.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// The stack that this crate's tests are of.
#[ctor::ctor(unsafe)]
fn sample() {
    harness_settings::spec::of(&harness_settings::spec::sample::STACK);
}

/// A program in a folder, which is made.
pub fn install(folder: &Path, program: &str, text: &str) {
    std::fs::create_dir_all(folder).unwrap();
    let path = folder.join(program);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
}
