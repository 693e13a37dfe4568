//! The proxy to a cluster's API, chosen by the rules of kubectl.
//!
//! kube has other rules: it compares NO_PROXY with the proxy's address, and not with the server's.

use ::http::Uri;
use ::http::uri::Scheme;
use harness_http::is_loopback;
use harness_machine::tools::Environment;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};

use crate::error::{Error, Result};

/// The allowed schemes of a cluster's `proxy-url`, as in client-go.
const SCHEMES: [&str; 3] = ["http", "https", "socks5"];
/// The variables that name the proxy for https servers, in Go's order.
const HTTPS: [&str; 2] = ["HTTPS_PROXY", "https_proxy"];
/// The variables that name the proxy for http servers, in Go's order.
const HTTP: [&str; 2] = ["HTTP_PROXY", "http_proxy"];

/// The proxy for a server: the cluster's own `proxy-url`, whatever the server is; else HTTPS_PROXY or HTTP_PROXY by the
/// server's scheme, unless NO_PROXY names the server or it is on this machine. ALL_PROXY is not used, as in kubectl.
///
/// # Errors
/// [`harness_base::Error::Refused`] for one that is no address of a proxy.
pub(super) fn of(server: &Uri, own: Option<&str>, environment: &Environment) -> Result<Option<Intercept>> {
    let matcher = |url: &str, no: &str| Matcher::builder().all(url).no(no).build().intercept(server);
    if let Some(url) = own.filter(|url| !url.is_empty()) {
        // Without a scheme, the matcher would take it for http, and kubectl and Helm refuse it.
        let found = matcher(url, "").filter(|_| SCHEMES.iter().any(|scheme| url.starts_with(&format!("{scheme}://"))));
        return found.map(Some).ok_or_else(|| refusal("proxy-url", url));
    }
    let names = if server.scheme() == Some(&Scheme::HTTP) { HTTP } else { HTTPS };
    let Some((name, url)) = names.iter().find_map(|name| Some((*name, environment.get(name)?))) else {
        return Ok(None);
    };
    let host = server.host().unwrap_or_default();
    let port = server.port_u16().unwrap_or(if names == HTTP { 80 } else { 443 });
    let no = entries(&environment.no_proxy(&[]), host, port);
    if is_loopback(host) || matcher("http://any", &no).is_none() {
        return Ok(None);
    }
    let known = |found: &Intercept| matches!(found.uri().scheme_str(), Some("http" | "https" | "socks5" | "socks5h"));
    matcher(url, "").filter(known).map(Some).ok_or_else(|| refusal(name, url))
}

/// NO_PROXY's entries by Go's rules, for a matcher with curl's: an entry may name a port, `*.` is the same as `.`, and an entry
/// that begins with a dot is for subdomains alone.
fn entries(list: &str, host: &str, port: u16) -> String {
    let entry = |entry: &'_ str| -> Option<String> {
        let entry = if entry.starts_with("*.") { &entry[1..] } else { entry };
        let entry = match entry.rsplit_once(':') {
            // An IPv6 address without brackets has more colons, and no port.
            Some((name, digits)) if !name.contains(':') || name.ends_with(']') => {
                (digits.parse() == Ok(port)).then_some(name)?
            }
            _ => entry,
        };
        let is_itself = entry.strip_prefix('.').is_some_and(|domain| domain.eq_ignore_ascii_case(host));
        (!is_itself).then(|| entry.trim_matches(['[', ']']).to_owned())
    };
    list.split(',').map(str::trim).filter_map(entry).collect::<Vec<_>>().join(",")
}

fn refusal(name: &str, url: &str) -> Error {
    // There may be a password before the @.
    let shown = url.rsplit_once('@').map_or_else(|| url.to_owned(), |(_, rest)| format!("…@{rest}"));
    Error::refused(
        format!("{name} names no proxy that the Kubernetes API can be reached through: {shown}"),
        format!("set {name} to http://HOST:PORT, https://HOST:PORT or socks5://HOST:PORT, or unset it"),
    )
}

#[cfg(test)]
mod tests;
