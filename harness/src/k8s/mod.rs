//! Kubernetes: one waiting loop, verdicts about workloads, diagnosis, forwards and namespaces.

mod apply;
mod client;
pub mod diagnose;
pub(crate) mod exec_plugin;
pub mod failure_cause;
pub mod forward;
pub mod job;
mod kubeconfig;
mod last_words;
pub mod log;
pub mod namespace;
pub mod pod;
pub mod probe;
mod proxy;
pub mod quantity;
pub mod secret;
pub mod snapshot;
pub mod verdict;
pub mod wait;
mod watch_stream;
pub mod window;
pub mod workload;

use std::future::Future;
use std::path::Path;
use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace;
use kube::Config;
use kube::config::{KubeConfigOptions, Kubeconfig};

use crate::tools::Environment;
use crate::{Error, Result};
use exec_plugin::ExecPlugin;

pub use apply::apply;
pub use diagnose::{Begin, diagnose, diagnose_deploy};
pub use failure_cause::FailureCause;
pub use forward::Forward;
pub use kubeconfig::KubeconfigFiles;
pub use snapshot::Snapshot;
pub use wait::{State, gone, wait};

/// How long one call to the Kubernetes API may take, unless the caller says otherwise: 10 s.
pub const CALL: Duration = Duration::from_secs(10);

/// The field manager of everything that the harness applies.
pub const FIELD_MANAGER: &str = "harness";

/// A client for exactly this context of this file; nothing ambient is looked at.
///
/// Connecting takes at most 5 s, writing a request 10 s. kube sets no limit to reading an answer
/// (watches and forwards stay open), so bound single calls with [`within`].
///
/// # Errors
/// The file cannot be read or lacks the context.
pub async fn connect(kubeconfig: &Path, context: &str) -> Result<kube::Client> {
    connect_with(&kubeconfig.to_owned().into(), context, &Environment::default()).await
}

/// The same for a context of the user's own files: his environment says through which proxy its server is reached, as it
/// tells kubectl, and its exec plugin may need a part of it.
///
/// The plugin is asked once before this returns, and again when its token expires or is refused.
///
/// # Errors
/// As [`connect`]; [`harness_base::Error::Refused`] for an address that is no proxy's, and when the plugin gives nothing that can be used
/// within 20 s.
pub async fn connect_with(
    kubeconfig: &KubeconfigFiles,
    context: &str,
    environment: &Environment,
) -> Result<kube::Client> {
    crate::http::install_tls();
    let what = || format!("connect to the context {context:?} of {kubeconfig}");
    let failed = |source: kube::config::KubeconfigError| harness_base::Error::Malformed {
        what: what(),
        source: Box::new(source),
    };
    let file = kubeconfig.read()?;
    let options = KubeConfigOptions { context: Some(context.to_owned()), ..KubeConfigOptions::default() };
    let own = proxy_of(&file, context);
    let mut config = Config::from_custom_kubeconfig(file, &options).await.map_err(failed)?;
    let plugin = ExecPlugin::take(&mut config.auth_info, context, kubeconfig, environment).await?;
    let proxy = proxy::of(&config.cluster_url, own.as_deref(), environment)?;
    client::client(&config, proxy.as_ref(), plugin).map_err(Error::kube(what()))
}

/// Makes sure that the API answers, and that what it stores does.
///
/// # Errors
/// [`Error::Kube`], or [`harness_base::Error::Deadline`] after [`CALL`].
pub async fn answers(client: &kube::Client) -> Result<()> {
    let what = "ask the API server whether it is ready";
    // It stands in every cluster, and is read from the store.
    let api: kube::Api<Namespace> = kube::Api::all(client.clone());
    within(what, CALL, async { api.get("kube-system").await.map(drop).map_err(Error::kube(what)) }).await
}

/// The `proxy-url` of a context's cluster.
fn proxy_of(file: &Kubeconfig, context: &str) -> Option<String> {
    let cluster = &file.contexts.iter().find(|named| named.name == context)?.context.as_ref()?.cluster;
    let cluster = file.clusters.iter().find(|named| &named.name == cluster)?.cluster.as_ref()?;
    cluster.proxy_url.clone()
}

/// Bounds a call that has no deadline of its own; `what` says what was tried, on what.
///
/// On cancel nothing remains here; the server may still carry out the request.
///
/// # Errors
/// The call's own error, or [`harness_base::Error::Deadline`] after `limit`.
pub async fn within<T>(what: &str, limit: Duration, future: impl Future<Output = Result<T>>) -> Result<T> {
    match crate::events::step(what, tokio::time::timeout(limit, future)).await {
        Ok(result) => result,
        Err(_) => Err(harness_base::Error::Deadline {
            awaited: what.to_owned(),
            after: limit,
            last: "the Kubernetes API has not answered".to_owned(),
        }
        .into()),
    }
}

/// One call within [`CALL`], its error saying what was tried.
pub(crate) async fn call<T>(what: &str, future: impl Future<Output = kube::Result<T>>) -> Result<T> {
    within(what, CALL, async { future.await.map_err(Error::kube(what)) }).await
}

/// Whether the error is the API's answer with this HTTP status.
pub(crate) fn has_code(error: &Error, code: u16) -> bool {
    matches!(error, Error::Kube { source, .. } if matches!(source.as_ref(), kube::Error::Api(status) if status.code == code))
}
