//! What nobody can guess.

use crate::error::{Error, Result};

/// 32 random bytes from the kernel, in hex; known as a secret from now on.
///
/// # Errors
/// [`Error::Io`] when the kernel gives none.
pub fn hex() -> Result<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| Error::io("read random bytes")(error.into()))?;
    let made = ::hex::encode(bytes);
    crate::secrets::know(&made);
    Ok(made)
}
