//! The HTTP client that reads alone.

use std::error::Error as StdError;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use harness_base::error::innermost;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, LOCATION};
use reqwest::{Certificate, Method, Response, Url, redirect};
use tokio::time::{Instant, timeout_at};

use super::{Budget, Carrier, HttpOptions, Layer, Probe, Reply, Target, Trail, is_loopback};
use crate::{Error, Result};

/// The longest body that is read: 4 MiB.
pub(super) const LONGEST_BODY: usize = 4 * 1024 * 1024;
const MOST_REDIRECTS: usize = 5;

/// An HTTP client that cannot change anything: it sends GET and HEAD alone.
///
/// Redirects: at most 5 are followed, and none to another host or out of TLS, where the redirect is the reply. Without a
/// proxy, a failed request's error names the layer.
#[derive(Debug, Clone)]
pub struct Reader {
    inner: reqwest::Client,
    base: Url,
    headers: HeaderMap,
    whole: Duration,
    target: Arc<Target>,
    /// Whether the layers below are probed when a request fails; a proxy would hide them.
    direct: bool,
    carrier: Option<Arc<dyn Carrier>>,
    budget: Option<Arc<Budget>>,
}

/// The time between two tries of [`Reader::answers`].
const BETWEEN_TRIES: Duration = Duration::from_millis(50);

impl Reader {
    /// A reader of this base URL with the default [`HttpOptions`].
    ///
    /// # Errors
    /// [`harness_base::Error::Malformed`] or [`harness_base::Error::Refused`] when the URL is not usable.
    pub fn new(base: &str) -> Result<Self> {
        Self::with(HttpOptions::new(base))
    }

    /// A reader with these options.
    ///
    /// # Errors
    /// [`harness_base::Error::Malformed`] or [`harness_base::Error::Refused`] when the URL or the CA bundle is not usable.
    pub fn with(options: HttpOptions) -> Result<Self> {
        super::install_tls();
        let what = "make an HTTP client for an address";
        let target = Arc::new(Target::of(&options)?);
        let base = Url::parse(&options.base).map_err(harness_base::Error::malformed(what))?;
        // reqwest sends user and password by itself; this call makes them known as secrets, so that nothing prints them.
        take_account(&mut base.clone());
        // A proxy cannot reach a loopback host, or the address that `resolve` gives.
        let direct = options.direct || is_loopback(&target.host) || options.resolve.is_some();
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("harness/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(options.connect)
            .redirect(redirect::Policy::none());
        if !options.keep_alive {
            builder = builder.pool_max_idle_per_host(0);
        }
        if direct {
            builder = builder.no_proxy();
        }
        if let (Some(address), Some(host)) = (options.resolve, base.host_str()) {
            builder = builder.resolve(host, address);
        }
        if let Some(pem) = &options.ca_bundle {
            let certificates =
                Certificate::from_pem_bundle(pem).map_err(harness_base::Error::malformed("the CA bundle"))?;
            builder = builder.tls_certs_merge(certificates);
        }
        let inner = builder.build().map_err(Error::request(what))?;
        let HttpOptions { whole, carrier, budget, .. } = options;
        Ok(Self { inner, base, headers: HeaderMap::new(), whole, target, direct, carrier, budget })
    }

    /// The same reader with one more header on every request, such as `Origin`.
    ///
    /// # Errors
    /// [`harness_base::Error::Malformed`] when the name or the value is not allowed in a header.
    pub fn with_header(mut self, name: &str, value: &str) -> Result<Self> {
        let what = format!("the HTTP header {name}");
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(harness_base::Error::malformed(what.as_str()))?;
        let value = HeaderValue::from_str(value).map_err(harness_base::Error::malformed(what))?;
        self.headers.insert(name, value);
        Ok(self)
    }

    /// The same reader, signed in with a bearer token, which is known as a secret from now on.
    ///
    /// # Errors
    /// [`harness_base::Error::Malformed`] when the token is not allowed in a header.
    pub fn bearer(mut self, token: &str) -> Result<Self> {
        harness_base::secrets::know(token);
        let what = "a bearer token, which is not shown";
        let mut value =
            HeaderValue::from_str(&format!("Bearer {token}")).map_err(harness_base::Error::malformed(what))?;
        value.set_sensitive(true);
        self.headers.insert(AUTHORIZATION, value);
        Ok(self)
    }

    /// Whether the base URL holds user or password: they are sent as `Authorization`, unless a token is.
    pub fn has_account(&self) -> bool {
        !self.base.username().is_empty() || self.base.password().is_some()
    }

    /// The base URL: scheme, host and port.
    pub fn base(&self) -> &str {
        self.base.as_str()
    }

    /// The place that requests go to.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Sends GET, and follows redirects.
    ///
    /// # Errors
    /// [`Error::Unreachable`], or through a proxy [`Error::Request`], when there is no whole answer in time; any status is a
    /// [`Reply`].
    pub async fn get(&self, path: &str) -> Result<Reply> {
        self.ask(Method::GET, path).await
    }

    /// Sends GET, and returns the first answer: a redirect is not followed.
    ///
    /// # Errors
    /// As [`Reader::get`].
    pub async fn first_answer(&self, path: &str) -> Result<Reply> {
        self.once(Method::GET, path, None).await
    }

    /// Sends HEAD, and follows redirects.
    ///
    /// # Errors
    /// As [`Reader::get`].
    pub async fn head(&self, path: &str) -> Result<Reply> {
        self.ask(Method::HEAD, path).await
    }

    /// Sends GET every 50 ms until the answer is 200: for what no watch can tell, such as a route that is being made.
    ///
    /// # Errors
    /// [`harness_base::Error::Deadline`] after `limit`, with the last answer or error; [`harness_base::Error::Refused`] at once
    /// when the budget is spent.
    pub async fn answers(&self, path: &str, limit: Duration) -> Result<Reply> {
        let judge = |reply: &Reply| match reply.status {
            200 => Ok(()),
            other => Err(format!("it answered {other}")),
        };
        self.until(path, (BETWEEN_TRIES, limit), "status 200", judge).await
    }

    /// Sends GET at the interval `every` until the answer is 200 and contains a text.
    ///
    /// # Errors
    /// As [`Reader::answers`].
    pub async fn serves(&self, path: &str, text: &str, every: Duration, limit: Duration) -> Result<Reply> {
        let judge = |reply: &Reply| match reply.status == 200 && reply.text().contains(text) {
            true => Ok(()),
            false => Err(format!("it answered {} without it", reply.status)),
        };
        self.until(path, (every, limit), &format!("{text:?}"), judge).await
    }

    async fn until(
        &self,
        path: &str,
        (every, limit): (Duration, Duration),
        awaited: &str,
        judge: impl Fn(&Reply) -> Result<(), String> + Sync,
    ) -> Result<Reply> {
        let mut last = String::from("not asked yet");
        let asking = async {
            let mut beat = tokio::time::interval(every);
            loop {
                beat.tick().await;
                // A request that hangs must not be the only try.
                let told =
                    |why: String| self.progress().map_or(why.clone(), |progress| format!("{why}; forward {progress}"));
                match tokio::time::timeout(limit / 3, self.follow(Method::GET, path)).await {
                    Ok(Ok(reply)) => match judge(&reply) {
                        Ok(()) => return Ok(reply),
                        Err(why) => last = why,
                    },
                    // A spent budget: no later try is another.
                    Ok(Err(refused @ Error::Base(harness_base::Error::Refused { .. }))) => return Err(refused),
                    Ok(Err(error)) => last = told(error.report()),
                    Err(_) => last = told(format!("no answer within {:.1?}", limit / 3)),
                }
            }
        };
        let what = format!("asking for {awaited} at {path}");
        match harness_base::events::step(what, tokio::time::timeout(limit, asking)).await {
            Ok(outcome) => outcome,
            Err(_) => {
                let awaited = format!("{awaited} from {}{}", self.base(), path.trim_start_matches('/'));
                Err(harness_base::Error::Deadline { awaited, after: limit, last }.into())
            }
        }
    }

    /// Counts one request in the budget, if there is one, and returns once it may be sent.
    ///
    /// # Errors
    /// As [`Budget::spend`].
    pub async fn spend(&self) -> Result<()> {
        match &self.budget {
            Some(budget) => budget.spend().await,
            None => Ok(()),
        }
    }

    async fn ask(&self, method: Method, path: &str) -> Result<Reply> {
        let start = Instant::now();
        match self.follow(method, path).await {
            Err(error) => Err(self.explained(error, start.elapsed()).await),
            outcome => outcome,
        }
    }

    /// The error with the layer that failed: probes the way to the site, and adds what each layer took. An error of another
    /// kind, or through a proxy, comes back as it is.
    pub async fn explained(&self, error: Error, took: Duration) -> Error {
        // A proxy hides the layers below.
        if !self.direct || !matches!(error, Error::Request { .. } | Error::Unreachable { .. }) {
            return error;
        }
        // The progress is read before the probe, which is one more connection.
        let forward = self.progress().map(|progress| format!("forward {progress}"));
        match (error, self.target.probe().await) {
            (Error::Request { what, source }, Ok(probe)) => no_answer(what, &*source, &probe, forward, took),
            (Error::Request { what, .. }, Err(Error::Unreachable { layer, what: why, trail })) => {
                Error::Unreachable { layer, what: format!("{why}\n  asked: {what}"), trail }
            }
            (Error::Unreachable { layer, what, trail }, Ok(probe)) => {
                Error::Unreachable { layer, what, trail: probe.below(forward.into_iter().chain(trail.0)) }
            }
            (error, _) => error,
        }
    }

    /// The carrier's progress, where there is a carrier.
    fn progress(&self) -> Option<String> {
        self.carrier.as_ref()?.progress()
    }

    async fn follow(&self, method: Method, path: &str) -> Result<Reply> {
        let start = Instant::now();
        let mut url = self.base.join(path).map_err(harness_base::Error::malformed(format!("the path {path:?}")))?;
        let mut hops = vec![printable(&url)];
        loop {
            let reply = self.exchange(&method, url.clone(), None).await?;
            let Some(next) = leads_to(&url, &reply) else { return Ok(reply) };
            hops.push(printable(&next));
            if hops.len() > MOST_REDIRECTS + 1 {
                let what = format!("{method} {}: more than {MOST_REDIRECTS} redirects", hops.join(" -> "));
                let trail = Trail(vec![format!("http failed after {:.1?}", start.elapsed())]);
                return Err(Error::Unreachable { layer: Layer::Http, what, trail });
            }
            url = next;
        }
    }

    /// One request, whose redirect is not followed.
    pub(super) async fn once(&self, method: Method, path: &str, json: Option<Vec<u8>>) -> Result<Reply> {
        let url = self.base.join(path).map_err(harness_base::Error::malformed(format!("the path {path:?}")))?;
        let start = Instant::now();
        match self.exchange(&method, url, json).await {
            Err(error) => Err(self.explained(error, start.elapsed()).await),
            outcome => outcome,
        }
    }

    async fn exchange(&self, method: &Method, url: Url, json: Option<Vec<u8>>) -> Result<Reply> {
        let step = format!("{method} {}", url.path());
        harness_base::events::step(step, self.exchanged(method, url, json)).await
    }

    async fn exchanged(&self, method: &Method, url: Url, json: Option<Vec<u8>>) -> Result<Reply> {
        self.spend().await?;
        let what = format!("{method} {}", printable(&url));
        let start = Instant::now();
        let end = start + self.whole;
        let mut request = self.inner.request(method.clone(), url).headers(self.headers.clone());
        if let Some(json) = json {
            request = request.header("content-type", "application/json").body(json);
        }
        let response = match timeout_at(end, request.send()).await {
            // reqwest's errors name the URL with its query; `what` has it without.
            Ok(sent) => sent.map_err(|error| Error::request(what.as_str())(error.without_url()))?,
            Err(_) => return Err(Error::request(what)(silence(self.whole))),
        };
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let url = printable(response.url());
        let body = whole_body(response, &what, start, end).await?;
        Ok(Reply { method: method.to_string(), url, status, headers, body, took: start.elapsed() })
    }
}

fn silence(limit: Duration) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {limit:.1?}"))
}

/// The error for a request without an answer while the layers below work.
fn no_answer(
    what: String,
    source: &(dyn StdError + Send + Sync + 'static),
    probe: &Probe,
    forward: Option<String>,
    took: Duration,
) -> Error {
    let cause = innermost(source);
    if source.downcast_ref::<reqwest::Error>().is_some_and(reqwest::Error::is_connect) {
        let what = format!("{what}: there was no connection ({cause}); a moment later there was one");
        return Error::Unreachable { layer: Layer::Tcp, what, trail: probe.below(forward) };
    }
    let trail = probe.below(forward.into_iter().chain([format!("http failed after {took:.1?}")]));
    Error::Unreachable { layer: Layer::Http, what: format!("{what}: {cause}"), trail }
}

async fn whole_body(mut response: Response, what: &str, start: Instant, end: Instant) -> Result<Vec<u8>> {
    let status = response.status().as_u16();
    let of = response.content_length().map(|length| format!(" of {length}")).unwrap_or_default();
    let http = format!("http {:.1?} ({status})", start.elapsed());
    let (mut body, mut last) = (Vec::new(), Instant::now());
    let how = loop {
        match timeout_at(end, response.chunk()).await {
            Ok(Ok(None)) => return Ok(body),
            Ok(Ok(Some(chunk))) => {
                body.extend_from_slice(&chunk);
                last = Instant::now();
                if body.len() > LONGEST_BODY {
                    break format!("sent more than {LONGEST_BODY} bytes without an end");
                }
            }
            Ok(Err(error)) => break format!("broke off at byte {}{of}: {}", body.len(), innermost(&error)),
            Err(_) => {
                break format!("stalled at byte {}{of}: nothing more for {:.1?}", body.len(), last.elapsed());
            }
        }
    };
    let what = format!("{what} answered {status}, and then {how}");
    let trail = Trail(vec![http, format!("body failed after {:.1?}", start.elapsed())]);
    Err(Error::Unreachable { layer: Layer::Body, what, trail })
}

/// The target of a redirect that may be followed: on the same host, and not out of TLS.
pub(super) fn leads_to(from: &Url, reply: &Reply) -> Option<Url> {
    let location = (300..400).contains(&reply.status).then(|| reply.header(LOCATION.as_str())).flatten()?;
    let mut to = from.join(location).ok()?;
    // A server writes the address without the account in the base URL.
    if (to.host_str(), to.port_or_known_default()) == (from.host_str(), from.port_or_known_default()) {
        let _ = to.set_username(from.username());
        let _ = to.set_password(from.password());
    }
    let allowed = to.host_str() == from.host_str()
        && matches!((from.scheme(), to.scheme()), ("http", "http" | "https") | ("https", "https"));
    allowed.then_some(to)
}

/// Removes user and password from a URL, and returns them as `Authorization: Basic`; the password is known as a secret.
pub(crate) fn take_account(url: &mut Url) -> Option<HeaderValue> {
    let decoded = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
    let (user, password) = (decoded(url.username()), url.password().map(decoded));
    if let Some(password) = &password {
        harness_base::secrets::know(password);
        harness_base::secrets::know(url.password().unwrap_or_default());
    }
    // Both calls fail for URLs that cannot have a user, which then have none.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    if user.is_empty() && password.is_none() {
        return None;
    }
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{}", password.unwrap_or_default()));
    let mut value = HeaderValue::from_str(&format!("Basic {pair}")).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// A URL without its secret parts: user, password and query.
fn printable(url: &Url) -> String {
    let mut url = url.clone();
    // Both calls fail for URLs that cannot have a user, which then have none.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    if url.query().is_some() {
        url.set_query(Some("..."));
    }
    url.to_string()
}
