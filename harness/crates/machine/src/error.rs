//! The crate's error type: failures of the machine that a run is on.

use std::error::Error as StdError;

/// A result whose error is this crate's own.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can go wrong with tools, the container engine and downloads.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A precondition, a file, a process, a lock or a deadline (harness-base).
    #[error(transparent)]
    Base(#[from] harness_base::Error),
    /// A site was not asked, not reached, or stopped answering.
    #[error(transparent)]
    Http(harness_http::Error),
    /// A command ended with another exit status than 0, or could not be started.
    #[error("{0}")]
    Command(Box<CommandFailure>),
    /// The disk is too full for what is to be written; another source for it would not help.
    #[error("the disk of {} is too full ({free} free)\n{cause}\n  next: make room, or set XDG_CACHE_HOME to a larger disk; then run the same command again", folder.display())]
    DiskFull {
        /// A folder on that disk.
        folder: std::path::PathBuf,
        /// The free space, as `12 MiB are`.
        free: String,
        /// The error that was caused by it.
        cause: String,
    },
}

/// Maps the base errors of harness-http to the variant of the same meaning here.
impl From<harness_http::Error> for Error {
    fn from(error: harness_http::Error) -> Self {
        match error {
            harness_http::Error::Base(error) => Self::Base(error),
            other => Self::Http(other),
        }
    }
}

/// A command that failed, as a person could paste it.
#[derive(Debug)]
pub struct CommandFailure {
    /// The command line, quoted for a shell.
    pub line: String,
    /// Exit status or signal, or why it could not be started.
    pub status: String,
    /// The last lines of both streams.
    pub tail: String,
    /// What to do about it, where we know.
    pub next: Option<String>,
}

impl std::fmt::Display for CommandFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "command failed ({}): {}", self.status, self.line)?;
        for line in self.tail.lines() {
            write!(f, "\n  | {line}")?;
        }
        if let Some(next) = &self.next {
            write!(f, "\n  next: {next}")?;
        }
        Ok(())
    }
}

impl Error {
    /// A precondition is not met: what is wrong, and the command or change that mends it.
    pub fn refused(what: impl Into<String>, next: impl Into<String>) -> Self {
        harness_base::Error::refused(what, next).into()
    }

    /// For `map_err` on I/O: says what was tried, on what.
    pub fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let io = harness_base::Error::io(what);
        move |source| io(source).into()
    }

    /// For `map_err` on parsing: says what was read, from where.
    pub fn malformed<E: StdError + Send + Sync + 'static>(what: impl Into<String>) -> impl FnOnce(E) -> Self {
        let malformed = harness_base::Error::malformed(what);
        move |source| malformed(source).into()
    }

    /// For `map_err` on HTTP calls: says which request.
    pub fn http<E: StdError + Send + Sync + 'static>(what: impl Into<String>) -> impl FnOnce(E) -> Self {
        let request = harness_http::Error::request(what);
        move |source| request(source).into()
    }

    /// The whole chain of causes as text: secrets redacted, control characters made harmless for a terminal.
    pub fn report(&self) -> String {
        shown(&harness_base::error::chain(self))
    }
}

/// A chain of causes, of this crate or of one above, as it may be shown: with a line for each machine limit that it is about
/// (programs that meet one do not name it), secrets redacted, control characters made harmless for a terminal.
pub fn shown(chain: &str) -> String {
    harness_base::error::shown(&format!("{chain}{}", crate::machine_limits::named_in(chain)))
}
