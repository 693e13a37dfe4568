//! A probe of the way to a site, layer by layer: its name, a connection, TLS; and how long each took.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use reqwest::Url;
use tokio::net::TcpStream;

use super::HttpOptions;
use super::tls::{self, Tls};
use crate::{Error, Layer, Result, Trail, race};

/// A site's place: host, port, and whether it speaks TLS.
#[derive(Debug, Clone)]
pub struct Target {
    /// The host as the URL names it; an IPv6 address without brackets.
    pub host: String,
    /// The port; by default that of the URL's scheme.
    pub port: u16,
    /// Whether the site speaks TLS.
    pub secure: bool,
    /// The address to connect to, if given: DNS is not asked then.
    pub resolve: Option<SocketAddr>,
    ca_bundle: Option<Vec<u8>>,
    limit: Duration,
}

/// The outcome of each layer up to TLS, as far as the probe came.
#[derive(Debug, Clone, Default)]
pub struct Probe {
    /// The host's addresses, and how long DNS took; `None` where DNS was not asked.
    pub dns: Option<(Vec<IpAddr>, Duration)>,
    /// The address that accepted the connection, and how long that took.
    pub tcp: Option<(SocketAddr, Duration)>,
    /// The handshake's outcome, and how long it took; `None` without TLS.
    pub tls: Option<(Tls, Duration)>,
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.layers().join(", "))
    }
}

impl Probe {
    fn layers(&self) -> Vec<String> {
        let dns = self.dns.as_ref().map(|(addresses, took)| {
            let addresses: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
            format!("dns {took:.1?} ({})", addresses.join(", "))
        });
        let tcp = self.tcp.as_ref().map(|(address, took)| format!("tcp {took:.1?} ({address})"));
        let tls = self.tls.as_ref().map(|(tls, took)| format!("tls {took:.1?} ({})", tls.protocol));
        [dns, tcp, tls].into_iter().flatten().collect()
    }

    /// These layers' times, then those of a failure above them.
    pub(super) fn below(&self, above: impl IntoIterator<Item = String>) -> Trail {
        Trail(self.layers().into_iter().chain(above).collect())
    }

    fn failed(&self, layer: Layer, what: String, since: Instant) -> Error {
        let trail = self.below([format!("{layer} failed after {:.1?}", since.elapsed())]);
        Error::Unreachable { layer, what, trail }
    }
}

impl Target {
    /// The target of a client with these options.
    ///
    /// # Errors
    /// [`harness_base::Error::Malformed`] when the base does not parse, [`harness_base::Error::Refused`] when it has no host or
    /// another scheme.
    pub fn of(options: &HttpOptions) -> Result<Self> {
        // The part of an unparsable URL before `@` may hold a password, and is not shown.
        let shown = options.base.rsplit('@').next().unwrap_or_default();
        let base = Url::parse(&options.base).map_err(harness_base::Error::malformed(format!("the URL …{shown:?}")))?;
        let (Some(host), Some(port), true) =
            (base.host_str(), base.port_or_known_default(), matches!(base.scheme(), "http" | "https"))
        else {
            let next = "give one like https://app.example.com";
            return Err(harness_base::Error::refused(format!("the URL {shown:?} is no web address"), next).into());
        };
        Ok(Self {
            host: host.trim_matches(['[', ']']).to_owned(),
            port,
            secure: base.scheme() == "https",
            resolve: options.resolve,
            ca_bundle: options.ca_bundle.clone(),
            limit: options.connect,
        })
    }

    /// The name that DNS is asked for; `None` where the host is an address, or one was given.
    pub fn name(&self) -> Option<&str> {
        let asked = self.resolve.is_none() && self.host.parse::<IpAddr>().is_err();
        asked.then_some(&self.host)
    }

    /// Probes the layers up to TLS, each within the options' limit for connecting; sends no request.
    ///
    /// # Errors
    /// [`Error::Unreachable`] with the first layer that fails.
    pub async fn probe(&self) -> Result<Probe> {
        let mut probe = Probe::default();
        let addresses = self.addresses(&mut probe).await?;
        let stream = self.connection(&mut probe, &addresses).await?;
        if self.secure {
            let start = Instant::now();
            match tls::handshake(stream, &self.host, self.ca_bundle.as_deref(), self.limit).await {
                Ok(tls) => probe.tls = Some((tls, start.elapsed())),
                Err(why) => {
                    let what = format!("{} port {}: {why}", self.host, self.port);
                    return Err(probe.failed(Layer::Tls, what, start));
                }
            }
        }
        Ok(probe)
    }

    async fn addresses(&self, probe: &mut Probe) -> Result<Vec<SocketAddr>> {
        if let Some(address) = self.resolve {
            return Ok(vec![address]);
        }
        if let Ok(address) = self.host.parse::<IpAddr>() {
            return Ok(vec![(address, self.port).into()]);
        }
        let start = Instant::now();
        let asking = tokio::net::lookup_host((self.host.as_str(), self.port));
        let why = match tokio::time::timeout(self.limit, asking).await {
            Ok(Ok(found)) => {
                let found: Vec<SocketAddr> = found.collect();
                if !found.is_empty() {
                    let mut addresses: Vec<IpAddr> = found.iter().map(SocketAddr::ip).collect();
                    addresses.dedup();
                    probe.dns = Some((addresses, start.elapsed()));
                    return Ok(found);
                }
                "it has no address".to_owned()
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {:.1?}", self.limit),
        };
        Err(probe.failed(Layer::Dns, format!("the name {} does not resolve: {why}", self.host), start))
    }

    /// The first of the addresses that takes a connection.
    async fn connection(&self, probe: &mut Probe, addresses: &[SocketAddr]) -> Result<TcpStream> {
        let start = Instant::now();
        let refusals = match race::connect(addresses, self.limit).await {
            Ok((address, stream)) => {
                probe.tcp = Some((address, start.elapsed()));
                return Ok(stream);
            }
            Err(refusals) => refusals,
        };
        let what = format!("{} takes no connection at port {}: {}", self.host, self.port, refusals.join("; "));
        Err(probe.failed(Layer::Tcp, what, start))
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    fn target(base: &str) -> Target {
        let limit = Duration::from_millis(300);
        Target::of(&HttpOptions { connect: limit, ..HttpOptions::new(base) }).unwrap()
    }

    #[tokio::test]
    async fn a_name_without_addresses_is_dns() {
        let text = target("https://nothing.invalid").probe().await.unwrap_err().report();
        assert!(text.starts_with("dns: the name nothing.invalid does not resolve: "), "{text}");
        assert!(text.contains("\n  layers: dns failed after "), "{text}");
    }

    #[tokio::test]
    async fn a_closed_port_is_tcp_with_every_address() {
        // The port is bound, so that nobody else gets it, and not listening.
        let closed = tokio::net::TcpSocket::new_v4().unwrap();
        closed.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let text = target(&format!("https://{}", closed.local_addr().unwrap())).probe().await.unwrap_err().report();
        assert!(text.starts_with("tcp: 127.0.0.1 takes no connection at port "), "{text}");
        assert!(text.contains("refused"), "{text}");
    }

    #[tokio::test]
    async fn a_silent_port_is_tls_after_a_connection() {
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("https://{}", silent.local_addr().unwrap());
        let text = target(&base).probe().await.unwrap_err().report();
        assert!(text.starts_with("tls: 127.0.0.1 port "), "{text}");
        assert!(text.contains("it was silent") && text.contains("layers: tcp "), "{text}");
    }

    #[tokio::test]
    async fn what_hangs_up_is_tls_too() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("https://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { while listener.accept().await.is_ok() {} });
        let text = target(&base).probe().await.unwrap_err().report();
        assert!(text.contains("the handshake failed"), "{text}");
    }

    #[test]
    fn a_name_is_asked_for_only_where_there_is_one() {
        assert_eq!(target("https://app.example").name(), Some("app.example"));
        assert_eq!(target("http://[::1]:80").name(), None);
        let given =
            HttpOptions { resolve: Some(([127, 0, 0, 1], 1).into()), ..HttpOptions::new("https://app.example") };
        assert_eq!(Target::of(&given).unwrap().name(), None);
        assert!(Target::of(&HttpOptions::new("ftp://app.example")).unwrap_err().report().contains("no web address"));
    }
}
