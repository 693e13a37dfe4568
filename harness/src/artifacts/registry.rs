//! The registry beside the cluster: builds are pushed to it and pulled from it by layer.

use std::path::Path;
use std::time::Duration;

use super::Sources;
use super::base::third_party;
use crate::descriptor::{self, REGISTRY_IMAGE};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::http::Reader;

/// The port that the registry listens on in its container.
pub(super) const PORT: u16 = 5000;
/// The network of Kind's clusters.
pub const NETWORK: &str = "kind";
/// How long it may take to answer once its container runs.
pub(super) const ANSWER: Duration = Duration::from_secs(20);

/// A registry that runs.
#[derive(Debug, Clone)]
pub struct Registry {
    /// Its address on this host: `127.0.0.1:<whatever port was free>`.
    pub address: String,
}

/// The registry's container, and its name on the cluster's network.
pub fn container_name(cluster: &str) -> String {
    format!("{cluster}-registry")
}

impl Registry {
    /// The registry beside the cluster, made if it is not there: with it, every set that was pushed to it is served.
    ///
    /// # Errors
    /// [`Error::Refused`] when its image cannot be had; as [`Registry::start`].
    pub async fn beside(engine: &Engine, sources: &Sources<'_>) -> Result<Self> {
        let held = sources.bases(engine).ensure(&[third_party(&REGISTRY_IMAGE)]).await?;
        Self::start(engine, sources.cluster, &held[0].reference, sources.registry_data).await
    }

    /// Starts the registry of a cluster unless it runs; its data lies in `data`, so that a new one pushes nothing twice.
    ///
    /// What remains on cancel is a container that carries the cluster's owner label.
    ///
    /// # Errors
    /// [`Error::Command`] when the engine does not start it.
    pub async fn start(engine: &Engine, cluster: &str, image: &str, data: &Path) -> Result<Self> {
        let name = container_name(cluster);
        match engine.container(&name).await? {
            Some(container) if container.state.running => {}
            // A port that was free when the container was made may be taken by now.
            Some(_) => {
                engine.docker()?.args(["rm", "--force", "--volumes", &name]).run().await?;
                Self::run(engine, cluster, image, data).await?;
            }
            None => Self::run(engine, cluster, image, data).await?,
        }
        let registry = Self { address: Self::address(engine, cluster).await? };
        // The engine publishes the port before anything listens behind it.
        Reader::new(&format!("http://{}", registry.address))?.answers("/v2/", ANSWER).await?;
        Ok(registry)
    }

    /// The address on this host of a cluster's registry, which runs.
    ///
    /// # Errors
    /// [`Error::Command`] when it does not run.
    pub async fn address(engine: &Engine, cluster: &str) -> Result<String> {
        let ports = engine.docker()?.args(["port", &container_name(cluster), &format!("{PORT}/tcp")]).run().await?;
        Ok(ports.stdout.lines().next().unwrap_or_default().trim().to_owned())
    }

    async fn run(engine: &Engine, cluster: &str, image: &str, data: &Path) -> Result<()> {
        crate::run::private_folder(data)?;
        let docker = engine.docker()?.args(["run", "--detach", "--name", &container_name(cluster)]);
        docker
            .args(["--label", &format!("{}={cluster}", descriptor::OWNER_LABEL)])
            .args(["--publish", &format!("127.0.0.1::{PORT}")])
            .arg("--volume")
            .arg(format!("{}:/var/lib/registry", data.display()))
            .args(["--env", "REGISTRY_STORAGE_DELETE_ENABLED=true"])
            .arg(image)
            .run()
            .await
            .map(|_| ())
    }

    /// Lets the cluster's node reach the registry beside it, if there is one, by its one name.
    ///
    /// # Errors
    /// [`Error::Command`] when the engine refuses.
    pub async fn join(engine: &Engine, cluster: &str, node: &str) -> Result<()> {
        let registry = container_name(cluster);
        match engine.container(&registry).await? {
            Some(_) => {
                let connected = engine.docker()?.args(["network", "connect", NETWORK, &registry]).run().await;
                match connected {
                    Err(Error::Command(failure)) if failure.tail.contains("already exists") => {}
                    other => drop(other?),
                }
                introduce(engine, node, &registry, descriptor::REGISTRY).await
            }
            // Every image is in a registry that the node reaches by itself.
            None => Ok(()),
        }
    }
}

/// Lets a node find a registry, whose container is on the clusters' network, by a name of its own.
///
/// # Errors
/// [`Error::Command`] when the engine refuses.
pub async fn introduce(engine: &Engine, node: &str, registry: &str, name: &str) -> Result<()> {
    let folder = format!("/etc/containerd/certs.d/{name}");
    let hosts = format!("server = \"http://{registry}:{PORT}\"\n[host.\"http://{registry}:{PORT}\"]\n");
    let write = format!("mkdir -p {folder} && cat > {folder}/hosts.toml");
    engine.docker()?.args(["exec", "--interactive", node, "sh", "-c", &write]).input(hosts).run().await.map(drop)
}
