//! Errors between a client and a site.

use std::error::Error as StdError;

use crate::{Layer, Trail};

/// A result whose error is this crate's own.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Failures of a request, a handshake or an answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An error of `harness-base`: a URL that does not parse, a spent budget, a deadline.
    #[error(transparent)]
    Base(#[from] harness_base::Error),
    /// An HTTP request or a WebSocket that failed without a known layer.
    #[error("{what}")]
    Request {
        /// The request, such as `GET https://app.example.com/`.
        what: String,
        /// The HTTP or WebSocket library's error.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// A site was not reached, or stopped answering, at one layer.
    #[error("{layer}: {what}{trail}")]
    Unreachable {
        /// The first layer that failed.
        layer: Layer,
        /// The attempt at that layer, and how it ended.
        what: String,
        /// How long each layer took.
        trail: Trail,
    },
    /// An answer that is not the expected one.
    #[error("{0}")]
    Unmet(String),
}

impl Error {
    /// The `map_err` function for HTTP and WebSocket calls: `what` names the request.
    pub fn request<E: StdError + Send + Sync + 'static>(what: impl Into<String>) -> impl FnOnce(E) -> Self {
        let what = what.into();
        move |source| Self::Request { what, source: Box::new(source) }
    }

    /// The error and its causes as text, redacted as by [`harness_base::error::shown`].
    pub fn report(&self) -> String {
        harness_base::error::shown(&harness_base::error::chain(self))
    }
}
