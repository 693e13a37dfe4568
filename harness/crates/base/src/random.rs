//! Random values that nobody can guess.

use crate::error::{Error, Result};

/// 32 random bytes from the kernel, in hex; [`crate::secrets::redact`] takes them out of texts from now on.
///
/// # Errors
/// [`Error::Io`] when the kernel's random source fails.
pub fn hex() -> Result<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| Error::io("read random bytes")(error.into()))?;
    let made = ::hex::encode(bytes);
    crate::secrets::know(&made);
    Ok(made)
}
