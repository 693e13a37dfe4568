//! What nobody can guess.

use crate::error::{Error, Result};

/// 32 random bytes from the kernel, in hex; known as a secret from now on.
///
/// # Errors
/// [`Error::Io`] when the kernel gives none.
pub fn hex() -> Result<String> {
    use std::io::Read;
    let mut bytes = [0; 32];
    let read = std::fs::File::open("/dev/urandom").and_then(|mut source| source.read_exact(&mut bytes));
    read.map_err(Error::io("read random bytes"))?;
    let made = ::hex::encode(bytes);
    crate::secrets::know(&made);
    Ok(made)
}
