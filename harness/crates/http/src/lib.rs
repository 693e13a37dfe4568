//! Asks a site, and says at which layer it does not answer.
//!
//! | what | types |
//! |---|---|
//! | a client that cannot change anything, one that can | [`Reader`], [`Client`] |
//! | what was answered | [`Reply`], [`ContentSecurityPolicy`] |
//! | the way there, layer by layer | [`Probe`], [`Layer`], [`Tls`], [`Certificate`] |
//! | how much a run may ask | [`Budget`] |
//! | text both ways | [`websocket`] |
//!
//! Nothing but [`writer`] makes a [`Client`]: whoever gives a suite a read-only site does not show it that function.
//!
//! ```
//! use harness_http::{HttpOptions, Reader, is_loopback};
//!
//! let reader = Reader::with(HttpOptions { keep_alive: false, ..HttpOptions::new("https://app.example.com") })?;
//! assert_eq!(reader.base(), "https://app.example.com/");
//! assert!(is_loopback("127.0.0.1") && !is_loopback(&reader.target().host));
//! # Ok::<(), harness_http::Error>(())
//! ```

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use reqwest::Url;

mod budget;
mod certificate;
mod client;
mod content_security;
pub mod error;
mod layer;
mod old_tls;
mod probe;
mod race;
mod reader;
mod reply;
mod tls;
pub mod websocket;

pub use budget::{BETWEEN_REQUESTS, Budget, MOST_REQUESTS};
pub use certificate::Certificate;
pub use client::{Client, writer};
pub use content_security::ContentSecurityPolicy;
pub use error::{Error, Result};
pub use layer::{Layer, Trail};
pub use old_tls::old_tls_is_refused;
pub use probe::{Probe, Target};
pub use reader::Reader;
pub use reply::Reply;
pub use tls::{Tls, trusting};

/// Installs the process's TLS provider (ring); any number of calls are fine.
pub fn install_tls() {
    // The only error is that one is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Carries connections on from the address that a client knows: a forward into a cluster, which takes a connection before it
/// has a pod for it.
pub trait Carrier: std::fmt::Debug + Send + Sync {
    /// How far the connections came whose answers are still owed, and why the last one failed that did; `None` when all is well.
    fn progress(&self) -> Option<String>;
}

/// How a client connects.
#[derive(Debug, Clone)]
pub struct HttpOptions {
    /// Scheme, host and port; paths of requests are appended to it.
    pub base: String,
    /// More certificate authorities to trust, as PEM.
    pub ca_bundle: Option<Vec<u8>>,
    /// Where the base's host is really found, instead of by DNS.
    pub resolve: Option<SocketAddr>,
    /// Whether no proxy may stand between, so that a failure can be told by its layer. Always so for what is on this
    /// machine, and where `resolve` says.
    pub direct: bool,
    /// How long connecting may take: 5 s.
    pub connect: Duration,
    /// How long a whole request may take, its body included: 10 s.
    pub whole: Duration,
    /// Whether connections are kept for the next request. Off for 127.0.0.1, where a forward
    /// chooses a ready pod for each connection.
    pub keep_alive: bool,
    /// What carries the connections on, open as long as a client of these options lives; a request without an answer tells
    /// its progress.
    pub carrier: Option<Arc<dyn Carrier>>,
    /// What each request is counted in, if there is a limit.
    pub budget: Option<Arc<Budget>>,
}

impl HttpOptions {
    /// The defaults for this base URL.
    pub fn new(base: impl Into<String>) -> Self {
        let base = base.into();
        let keep_alive = !Url::parse(&base).is_ok_and(|url| is_loopback(url.host_str().unwrap_or_default()));
        Self {
            base,
            ca_bundle: None,
            resolve: None,
            direct: false,
            connect: Duration::from_secs(5),
            whole: Duration::from_secs(10),
            keep_alive,
            carrier: None,
            budget: None,
        }
    }
}

/// Whether this machine has a route to an address; nothing is sent to find out.
pub fn is_routed(address: IpAddr) -> bool {
    let from: IpAddr = if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    UdpSocket::bind((from, 0)).and_then(|socket| socket.connect((address, 9))).is_ok()
}

/// Whole seconds from one time to another, negative when that is the earlier one.
pub fn since(time: SystemTime, other: SystemTime) -> i64 {
    let seconds = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    time.duration_since(other).map_or_else(|earlier| -seconds(earlier.duration()), seconds)
}

/// Whether a host is this machine's own: `localhost`, 127.x, ::1, with brackets or without.
pub fn is_loopback(host: &str) -> bool {
    let host = host.trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests;
