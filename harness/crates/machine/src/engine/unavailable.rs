//! Reasons why no engine answers, and the remedy for each.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use harness_settings::spec::variable::SETUP;

use super::Engine;
use super::host::{App, Host};
use crate::error::Error;

/// An engine's default address.
const DEFAULT: &str = "unix:///var/run/docker.sock";
/// The deadline for the engine to answer with its version.
const ANSWER: Duration = Duration::from_secs(20);
/// The command that installs an engine on Debian and Ubuntu.
const APT: &str = "apt-get install --no-install-recommends docker.io iptables";

/// The reason why no engine answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EngineUnavailable {
    /// The engine's client is not installed.
    NoClient,
    /// This account has no permission for the engine's socket.
    Denied(PathBuf),
    /// Nothing listens at the engine's address.
    Silent {
        /// The address, as the client knows it (DOCKER_HOST, else its context).
        address: String,
        /// The client's error.
        said: String,
    },
    /// Something listens, and the client cannot use it.
    Unusable {
        /// The address, as the client knows it.
        address: String,
        /// The client's error.
        said: String,
    },
}

impl EngineUnavailable {
    /// An error with this reason, and the command for a person to run.
    pub fn refusal(&self, next: &str) -> Error {
        Error::refused(self.to_string(), next)
    }
}

impl std::fmt::Display for EngineUnavailable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoClient => f.write_str("no container engine is installed: its client docker is not in PATH"),
            Self::Denied(socket) => {
                write!(f, "the container engine's socket {} is not this account's to use", socket.display())
            }
            Self::Silent { address, said } => write!(f, "no container engine answers at {address}\n{said}"),
            Self::Unusable { address, said } => write!(f, "the container engine at {address} is of no use\n{said}"),
        }
    }
}

/// A remedy that the harness can apply itself, to make an engine answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// Run `systemctl start docker`.
    Systemd,
    /// Start the engine's daemon, in a session of its own.
    Detached(PathBuf),
    /// Install the distribution's packages.
    Install,
    /// Start the application that runs an engine on macOS.
    App(App),
}

impl Action {
    /// The command with which a person does the same.
    pub fn command(&self) -> String {
        match self {
            Self::Systemd => "systemctl start docker".to_owned(),
            Self::Detached(dockerd) => {
                format!("sh -c 'setsid {} </dev/null >>/var/log/dockerd.log 2>&1 &'", dockerd.display())
            }
            Self::Install => APT.to_owned(),
            Self::App(App::Desktop) => "open -a Docker".to_owned(),
            Self::App(App::Colima) => "colima start".to_owned(),
        }
    }

    /// Whether the remedy needs root.
    fn needs_root(&self) -> bool {
        !matches!(self, Self::App(_))
    }
}

/// The engine's version, or why it does not answer.
pub(crate) async fn look(engine: &Engine, docker_host: &str) -> Result<String, EngineUnavailable> {
    let Ok(docker) = engine.docker() else { return Err(EngineUnavailable::NoClient) };
    let answer = docker.args(["version", "--format", "{{.Server.Version}}"]).limit(ANSWER);
    let said = match answer.run().await {
        Ok(output) => return Ok(output.stdout.trim().to_owned()),
        Err(Error::Command(failure)) => failure.to_string(),
        Err(error) => error.report(),
    };
    let address = address(engine, docker_host).await;
    Err(match listener(&address).await {
        Some(ErrorKind::PermissionDenied) => {
            EngineUnavailable::Denied(socket(&address).unwrap_or(Path::new(&address)).to_owned())
        }
        Some(ErrorKind::NotFound | ErrorKind::ConnectionRefused) => EngineUnavailable::Silent { address, said },
        // For another machine, only the client knows whether anything listens.
        None if socket(&address).is_none() => EngineUnavailable::Silent { address, said },
        _ => EngineUnavailable::Unusable { address, said },
    })
}

/// The engine's address as the client knows it: by DOCKER_HOST or by its context.
pub(crate) async fn address(engine: &Engine, docker_host: &str) -> String {
    let ask = async {
        let asked = engine.docker().ok()?.args(["context", "inspect", "--format", "{{.Endpoints.docker.Host}}"]);
        let answer = asked.limit(Duration::from_secs(5)).run().await.ok()?;
        Some(answer.stdout.trim().to_owned()).filter(|address| !address.is_empty())
    };
    let known = if docker_host.is_empty() { DEFAULT } else { docker_host };
    ask.await.unwrap_or_else(|| known.to_owned())
}

/// The path of an address that is a Unix socket of this machine.
pub(crate) fn socket(address: &str) -> Option<&Path> {
    address.strip_prefix("unix://").map(Path::new)
}

/// The error of connecting to a Unix socket; `None` when something listens, or the address is no socket.
async fn listener(address: &str) -> Option<ErrorKind> {
    let connecting = tokio::net::UnixStream::connect(socket(address)?);
    match tokio::time::timeout(Duration::from_secs(2), connecting).await {
        Ok(connected) => connected.err().map(|error| error.kind()),
        Err(_) => Some(ErrorKind::TimedOut),
    }
}

/// A remedy that is left to a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LeftToPerson {
    /// Why the harness does not apply it, where that is not plain.
    pub why: Option<String>,
    /// The exact command to run, or the change to make.
    pub next: String,
}

impl LeftToPerson {
    /// The text `missing`, and on a line of its own why the harness does not provide it.
    pub fn explain(&self, missing: &str) -> String {
        self.why.as_ref().map_or_else(|| missing.to_owned(), |why| format!("{missing}\nand {why}"))
    }

    /// The error of a run that cannot go on without an engine.
    pub fn refusal(&self, unavailable: &EngineUnavailable) -> Error {
        Error::refused(self.explain(&unavailable.to_string()), self.next.as_str())
    }
}

/// Plans the remedy for an engine that does not answer.
///
/// # Errors
/// [`LeftToPerson`] when the remedy is for a person to apply.
pub(crate) fn plan_remedy(
    unavailable: &EngineUnavailable,
    host: &Host,
    may_set_up: bool,
) -> Result<Action, LeftToPerson> {
    let left = |next: &str| Err(LeftToPerson { why: None, next: next.to_owned() });
    let action = match unavailable {
        EngineUnavailable::Denied(_) => return left("sudo usermod -aG docker $USER && newgrp docker"),
        EngineUnavailable::Unusable { .. } if host.systemd => return left("systemctl status docker"),
        EngineUnavailable::Unusable { .. } => return left("docker version, and mend what it says"),
        EngineUnavailable::Silent { address, .. } => match elsewhere(address, host) {
            Some(next) => return left(next),
            None => start(host),
        },
        EngineUnavailable::NoClient => host.apt.then_some(Action::Install),
    };
    let Some(action) = action else {
        return left(match host.macos {
            true => "brew install docker colima && colima start, or install Docker Desktop",
            false => "install Docker Engine (docs.docker.com/engine/install), and start it",
        });
    };
    let sudo = if action.needs_root() && !host.root { "sudo " } else { "" };
    let command = format!("{sudo}{}", action.command());
    if !may_set_up {
        let next = format!("{command}, or unset {SETUP}");
        return Err(LeftToPerson { why: Some(format!("{SETUP}=never keeps it from being set up here")), next });
    }
    if !sudo.is_empty() {
        let join = if action == Action::Install { " && sudo usermod -aG docker $USER && newgrp docker" } else { "" };
        return left(&format!("{command}{join}"));
    }
    if !host.systemd && action.needs_root() && !host.capabilities.allow_an_engine() {
        return Err(LeftToPerson {
            why: Some("none can be started here: this root lacks CAP_SYS_ADMIN or CAP_NET_ADMIN".to_owned()),
            next: "run this in a privileged container, or share the host's /var/run/docker.sock with it".to_owned(),
        });
    }
    Ok(action)
}

/// What a person should do about an address at which the harness starts no engine; `None` where it does.
fn elsewhere(address: &str, host: &Host) -> Option<&'static str> {
    let holds = |part: &str| address.contains(part);
    match address {
        DEFAULT | "unix:///run/docker.sock" => None,
        // The sockets of Colima's and Docker Desktop's contexts, where that application is installed: the harness starts it.
        _ if host.macos && (holds("/.colima/") && host.app == Some(App::Colima)) => None,
        _ if host.macos && holds("/.docker/run/") && host.app == Some(App::Desktop) => None,
        _ if holds("/.orbstack/") => Some("orb start"),
        _ if holds("/.colima/") => Some("colima start"),
        _ if holds("/.docker/desktop/") => Some("systemctl --user start docker-desktop"),
        _ if holds("/run/user/") => Some("systemctl --user start docker"),
        _ => Some("start the engine there, or unset DOCKER_HOST and DOCKER_CONTEXT (docker context use default)"),
    }
}

fn start(host: &Host) -> Option<Action> {
    match (&host.dockerd, host.macos) {
        (_, true) => host.app.map(Action::App),
        (Some(_), _) if host.systemd => Some(Action::Systemd),
        (Some(dockerd), _) => Some(Action::Detached(dockerd.clone())),
        (None, _) => host.apt.then_some(Action::Install),
    }
}

#[cfg(test)]
mod tests;
