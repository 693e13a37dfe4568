//! What can go wrong in this crate. Every expected failure says what was tried, on what, and what to run next.

use std::error::Error as StdError;
use std::fmt::Write as _;
use std::time::Duration;

/// A result whose error is this crate's own.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong with processes, files and locks, and what any layer above may say of its own.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Something that must hold before we act does not; nothing was changed.
    #[error("{what}\n  next: {next}")]
    Refused {
        /// What is wrong, and where.
        what: String,
        /// The command to run, or the change to make.
        next: String,
    },
    /// The file system or another part of the operating system said no.
    #[error("{what}")]
    Io {
        /// What was tried, on what.
        what: String,
        /// What the system answered.
        source: std::io::Error,
    },
    /// Text that we were given does not parse.
    #[error("{what}")]
    Malformed {
        /// What was read, from where.
        what: String,
        /// The parser's own error.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// A record of ours does not read back: what it would say is unknown.
    #[error("{} cannot be read back, so that what it says is unknown: {why}\n  next: {next}", path.display())]
    Damaged {
        /// The record.
        path: std::path::PathBuf,
        /// The parser's own words.
        why: String,
        /// The command that mends it.
        next: String,
    },
    /// A deadline passed.
    #[error("waited {after:.1?} for {awaited}, in vain: {last}")]
    Deadline {
        /// What was awaited.
        awaited: String,
        /// How long.
        after: Duration,
        /// The last state seen, and why that is not yet enough.
        last: String,
    },
}

impl Error {
    /// A precondition is not met: what is wrong, and the command or change that mends it.
    pub fn refused(what: impl Into<String>, next: impl Into<String>) -> Self {
        Self::Refused { what: what.into(), next: next.into() }
    }

    /// For `map_err` on I/O: says what was tried, on what.
    pub fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    /// For `map_err` on parsing: says what was read, from where.
    pub fn malformed<E: StdError + Send + Sync + 'static>(what: impl Into<String>) -> impl FnOnce(E) -> Self {
        let what = what.into();
        move |source| Self::Malformed { what, source: Box::new(source) }
    }

    /// The whole chain as text, as [`shown`] shows it.
    pub fn report(&self) -> String {
        shown(&chain(self))
    }
}

/// An error and its causes, a line each.
pub fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = write!(text, "\n  caused by: {error}");
        cause = error.source();
    }
    text
}

/// The error that all others of a chain came of.
pub fn innermost<'a>(error: &'a (dyn StdError + 'static)) -> &'a (dyn StdError + 'static) {
    let mut innermost = error;
    while let Some(cause) = innermost.source() {
        innermost = cause;
    }
    innermost
}

/// An error's text without secrets, and such that showing it does nothing: what each layer's report goes through.
pub fn shown(text: &str) -> String {
    crate::text::harmless(&crate::secrets::redact(text)).into_owned()
}
