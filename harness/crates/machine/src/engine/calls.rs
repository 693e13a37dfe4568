//! The calls of the engine that remove nothing; removal is in `owned.rs`.

use std::path::Path;
use std::time::Duration;

use harness_settings::marks;

use super::{Engine, Mark, Network, Seen};
use crate::error::{Error, Result};
use crate::tools::{Command, Output};

/// The deadline of a short call.
const ASK: Duration = Duration::from_secs(20);
/// The engine's default network; its MTU is the one that the engine is configured with.
const DEFAULT_NETWORK: &str = "bridge";
/// The driver option for the MTU of a bridge network.
const MTU: &str = "com.docker.network.driver.mtu";

/// The options of a new container.
#[derive(Debug, Clone, Copy)]
pub struct NewContainer<'a> {
    /// Its name, which no other container may have.
    pub name: &'a str,
    /// Its owner's name, for its label.
    pub owner: &'a str,
    /// The checkout that it is for, for its label.
    pub checkout: &'a Path,
    /// The image that it runs.
    pub image: &'a str,
    /// A program in the place of the image's entrypoint, and its arguments; empty: as the image starts by itself.
    pub command: &'a [&'a str],
    /// The TCP port that it listens on; published at a free port of 127.0.0.1.
    pub port: Option<u16>,
    /// The network that it joins from the start; `None`: the default one. Joining later would change its published port.
    pub network: Option<&'a str>,
    /// A further name of it on that network.
    pub alias: Option<&'a str>,
    /// Folders of this host, each with its path in the container.
    pub volumes: &'a [(&'a Path, &'a str)],
    /// Variables of its environment.
    pub envs: &'a [(&'a str, &'a str)],
}

impl Engine {
    /// The engine's identity, which it keeps as long as its data. Object IDs are only comparable within one engine.
    ///
    /// # Errors
    /// [`Error::Command`] when it does not answer; [`harness_base::Error::Refused`] when it reports none.
    pub async fn id(&self) -> Result<String> {
        let said = self.docker()?.args(["info", "--format", "{{.ID}}"]).limit(ASK).run().await?.stdout;
        match said.trim() {
            // The client may print nothing and still exit with 0 when the server fails.
            "" => Err(Error::refused("the engine does not say its identity", "docker info")),
            id => Ok(id.to_owned()),
        }
    }

    /// The engine's identity from when it was looked for; asked for now if it was not reported then.
    ///
    /// # Errors
    /// As [`Engine::id`].
    pub async fn first_id(&self) -> Result<String> {
        match &self.found_id {
            Some(id) => Ok(id.clone()),
            None => self.id().await,
        }
    }

    /// The output of `docker info`, as JSON.
    ///
    /// # Errors
    /// [`Error::Command`] when it does not answer within `limit`.
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

    /// Tags an image that the engine holds as `repository`, and pushes it there; `given` adds options to the push. Tag and pushed
    /// image remain.
    ///
    /// # Errors
    /// [`Error::Command`] when the registry does not take it.
    pub async fn push(&self, held: &str, repository: &str, given: impl FnOnce(Command) -> Command) -> Result<()> {
        self.docker()?.args(["tag", held, repository]).run().await?;
        given(self.docker()?.args(["push", "--quiet", repository])).run().await.map(drop)
    }

    /// The command `docker build` with BuildKit; the caller adds arguments.
    ///
    /// # Errors
    /// [`harness_base::Error::Refused`] when there is no client.
    pub fn build(&self) -> Result<Command> {
        Ok(self.docker()?.args(["build", "--quiet"]).env("DOCKER_BUILDKIT", "1"))
    }

    /// The command that asks an image's registry for its manifest.
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

    /// Reads a file of an image, by `cat` in a container that is removed afterwards.
    ///
    /// # Errors
    /// [`Error::Command`] when the image has no such file, or no `cat`.
    pub async fn read_file(&self, image: &str, path: &str) -> Result<String> {
        Ok(self.docker()?.args(["run", "--rm", "--entrypoint", "cat", image, path]).run().await?.stdout)
    }

    /// Removes the contents of a folder of this host as the engine's root, by the shell of `image`; the folder itself stays.
    ///
    /// # Errors
    /// [`Error::Command`] when the engine refuses.
    pub async fn empty(&self, image: &str, folder: &Path, owner: &str, checkout: &Path) -> Result<()> {
        let mount = format!("{}:/folder", folder.display());
        let docker = self.docker()?.args(["run", "--rm", "--network", "none", "--volume", &mount]);
        // When this process is killed, the container goes on: its labels are for the clean-up that removes it.
        let docker = docker.args(labels(owner, checkout)).args(["--entrypoint", "sh"]);
        docker.args([image, "-c", "find /folder -mindepth 1 -delete"]).run().await.map(drop)
    }

    /// Creates a container without starting it; returns its ID.
    ///
    /// # Errors
    /// [`Error::Command`] when the engine refuses, such as for a name that is taken.
    pub async fn create(&self, new: NewContainer<'_>) -> Result<String> {
        let docker = self.docker()?.args(["create", "--name", new.name]);
        let docker = docker.args(labels(new.owner, new.checkout));
        let docker =
            new.port.iter().fold(docker, |docker, port| docker.args(["--publish", &format!("127.0.0.1::{port}")]));
        let (program, args) = new.command.split_at(new.command.len().min(1));
        let docker = program.iter().fold(docker, |docker, program| docker.args(["--entrypoint", program]));
        let docker = new.network.iter().fold(docker, |docker, network| docker.args(["--network", network]));
        let docker = new.alias.iter().fold(docker, |docker, alias| docker.args(["--network-alias", alias]));
        let mount = |(from, to): &(&Path, &str)| format!("{}:{to}", from.display());
        let docker = new.volumes.iter().fold(docker, |docker, both| docker.args(["--volume".to_owned(), mount(both)]));
        let docker =
            new.envs.iter().fold(docker, |docker, (name, value)| docker.args(["--env", &format!("{name}={value}")]));
        Ok(docker.arg(new.image).args(args.iter().copied()).run().await?.stdout.trim().to_owned())
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

    /// Runs a shell command in a container, with `input` as its standard input; returns its standard output.
    ///
    /// # Errors
    /// [`Error::Command`] when it fails.
    pub async fn exec(&self, container: &str, line: &str, input: &str) -> Result<String> {
        let docker = self.docker()?.args(["exec", "--interactive", container, "sh", "-c", line]);
        Ok(docker.input(input).run().await?.stdout)
    }

    /// What a container wrote so far.
    ///
    /// # Errors
    /// [`Error::Command`] when there is no such container.
    pub async fn logs(&self, container: &str) -> Result<Output> {
        self.docker()?.args(["logs", container]).run().await
    }

    /// Waits until a container has ended; returns its exit status. On cancel it runs on.
    ///
    /// # Errors
    /// [`harness_base::Error::Deadline`] when it has not ended within `limit`; [`Error::Command`] when there is no such container.
    pub async fn wait(&self, container: &str, limit: Duration) -> Result<i32> {
        // The client's own deadline comes later: it would not say what was awaited.
        let waiting = self.docker()?.args(["wait", container]).limit(limit + ASK).run();
        let said = tokio::time::timeout(limit, waiting).await.map_err(|_| harness_base::Error::Deadline {
            awaited: format!("the end of the container {container}"),
            after: limit,
            last: "it still runs".to_owned(),
        })??;
        said.stdout.trim().parse().map_err(|_| {
            Error::refused(
                format!("docker wait {container} prints no exit status: {:?}", said.stdout),
                "docker version",
            )
        })
    }

    /// Sends a container's first process the image's stop signal (SIGTERM unless the image names another), and SIGKILL if it has
    /// not ended within `grace`, rounded up to seconds; returns its exit status, which is 137 after SIGKILL.
    ///
    /// # Errors
    /// [`Error::Command`] when there is no such container.
    pub async fn stop(&self, container: &str, grace: Duration) -> Result<i32> {
        let seconds = grace.as_secs() + u64::from(grace.subsec_nanos() > 0);
        let docker = self.docker()?.args(["stop", "-t", &seconds.to_string(), container]);
        docker.limit(grace + ASK).run().await?;
        self.wait(container, ASK).await
    }

    /// The address on this host at which a container's TCP port is published: `127.0.0.1:port`.
    ///
    /// # Errors
    /// [`Error::Command`] when the container does not run.
    pub async fn published(&self, container: &str, port: u16) -> Result<String> {
        let said = self.docker()?.args(["port", container, &format!("{port}/tcp")]).run().await?.stdout;
        Ok(said.lines().next().unwrap_or_default().trim().to_owned())
    }

    /// The value of a label on the running container that has that label and publishes a port of this host.
    ///
    /// # Errors
    /// [`Error::Command`] when the engine does not answer.
    pub async fn label_at_port(&self, label: &str, port: u16) -> Result<Option<String>> {
        let filters =
            ["--filter".to_owned(), format!("publish={port}"), "--filter".to_owned(), format!("label={label}")];
        let format = format!("{{{{.Label \"{label}\"}}}}|{{{{.Ports}}}}");
        let listed = self.docker()?.arg("ps").args(filters).args(["--format", &format]).run().await?.stdout;
        // The filter also matches the port inside the container, published at another one here.
        let here = format!(":{port}->");
        let mut lines = listed.lines().filter_map(|line| line.split_once('|'));
        Ok(lines.find(|(_, ports)| ports.contains(&here)).map(|(value, _)| value.to_owned()))
    }

    /// Makes sure that there is a network of this name with the label of the owner of the same name; kind takes it as it is. It
    /// remains until it is removed by `Owned::remove_if_unused`.
    ///
    /// # Errors
    /// [`harness_base::Error::Refused`] when there is a network of that name without the label.
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
        // As kind does for its own network: a new network has the MTU 1500, even where the default network has less.
        let docker = match self.mtu().await? {
            Some(mtu) => docker.args(["--opt".to_owned(), format!("{MTU}={mtu}")]),
            None => docker,
        };
        let Err(error) = docker.arg(name).run().await else { return Ok(()) };
        // A process that was killed a moment ago may have asked for the same network, and the engine made it since.
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
            // An engine without a default network has no MTU to take over.
            Err(Error::Command(failure)) if super::owned::is_absence(&failure.tail) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Connects a container to a network; does nothing if it is on it already.
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

/// The label arguments of all that the harness starts: owner and checkout.
fn labels(owner: &str, checkout: &Path) -> [String; 4] {
    let owner = format!("{}={owner}", marks::OWNER_LABEL);
    let checkout = format!("{}={}", marks::CHECKOUT_LABEL, checkout.display());
    ["--label".to_owned(), owner, "--label".to_owned(), checkout]
}
