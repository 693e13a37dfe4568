//! Leavings of killed scenarios: containers and namespaces with the label of an owner whose lock is free.

use std::time::Duration;

use harness_base::lock::{Lock, Mode};
use harness_machine::engine::{Container, Engine, Mark};
use harness_settings::marks::OWNER_LABEL;

use super::Cluster;
use super::cluster_state::ClusterState;
use crate::error::{Error, Result};
use crate::k8s;

/// The deadline for a killed scenario's namespace to be gone.
const NAMESPACE_GONE: Duration = Duration::from_secs(120);

/// Removes what killed scenarios left: containers and namespaces whose owner's lock is free.
///
/// # Errors
/// The first error; everything else is removed all the same.
pub async fn sweep_leavings(cluster_state: &ClusterState, engine: &Engine, cluster: Option<&Cluster>) -> Result<()> {
    let owners = cluster_state.folder.join("owners");
    let say = || format!("list {}", owners.display());
    if !owners.is_dir() {
        return Ok(());
    }
    let mut first = Ok(());
    for entry in std::fs::read_dir(&owners).map_err(Error::io(say()))? {
        let path = entry.map_err(Error::io(say()))?.path();
        // A held lock means that the owner lives. A dead owner's file is removed with its leavings; its name is not used again.
        let Some(_dead) = Lock::try_take(&path, Mode::Exclusive)? else { continue };
        let owner = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let outcome = remove_leavings(engine, cluster, &owner).await;
        if outcome.is_ok() {
            std::fs::remove_file(&path).map_err(Error::io(format!("remove {}", path.display())))?;
        }
        first = first.and(outcome);
    }
    first
}

/// Removes an owner's containers and, where a cluster is given, its namespaces.
///
/// # Errors
/// [`Error::Command`] or [`Error::Kube`]; calling again goes on.
pub async fn remove_leavings(engine: &Engine, cluster: Option<&Cluster>, owner: &str) -> Result<()> {
    let selector = format!("{OWNER_LABEL}={owner}");
    for container in engine.all::<Container>(&Mark::owner(owner)).await? {
        tracing::info!("removing the container {} that {owner} left", container.object().id);
        container.remove().await?;
    }
    let Some(cluster) = cluster else { return Ok(()) };
    for namespace in k8s::namespace::list_labelled(&cluster.client, &selector).await? {
        let name = namespace.metadata.name.unwrap_or_default();
        tracing::info!("removing the namespace {name} that {owner} left");
        k8s::namespace::delete(&cluster.client, &name, NAMESPACE_GONE).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use harness_machine::engine::NewContainer;

    use super::*;

    /// On the real engine: only what carries the owner's label goes.
    #[tokio::test]
    async fn only_the_owners_containers_are_removed() {
        let settings = harness_settings::settings::Settings::from_environment();
        let project = harness_machine::project::Project::find(&settings).unwrap();
        let tools = harness_machine::tools::Tools::new(settings.tools());
        let engine = Engine::ensure(&tools, &settings, &std::env::temp_dir()).await.unwrap();
        let image = crate::artifacts::third_party_image(&engine, &project, true).await.unwrap();
        let mine = format!("test-owner-{}", harness_base::random::hex().unwrap());
        let other = format!("{mine}-other");
        let start = async |owner: &str| {
            let new = NewContainer {
                name: owner,
                owner,
                checkout: &project.root,
                image: &image,
                command: &["sleep", "120"],
                port: None,
                network: None,
                alias: None,
                volumes: &[],
                envs: &[],
            };
            let container = engine.create(new).await?;
            engine.start(&container).await.map(|()| container)
        };
        let (ours, theirs) = (start(&mine).await, start(&other).await);
        let removed = remove_leavings(&engine, None, &mine).await;
        let (mine_left, other_left) = (engine.container(&mine).await, engine.container(&other).await);
        // Nothing is asserted before nothing is left: no sweep knows these owners.
        remove_leavings(&engine, None, &other).await.unwrap();
        assert!(ours.is_ok() && theirs.is_ok() && removed.is_ok(), "{ours:?} {theirs:?} {removed:?}");
        assert_eq!(mine_left.unwrap(), None);
        assert!(other_left.unwrap().is_some_and(|container| container.state.running));
    }
}
