//! The keeper's error type.

use std::error::Error as StdError;

/// A result whose error is the keeper's own.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can go wrong while a preview's part of the stores is made or removed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The cluster, a file, a request or a deadline.
    #[error(transparent)]
    Harness(harness::Error),
    /// A store was not reached, or refused.
    #[error("{what}")]
    Store {
        /// What was tried, on what.
        what: String,
        /// The error of the store, or of its client.
        source: Box<dyn StdError + Send + Sync>,
    },
}

/// Whatever the harness takes for an error of its own: its crates' errors, too.
impl<E> From<E> for Error
where
    harness::Error: From<E>,
{
    fn from(error: E) -> Self {
        Self::Harness(error.into())
    }
}

impl Error {
    /// For `map_err` on what a store answered: says what was tried, on what.
    pub fn store<E: Into<Box<dyn StdError + Send + Sync>>>(what: impl Into<String>) -> impl FnOnce(E) -> Self {
        let what = what.into();
        move |source| Self::Store { what, source: source.into() }
    }

    /// The whole chain of causes as text; secrets are redacted, and control characters made harmless for a terminal.
    pub fn report(&self) -> String {
        match self {
            Self::Harness(error) => error.report(),
            Self::Store { .. } => harness::error::shown(self),
        }
    }
}
