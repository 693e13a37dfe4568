//! What can go wrong between a client and a site.

use std::error::Error as StdError;

use crate::{Layer, Trail};

/// A result whose error is this crate's own.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong with a request, a handshake or an answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Of the ground: a URL that does not parse, a budget that is spent, a deadline.
    #[error(transparent)]
    Base(#[from] harness_base::Error),
    /// An HTTP request or a WebSocket could not be carried out at all.
    #[error("{what}")]
    Request {
        /// The request.
        what: String,
        /// The layer's own error.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// A site was not reached, or stopped answering, at one layer of the way there.
    #[error("{layer}: {what}{trail}")]
    Unreachable {
        /// The first layer that did not carry.
        layer: Layer,
        /// What was tried there, and how it ended.
        what: String,
        /// How long each layer took.
        trail: Trail,
    },
    /// There is an answer, and it is not the expected one.
    #[error("{0}")]
    Unmet(String),
}

impl Error {
    /// For `map_err` on HTTP and WebSocket calls: says which request.
    pub fn request<E: StdError + Send + Sync + 'static>(what: impl Into<String>) -> impl FnOnce(E) -> Self {
        let what = what.into();
        move |source| Self::Request { what, source: Box::new(source) }
    }

    /// The whole chain as text, as [`harness_base::error::shown`] shows it.
    pub fn report(&self) -> String {
        harness_base::error::shown(&harness_base::error::chain(self))
    }
}
