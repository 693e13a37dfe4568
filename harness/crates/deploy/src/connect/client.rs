//! The HTTP client below kube's: connections to the API server, through a proxy where there is one.

use std::sync::Arc;
use std::time::Duration;

use ::http::Uri;
use hyper::rt::{Read, Write};
use hyper_timeout::TimeoutConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::client::legacy::connect::{Connection, HttpConnector};
use hyper_util::client::proxy::matcher::Intercept;
use hyper_util::rt::TokioExecutor;
use kube::Config;
use kube::client::retry::RetryPolicy;
use kube::client::{Body, ConfigExt};
use tower::retry::RetryLayer;
use tower::{BoxError, Service, ServiceBuilder, ServiceExt};

use super::exec_plugin::{AuthorizeLayer, ExecPlugin};

/// A client as `kube::Client::try_from` makes it, except for three things: the exec plugin is called by the harness; the proxy is
/// the given one, and not one that kube finds in the environment; and TCP_NODELAY is set, since Nagle's algorithm costs the
/// first request of each TLS connection 40 ms, and each watch and forward is a connection.
pub(super) fn client(
    config: &Config,
    proxy: Option<&Intercept>,
    plugin: Option<Arc<ExecPlugin>>,
) -> kube::Result<kube::Client> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    let Some(proxy) = proxy else { return over(tcp, config, plugin) };
    let address = proxy.uri().clone();
    let named = move |source: BoxError| NotThrough { proxy: address.clone(), source };
    if !proxy.uri().scheme_str().is_some_and(|scheme| scheme.starts_with("socks5")) {
        // An https proxy is verified by the same certificate authorities as the server, as in client-go.
        let mut tunnel = Tunnel::new(proxy.uri().clone(), config.rustls_https_connector_with_connector(tcp)?);
        if let Some(account) = proxy.basic_auth() {
            tunnel = tunnel.with_auth(account.clone());
        }
        let tunnel = tunnel.map_request(to_a_port).map_err(move |error| named(error.into()));
        return over(tunnel, config, plugin);
    }
    let mut socks = SocksV5::new(to_a_port(proxy.uri().clone()), tcp);
    if let Some((user, password)) = proxy.raw_auth() {
        socks = socks.with_auth(user.to_owned(), password.to_owned());
    }
    over(socks.map_request(to_a_port).map_err(move |error| named(error.into())), config, plugin)
}

/// The error of a connection through a proxy.
#[derive(Debug, thiserror::Error)]
#[error("through the proxy {proxy}")]
struct NotThrough {
    proxy: Uri,
    source: BoxError,
}

/// Adds the default port of a URI's scheme where it names none: tunnels would take 443 for each scheme.
fn to_a_port(uri: Uri) -> Uri {
    let port = match (uri.port(), uri.scheme_str()) {
        (None, Some("http")) => 80,
        (None, Some("socks5" | "socks5h")) => 1080,
        _ => return uri,
    };
    let mut parts = uri.clone().into_parts();
    parts.authority = format!("{}:{port}", uri.host().unwrap_or_default()).parse().ok();
    Uri::from_parts(parts).unwrap_or(uri)
}

/// The client over a connector.
fn over<C>(connector: C, config: &Config, plugin: Option<Arc<ExecPlugin>>) -> kube::Result<kube::Client>
where
    C: Service<Uri, Error: Into<BoxError>, Future: Send + 'static> + Clone + Send + Sync + 'static,
    C::Response: Connection + Read + Write + Send + Unpin + 'static,
{
    let mut connector = TimeoutConnector::new(config.rustls_https_connector_with_connector(connector)?);
    connector.set_connect_timeout(Some(Duration::from_secs(5)));
    connector.set_write_timeout(Some(Duration::from_secs(10)));
    let http: Client<_, Body> = Client::builder(TokioExecutor::new()).build(connector);
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .layer(RetryLayer::new(RetryPolicy::server_retry()))
        .option_layer(config.auth_layer()?)
        .option_layer(plugin.map(AuthorizeLayer))
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .service(http);
    Ok(kube::Client::new(service, config.default_namespace.clone()))
}
