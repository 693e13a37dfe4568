//! Ownership: what proves that a cluster, a network or a namespace is ours. Nothing is deleted without.

use std::path::PathBuf;
use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{Patch, PatchParams};

use super::Cluster;
use super::home::{Home, Phase};
use crate::descriptor::OWNER_LABEL;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::k8s;
use crate::lock::{Lock, Mode};

/// The ConfigMap in the cluster that holds the owner token.
const TOKEN: &str = "jetscale-owner";
/// How long a namespace of a killed scenario may take to go.
const NAMESPACE_GONE: Duration = Duration::from_secs(120);

/// Whether the record proves that the node's container is ours; if not, why.
pub(super) fn may_delete(recorded: &Phase, found: &str) -> Result<(), String> {
    match recorded {
        Phase::Ready { container, .. } if container == found => Ok(()),
        Phase::Ready { .. } => Err("its node is another container than the one we made".to_owned()),
        // The record said so before kind was called, when no cluster of that name existed.
        Phase::Creating => Ok(()),
        Phase::Absent => Err("there is no record that we made it".to_owned()),
    }
}

pub(super) async fn write_token(cluster: &Cluster, token: &str) -> Result<()> {
    let api: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), "kube-system");
    let object = serde_json::json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": TOKEN, "labels": {OWNER_LABEL: cluster.name}},
        "data": {"token": token},
    });
    let what = "write the owner token into the cluster";
    k8s::within(what, Duration::from_secs(20), async {
        let how = PatchParams::apply("jetscale").force();
        api.patch(TOKEN, &how, &Patch::Apply(&object)).await.map(drop).map_err(Error::kube(what))
    })
    .await
}

pub(super) async fn check_token(cluster: &Cluster, token: &str) -> Result<()> {
    let api: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), "kube-system");
    let what = format!("read the owner token of {}", cluster.name);
    let found =
        k8s::within(&what, Duration::from_secs(10), async { api.get(TOKEN).await.map_err(Error::kube(&what)) }).await?;
    match found.data.as_ref().and_then(|data| data.get("token")) {
        Some(there) if there == token => Ok(()),
        _ => Err(Error::refused(
            format!("the cluster at context {} carries another owner's token", cluster.context),
            format!("kind delete cluster --name {}, if nobody needs it", cluster.name),
        )),
    }
}

/// Where it is noted that the network `kind` came into being with a cluster of ours.
fn network_note(home: &Home) -> PathBuf {
    let root = home.folder.parent().and_then(std::path::Path::parent).unwrap_or(&home.folder);
    root.join("kind-network")
}

/// The identity of the network `kind`, how many containers it has, and whether it is there at all.
async fn network(engine: &Engine) -> Result<Option<(String, usize)>> {
    let format = "{{.Id}} {{len .Containers}}";
    match engine.docker()?.args(["network", "inspect", "--format", format, "kind"]).run().await {
        Ok(output) => {
            Ok(output.stdout.trim().split_once(' ').and_then(|(id, count)| Some((id.to_owned(), count.parse().ok()?))))
        }
        // "No such network" or "network kind not found", by the engine's version.
        Err(Error::Command(failure)) if failure.tail.contains("not found") || failure.tail.contains("o such") => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Notes, before kind is called, that it will have to make its network; whether it will.
///
/// Before, since a kill right after would leave a network that nobody owns.
pub(super) async fn expect_network(engine: &Engine, home: &Home) -> Result<bool> {
    let expected = network(engine).await?.is_none();
    if expected {
        write_network_note(home, "")?;
    }
    Ok(expected)
}

/// Notes which network came into being with a cluster of ours.
pub(super) async fn note_network(engine: &Engine, home: &Home) -> Result<()> {
    match network(engine).await? {
        Some((id, _)) => write_network_note(home, &id),
        None => Ok(()),
    }
}

fn write_network_note(home: &Home, id: &str) -> Result<()> {
    let note = network_note(home);
    std::fs::write(&note, id).map_err(Error::io(format!("write {}", note.display())))
}

/// Removes the network if it came with us and nobody is on it.
pub(super) async fn remove_network(engine: &Engine, home: &Home) -> Result<()> {
    let note = network_note(home);
    let Ok(noted) = std::fs::read_to_string(&note) else { return Ok(()) };
    // Nothing noted but the intent: whoever noted it was killed, and there was no network before.
    if let Some((id, 0)) = network(engine).await?
        && (id == noted || noted.is_empty())
    {
        engine.docker()?.args(["network", "rm", "kind"]).run().await?;
        std::fs::remove_file(&note).map_err(Error::io(format!("remove {}", note.display())))?;
    }
    Ok(())
}

/// Removes what killed scenarios left: containers and namespaces whose owner's lock is free.
///
/// # Errors
/// The first error; what could be removed is gone.
pub async fn sweep_leavings(home: &Home, engine: &Engine, cluster: Option<&Cluster>) -> Result<()> {
    let owners = home.folder.join("owners");
    let say = || format!("list {}", owners.display());
    let mut first = Ok(());
    for entry in std::fs::read_dir(&owners).map_err(Error::io(say()))? {
        let path = entry.map_err(Error::io(say()))?.path();
        // Held: its owner lives. The file of a dead one goes with its leavings; nobody takes it again.
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
    let filter = format!("label={selector}");
    let listed = engine.docker()?.args(["ps", "--all", "--quiet", "--filter", &filter]).run().await?.stdout;
    for id in listed.split_whitespace() {
        tracing::info!("removing the container {id} that {owner} left");
        engine.docker()?.args(["rm", "--force", "--volumes", id]).run().await?;
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
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::ours(Phase::Ready { container: "a".into(), token: "t".into() }, true)]
    #[case::replaced(Phase::Ready { container: "b".into(), token: "t".into() }, false)]
    #[case::half_made(Phase::Creating, true)]
    #[case::never_made(Phase::Absent, false)]
    fn nothing_is_deleted_without_proof(#[case] recorded: Phase, #[case] allowed: bool) {
        assert_eq!(may_delete(&recorded, "a").is_ok(), allowed);
    }

    /// On the real engine: only what carries the owner's label goes.
    #[tokio::test]
    #[serial_test::file_serial(engine)]
    async fn only_the_owners_containers_are_removed() {
        use testcontainers::runners::AsyncRunner;
        use testcontainers::{GenericImage, ImageExt};

        let settings = crate::settings::Settings::from_environment();
        let project = crate::project::Project::find(&settings).unwrap();
        let tools = crate::tools::Tools::new(&settings);
        let engine = Engine::ensure(&tools, &settings, &std::env::temp_dir()).await.unwrap();
        let image = crate::artifacts::third_party_image(&engine, &project, true).await.unwrap();
        let (name, tag) = image.rsplit_once(':').unwrap();
        let start =
            async |owner: &str| GenericImage::new(name, tag).with_label(OWNER_LABEL, owner).start().await.unwrap();
        let mine = format!("test-owner-{}", std::process::id());
        let (ours, theirs) = (start(&mine).await, start(&format!("{mine}-other")).await);
        remove_leavings(&engine, None, &mine).await.unwrap();
        assert_eq!(engine.container(ours.id()).await.unwrap(), None);
        assert!(engine.container(theirs.id()).await.unwrap().is_some_and(|container| container.state.running));
    }
}
