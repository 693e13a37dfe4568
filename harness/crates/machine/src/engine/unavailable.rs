//! Why no engine answers, and what can be done about it.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use harness_settings::spec::variable::SETUP;

use super::Engine;
use super::host::{App, Host};
use crate::error::Error;

/// Where an engine listens unless told otherwise.
const DEFAULT: &str = "unix:///var/run/docker.sock";
/// How long the engine may take to say its version.
const ANSWER: Duration = Duration::from_secs(20);
/// What installs an engine on Debian and Ubuntu.
const APT: &str = "apt-get install --no-install-recommends docker.io iptables";

/// Why no engine answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EngineUnavailable {
    /// Its client is not installed.
    NoClient,
    /// Something listens, and we may not speak to it.
    Denied(PathBuf),
    /// Nothing listens there.
    Silent {
        /// The address, as the client knows it (DOCKER_HOST, else its context).
        address: String,
        /// What the client said.
        said: String,
    },
    /// Something listens, and the client cannot use it.
    Unusable {
        /// The address.
        address: String,
        /// What the client said.
        said: String,
    },
}

impl EngineUnavailable {
    /// It, as an error that leaves the command to a person.
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

/// What makes an engine answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// `systemctl start docker`.
    Systemd,
    /// The engine's own program, in a session of its own.
    Detached(PathBuf),
    /// The distribution's packages.
    Install,
    /// The application that holds it on macOS.
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

    /// Whether we do it, or whoever has the right.
    fn needs_root(&self) -> bool {
        !matches!(self, Self::App(_))
    }
}

/// The engine's version, or why it does not say it.
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
        // Whether anything listens on another machine, only the client knows.
        None if socket(&address).is_none() => EngineUnavailable::Silent { address, said },
        _ => EngineUnavailable::Unusable { address, said },
    })
}

/// Where the client looks for the engine; its context may say so, not only DOCKER_HOST.
pub(crate) async fn address(engine: &Engine, docker_host: &str) -> String {
    let ask = async {
        let asked = engine.docker().ok()?.args(["context", "inspect", "--format", "{{.Endpoints.docker.Host}}"]);
        let answer = asked.limit(Duration::from_secs(5)).run().await.ok()?;
        Some(answer.stdout.trim().to_owned()).filter(|address| !address.is_empty())
    };
    let known = if docker_host.is_empty() { DEFAULT } else { docker_host };
    ask.await.unwrap_or_else(|| known.to_owned())
}

/// The socket of an address on this machine.
pub(crate) fn socket(address: &str) -> Option<&Path> {
    address.strip_prefix("unix://").map(Path::new)
}

/// Why nothing can be reached at a socket; `None` when something listens, or it is no socket.
async fn listener(address: &str) -> Option<ErrorKind> {
    let connecting = tokio::net::UnixStream::connect(socket(address)?);
    match tokio::time::timeout(Duration::from_secs(2), connecting).await {
        Ok(connected) => connected.err().map(|error| error.kind()),
        Err(_) => Some(ErrorKind::TimedOut),
    }
}

/// What is for a person to do about an engine that is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LeftToPerson {
    /// Why it is not done here, where that is not plain.
    pub why: Option<String>,
    /// The exact command, or the change to make.
    pub next: String,
}

impl LeftToPerson {
    /// What is missing, and on a line of its own why it is not had here.
    pub fn explain(&self, missing: &str) -> String {
        self.why.as_ref().map_or_else(|| missing.to_owned(), |why| format!("{missing}\nand {why}"))
    }

    /// The error of a run that cannot go on without.
    pub fn refusal(&self, unavailable: &EngineUnavailable) -> Error {
        Error::refused(self.explain(&unavailable.to_string()), self.next.as_str())
    }
}

/// What to do about an absence.
///
/// # Errors
/// When it is for somebody else to do.
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

/// What a person does about an address that is not ours to start an engine at.
fn elsewhere(address: &str, host: &Host) -> Option<&'static str> {
    let holds = |part: &str| address.contains(part);
    match address {
        DEFAULT | "unix:///run/docker.sock" => None,
        // Their contexts; the application that is there starts it.
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
