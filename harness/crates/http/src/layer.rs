//! What an answer comes through, and how far a question came.

use std::fmt;

/// One of the layers that an answer comes through; each stands on those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layer {
    /// A name becomes addresses.
    Dns,
    /// An address takes a connection.
    Tcp,
    /// The server shows a certificate that we trust.
    Tls,
    /// The server answers with a status and headers.
    Http,
    /// The answer's body comes to its end.
    Body,
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dns => "dns",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Http => "http",
            Self::Body => "body",
        })
    }
}

/// How long each layer took, the lowest first; as text a line of its own, or nothing.
#[derive(Debug, Clone, Default)]
pub struct Trail(pub Vec<String>);

impl fmt::Display for Trail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, "\n  layers: {}", self.0.join(", ")) }
    }
}
