//! The crate's error type. Every expected failure says what was tried, on what, and what to run next.

use std::error::Error as StdError;

use harness_kube::in_one_line;
pub use harness_machine::CommandFailure;

/// A result whose error is the harness's own.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can go wrong on the path from settings to scenarios.
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
    /// Another error of harness-deploy, such as a full disk.
    #[error(transparent)]
    Deploy(harness_deploy::Error),
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
    /// A scenario does not apply here, for a reason that only a probe could tell; not a failure.
    #[error("does not apply: {0}")]
    NotApplicable(String),
    /// Another error, with the evidence that was gathered when it arose.
    #[error("{source}")]
    Diagnosed {
        /// The error itself.
        source: Box<Error>,
        /// Pods, conditions, events and last logs.
        diagnosis: String,
    },
    /// A fixture that all scenarios of a process share failed; each of them reports the same error.
    #[error("{0}")]
    Shared(std::sync::Arc<Error>),
}

/// Maps each error of the layers below to the variant of the same meaning, whichever layer it comes from.
impl From<harness_deploy::Error> for Error {
    fn from(error: harness_deploy::Error) -> Self {
        match error {
            harness_deploy::Error::Base(error) => Self::Base(error),
            harness_deploy::Error::Kube { what, source } => Self::Kube { what, source },
            harness_deploy::Error::Http(error) => Self::Http(error),
            harness_deploy::Error::Command(failure) => Self::Command(failure),
            harness_deploy::Error::Failed { awaited, cause } => Self::Failed { awaited, cause },
            harness_deploy::Error::Unmet(what) => Self::Unmet(what),
            harness_deploy::Error::Diagnosed { source, diagnosis } => Self::from(*source).diagnosed(diagnosis),
            other => Self::Deploy(other),
        }
    }
}

// Errors of the layers below harness-deploy are mapped there first.
impl From<harness_http::Error> for Error {
    fn from(error: harness_http::Error) -> Self {
        harness_deploy::Error::from(error).into()
    }
}

impl From<harness_machine::Error> for Error {
    fn from(error: harness_machine::Error) -> Self {
        harness_deploy::Error::from(error).into()
    }
}

impl From<harness_kube::Error> for Error {
    fn from(error: harness_kube::Error) -> Self {
        harness_deploy::Error::from(error).into()
    }
}

impl Error {
    /// A refusal ([`harness_base::Error::Refused`]): what is wrong, and the command or change that mends it.
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

    /// The whole chain of causes as text, and then the evidence. Secrets are redacted, and control characters made harmless for a
    /// terminal.
    pub fn report(&self) -> String {
        harness_machine::error::shown(&self.chain())
    }

    fn chain(&self) -> String {
        match self {
            Self::Diagnosed { source, diagnosis } => format!("{}\n\n{diagnosis}", source.chain()),
            Self::Shared(source) => source.chain(),
            // kube writes an API error out twice, and its source once more.
            Self::Kube { source, .. } => format!("{self}\n  caused by: {}", in_one_line(source)),
            _ => harness_base::error::chain(self),
        }
    }
}

/// The whole chain of causes of an error that is none of the harness's own, as [`Error::report`] writes it.
pub fn shown(error: &(dyn StdError + 'static)) -> String {
    harness_machine::error::shown(&harness_base::error::chain(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports() {
        let command = Error::Command(Box::new(CommandFailure {
            line: "helm upgrade --install shop".to_owned(),
            status: "exit status: 1".to_owned(),
            tail: "Error: values don't meet the schema".to_owned(),
            next: Some("mend the values file".to_owned()),
        }));
        let late: Error = harness_base::Error::Deadline {
            awaited: "release shop in namespace shop".to_owned(),
            after: std::time::Duration::from_secs(240),
            last: "deployment shop-backend has 0 of 1 replicas available".to_owned(),
        }
        .into();
        let nested = Error::io("read /state/record.json")(std::io::Error::other("the disk is gone"));
        let all = [
            Error::refused("no container engine answers at its default address", "systemctl start docker"),
            command,
            late.diagnosed("POD  READY\nx    0/1".to_owned()),
            Error::Shared(std::sync::Arc::new(nested)),
        ];
        insta::assert_snapshot!(all.map(|error| error.report()).join("\n---\n"), @r"
        no container engine answers at its default address
          next: systemctl start docker
        ---
        command failed (exit status: 1): helm upgrade --install shop
          | Error: values don't meet the schema
          next: mend the values file
        ---
        waited 240.0s for release shop in namespace shop, in vain: deployment shop-backend has 0 of 1 replicas available

        POD  READY
        x    0/1
        ---
        read /state/record.json
          caused by: the disk is gone
        ");
    }

    #[test]
    fn the_first_diagnosis_stays() {
        let error =
            Error::Unmet("first".to_owned()).diagnosed("seen then".to_owned()).diagnosed("seen later".to_owned());
        assert_eq!(error.report(), "first\n\nseen then");
    }
}
