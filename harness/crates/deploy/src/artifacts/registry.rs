//! The registry beside the cluster: builds are pushed to it and pulled from it by layer.

use std::time::Duration;

use harness_http::Reader;
use harness_machine::engine::{Container, Engine, Mark, NewContainer, Seen};
use harness_settings::marks;

use super::Sources;
use super::base::third_party;
use crate::artifacts::REGISTRY_IMAGE;
use crate::error::{Error, Result};

/// The port that the registry listens on in its container.
pub(super) const PORT: u16 = 5000;
/// The deadline for a registry to answer once its container runs.
pub(super) const ANSWER: Duration = Duration::from_secs(20);

/// A registry that runs.
#[derive(Debug, Clone)]
pub struct Registry {
    /// Its address on this host: `127.0.0.1:<port>`, with a port that was free.
    pub address: String,
}

/// The name of a cluster's registry: of its container, and on the cluster's network.
pub fn container_name(cluster: &str) -> String {
    format!("{cluster}-registry")
}

impl Registry {
    /// Makes sure that the registry beside the cluster runs, with all images that were pushed to it before. It remains until the
    /// cluster is deleted.
    ///
    /// # Errors
    /// [`harness_base::Error::Refused`] when its image cannot be had; [`Error::Command`] when the engine does not start it.
    pub async fn beside(engine: &Engine, sources: &Sources<'_>) -> Result<Self> {
        let held = sources.bases(engine).ensure(&[third_party(&REGISTRY_IMAGE)]).await?;
        Self::start(engine, sources, &held[0].reference).await
    }

    /// Starts the registry of a cluster unless it runs. Its data is in the state folder, so that nothing is pushed again to a new
    /// container.
    ///
    /// What remains on cancel: a container with the cluster's owner label.
    ///
    /// # Errors
    /// [`harness_base::Error::Refused`] when a container of its name is not ours; [`Error::Command`] when the engine does not
    /// start it.
    pub(super) async fn start(engine: &Engine, sources: &Sources<'_>, image: &str) -> Result<Self> {
        let name = container_name(sources.cluster);
        match engine.look::<Container>(&name, &Mark::owner(sources.cluster)).await? {
            Seen::Ours(container) if container.object().state.running => {}
            // Made anew, since the port that was free for the stopped container may be taken by now.
            Seen::Ours(container) => {
                container.remove().await?;
                Self::run(engine, sources, image).await?;
            }
            Seen::Foreign(_) => {
                return Err(Error::refused(
                    format!("the container {name} is not ours"),
                    format!("docker rm --force {name}, if nobody needs it"),
                ));
            }
            Seen::Gone => {
                if let Err(error) = Self::run(engine, sources, image).await {
                    // A process that was killed a moment ago may have asked for the container, and the engine made it since.
                    let late = engine.look::<Container>(&name, &Mark::owner(sources.cluster)).await?;
                    let Seen::Ours(late) = late else { return Err(error) };
                    late.remove().await?;
                    Self::run(engine, sources, image).await?;
                }
            }
        }
        let registry = Self { address: Self::address(engine, sources.cluster).await? };
        // The engine publishes the port before anything listens behind it.
        Reader::new(&format!("http://{}", registry.address))?.answers("/v2/", ANSWER).await?;
        Ok(registry)
    }

    /// The address on this host of a cluster's registry, which has to run.
    ///
    /// # Errors
    /// [`Error::Command`] when it does not run.
    pub async fn address(engine: &Engine, cluster: &str) -> Result<String> {
        Ok(engine.published(&container_name(cluster), PORT).await?)
    }

    async fn run(engine: &Engine, sources: &Sources<'_>, image: &str) -> Result<()> {
        harness_base::files::private_folder(sources.registry_data)?;
        let name = container_name(sources.cluster);
        let new = NewContainer {
            name: &name,
            owner: sources.cluster,
            checkout: &sources.project.root,
            image,
            command: &[],
            port: Some(PORT),
            network: None,
            alias: None,
            volumes: &[(sources.registry_data, "/var/lib/registry")],
            envs: &[("REGISTRY_STORAGE_DELETE_ENABLED", "true")],
        };
        Ok(engine.start(&engine.create(new).await?).await?)
    }

    /// Lets the cluster's node reach the registry beside it, if there is one, by [`marks::REGISTRY`]. Does nothing for the
    /// container with the ID `introduced`, which [`Registry::introduce_early`] returned.
    ///
    /// # Errors
    /// [`Error::Command`] when the engine refuses.
    pub async fn join(engine: &Engine, cluster: &str, node: &str, introduced: Option<&str>) -> Result<()> {
        let registry = container_name(cluster);
        match engine.look::<Container>(&registry, &Mark::owner(cluster)).await? {
            Seen::Ours(container) if introduced == Some(container.object().id.as_str()) => Ok(()),
            Seen::Ours(_) => {
                engine.connect_to(&network_of(engine, node).await?, &registry).await?;
                introduce(engine, node, &registry, marks::REGISTRY).await
            }
            // Without that registry, every image is in one that the node reaches by itself.
            Seen::Foreign(_) | Seen::Gone => Ok(()),
        }
    }

    /// Does the part of [`Registry::join`] that may run while images are pushed: for a registry that is on the node's network
    /// already, since joining could change its published port. Returns the container's ID; errors are left to `join`.
    pub async fn introduce_early(engine: &Engine, cluster: &str, node: &str) -> Option<String> {
        let registry = container_name(cluster);
        let mark = Mark::owner(cluster);
        let looked = engine.look::<Container>(&registry, &mark);
        let (seen, network) = tokio::join!(looked, network_of(engine, node));
        let (Ok(Seen::Ours(container)), Ok(network)) = (seen, network) else { return None };
        let container = container.object();
        let is_there = container.state.running && container.networks().any(|name| name == network);
        if !is_there {
            return None;
        }
        introduce(engine, node, &registry, marks::REGISTRY).await.ok().map(|()| container.id.clone())
    }
}

/// The network that a cluster's node is on.
///
/// # Errors
/// [`harness_base::Error::Refused`] when the node is gone.
pub async fn network_of(engine: &Engine, node: &str) -> Result<String> {
    let node_there = engine.container(node).await?;
    let network = node_there.and_then(|node| node.networks().next().map(str::to_owned));
    network
        .ok_or_else(|| Error::refused(format!("the node {node} is on no network"), "cargo stack clean, and run again"))
}

/// Configures a node's containerd to reach a registry's container, on the cluster's network, by the registry name `name`.
///
/// # Errors
/// [`Error::Command`] when the engine refuses.
pub async fn introduce(engine: &Engine, node: &str, registry: &str, name: &str) -> Result<()> {
    let folder = format!("/etc/containerd/certs.d/{name}");
    let hosts = format!("server = \"http://{registry}:{PORT}\"\n[host.\"http://{registry}:{PORT}\"]\n");
    let write = format!("mkdir -p {folder} && cat > {folder}/hosts.toml");
    engine.exec(node, &write, &hosts).await?;
    Ok(())
}
