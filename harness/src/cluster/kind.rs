//! A Kind cluster of ours: made, found again, deleted.

use std::time::Duration;

use super::home::{Home, Phase, Record};
use super::node_image::{self, Wants};
use super::{Cluster, Lock, guard};
use crate::artifacts;
use crate::descriptor::REGISTRY;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::k8s;
use crate::progress::Step;
use crate::tools::{Tool, Tools};

/// How long `kind create cluster` may take; it pulls the node image that a setting names.
const CREATE: Duration = Duration::from_secs(600);
/// How long the node may take to be ready after that.
const NODE_READY: Duration = Duration::from_secs(120);

/// The name of the one node's container.
pub fn node_name(cluster: &str) -> String {
    format!("{cluster}-control-plane")
}

/// The cluster, made when it is absent, and made anew when what is left of it does not answer.
///
/// Only under the lock `change`, which kind inherits. What remains on cancel or kill: a record that says
/// `creating`; the next call deletes what is there and begins again.
///
/// # Errors
/// [`Error::Refused`] when a cluster of that name exists that is not ours.
pub async fn ensure(home: &Home, record: &mut Record, wants: Wants<'_>, lock: &Lock) -> Result<Cluster> {
    let Wants { engine, tools, project, .. } = wants;
    if let Phase::Ready { token, .. } = &record.cluster {
        match find(home, tools, token).await {
            Ok(cluster) => return Ok(cluster),
            Err(error) => tracing::warn!("the cluster {} is made anew: {}", home.cluster, error.report()),
        }
    }
    let node = node_name(&home.cluster);
    if record.cluster != Phase::Absent {
        delete_node(home, record, engine, tools, lock).await?;
    } else if engine.container(&node).await?.is_some() {
        return Err(Error::refused(
            format!("a Kind cluster named {} exists, and nothing proves that it is ours", home.cluster),
            format!("kind delete cluster --name {}", home.cluster),
        ));
    }
    // Both to their end, so that a recipe is not cut off because kind is missing.
    let (kind, image) = tokio::join!(tools.require(&[Tool::Kind]), node_image::ensure(wants));
    let image = kind.and(image)?;
    let step = Step::begin(format!("creating the Kind cluster {}", home.cluster));
    record.cluster = Phase::Creating;
    home.write(record)?;
    let path = project.root.join("kind/kind-config.yaml");
    let text = std::fs::read_to_string(&path).map_err(Error::io(format!("read {}", path.display())))?;
    let makes_network = guard::expect_network(engine, home).await?;
    let made = tools
        .command(Tool::Kind)
        .await?
        .args(["create", "cluster", "--name", &home.cluster, "--config", "-", "--kubeconfig"])
        .arg(home.kubeconfig())
        .input(config(&text, &image, home.has_host_ports())?)
        // kind hands proxies on to the node, and names there neither the registry beside the cluster nor Services.
        .envs(tools.environment().without_proxy(&[
            REGISTRY,
            &artifacts::container_name(&home.cluster),
            &node,
            ".svc",
            ".cluster.local",
        ]))
        .limit(CREATE)
        .holding(Some(lock.descriptor()?))
        .telling(step.teller())
        .run()
        .await;
    if makes_network {
        guard::note_network(engine, home).await?;
    }
    if let Err(error) = made {
        // kind removes its node when it fails; ours is the rest. The first error counts.
        if let Err(second) = delete_node(home, record, engine, tools, lock).await {
            tracing::warn!("removing what was half made failed too: {}", second.report());
        }
        return Err(error);
    }
    let cluster = connect(home, tools).await?;
    let container = engine.container(&node).await?.map(|container| container.id).unwrap_or_default();
    super::node::ready(&cluster.client, &node, NODE_READY).await?;
    let token = crate::release::random_hex()?;
    guard::write_token(&cluster, &token).await?;
    record.cluster = Phase::Ready { container, token };
    home.write(record)?;
    step.done();
    Ok(cluster)
}

/// The cluster that the record says is ready, if it answers and is ours.
///
/// # Errors
/// Whatever keeps it from answering, or [`Error::Refused`] when its owner token is another.
pub async fn find(home: &Home, tools: &Tools, token: &str) -> Result<Cluster> {
    let cluster = connect(home, tools).await?;
    guard::check_token(&cluster, token).await?;
    Ok(cluster)
}

async fn connect(home: &Home, tools: &Tools) -> Result<Cluster> {
    let context = format!("kind-{}", home.cluster);
    let kubeconfig = home.kubeconfig();
    let client = k8s::connect(&kubeconfig, &context).await?;
    Ok(Cluster { name: home.cluster.clone(), context, kubeconfig, client, tools: tools.clone() })
}

/// Deletes the cluster and the registry beside it, if the record proves that they are ours.
///
/// Only under the lock `change`. What remains on cancel or kill: a record that says so; calling again goes on.
///
/// # Errors
/// [`Error::Refused`] when the cluster there is not ours; [`Error::Command`] when the engine refuses.
pub async fn delete(home: &Home, record: &mut Record, engine: &Engine, tools: &Tools, lock: &Lock) -> Result<()> {
    let registry = artifacts::container_name(&home.cluster);
    if engine.container(&registry).await?.is_some() {
        engine.docker()?.args(["rm", "--force", "--volumes", &registry]).run().await?;
    }
    delete_node(home, record, engine, tools, lock).await
}

/// The cluster alone: the registry may be serving a build at this moment.
async fn delete_node(home: &Home, record: &mut Record, engine: &Engine, tools: &Tools, lock: &Lock) -> Result<()> {
    let node = node_name(&home.cluster);
    if let Some(found) = engine.container(&node).await? {
        if let Err(why) = guard::may_delete(&record.cluster, &found.id) {
            return Err(Error::refused(
                format!("the Kind cluster {} is left alone: {why}", home.cluster),
                format!("kind delete cluster --name {}", home.cluster),
            ));
        }
        tracing::info!("deleting the Kind cluster {}", home.cluster);
        tools
            .command(Tool::Kind)
            .await?
            .args(["delete", "cluster", "--name", &home.cluster, "--kubeconfig"])
            .arg(home.kubeconfig())
            .limit(CREATE)
            .holding(Some(lock.descriptor()?))
            .run()
            .await?;
    }
    guard::remove_network(engine, home).await?;
    *record = Record { uses: record.uses, keeping: record.keeping, ..Record::default() };
    home.write(record)
}

/// A cluster's configuration out of kind/kind-config.yaml: the node image that is there; fixed host ports for dev alone.
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
