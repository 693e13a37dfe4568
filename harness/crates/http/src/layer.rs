//! The layers of an answer, and how long each took.

use std::fmt;

/// A layer of an answer; each builds on those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layer {
    /// The name resolves to addresses.
    Dns,
    /// An address accepts a connection.
    Tcp,
    /// The server shows a certificate that the client trusts.
    Tls,
    /// The server answers with a status and headers.
    Http,
    /// The answer's body arrives to its end.
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

/// The time that each layer took, the lowest first; as text one line of its own, or nothing.
#[derive(Debug, Clone, Default)]
pub struct Trail(pub Vec<String>);

impl fmt::Display for Trail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, "\n  layers: {}", self.0.join(", ")) }
    }
}
