//! Connections to a cluster's API by a named context: its server, credentials and proxy, by the rules of kubectl.

mod client;
pub(crate) mod exec_plugin;
mod proxy;

use std::path::Path;

use harness_machine::tools::Environment;
use kube::Config;
use kube::config::{KubeConfigOptions, Kubeconfig};

use crate::k8s::KubeconfigFiles;
use crate::{Error, Result};
use exec_plugin::ExecPlugin;

/// A client for a context of a kubeconfig file; reads nothing from the environment.
///
/// Connecting takes at most 5 s, writing a request 10 s. kube sets no limit to reading an answer
/// (watches and forwards stay open), so bound single calls with [`crate::k8s::within`].
///
/// # Errors
/// [`harness_base::Error::Malformed`] or [`harness_base::Error::Io`] when the file cannot be read or lacks the context.
pub async fn connect(kubeconfig: &Path, context: &str) -> Result<kube::Client> {
    connect_with(&kubeconfig.to_owned().into(), context, &Environment::default()).await
}

/// [`connect`] for a context of the user's own files: with the proxy that the user's environment names, as kubectl does, and with
/// the part of the environment that an exec plugin needs.
///
/// The plugin is called once before this returns, and again when its token expires or is refused.
///
/// # Errors
/// As [`connect`]; [`harness_base::Error::Refused`] for an address that is no proxy's, and when the plugin gives nothing that
/// can be used within 20 s.
pub async fn connect_with(
    kubeconfig: &KubeconfigFiles,
    context: &str,
    environment: &Environment,
) -> Result<kube::Client> {
    harness_http::install_tls();
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

/// The `proxy-url` of a context's cluster.
fn proxy_of(file: &Kubeconfig, context: &str) -> Option<String> {
    let cluster = &file.contexts.iter().find(|named| named.name == context)?.context.as_ref()?.cluster;
    let cluster = file.clusters.iter().find(|named| &named.name == cluster)?.cluster.as_ref()?;
    cluster.proxy_url.clone()
}
