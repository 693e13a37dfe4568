//! The container engine: is it there, and what does it hold?

use std::path::Path;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::tools::{Command, Tool, Tools};

/// Free space below which nothing is provisioned, in GiB: a node, the images and a registry need about this much.
const MIN_FREE_GIB: u64 = 4;

/// A container engine that answers.
#[derive(Debug, Clone)]
pub struct Engine {
    tools: Tools,
}

/// What the engine says of a container.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Container {
    /// Its identity, which no other container ever has.
    pub id: String,
    /// Whether it runs.
    pub state: ContainerState,
}

/// The part of a container's state that we look at.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ContainerState {
    /// Whether its main process runs.
    pub running: bool,
}

impl Engine {
    /// Makes sure that an engine answers, and that there is room for what it will be asked to hold.
    ///
    /// # Errors
    /// [`Error::Refused`] with the command to run when the client is missing, no engine answers, or the disk is full.
    pub async fn connect(tools: &Tools, host: &str, state: &Path) -> Result<Self> {
        let engine = Self { tools: tools.clone() };
        let answer =
            engine.docker()?.args(["version", "--format", "{{.Server.Version}}"]).limit(Duration::from_secs(20));
        if let Err(error) = answer.run().await {
            let host = if host.is_empty() { "its default address" } else { host };
            return Err(Error::refused(
                format!("no container engine answers at {host}\n{error}"),
                "start it (systemctl start docker, or dockerd as root), or set DOCKER_HOST",
            ));
        }
        let disk = rustix::fs::statvfs(state)
            .map_err(|errno| Error::io(format!("look at the free space of {}", state.display()))(errno.into()))?;
        let free = (disk.f_bavail * disk.f_frsize) >> 30;
        if free < MIN_FREE_GIB {
            return Err(Error::refused(
                format!("only {free} GiB are free at {}; {MIN_FREE_GIB} GiB are needed", state.display()),
                "make room (docker system prune), or set XDG_STATE_HOME to a larger disk",
            ));
        }
        Ok(engine)
    }

    /// A call of the engine's client.
    ///
    /// # Errors
    /// [`Error::Refused`] when it is not installed.
    pub fn docker(&self) -> Result<Command> {
        self.tools.command(Tool::Docker)
    }

    /// What the engine says of a container of that name, if there is one.
    ///
    /// # Errors
    /// [`Error::Command`] when the engine does not answer.
    pub async fn container(&self, name: &str) -> Result<Option<Container>> {
        self.inspect(["container", "inspect", name]).await
    }

    /// The labels of an image, if the engine holds it.
    ///
    /// # Errors
    /// [`Error::Command`] when the engine does not answer.
    pub async fn image(&self, reference: &str) -> Result<Option<Image>> {
        self.inspect(["image", "inspect", reference]).await
    }

    /// The first object that an inspection prints; `None` when there is no such thing.
    async fn inspect<T: serde::de::DeserializeOwned>(&self, args: [&str; 3]) -> Result<Option<T>> {
        match self.docker()?.args(args).run().await {
            Ok(output) => {
                let found: Vec<T> = serde_json::from_str(&output.stdout)
                    .map_err(Error::malformed(format!("read docker {}", args.join(" "))))?;
                Ok(found.into_iter().next())
            }
            Err(Error::Command(failure)) if failure.tail.to_lowercase().contains("no such") => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// What the engine says of an image.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Image {
    /// Its identity: the digest of its configuration.
    pub id: String,
    /// `repository@digest` for each registry it was pushed to or pulled from.
    #[serde(default)]
    pub repo_digests: Vec<String>,
    /// `os`, as OCI names it.
    pub os: String,
    /// `architecture`, as OCI names it.
    pub architecture: String,
    /// What its maker wrote into it.
    pub config: ImageConfig,
}

/// The part of an image's configuration that we look at.
#[derive(Debug, Clone, Default, serde::Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ImageConfig {
    /// Labels.
    pub labels: Option<std::collections::BTreeMap<String, String>>,
}

impl Image {
    /// What this image stands in for, if it is not the official one.
    pub fn stands_in_for(&self) -> Option<&str> {
        self.config.labels.as_ref()?.get(crate::descriptor::STAND_IN_LABEL).map(String::as_str)
    }
}
