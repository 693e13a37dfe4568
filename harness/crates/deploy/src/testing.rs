//! Helpers of several modules' unit tests.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Sets the sample stack's spec for this crate's tests.
#[ctor::ctor(unsafe)]
fn sample() {
    harness_settings::spec::of(&harness_settings::spec::sample::STACK);
}

/// Writes an executable script into a folder, which is made.
pub fn install(folder: &Path, program: &str, text: &str) {
    std::fs::create_dir_all(folder).unwrap();
    let path = folder.join(program);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
}
