//! Exec plugins of a kubeconfig (client.authentication.k8s.io): programs that print the user's credentials, such as
//! `aws eks get-token`.
//!
//! kube would start them without a deadline, with the whole environment and the terminal. Here they are started as all children
//! are, and their credentials are handed to kube.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use ::http::header::AUTHORIZATION;
use ::http::{HeaderValue, Request, Response, StatusCode};
use base64::Engine as _;
use futures::future::BoxFuture;
use harness_machine::tools::{ChildKind, Command, Environment};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::client::Body;
use kube::config::{AuthInfo, ExecConfig, ExecInteractiveMode};
use serde::Deserialize;
use tokio::sync::Mutex;
use tower::{BoxError, Layer, Service, ServiceExt};

use super::KubeconfigFiles;
use crate::error::{Error, Result};

/// The deadline of a plugin's call when a client is made.
const FIRST: Duration = Duration::from_secs(20);
/// The deadline of later calls: less than that of an API call, so that the error names the plugin and not the API.
const AGAIN: Duration = Duration::from_secs(6);
/// How long before its expiry a token is not used any more.
const LEEWAY: Duration = Duration::from_secs(60);
/// The supported versions of ExecCredential; a plugin prints the one that the kubeconfig names.
const VERSIONS: [&str; 2] = ["client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"];

/// Whether a context's user has an exec plugin; `false` when the files cannot be read.
pub(crate) fn is_used(kubeconfig: &KubeconfigFiles, context: &str) -> bool {
    let Ok(file) = kubeconfig.read() else { return false };
    let user = file.contexts.iter().find(|named| named.name == context);
    let user = user.and_then(|named| named.context.as_ref()?.user.clone());
    let of_user = |named: &&kube::config::NamedAuthInfo| Some(&named.name) == user.as_ref();
    let found = file.auth_infos.iter().find(of_user);
    found.is_some_and(|named| named.auth_info.as_ref().is_some_and(|info| info.exec.is_some()))
}

/// A plugin, and the token that it gave last.
pub(super) struct ExecPlugin {
    config: ExecConfig,
    context: String,
    kubeconfig: KubeconfigFiles,
    environment: Environment,
    held: Mutex<Option<CachedToken>>,
}

/// A token, as a request's header.
#[derive(Clone)]
struct CachedToken {
    header: HeaderValue,
    expires: Option<SystemTime>,
}

impl CachedToken {
    fn is_good(&self, now: SystemTime) -> bool {
        self.expires.is_none_or(|expires| now + LEEWAY < expires)
    }
}

/// The output of a plugin.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ExecCredential {
    api_version: String,
    status: Option<PluginStatus>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PluginStatus {
    token: Option<String>,
    client_certificate_data: Option<String>,
    client_key_data: Option<String>,
    expiration_timestamp: Option<Time>,
}

impl ExecPlugin {
    /// Takes a context's plugin, if there is one, out of `info`, so that kube does not start it, and calls it for the first time.
    ///
    /// A certificate that it gives is used for the client's whole life, a token until it expires or is refused.
    ///
    /// # Errors
    /// [`harness_base::Error::Refused`] naming plugin and context, when it gives nothing that can be used within 20 s.
    pub async fn take(
        info: &mut AuthInfo,
        context: &str,
        kubeconfig: &KubeconfigFiles,
        environment: &Environment,
    ) -> Result<Option<Arc<Self>>> {
        if info.auth_provider.as_ref().is_some_and(|provider| provider.config.contains_key("cmd-path")) {
            return Err(Error::refused(
                format!("the context {context:?} of {kubeconfig} starts a program by an auth-provider"),
                "use an exec plugin instead, as Kubernetes does since 1.26",
            ));
        }
        let Some(config) = info.exec.take() else { return Ok(None) };
        // As in kube and in Kubernetes' own clients, credentials in the file come before the plugin.
        if info.token.is_some() || info.token_file.is_some() || info.username.is_some() {
            return Ok(None);
        }
        let (context, kubeconfig) = (context.to_owned(), kubeconfig.clone());
        let plugin = Self { config, context, kubeconfig, environment: environment.clone(), held: Mutex::default() };
        let PluginStatus { token, client_certificate_data, client_key_data, expiration_timestamp } =
            plugin.ask(FIRST).await?;
        if let (Some(certificate), Some(key)) = (&client_certificate_data, &client_key_data) {
            let encoded = |pem: &str| base64::engine::general_purpose::STANDARD.encode(pem);
            let identity = serde_json::json!({
                "client-certificate-data": encoded(certificate), "client-key-data": encoded(key),
            });
            let identity: AuthInfo =
                serde_json::from_value(identity).map_err(Error::malformed("hand kube a certificate"))?;
            info.client_certificate_data = identity.client_certificate_data;
            info.client_key_data = identity.client_key_data;
        }
        let Some(token) = token else { return Ok(None) };
        *plugin.held.lock().await = Some(plugin.hold(&token, expiration_timestamp)?);
        Ok(Some(Arc::new(plugin)))
    }

    /// The `Authorization` header of a request: the held token, or a new one where that expires soon or is the refused one.
    async fn header(&self, refused: Option<&HeaderValue>) -> Result<HeaderValue> {
        // Held during the call, so that requests that wait meanwhile use the same new token.
        let mut held = self.held.lock().await;
        if let Some(good) = held.as_ref().filter(|held| held.is_good(SystemTime::now()))
            && Some(&good.header) != refused
        {
            return Ok(good.header.clone());
        }
        let status = self.ask(AGAIN).await?;
        let token = status.token.ok_or_else(|| self.refusal("it gives no token any more", None))?;
        let new = self.hold(&token, status.expiration_timestamp)?;
        let header = new.header.clone();
        *held = Some(new);
        Ok(header)
    }

    fn hold(&self, token: &str, expires: Option<Time>) -> Result<CachedToken> {
        let header = HeaderValue::try_from(format!("Bearer {token}"));
        let mut header = header.map_err(|_| self.refusal("its token is none that a request can carry", None))?;
        header.set_sensitive(true);
        Ok(CachedToken { header, expires: expires.map(|time| SystemTime::from(time.0)) })
    }

    async fn ask(&self, limit: Duration) -> Result<PluginStatus> {
        let version = self.config.api_version.as_deref().unwrap_or_default();
        if !VERSIONS.contains(&version) {
            return Err(self.refusal(&format!("its apiVersion is {version:?}"), Some(VERSIONS[0])));
        }
        if self.config.interactive_mode == Some(ExecInteractiveMode::Always) {
            return Err(self.refusal("it wants a terminal (interactiveMode: Always)", None));
        }
        let output = match self.command(version)?.limit(limit).run().await {
            Ok(output) => output.stdout,
            Err(harness_machine::Error::Command(failure)) => {
                let tail = if failure.tail.is_empty() { String::new() } else { format!("\n{}", failure.tail) };
                return Err(self.refusal(&format!("{}{tail}", failure.status), None));
            }
            Err(error) => return Err(error.into()),
        };
        // Kubernetes' own clients read YAML too. What does not parse is not shown: it may hold a token.
        let said: ExecCredential =
            serde_yaml::from_str(&output).map_err(|_| self.refusal("what it prints is no ExecCredential", None))?;
        if said.api_version != version {
            return Err(self.refusal(&format!("it prints {}, and not {version}", said.api_version), None));
        }
        let status = said.status.ok_or_else(|| self.refusal("what it prints has no status", None))?;
        let is_whole = status.client_certificate_data.is_some() == status.client_key_data.is_some();
        if !is_whole || (status.token.is_none() && status.client_key_data.is_none()) {
            return Err(self.refusal("it gives neither a token nor a certificate with its key", None));
        }
        Ok(status)
    }

    fn command(&self, version: &str) -> Result<Command> {
        let mut spec = serde_json::json!({"interactive": false});
        if self.config.provide_cluster_info {
            let cluster = serde_json::to_value(&self.config.cluster);
            spec["cluster"] = cluster.map_err(Error::malformed("write down a cluster for an exec plugin"))?;
        }
        let about = serde_json::json!({"apiVersion": version, "kind": "ExecCredential", "spec": spec});
        let own = self.config.env.iter().flatten();
        let own = own.filter_map(|pair| Some((pair.get("name")?.clone(), pair.get("value")?.clone())));
        Ok(Command::new(self.program())
            .given(&self.environment, ChildKind::Credentials)
            .args(self.config.args.iter().flatten())
            .envs(own)
            .env("KUBERNETES_EXEC_INFO", about.to_string())
            .hiding_output())
    }

    fn program(&self) -> &str {
        self.config.command.as_deref().unwrap_or_default()
    }

    fn refusal(&self, why: &str, version: Option<&str>) -> Error {
        let (program, context, file) = (self.program(), &self.context, &self.kubeconfig);
        let hint = self.config.install_hint.as_deref().map(|hint| format!("; {}", hint.trim())).unwrap_or_default();
        let next = match version {
            Some(version) => format!("set it to {version}, and update {program} if it does not know that"),
            None => format!("KUBECONFIG={file} kubectl --context {context} version, and mend what it says{hint}"),
        };
        Error::refused(format!("{program}, the exec plugin of the context {context:?} in {file}, fails: {why}"), next)
    }
}

/// Adds the plugin's token to each request; a request that is refused (401) is sent once more with a new token.
#[derive(Clone)]
pub(super) struct AuthorizeLayer(pub Arc<ExecPlugin>);

impl<S> Layer<S> for AuthorizeLayer {
    type Service = Authorize<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Authorize { inner, plugin: Arc::clone(&self.0) }
    }
}

#[derive(Clone)]
pub(super) struct Authorize<S> {
    inner: S,
    plugin: Arc<ExecPlugin>,
}

impl<S, B> Service<Request<Body>> for Authorize<S>
where
    S: Service<Request<Body>, Response = Response<B>, Error = BoxError> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
{
    type Response = Response<B>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        // Only the service that was polled is ready: it is used, and its clone kept.
        let other = self.inner.clone();
        let (mut inner, plugin) = (std::mem::replace(&mut self.inner, other), Arc::clone(&self.plugin));
        Box::pin(async move {
            let again = copy(&request);
            let header = plugin.header(None).await?;
            request.headers_mut().insert(AUTHORIZATION, header.clone());
            let response = inner.call(request).await?;
            let Some(mut again) = again.filter(|_| response.status() == StatusCode::UNAUTHORIZED) else {
                return Ok(response);
            };
            again.headers_mut().insert(AUTHORIZATION, plugin.header(Some(&header)).await?);
            inner.ready().await?.call(again).await
        })
    }
}

/// A copy of a request; `None` if its body is a stream.
fn copy(request: &Request<Body>) -> Option<Request<Body>> {
    let mut copy = Request::new(request.body().try_clone()?);
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.version_mut() = request.version();
    *copy.headers_mut() = request.headers().clone();
    *copy.extensions_mut() = request.extensions().clone();
    Some(copy)
}

#[cfg(test)]
mod tests;
