//! What can go wrong between us and a cluster.

use std::error::Error as StdError;

/// A result whose error is this crate's own.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong with a call, a wait or a forward.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Of the ground: a precondition, a file, a deadline.
    #[error(transparent)]
    Base(#[from] harness_base::Error),
    /// The Kubernetes API said no, or could not be reached.
    #[error("{what}")]
    Kube {
        /// What was tried, on what.
        what: String,
        /// What the API answered.
        source: Box<kube::Error>,
    },
    /// A pod was not asked, not reached, or stopped answering.
    #[error(transparent)]
    Http(harness_http::Error),
    /// What is awaited cannot come about any more.
    #[error("{awaited} cannot come about: {cause}")]
    Failed {
        /// What was awaited.
        awaited: String,
        /// The cause, with its first evidence.
        cause: String,
    },
    /// Something is there, and is not as expected.
    #[error("{0}")]
    Unmet(String),
    /// Another error, with what was gathered when it arose.
    #[error("{source}")]
    Diagnosed {
        /// The first error; the one that counts.
        source: Box<Error>,
        /// A Job's last words.
        diagnosis: String,
    },
}

/// What the layer below says of the ground, or of an expectation, is said by one variant, whichever layer says it.
impl From<harness_http::Error> for Error {
    fn from(error: harness_http::Error) -> Self {
        match error {
            harness_http::Error::Base(error) => Self::Base(error),
            harness_http::Error::Unmet(what) => Self::Unmet(what),
            other => Self::Http(other),
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
        let what = what.into();
        move |source| Self::Kube { what, source: Box::new(source) }
    }

    /// For `map_err` on parsing: says what was read, from where.
    pub fn malformed<E: StdError + Send + Sync + 'static>(what: impl Into<String>) -> impl FnOnce(E) -> Self {
        let malformed = harness_base::Error::malformed(what);
        move |source| malformed(source).into()
    }

    /// The same error with what was gathered when it arose.
    pub(crate) fn diagnosed(self, diagnosis: String) -> Self {
        Self::Diagnosed { source: Box::new(self), diagnosis }
    }

    /// The whole chain as text, as [`harness_base::error::shown`] shows it.
    pub fn report(&self) -> String {
        harness_base::error::shown(&self.chain())
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

/// An API error in one line: kube's own `Display` writes the status out twice.
pub fn in_one_line(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => format!("{} {}", status.code, status.message),
        other => {
            let mut text = other.to_string();
            let mut source = StdError::source(other);
            while let Some(inner) = source {
                let inner_text = inner.to_string();
                if !text.contains(&inner_text) {
                    text = format!("{text}: {inner_text}");
                }
                source = inner.source();
            }
            text
        }
    }
}
