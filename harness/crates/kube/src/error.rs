//! Errors between the harness and a cluster.

use std::error::Error as StdError;

/// A result whose error is this crate's own.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Failures of a call, a wait or a forward.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An error of `harness-base`: a precondition, a file, a deadline.
    #[error(transparent)]
    Base(#[from] harness_base::Error),
    /// The Kubernetes API refused a call, or could not be reached.
    #[error("{what}")]
    Kube {
        /// The call and its object, such as `delete the pod x`.
        what: String,
        /// The client's error, with the API's answer if there was one.
        source: Box<kube::Error>,
    },
    /// A request to a pod could not be sent, or got no whole answer.
    #[error(transparent)]
    Http(harness_http::Error),
    /// The awaited state cannot come about any more.
    #[error("{awaited} cannot come about: {cause}")]
    Failed {
        /// The awaited state.
        awaited: String,
        /// The cause, with its first evidence.
        cause: String,
    },
    /// A state or an answer that is not the expected one.
    #[error("{0}")]
    Unmet(String),
    /// Another error, with a text that was gathered when it arose.
    #[error("{source}")]
    Diagnosed {
        /// The first error.
        source: Box<Error>,
        /// The gathered text, such as a Job's logs.
        diagnosis: String,
    },
}

/// Errors of `harness-base` and unmet expectations keep one variant, whichever layer reports them.
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
    /// A precondition that is not met: what is wrong, and the command or change that repairs it.
    pub fn refused(what: impl Into<String>, next: impl Into<String>) -> Self {
        harness_base::Error::refused(what, next).into()
    }

    /// The `map_err` function for I/O: `what` says what was tried, on what.
    pub fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let io = harness_base::Error::io(what);
        move |source| io(source).into()
    }

    /// The `map_err` function for Kubernetes calls: `what` says what was tried, on what.
    pub fn kube(what: impl Into<String>) -> impl FnOnce(kube::Error) -> Self {
        let what = what.into();
        move |source| Self::Kube { what, source: Box::new(source) }
    }

    /// The `map_err` function for parsing: `what` says what was read, from where.
    pub fn malformed<E: StdError + Send + Sync + 'static>(what: impl Into<String>) -> impl FnOnce(E) -> Self {
        let malformed = harness_base::Error::malformed(what);
        move |source| malformed(source).into()
    }

    /// The error with a text that was gathered when it arose.
    pub(crate) fn diagnosed(self, diagnosis: String) -> Self {
        Self::Diagnosed { source: Box::new(self), diagnosis }
    }

    /// The error and its causes as text, redacted as by [`harness_base::error::shown`].
    pub fn report(&self) -> String {
        harness_base::error::shown(&self.chain())
    }

    fn chain(&self) -> String {
        match self {
            Self::Diagnosed { source, diagnosis } => format!("{}\n\n{diagnosis}", source.chain()),
            // kube repeats an API error, and its source once more.
            Self::Kube { source, .. } => format!("{self}\n  caused by: {}", in_one_line(source)),
            _ => harness_base::error::chain(self),
        }
    }
}

/// An API error in one line; kube's own `Display` repeats the status.
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
