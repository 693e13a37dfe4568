//! What the engine is asked to do that removes nothing; removal is in `owned.rs`.

use std::path::Path;
use std::time::Duration;

use harness_settings::marks;

use super::{Engine, Mark, Network, Seen};
use crate::error::{Error, Result};
use crate::tools::Command;

/// How long a short question may take.
const ASK: Duration = Duration::from_secs(20);
/// The network that every engine has; its MTU is the one that the engine was configured with.
const DEFAULT_NETWORK: &str = "bridge";
/// The option that holds a bridge's MTU.
const MTU: &str = "com.docker.network.driver.mtu";

/// A container to be made.
#[derive(Debug, Clone, Copy)]
pub struct NewContainer<'a> {
    /// Its name, which no other container may have.
    pub name: &'a str,
    /// Whose it is; stands in its label.
    pub owner: &'a str,
    /// The checkout that it is for; stands in its label.
    pub checkout: &'a Path,
    /// What it runs.
    pub image: &'a str,
    /// The port that it listens on, which is published at a free port of 127.0.0.1.
    pub port: u16,
    /// A network besides the default one, from the start: joined later, the engine gives it another published port.
    pub network: Option<&'a str>,
    /// What it is called on that network, besides its name.
    pub alias: Option<&'a str>,
    /// Folders of this host, and where they are in the container.
    pub volumes: &'a [(&'a Path, &'a str)],
    /// Variables of its environment.
    pub envs: &'a [(&'a str, &'a str)],
}

impl Engine {
    /// The engine's identity, which it keeps as long as its data: what one engine says of an object says nothing of an
    /// object of another engine.
    ///
    /// # Errors
    /// [`Error::Command`] when it does not answer; [`harness_base::Error::Refused`] when it has none.
    pub async fn id(&self) -> Result<String> {
        let said = self.docker()?.args(["info", "--format", "{{.ID}}"]).limit(ASK).run().await?.stdout;
        match said.trim() {
            // The client prints a server's error into the same stream, and ends well.
            "" => Err(Error::refused("the engine does not say its identity", "docker info")),
            id => Ok(id.to_owned()),
        }
    }

    /// The identity that it had when it was looked for, a moment ago; asked for if it did not say.
    ///
    /// # Errors
    /// As [`Engine::id`].
    pub async fn first_id(&self) -> Result<String> {
        match &self.found_id {
            Some(id) => Ok(id.clone()),
            None => self.id().await,
        }
    }

    /// What it says of itself, as JSON.
    ///
    /// # Errors
    /// [`Error::Command`] when it does not answer.
    pub async fn info(&self, limit: Duration) -> Result<String> {
        Ok(self.docker()?.args(["info", "--format", "{{json .}}"]).limit(limit).run().await?.stdout)
    }

    /// Pulls an image.
    ///
    /// # Errors
    /// [`Error::Command`] when it cannot be pulled.
    pub async fn pull(&self, image: &str, limit: Duration) -> Result<()> {
        self.docker()?.args(["pull", "--quiet", image]).limit(limit).run().await.map(drop)
    }

    /// Gives an image that it holds another name, and pushes it there; `given` says what the pushing call gets besides.
    ///
    /// # Errors
    /// [`Error::Command`] when the registry does not take it.
    pub async fn push(&self, held: &str, repository: &str, given: impl FnOnce(Command) -> Command) -> Result<()> {
        self.docker()?.args(["tag", held, repository]).run().await?;
        given(self.docker()?.args(["push", "--quiet", repository])).run().await.map(drop)
    }

    /// The call that builds an image by BuildKit; arguments follow.
    ///
    /// # Errors
    /// [`harness_base::Error::Refused`] when there is no client.
    pub fn build(&self) -> Result<Command> {
        Ok(self.docker()?.args(["build", "--quiet"]).env("DOCKER_BUILDKIT", "1"))
    }

    /// The call that asks an image's registry for its manifest.
    ///
    /// # Errors
    /// [`harness_base::Error::Refused`] when there is no client.
    pub fn manifest(&self, reference: &str) -> Result<Command> {
        Ok(self.docker()?.args(["manifest", "inspect", "--verbose", reference]))
    }

    /// The images of a repository, as `repository:tag`.
    ///
    /// # Errors
    /// [`Error::Command`] when the engine does not answer.
    pub async fn tags(&self, repository: &str) -> Result<Vec<String>> {
        let format = "{{.Repository}}:{{.Tag}}";
        let listed = self.docker()?.args(["image", "ls", "--format", format, repository]).run().await?.stdout;
        Ok(listed.lines().map(str::to_owned).collect())
    }

    /// A file of an image.
    ///
    /// # Errors
    /// [`Error::Command`] when there is none.
    pub async fn read_file(&self, image: &str, path: &str) -> Result<String> {
        Ok(self.docker()?.args(["run", "--rm", "--entrypoint", "cat", image, path]).run().await?.stdout)
    }

    /// Removes what lies in a folder of this host as the engine's root, by this image's shell; the folder stays.
    ///
    /// # Errors
    /// [`Error::Command`] when the engine refuses.
    pub async fn empty(&self, image: &str, folder: &Path, owner: &str, checkout: &Path) -> Result<()> {
        let mount = format!("{}:/folder", folder.display());
        let docker = self.docker()?.args(["run", "--rm", "--network", "none", "--volume", &mount]);
        // Killed, it goes on: so it carries the mark by which it is found, and removed.
        let docker = docker.args(labels(owner, checkout)).args(["--entrypoint", "sh"]);
        docker.args([image, "-c", "find /folder -mindepth 1 -delete"]).run().await.map(drop)
    }

    /// Makes a container, and does not start it; returns its ID.
    ///
    /// # Errors
    /// [`Error::Command`] when there is one of that name.
    pub async fn create(&self, new: NewContainer<'_>) -> Result<String> {
        let docker = self.docker()?.args(["create", "--name", new.name]);
        let docker = docker.args(labels(new.owner, new.checkout));
        let docker = docker.args(["--publish", &format!("127.0.0.1::{}", new.port)]);
        let docker = new.network.iter().fold(docker, |docker, network| docker.args(["--network", network]));
        let docker = new.alias.iter().fold(docker, |docker, alias| docker.args(["--network-alias", alias]));
        let mount = |(from, to): &(&Path, &str)| format!("{}:{to}", from.display());
        let docker = new.volumes.iter().fold(docker, |docker, both| docker.args(["--volume".to_owned(), mount(both)]));
        let docker =
            new.envs.iter().fold(docker, |docker, (name, value)| docker.args(["--env", &format!("{name}={value}")]));
        Ok(docker.arg(new.image).run().await?.stdout.trim().to_owned())
    }

    /// Starts a container.
    ///
    /// # Errors
    /// [`Error::Command`] when the engine does not start it.
    pub async fn start(&self, container: &str) -> Result<()> {
        self.docker()?.args(["start", container]).run().await.map(drop)
    }

    /// Copies a file of this host into a container.
    ///
    /// # Errors
    /// [`Error::Command`] when there is no such container.
    pub async fn copy_into(&self, container: &str, from: &Path, to: &str) -> Result<()> {
        self.docker()?.arg("cp").arg(from).arg(format!("{container}:{to}")).run().await.map(drop)
    }

    /// Runs a line of the shell in a container, with this as its standard input.
    ///
    /// # Errors
    /// [`Error::Command`] when it fails.
    pub async fn exec(&self, container: &str, line: &str, input: &str) -> Result<()> {
        let docker = self.docker()?.args(["exec", "--interactive", container, "sh", "-c", line]);
        docker.input(input).run().await.map(drop)
    }

    /// Where a container's port is published on this host: `127.0.0.1:port`.
    ///
    /// # Errors
    /// [`Error::Command`] when the container does not run.
    pub async fn published(&self, container: &str, port: u16) -> Result<String> {
        let said = self.docker()?.args(["port", container, &format!("{port}/tcp")]).run().await?.stdout;
        Ok(said.lines().next().unwrap_or_default().trim().to_owned())
    }

    /// The value of a label on the container with that label that publishes a port of this host.
    ///
    /// # Errors
    /// [`Error::Command`] when the engine does not answer.
    pub async fn label_at_port(&self, label: &str, port: u16) -> Result<Option<String>> {
        let filters =
            ["--filter".to_owned(), format!("publish={port}"), "--filter".to_owned(), format!("label={label}")];
        let format = format!("{{{{.Label \"{label}\"}}}}|{{{{.Ports}}}}");
        let listed = self.docker()?.arg("ps").args(filters).args(["--format", &format]).run().await?.stdout;
        // The filter also finds who publishes the port of that number in the container at another one here.
        let here = format!(":{port}->");
        let mut lines = listed.lines().filter_map(|line| line.split_once('|'));
        Ok(lines.find(|(_, ports)| ports.contains(&here)).map(|(value, _)| value.to_owned()))
    }

    /// Makes sure that there is a network of this name, with the owner's mark, for kind to take as it is.
    ///
    /// # Errors
    /// [`harness_base::Error::Refused`] when there is one that is not the owner's.
    pub async fn network(&self, name: &str, checkout: &Path) -> Result<()> {
        match self.look::<Network>(name, &Mark::owner(name)).await? {
            Seen::Ours(_) => return Ok(()),
            Seen::Foreign(_) => {
                return Err(Error::refused(
                    format!("the engine's network {name} is not ours"),
                    format!("docker network rm {name}, if nobody needs it"),
                ));
            }
            Seen::Gone => {}
        }
        let docker = self.docker()?.args(["network", "create", "--driver", "bridge"]);
        let docker = docker.args(labels(name, checkout));
        // As kind does for its own: a network that is made takes the default one's MTU for 1500, also where that is less.
        let docker = match self.mtu().await? {
            Some(mtu) => docker.args(["--opt".to_owned(), format!("{MTU}={mtu}")]),
            None => docker,
        };
        let Err(error) = docker.arg(name).run().await else { return Ok(()) };
        // A client that was killed a moment ago may have asked for the same, and the engine done it since.
        match self.look::<Network>(name, &Mark::owner(name)).await? {
            Seen::Ours(_) => Ok(()),
            Seen::Foreign(_) | Seen::Gone => Err(error),
        }
    }

    async fn mtu(&self) -> Result<Option<String>> {
        let format = format!("{{{{index .Options \"{MTU}\"}}}}");
        let asked = self.docker()?.args(["network", "inspect", "--format", &format, DEFAULT_NETWORK]).run().await;
        match asked {
            Ok(output) => Ok(Some(output.stdout.trim().to_owned()).filter(|mtu| mtu.parse::<u32>().is_ok())),
            // An engine without a default network: then there is nothing to take it from.
            Err(Error::Command(failure)) if super::owned::is_absence(&failure.tail) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Lets a container join a network, unless it is on it.
    ///
    /// # Errors
    /// [`Error::Command`] when the engine refuses.
    pub async fn connect_to(&self, network: &str, container: &str) -> Result<()> {
        match self.docker()?.args(["network", "connect", network, container]).run().await {
            Err(Error::Command(failure)) if failure.tail.contains("already exists") => Ok(()),
            other => other.map(drop),
        }
    }
}

/// What everything that we start says of itself.
fn labels(owner: &str, checkout: &Path) -> [String; 4] {
    let owner = format!("{}={owner}", marks::OWNER_LABEL);
    let checkout = format!("{}={}", marks::CHECKOUT_LABEL, checkout.display());
    ["--label".to_owned(), owner, "--label".to_owned(), checkout]
}
