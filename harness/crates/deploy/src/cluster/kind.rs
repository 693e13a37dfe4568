//! A kind cluster of ours: made, found again, deleted.

use std::time::Duration;

use harness_base::progress::Step;
use harness_machine::engine::{Container, Engine, Image, Mark, Network, Seen};
use harness_machine::tools::{Tool, Tools};
use harness_settings::marks::DOMAIN;

use super::Cluster;
use super::cluster_state::ClusterState;
use super::hold::{Alone, Change};
use super::node_image::{self, NodeImageRequest};
use super::record::{ClusterRecord, Identity, Phase, ReleaseRecord};
use crate::artifacts;
use crate::error::{Error, Result};
use crate::k8s;

/// The deadline of `kind create cluster`, which pulls the node image that a setting names.
const CREATE: Duration = Duration::from_secs(600);
/// The deadline for the node to be ready after that.
const NODE_READY: Duration = Duration::from_secs(120);
/// The deadline for a cluster whose node exists to answer: it may be frozen, or the machine busy.
const ANSWER: Duration = Duration::from_secs(90);
/// The time between two calls of a cluster that does not answer: nothing tells when it does.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// How long the engine may go on with the request of a client that was killed.
const LATE: Duration = Duration::from_secs(2);
/// The network that kind puts its nodes on (kind's own variable; it takes one that is there as it is).
const NETWORK: &str = "KIND_EXPERIMENTAL_DOCKER_NETWORK";

/// The name of the container of a cluster's (first) node.
pub fn node_name(cluster: &str) -> String {
    format!("{cluster}-control-plane")
}

/// Makes sure of the cluster: made when it is absent; made anew, once no process uses it, when its node is gone or has stopped.
///
/// kind inherits the lock. What remains on cancel or kill: a record that says `creating`, with the cluster's name; the
/// next call deletes what is there by that name, and begins again.
///
/// # Errors
/// [`harness_base::Error::Refused`] when a cluster of that name exists that is not ours; [`harness_base::Error::Deadline`] when
/// its node is there and it does not answer: nothing of it is touched.
pub async fn ensure(
    change: &Change<'_>,
    cluster_state: &ClusterState,
    record: &mut ClusterRecord,
    request: NodeImageRequest<'_>,
) -> Result<Cluster> {
    let NodeImageRequest { engine, tools, project, .. } = request;
    let identity = record.identity_in(engine.id().await?, cluster_state, &project.root)?;
    let node = node_name(&identity.name);
    let was_killed = record.cluster == Phase::Creating;
    match record.cluster.clone() {
        Phase::Ready { container } => match still_there(cluster_state, &identity, &container, engine, tools).await? {
            Some(cluster) => return Ok(cluster),
            None => {
                tracing::warn!("the cluster {} has ended, and is made anew", identity.name);
                delete_node(&change.alone().await?, record, engine, &identity).await?;
            }
        },
        // The process that made the cluster was killed.
        Phase::Creating => {
            delete_node(&change.alone().await?, record, engine, &identity).await?;
            // kind's lock file on the kubeconfig, which a killed kind leaves: the next one would wait for it in vain.
            harness_base::files::remove_file(&cluster_state.kubeconfig().with_extension("lock"))?;
        }
        Phase::Absent => {}
    }
    match engine.look::<Container>(&node, &Mark::kind(&identity.name)).await? {
        Seen::Gone => {}
        // Made for a run that was killed, after the check above.
        Seen::Ours(late) if identity.has_nonce() => late.remove().await?,
        Seen::Ours(_) | Seen::Foreign(_) => {
            return Err(Error::refused(
                format!("a container named {node} exists, and nothing proves that it is ours"),
                format!("docker rm --force --volumes {node}, if nobody needs it"),
            ));
        }
    }
    // Both run to their end, so that a recipe is not cut off because kind is missing.
    let (kind, image) = tokio::join!(tools.require(&[Tool::Kind]), node_image::ensure(request));
    kind?;
    let image = image?;
    let step = Step::begin(format!("creating the Kind cluster {}", identity.name));
    let text = {
        let path = project.recipes().join("kind-config.yaml");
        std::fs::read_to_string(&path).map_err(Error::io(format!("read {}", path.display())))?
    };
    let config = config(&text, &image, cluster_state.has_host_ports())?;
    let create = async || {
        engine.network(&identity.name, &project.root).await?;
        // kind passes proxies on to the node, without exceptions for the registry beside the cluster and for Services.
        let registry = artifacts::container_name(&identity.name);
        let near = [&format!(".{DOMAIN}"), &registry, &node, ".svc", ".cluster.local"];
        let kind = tools.command(Tool::Kind).await?.args(["create", "cluster", "--name", &identity.name]);
        let kind = kind.args(["--config", "-", "--kubeconfig"]).arg(cluster_state.kubeconfig()).input(config.clone());
        let kind = kind.env(NETWORK, &identity.name).envs(tools.environment().without_proxy(&near)).limit(CREATE);
        kind.holding(Some(change.lock().descriptor()?)).telling(step.teller()).run().await
    };
    record.cluster = Phase::Creating;
    change.write(record)?;
    if let Err(error) = create().await {
        // kind removes its node when it fails; the rest is removed here. The first error counts.
        let removed = async { delete_node(&change.alone().await?, record, engine, &identity).await };
        if let Err(second) = removed.await {
            tracing::warn!("removing what was half made failed too: {}", second.report());
            return Err(error.into());
        }
        // The engine may have made the node for a killed client after the check above; then it is tried once more.
        if !was_killed {
            return Err(error.into());
        }
        tracing::info!("once more, since the run before was killed as it made the cluster: {}", error.report());
        record.cluster = Phase::Creating;
        create().await?;
    }
    let cluster = connect(cluster_state, &identity.name, tools).await?;
    super::node::give_shares(&cluster.client).await?;
    super::node::ready(&cluster.client, &node, NODE_READY).await?;
    let Seen::Ours(container) = engine.look::<Container>(&node, &Mark::kind(&identity.name)).await? else {
        return Err(Error::refused(format!("the node {node} is gone"), "run the same command again"));
    };
    record.cluster = Phase::Ready { container: container.object().id.clone() };
    change.write(record)?;
    step.done();
    Ok(cluster)
}

/// Connects to the recorded cluster, if it answers. That it is ours is proven by the kubeconfig's CA and key.
///
/// # Errors
/// The error that keeps it from answering; nothing else is known of it then.
pub async fn find(cluster_state: &ClusterState, record: &ClusterRecord, tools: &Tools) -> Result<Cluster> {
    let name = record.identity.as_ref().map_or(&cluster_state.name, |identity| &identity.name);
    answering(cluster_state, name, tools).await
}

async fn answering(cluster_state: &ClusterState, name: &str, tools: &Tools) -> Result<Cluster> {
    let cluster = connect(cluster_state, name, tools).await?;
    Ok(k8s::answers(&cluster.client).await.map(|()| cluster)?)
}

/// Waits until the cluster answers, as long as its node runs; `None` when the engine says that the node is gone, or has stopped.
async fn still_there(
    cluster_state: &ClusterState,
    identity: &Identity,
    container: &str,
    engine: &Engine,
    tools: &Tools,
) -> Result<Option<Cluster>> {
    let mut last = String::new();
    let answers = async {
        let mut beat = tokio::time::interval(ASK_AGAIN);
        loop {
            beat.tick().await;
            match answering(cluster_state, &identity.name, tools).await {
                Ok(cluster) => return Ok(Some(cluster)),
                Err(error) => last = error.to_string(),
            }
            match engine.look::<Container>(container, &Mark::kind(&identity.name)).await {
                Ok(Seen::Ours(node)) if node.object().state.paused => last = format!("{container} is paused"),
                Ok(Seen::Ours(node)) if node.object().state.running => {}
                Ok(Seen::Ours(_)) => return Ok(None),
                // Only if the engine is the one that the cluster is in.
                Ok(Seen::Gone) if engine.id().await.is_ok_and(|id| id == identity.engine) => return Ok(None),
                Ok(Seen::Gone) => last = "the engine is another one by now".to_owned(),
                Ok(Seen::Foreign(_)) => {
                    return Err(Error::refused(
                        format!("the container {container} is not the node of {}", identity.name),
                        format!("cargo stack clean --forget {}", cluster_state.name),
                    ));
                }
                Err(error) => last = error.to_string(),
            }
        }
    };
    match tokio::time::timeout(ANSWER, answers).await {
        Ok(outcome) => outcome,
        Err(_) => Err(harness_base::Error::Deadline {
            awaited: format!("an answer of the cluster {}, whose node is there", identity.name),
            after: ANSWER,
            last: format!("{last}\n  next: docker unpause {}, or cargo stack clean", node_name(&identity.name)),
        }
        .into()),
    }
}

async fn connect(cluster_state: &ClusterState, name: &str, tools: &Tools) -> Result<Cluster> {
    let context = format!("kind-{name}");
    let kubeconfig = cluster_state.kubeconfig();
    let client = k8s::connect(&kubeconfig, &context).await?;
    Ok(Cluster { name: name.to_owned(), context, kubeconfig: kubeconfig.into(), client, tools: tools.clone() })
}

/// Deletes a cluster's nodes, the registry beside it, and the network that both are on; returns what was removed.
///
/// Does not write the record, so that it works on a full disk. Calling again goes on. A network with another's container on it
/// stays, and is logged.
///
/// # Errors
/// [`harness_base::Error::Refused`] when the cluster is in another engine, or nothing proves that a node is ours;
/// [`Error::Command`] when the engine refuses, or does not answer.
pub(super) async fn delete(
    alone: &Alone<'_>,
    record: &mut ClusterRecord,
    engine: &Engine,
    cluster_state: &ClusterState,
) -> Result<Vec<String>> {
    let Some(identity) = of(record, engine, cluster_state).await? else { return Ok(Vec::new()) };
    let was_killed = record.cluster == Phase::Creating;
    let mut removed = delete_all(alone, record, engine, &identity).await?;
    if was_killed || removed.is_empty() {
        // The engine may still make something for a killed client; nothing tells when it will not any more.
        tokio::time::sleep(LATE).await;
        removed.extend(delete_all(alone, record, engine, &identity).await?);
    }
    // Checked again: the objects are gone only if the answers came from this engine.
    identity.expect_engine(&engine.id().await?, cluster_state)?;
    if let Seen::Ours(_) = engine.look::<Network>(&identity.name, &Mark::owner(&identity.name)).await? {
        tracing::warn!("the network {0} stays, since a container that is not ours is on it", identity.name);
        return Ok(removed);
    }
    record.identity = None;
    Ok(removed)
}

/// The address on this host of the registry beside a cluster, if it runs.
pub(super) async fn registry(identity: &Identity, engine: &Engine) -> Result<Option<String>> {
    let name = artifacts::container_name(&identity.name);
    match engine.look::<Container>(&name, &Mark::owner(&identity.name)).await? {
        Seen::Ours(registry) if registry.object().state.running => {
            artifacts::Registry::address(engine, &identity.name).await.map(Some)
        }
        _ => Ok(None),
    }
}

async fn delete_all(
    alone: &Alone<'_>,
    record: &mut ClusterRecord,
    engine: &Engine,
    identity: &Identity,
) -> Result<Vec<String>> {
    let mut removed = Vec::new();
    // The registry, and other containers with the cluster's owner label.
    for container in engine.all::<Container>(&Mark::owner(&identity.name)).await? {
        let name = container.object().name.trim_start_matches('/').to_owned();
        container.remove().await?;
        removed.push(format!("the container {name}"));
    }
    removed.extend(delete_node(alone, record, engine, identity).await?);
    Ok(removed)
}

/// Empties the data folder of the registry beside a cluster, by a container that runs as root, to whom the files belong. Does
/// nothing if this process is root.
///
/// # Errors
/// As [`delete`].
pub(super) async fn empty_registry(
    record: &ClusterRecord,
    engine: &Engine,
    cluster_state: &ClusterState,
) -> Result<()> {
    let data = cluster_state.registry_data();
    if rustix::process::getuid().is_root() || !data.is_dir() {
        return Ok(());
    }
    let Some(identity) = of(record, engine, cluster_state).await? else { return Ok(()) };
    let registry = artifacts::container_name(&identity.name);
    if let Seen::Ours(registry) = engine.look::<Container>(&registry, &Mark::owner(&identity.name)).await? {
        let image = registry.object().image.clone();
        // Removed first: a registry whose folder is emptied would still claim to hold the images.
        registry.remove().await?;
        return Ok(engine.empty(&image, &data, &identity.name, &identity.checkout).await?);
    }
    // The registry's container is gone; any image that was made here has a shell.
    match engine.all::<Image>(&Mark::made_here()).await?.first() {
        Some(image) => Ok(engine.empty(&image.object().id, &data, &identity.name, &identity.checkout).await?),
        None => Ok(()),
    }
}

/// Checks that the engine is the one that the recorded cluster is in.
///
/// # Errors
/// [`harness_base::Error::Refused`], with both ways out.
pub(super) async fn expect_engine(record: &ClusterRecord, engine: &Engine, cluster_state: &ClusterState) -> Result<()> {
    of(record, engine, cluster_state).await.map(drop)
}

/// The identity of the recorded cluster, if anything of it may exist.
async fn of(record: &ClusterRecord, engine: &Engine, cluster_state: &ClusterState) -> Result<Option<Identity>> {
    let id = engine.id().await?;
    match &record.identity {
        Some(identity) => identity.expect_engine(&id, cluster_state).map(|()| Some(identity.clone())),
        // An older version named its registry after the state folder, and recorded no identity.
        None if record.cluster != Phase::Absent || cluster_state.registry_data().is_dir() => {
            Ok(Some(Identity::without_nonce(cluster_state, id)))
        }
        None => Ok(None),
    }
}

/// Deletes the nodes, and the network if it is unused; the registry stays, since it may be serving a build. Returns what was
/// removed.
async fn delete_node(
    _: &Alone<'_>,
    record: &mut ClusterRecord,
    engine: &Engine,
    identity: &Identity,
) -> Result<Vec<String>> {
    let mut removed = Vec::new();
    let nodes = engine.all::<Container>(&Mark::kind(&identity.name)).await?;
    let is_recorded = |id: &str| matches!(&record.cluster, Phase::Ready { container } if container == id);
    for node in nodes {
        // A name without a nonce proves nothing; the container's identity does.
        if !identity.has_nonce() && !is_recorded(&node.object().id) {
            return Err(Error::refused(
                format!("the Kind cluster {} is left alone: nothing proves that it is ours", identity.name),
                format!("kind delete cluster --name {}, if nobody needs it", identity.name),
            ));
        }
        tracing::info!("deleting the Kind cluster {}", identity.name);
        node.remove().await?;
        removed.push(format!("the cluster {}", identity.name));
    }
    if let Seen::Ours(network) = engine.look::<Network>(&identity.name, &Mark::owner(&identity.name)).await? {
        // The network stays while the registry, or another's container, is on it.
        if network.remove_if_unused().await? {
            removed.push(format!("the network {}", identity.name));
        }
    }
    (record.cluster, record.release) = (Phase::Absent, ReleaseRecord::Absent);
    Ok(removed)
}

/// A cluster's configuration from kind/kind-config.yaml, with the given node image; fixed host ports only if `host_ports`.
fn config(text: &str, node_image: &str, host_ports: bool) -> Result<String> {
    let problem = || Error::malformed("read kind/kind-config.yaml");
    let mut root: serde_yaml::Value = serde_yaml::from_str(text).map_err(problem())?;
    for node in root["nodes"].as_sequence_mut().into_iter().flatten() {
        if let Some(node) = node.as_mapping_mut() {
            if !host_ports {
                node.remove("extraPortMappings");
            }
            node.insert("image".into(), node_image.into());
        }
    }
    serde_yaml::to_string(&root).map_err(problem())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_dev_cluster_takes_host_ports() {
        let text = "kind: Cluster\nnodes:\n- role: control-plane\n  image: kindest/node:v1\n  extraPortMappings:\n  \
                    - {containerPort: 30800, hostPort: 8000}\n";
        let dev = config(text, "other:v2", true).unwrap();
        assert!(dev.contains("hostPort: 8000") && dev.contains("image: other:v2"), "{dev}");
        let plain = config(text, "other:v2", false).unwrap();
        assert!(!plain.contains("hostPort") && plain.contains("image: other:v2"), "{plain}");
    }
}
