//! Errors of this crate: processes, files and locks. Every expected failure says what was tried, on what, and what to run
//! next.

use std::error::Error as StdError;
use std::fmt::Write as _;
use std::time::Duration;

/// A result whose error is this crate's own.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error with processes, files or locks. The error types of crates above wrap it, and use its variants for failures of
/// their own.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A precondition does not hold; nothing was changed.
    #[error("{what}\n  next: {next}")]
    Refused {
        /// What is wrong, and where.
        what: String,
        /// The command to run, or the change to make.
        next: String,
    },
    /// An operation of the file system, or of another part of the operating system, failed.
    #[error("{what}")]
    Io {
        /// The operation and its object, such as `read /path`.
        what: String,
        /// The operating system's own error.
        source: std::io::Error,
    },
    /// Text from outside (a file, an answer, a URL) does not parse.
    #[error("{what}")]
    Malformed {
        /// The text that was read, and its origin.
        what: String,
        /// The parser's own error.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// A record that the harness wrote does not read back, so that its content is unknown.
    #[error("{} cannot be read back, so that what it says is unknown: {why}\n  next: {next}", path.display())]
    Damaged {
        /// The record's file.
        path: std::path::PathBuf,
        /// The parser's message.
        why: String,
        /// The command or change that repairs it.
        next: String,
    },
    /// A deadline passed.
    #[error("waited {after:.1?} for {awaited}, in vain: {last}")]
    Deadline {
        /// The condition or event that was awaited.
        awaited: String,
        /// The limit that passed.
        after: Duration,
        /// The last state seen, and why that is not yet enough.
        last: String,
    },
}

impl Error {
    /// A precondition that is not met: what is wrong, and the command or change that repairs it.
    pub fn refused(what: impl Into<String>, next: impl Into<String>) -> Self {
        Self::Refused { what: what.into(), next: next.into() }
    }

    /// The `map_err` function for I/O: `what` says what was tried, on what.
    pub fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    /// The `map_err` function for parsing: `what` says what was read, from where.
    pub fn malformed<E: StdError + Send + Sync + 'static>(what: impl Into<String>) -> impl FnOnce(E) -> Self {
        let what = what.into();
        move |source| Self::Malformed { what, source: Box::new(source) }
    }

    /// The error and its causes as text, redacted as by [`shown`].
    pub fn report(&self) -> String {
        shown(&chain(self))
    }
}

/// An error and its causes as text, one line each.
pub fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = write!(text, "\n  caused by: {error}");
        cause = error.source();
    }
    text
}

/// The last cause of an error's chain; the error itself when it has no cause.
pub fn innermost<'a>(error: &'a (dyn StdError + 'static)) -> &'a (dyn StdError + 'static) {
    let mut innermost = error;
    while let Some(cause) = innermost.source() {
        innermost = cause;
    }
    innermost
}

/// A report as it may be shown: without secrets, and harmless to terminals and workflows ([`crate::text::harmless`]).
pub fn shown(text: &str) -> String {
    crate::text::harmless(&crate::secrets::redact(text)).into_owned()
}
