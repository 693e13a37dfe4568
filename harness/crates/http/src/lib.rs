//! Clients and probes for a site, which name the layer at which it does not answer.
//!
//! | what | types |
//! |---|---|
//! | a client that reads alone, one that writes | [`Reader`], [`Client`] |
//! | answers | [`Reply`], [`ContentSecurityPolicy`] |
//! | the way to a site, layer by layer | [`Probe`], [`Layer`], [`Tls`], [`Certificate`] |
//! | how many requests a run may send | [`Budget`] |
//! | WebSockets | [`websocket`] |
//!
//! [`writer`] alone makes a [`Client`]: to give a suite a read-only site, do not give it that function.
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

/// Installs the process's TLS provider (ring); further calls change nothing.
pub fn install_tls() {
    // The only error is that a provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// A carrier of a client's connections beyond the address that it knows, such as a forward into a cluster, which accepts a
/// connection before it has a pod for it.
pub trait Carrier: std::fmt::Debug + Send + Sync {
    /// The progress of the connections without an answer yet, and why the last failed one failed; `None` when there is
    /// nothing to tell.
    fn progress(&self) -> Option<String>;
}

/// How a client connects; [`HttpOptions::new`] has the defaults.
#[derive(Debug, Clone)]
pub struct HttpOptions {
    /// Scheme, host and port; paths of requests are appended to it.
    pub base: String,
    /// More certificate authorities to trust, as PEM.
    pub ca_bundle: Option<Vec<u8>>,
    /// The address to connect to, instead of the one that DNS gives for the base's host.
    pub resolve: Option<SocketAddr>,
    /// Whether to go without a proxy, so that a failure can be told by its layer. Off by default; always on for a loopback
    /// host, and with `resolve`.
    pub direct: bool,
    /// The limit for connecting. Default: 5 s.
    pub connect: Duration,
    /// The limit for a whole request, its body included. Default: 10 s.
    pub whole: Duration,
    /// Whether connections are kept for the next request. Off by default for a loopback host, where a forward chooses a ready
    /// pod for each connection.
    pub keep_alive: bool,
    /// The carrier of the connections, which stays open as long as a client of these options; the error of a request without
    /// an answer has its progress. Default: none.
    pub carrier: Option<Arc<dyn Carrier>>,
    /// The budget that counts each request. Default: none, so no limit.
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

/// Whole seconds from `other` to `time`; negative when `time` is the earlier one.
pub fn since(time: SystemTime, other: SystemTime) -> i64 {
    let seconds = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    time.duration_since(other).map_or_else(|earlier| -seconds(earlier.duration()), seconds)
}

/// Whether a host is a loopback one: `localhost`, 127.x, ::1, with brackets or without.
pub fn is_loopback(host: &str) -> bool {
    let host = host.trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests;
