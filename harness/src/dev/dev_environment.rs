//! The environment that Tilt needs: the dev cluster, the registry beside it, announced in the cluster, and base images.

use std::path::Path;
use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{Patch, PatchParams};

use super::inputs::Inputs;
use super::ports::expect_free;
use crate::artifacts::{Registry, Sources};
use crate::cluster::node_image::NodeImageRequest;
use crate::cluster::{self, Change, Cluster, ClusterRecord, ClusterState};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::k8s;
use crate::marks;
use crate::project::Project;
use crate::settings::Settings;
use crate::source::ProvisionSource;
use crate::spec::spec;
use crate::tools::{Tool, Tools};

/// The ConfigMap that tells tools like Tilt of the registry beside a cluster (Kubernetes' KEP 1755).
const ANNOUNCEMENT: &str = "local-registry-hosting";
/// The name of the kind cluster of the quick start by hand, which the harness never touches.
const BY_HAND: &str = "kind";

/// The environment that Tilt is started in.
#[derive(Debug, Clone)]
pub struct DevEnvironment {
    /// The dev cluster.
    pub cluster: Cluster,
    /// The Tiltfile's inputs.
    pub inputs: Inputs,
}

/// The arguments of [`prepare`].
#[derive(Debug, Clone, Copy)]
pub struct DevRequest<'a> {
    /// The settings.
    pub settings: &'a Settings,
    /// The tools; kind, Helm and Tilt are called.
    pub tools: &'a Tools,
    /// The checkout.
    pub project: &'a Project,
    /// The dev cluster's state folder.
    pub cluster_state: &'a ClusterState,
    /// A folder for files of this process's own.
    pub scratch: &'a Path,
    /// The lock `change`.
    pub change: &'a Change<'a>,
}

/// Makes sure of the dev cluster, its registry and the base images. Ports and tools are checked first: what a person has to mend
/// there needs no cluster.
///
/// Only under the lock `change`, and while no Tilt of the harness runs. What remains on cancel: what was made so far; the next
/// call goes on, or the reaper removes it.
///
/// # Errors
/// [`harness_base::Error::Refused`] when a port is taken, naming its holder; as [`cluster::ensure`] and [`Inputs::of`].
pub async fn prepare(wanted: DevRequest<'_>, record: &mut ClusterRecord) -> Result<DevEnvironment> {
    let DevRequest { settings, tools, project, cluster_state, scratch, change } = wanted;
    let engine = Engine::ensure(tools, settings, &cluster_state.folder).await?;
    let identity = record.identity_in(engine.id().await?, cluster_state, &project.root)?;
    change.write(record)?;
    let node = engine.container(&cluster::node_name(&identity.name)).await?;
    let runs = node.is_some_and(|container| container.state.running);
    let ports: Vec<u16> =
        spec().dev.tilt_ports().into_iter().chain(spec().dev_host_ports().filter(|_| !runs)).collect();
    expect_free(&engine, &ports).await?;
    tools.require(&[Tool::Kind, Tool::Helm, Tool::Tilt]).await?;
    let request = NodeImageRequest { engine: &engine, tools, project, settings, from: ProvisionSource::Auto };
    let making_inputs = Inputs::of(&engine, project, settings, &identity.name);
    let (cluster, inputs) = tokio::join!(cluster::ensure(change, cluster_state, record, request), making_inputs);
    let (cluster, inputs) = (cluster?, inputs?);
    tools.forget_go_caches()?;
    let data = cluster_state.registry_data();
    let sources = Sources { project, settings, tools, cluster: &identity.name, registry_data: &data, scratch };
    Registry::beside(&engine, &sources).await?;
    Registry::join(&engine, &identity.name, &cluster::node_name(&identity.name), None).await?;
    // Only after the registry has joined the network: the engine then gives its container another free port.
    announce(&cluster, &Registry::address(&engine, &identity.name).await?).await?;
    Ok(DevEnvironment { cluster, inputs })
}

/// Announces the registry in the cluster: Tilt then pushes to it, and names images as the node finds them.
async fn announce(cluster: &Cluster, address: &str) -> Result<()> {
    let what = format!("announce the registry in {}", cluster.name);
    let hosting = format!(
        "host: \"{}\"\nhostFromContainerRuntime: \"{}\"\nhelp: \"https://kind.sigs.k8s.io/docs/user/local-registry/\"\n",
        address,
        marks::REGISTRY
    );
    let object = serde_json::json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": ANNOUNCEMENT, "labels": {marks::OWNER_LABEL: cluster.name}},
        "data": {"localRegistryHosting.v1": hosting},
    });
    let api: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), "kube-public");
    let how = PatchParams::apply(k8s::FIELD_MANAGER).force();
    k8s::within(&what, Duration::from_secs(20), async {
        api.patch(ANNOUNCEMENT, &how, &Patch::Apply(&object)).await.map(drop).map_err(Error::kube(&what))
    })
    .await
}

/// A line about the cluster of the quick start by hand, if there is one, with the command that removes it; the harness never
/// does.
///
/// # Errors
/// [`Error::Command`] when the engine does not answer.
pub async fn made_by_hand(engine: &Engine) -> Result<Option<String>> {
    let node = engine.container(&cluster::node_name(BY_HAND)).await?;
    Ok(node.map(|_| {
        format!("the Kind cluster {BY_HAND} was made by hand; kind delete cluster --name {BY_HAND} removes it")
    }))
}
