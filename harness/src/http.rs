//! HTTP clients: [`Reader`] has no method that writes; [`Client`] adds them.

use std::net::{IpAddr, SocketAddr};
use std::ops::Deref;
use std::time::{Duration, Instant};

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Certificate, Method, Url, redirect};
use serde::Serialize;

use crate::{Error, Result};

mod reply;

pub use reply::Reply;

/// The longest body that is read: 4 MiB.
const LONGEST_BODY: usize = 4 * 1024 * 1024;
const MOST_REDIRECTS: usize = 5;

/// Installs the process's TLS provider (ring); any number of calls are fine.
pub fn install_tls() {
    // The only error is that one is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// How a client connects.
#[derive(Debug, Clone)]
pub struct Options {
    /// Scheme, host and port; paths of requests are appended to it.
    pub base: String,
    /// More certificate authorities to trust, as PEM.
    pub ca_bundle: Option<Vec<u8>>,
    /// Where the base's host is really found, instead of by DNS.
    pub resolve: Option<SocketAddr>,
    /// How long connecting may take: 5 s.
    pub connect: Duration,
    /// How long a whole request may take, its body included: 10 s.
    pub whole: Duration,
    /// Whether connections are kept for the next request. Off for 127.0.0.1, where a forward
    /// chooses a ready pod for each connection.
    pub keep_alive: bool,
}

impl Options {
    /// The defaults for this base URL.
    pub fn new(base: impl Into<String>) -> Self {
        let base = base.into();
        let keep_alive = !Url::parse(&base).is_ok_and(|url| is_loopback(&url));
        Self {
            base,
            ca_bundle: None,
            resolve: None,
            connect: Duration::from_secs(5),
            whole: Duration::from_secs(10),
            keep_alive,
        }
    }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Asks, and cannot change anything: GET and HEAD alone.
///
/// Follows at most 5 redirects, and none to another host: that answer is the reply.
#[derive(Debug, Clone)]
pub struct Reader {
    inner: reqwest::Client,
    base: Url,
    headers: HeaderMap,
}

/// How long to wait between two tries of [`Reader::answers`].
const BETWEEN_TRIES: Duration = Duration::from_millis(50);

impl Reader {
    /// A reader of this base URL with the default [`Options`].
    ///
    /// # Errors
    /// The URL does not parse.
    pub fn new(base: &str) -> Result<Self> {
        Self::with(Options::new(base))
    }

    /// A reader with these options.
    ///
    /// # Errors
    /// The URL or the CA bundle does not parse.
    pub fn with(options: Options) -> Result<Self> {
        install_tls();
        let what = format!("make an HTTP client for {}", options.base);
        let base = Url::parse(&options.base).map_err(Error::malformed(format!("the URL {:?}", options.base)))?;
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("jetscale-harness/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(options.connect)
            .timeout(options.whole)
            .redirect(redirect::Policy::custom(same_host));
        if !options.keep_alive {
            builder = builder.pool_max_idle_per_host(0);
        }
        // A proxy cannot reach what is on this machine or found where we say.
        if is_loopback(&base) || options.resolve.is_some() {
            builder = builder.no_proxy();
        }
        if let (Some(address), Some(host)) = (options.resolve, base.host_str()) {
            builder = builder.resolve(host, address);
        }
        if let Some(pem) = &options.ca_bundle {
            let certificates = Certificate::from_pem_bundle(pem).map_err(Error::malformed("the CA bundle"))?;
            builder = builder.tls_certs_merge(certificates);
        }
        Ok(Self { inner: builder.build().map_err(Error::http(what))?, base, headers: HeaderMap::new() })
    }

    /// The same reader with one more header on every request, such as `Origin`.
    ///
    /// # Errors
    /// Name or value is not allowed in a header.
    pub fn with_header(mut self, name: &str, value: &str) -> Result<Self> {
        let what = format!("the HTTP header {name}");
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(Error::malformed(what.as_str()))?;
        let value = HeaderValue::from_str(value).map_err(Error::malformed(what))?;
        self.headers.insert(name, value);
        Ok(self)
    }

    /// Scheme, host and port that it asks.
    pub fn base(&self) -> &str {
        self.base.as_str()
    }

    /// GET.
    ///
    /// # Errors
    /// [`Error::Http`] when there is no whole answer in time; any status is a [`Reply`].
    pub async fn get(&self, path: &str) -> Result<Reply> {
        self.send(Method::GET, path, None).await
    }

    /// GET again and again until the answer is 200: for what no watch can tell, such as a route that is being made.
    ///
    /// # Errors
    /// [`Error::Deadline`] after `limit`, with the last answer.
    pub async fn answers(&self, path: &str, limit: Duration) -> Result<Reply> {
        let mut last = String::from("not asked yet");
        let asking = async {
            let mut beat = tokio::time::interval(BETWEEN_TRIES);
            loop {
                beat.tick().await;
                match self.get(path).await {
                    Ok(reply) if reply.status == 200 => return reply,
                    Ok(reply) => last = format!("it answered {}", reply.status),
                    Err(error) => last = error.report(),
                }
            }
        };
        match tokio::time::timeout(limit, asking).await {
            Ok(reply) => Ok(reply),
            Err(_) => {
                let awaited = format!("status 200 from {}{}", self.base(), path.trim_start_matches('/'));
                Err(Error::Deadline { awaited, after: limit, last })
            }
        }
    }

    /// HEAD.
    ///
    /// # Errors
    /// As [`Reader::get`].
    pub async fn head(&self, path: &str) -> Result<Reply> {
        self.send(Method::HEAD, path, None).await
    }

    async fn send(&self, method: Method, path: &str, json: Option<Vec<u8>>) -> Result<Reply> {
        let url = self.base.join(path).map_err(Error::malformed(format!("the path {path:?}")))?;
        let what = format!("{method} {}", printable(&url));
        let start = Instant::now();
        let mut request = self.inner.request(method.clone(), url).headers(self.headers.clone());
        if let Some(json) = json {
            request = request.header("content-type", "application/json").body(json);
        }
        // reqwest names the URL in its errors, with its query; ours is without.
        let failed = |error: reqwest::Error| Error::Http { what: what.clone(), source: Box::new(error.without_url()) };
        let mut response = request.send().await.map_err(failed)?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let url = printable(response.url());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > LONGEST_BODY {
                return Err(Error::Unmet(format!("{what} answered {status} with more than {LONGEST_BODY} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Reply { method: method.to_string(), url, status, headers, body, took: start.elapsed() })
    }
}

fn same_host(attempt: redirect::Attempt<'_>) -> redirect::Action {
    let from = attempt.previous().last().and_then(|url| url.host_str().map(str::to_owned));
    if attempt.url().host_str() != from.as_deref() {
        return attempt.stop();
    }
    if attempt.previous().len() > MOST_REDIRECTS {
        return attempt.error(format!("more than {MOST_REDIRECTS} redirects"));
    }
    attempt.follow()
}

/// A URL without what may be secret in it: user, password and query.
fn printable(url: &Url) -> String {
    let mut url = url.clone();
    // Both fail for URLs that cannot have a user, which then have none.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    if url.query().is_some() {
        url.set_query(Some("..."));
    }
    url.to_string()
}

/// A [`Reader`] that may also write; never given where a stage is read-only.
#[derive(Debug, Clone)]
pub struct Client {
    reader: Reader,
}

impl Deref for Client {
    type Target = Reader;

    fn deref(&self) -> &Reader {
        &self.reader
    }
}

impl Client {
    /// A client of this base URL with the default [`Options`].
    ///
    /// # Errors
    /// The URL does not parse.
    pub fn new(base: &str) -> Result<Self> {
        Self::with(Options::new(base))
    }

    /// A client with these options.
    ///
    /// # Errors
    /// The URL or the CA bundle does not parse.
    pub fn with(options: Options) -> Result<Self> {
        Ok(Self { reader: Reader::with(options)? })
    }

    /// The same client with one more header on every request.
    ///
    /// # Errors
    /// Name or value is not allowed in a header.
    pub fn with_header(self, name: &str, value: &str) -> Result<Self> {
        Ok(Self { reader: self.reader.with_header(name, value)? })
    }

    /// The same client, signed in with a bearer token.
    ///
    /// # Errors
    /// The token is not allowed in a header.
    pub fn bearer(mut self, token: &str) -> Result<Self> {
        let what = "a bearer token, which is not shown";
        let mut value = HeaderValue::from_str(&format!("Bearer {token}")).map_err(Error::malformed(what))?;
        value.set_sensitive(true);
        self.reader.headers.insert(AUTHORIZATION, value);
        Ok(self)
    }

    /// POST with a JSON body.
    ///
    /// # Errors
    /// As [`Reader::get`].
    pub async fn post(&self, path: &str, body: &impl Serialize) -> Result<Reply> {
        self.write(Method::POST, path, body).await
    }

    /// PUT with a JSON body.
    ///
    /// # Errors
    /// As [`Reader::get`].
    pub async fn put(&self, path: &str, body: &impl Serialize) -> Result<Reply> {
        self.write(Method::PUT, path, body).await
    }

    /// DELETE.
    ///
    /// # Errors
    /// As [`Reader::get`].
    pub async fn delete(&self, path: &str) -> Result<Reply> {
        self.reader.send(Method::DELETE, path, None).await
    }

    async fn write(&self, method: Method, path: &str, body: &impl Serialize) -> Result<Reply> {
        let json = serde_json::to_vec(body).map_err(Error::malformed(format!("the body of {method} {path}")))?;
        self.reader.send(method, path, Some(json)).await
    }
}

#[cfg(test)]
mod tests;
