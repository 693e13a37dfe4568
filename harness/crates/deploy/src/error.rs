//! The crate's error type: failures between images and a release that has converged.

use std::error::Error as StdError;

use harness_kube::in_one_line;
pub use harness_machine::CommandFailure;

/// A result whose error is this crate's own.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can go wrong with artifacts, clusters, releases and previews.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A precondition, a file, a process, a lock or a deadline (harness-base).
    #[error(transparent)]
    Base(#[from] harness_base::Error),
    /// The Kubernetes API refused a call, or could not be reached.
    #[error("{what}")]
    Kube {
        /// What was tried, on what.
        what: String,
        /// What the API answered.
        source: Box<kube::Error>,
    },
    /// A site was not asked, not reached, or stopped answering.
    #[error(transparent)]
    Http(harness_http::Error),
    /// A command ended with another exit status than 0, or could not be started.
    #[error("{0}")]
    Command(Box<CommandFailure>),
    /// Another error of harness-machine, such as a full disk.
    #[error(transparent)]
    Machine(harness_machine::Error),
    /// A wait ended early: what is awaited cannot come about any more.
    #[error("{awaited} cannot come about: {cause}")]
    Failed {
        /// What was awaited.
        awaited: String,
        /// The cause, with its first evidence.
        cause: String,
    },
    /// An expectation of a scenario is not met.
    #[error("{0}")]
    Unmet(String),
    /// Another error, with the evidence that was gathered when it arose.
    #[error("{source}")]
    Diagnosed {
        /// The error itself.
        source: Box<Error>,
        /// Pods, conditions, events and last logs.
        diagnosis: String,
    },
}

/// Maps each error of harness-http to the variant of the same meaning here.
impl From<harness_http::Error> for Error {
    fn from(error: harness_http::Error) -> Self {
        match error {
            harness_http::Error::Base(error) => Self::Base(error),
            harness_http::Error::Unmet(what) => Self::Unmet(what),
            other => Self::Http(other),
        }
    }
}

/// Maps each error of harness-machine to the variant of the same meaning here.
impl From<harness_machine::Error> for Error {
    fn from(error: harness_machine::Error) -> Self {
        match error {
            harness_machine::Error::Base(error) => Self::Base(error),
            harness_machine::Error::Http(error) => error.into(),
            harness_machine::Error::Command(failure) => Self::Command(failure),
            other => Self::Machine(other),
        }
    }
}

/// Maps each error of harness-kube to the variant of the same meaning here.
impl From<harness_kube::Error> for Error {
    fn from(error: harness_kube::Error) -> Self {
        match error {
            harness_kube::Error::Base(error) => Self::Base(error),
            harness_kube::Error::Kube { what, source } => Self::Kube { what, source },
            harness_kube::Error::Http(error) => Self::Http(error),
            harness_kube::Error::Failed { awaited, cause } => Self::Failed { awaited, cause },
            harness_kube::Error::Unmet(what) => Self::Unmet(what),
            harness_kube::Error::Diagnosed { source, diagnosis } => Self::from(*source).diagnosed(diagnosis),
        }
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

    /// For `map_err` on Kubernetes calls: says what was tried, on what.
    pub fn kube(what: impl Into<String>) -> impl FnOnce(kube::Error) -> Self {
        let kube = harness_kube::Error::kube(what);
        move |source| kube(source).into()
    }

    /// For `map_err` on HTTP and WebSocket calls: says which request.
    pub fn http<E: StdError + Send + Sync + 'static>(what: impl Into<String>) -> impl FnOnce(E) -> Self {
        let request = harness_http::Error::request(what);
        move |source| request(source).into()
    }

    /// For `map_err` on parsing: says what was read, from where.
    pub fn malformed<E: StdError + Send + Sync + 'static>(what: impl Into<String>) -> impl FnOnce(E) -> Self {
        let malformed = harness_base::Error::malformed(what);
        move |source| malformed(source).into()
    }

    /// Adds the evidence that was gathered when the error arose; an error that has some keeps the first.
    #[must_use]
    pub fn diagnosed(self, diagnosis: String) -> Self {
        match self {
            Self::Diagnosed { .. } => self,
            other => Self::Diagnosed { source: Box::new(other), diagnosis },
        }
    }

    /// The whole chain of causes as text, and then the evidence: secrets redacted, control characters made harmless for a
    /// terminal.
    pub fn report(&self) -> String {
        harness_machine::error::shown(&self.chain())
    }

    fn chain(&self) -> String {
        match self {
            Self::Diagnosed { source, diagnosis } => format!("{}\n\n{diagnosis}", source.chain()),
            // kube writes an API error out twice, and its source once more.
            Self::Kube { source, .. } => format!("{self}\n  caused by: {}", in_one_line(source)),
            _ => harness_base::error::chain(self),
        }
    }
}
