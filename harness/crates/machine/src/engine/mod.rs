//! The container engine: found, started or installed; its containers, images and networks.

use std::path::{Path, PathBuf};
use std::time::Duration;

mod calls;
mod engine_files;
mod host;
mod install;
mod objects;
mod owned;
mod record;
mod runtime;
mod start;
mod unavailable;

pub use calls::NewContainer;
pub use objects::{Container, ContainerState, Image, Network};
pub use owned::{EngineObject, KIND_LABEL, Mark, Owned, Seen};
pub use record::uninstall_hint;

pub(crate) use host::Host;
#[cfg(test)]
pub(crate) use host::HostCapabilities;
pub use host::memory_gib;
pub use unavailable::EngineUnavailable;
pub(crate) use unavailable::{address, look, plan_remedy};

use base64::Engine as _;

use crate::error::{Error, Result};
use crate::tools::{Command, Tools};
use engine_files::EngineFiles;
use harness_base::files::private_folder;
use harness_base::lock::{Lock, Mode};
use harness_settings::settings::{Login, Settings, key_of_registry};
use record::EngineRecord;
use unavailable::Action;

/// The free space in GiB below which nothing is provisioned: a node, the images and a registry need about this much.
pub(crate) const MIN_FREE_GIB: u64 = 4;
/// The deadline of an image pull.
const PULL: Duration = Duration::from_secs(600);
/// How long to wait for another process that installs or starts the engine.
const SET_UP: Duration = Duration::from_secs(1200);

/// The engine's identity and data folder, as it reports them.
struct EngineSaid {
    id: Option<String>,
    /// The folder of its data, if that is on this machine.
    data_root: Option<PathBuf>,
}

/// A client of a container engine that answers.
#[derive(Debug, Clone)]
pub struct Engine {
    tools: Tools,
    /// The identity of the engine when it was looked for; another one may answer later.
    found_id: Option<String>,
}

impl Engine {
    /// Connects to an engine that answers; starts and installs nothing, so that cleaning up never does.
    ///
    /// # Errors
    /// [`harness_base::Error::Refused`] with the command to run when the client is missing or no engine answers.
    pub async fn connect(tools: &Tools, settings: &Settings) -> Result<Self> {
        let engine = Self::unchecked(tools);
        match unavailable::look(&engine, &settings.docker_host).await {
            Ok(_) => Ok(engine),
            // The remedy is not applied here: its command is part of the error.
            Err(unavailable) => Err(match unavailable::plan_remedy(&unavailable, &Host::look(settings), true) {
                Ok(action) => unavailable.refusal(&action.command()),
                Err(left) => left.refusal(&unavailable),
            }),
        }
    }

    /// Makes sure that an engine answers, and that 4 GiB are free in `state`, in the cache and in the engine's data folder.
    ///
    /// An installed engine that is stopped is started. On Debian and Ubuntu, as root, a missing one is installed from the
    /// distribution and started, detached where no systemd runs, so that it outlives this process. Where the host lacks
    /// CAP_SYS_RESOURCE, containers run through a runtime that leaves that capability out.
    /// [`SETUP`](harness_settings::spec::variable::SETUP)`=never` turns all of this off. One process of the machine does it;
    /// others wait for it, twenty minutes at most.
    ///
    /// Cancelled or killed, apt and the engine may go on. [`uninstall_hint`] tells how to remove what was installed.
    ///
    /// # Errors
    /// [`harness_base::Error::Refused`] with the exact command when it is for somebody else to do, or the disk is full;
    /// [`harness_base::Error::Deadline`] with the end of the engine's log when it does not answer 60 s after its start (macOS:
    /// 300 s).
    pub async fn ensure(tools: &Tools, settings: &Settings, state: &Path) -> Result<Self> {
        match Self::find(tools, settings, state).await? {
            Ok(engine) => Ok(engine),
            Err(unavailable) => Self::provide(unavailable, tools, settings, state).await,
        }
    }

    /// Finds an engine that answers and has room, or why there is none. Installs and starts nothing, so that it can run beside
    /// other work.
    ///
    /// # Errors
    /// [`harness_base::Error::Refused`] when the disk is full.
    pub async fn find(
        tools: &Tools,
        settings: &Settings,
        state: &Path,
    ) -> Result<std::result::Result<Self, EngineUnavailable>> {
        let engine = Self::unchecked(tools);
        let (looked, said) = tokio::join!(unavailable::look(&engine, &settings.docker_host), engine.says(settings));
        match looked {
            Ok(_) => engine.with_room(settings, state, said).map(Ok),
            Err(unavailable) => Ok(Err(unavailable)),
        }
    }

    /// Starts or installs an engine after [`Engine::find`] returned why there is none; the second half of [`Engine::ensure`].
    ///
    /// # Errors
    /// As [`Engine::ensure`].
    pub async fn provide(
        unavailable: EngineUnavailable,
        tools: &Tools,
        settings: &Settings,
        state: &Path,
    ) -> Result<Self> {
        let (engine, host) = (Self::unchecked(tools), Host::look(settings));
        // A refusal needs no lock.
        unavailable::plan_remedy(&unavailable, &host, settings.may_set_up())
            .map_err(|left| left.refusal(&unavailable))?;
        engine.set_up(settings, &EngineFiles::system(host.root, &settings.state_root)).await?;
        let said = engine.says(settings).await;
        engine.with_room(settings, state, said)
    }

    fn with_room(mut self, settings: &Settings, state: &Path, said: EngineSaid) -> Result<Self> {
        check_room(state, "set XDG_STATE_HOME to a larger disk")?;
        check_room(&settings.cache_root, "set XDG_CACHE_HOME to a larger disk")?;
        if let Some(data) = said.data_root {
            check_room(&data, "move the engine's data-root to a larger disk")?;
        }
        self.found_id = said.id;
        Ok(self)
    }

    /// A client of an engine of which it is not known yet whether it answers.
    pub(crate) fn unchecked(tools: &Tools) -> Self {
        Self { tools: tools.clone(), found_id: None }
    }

    /// Installs and starts what is missing, one process at a time.
    async fn set_up(&self, settings: &Settings, place: &EngineFiles) -> Result<()> {
        for file in [&place.lock, &settings.state_root.join("engine.json")] {
            private_folder(file.parent().unwrap_or(Path::new("/")))?;
        }
        let mut lock = Lock::take(&place.lock, Mode::Exclusive, SET_UP).await?;
        lock.label("setting up the container engine");
        let mut record = EngineRecord::read(settings)?;
        let mut before = None;
        while let Err(unavailable) = unavailable::look(self, &settings.docker_host).await {
            let host = Host::look(settings);
            let action = unavailable::plan_remedy(&unavailable, &host, settings.may_set_up())
                .map_err(|left| left.refusal(&unavailable))?;
            if before.as_ref() == Some(&action) {
                return Err(unavailable.refusal(&action.command()));
            }
            if matches!(action, Action::Systemd | Action::Detached(_)) && !host.capabilities.have_sys_resource() {
                runtime::prepare(place, &mut record)?;
            }
            match &action {
                Action::Install => install::install(settings, &host, place, &mut record).await?,
                Action::Systemd => start::by_systemd(self, settings).await?,
                Action::Detached(dockerd) => start::detached(self, settings, dockerd, place, &mut record).await?,
                Action::App(app) => start::by_app(self, settings, *app).await?,
            }
            before = Some(action);
        }
        Ok(())
    }

    /// The engine's identity and data folder, by one call: `docker info` takes as long as some five other calls.
    async fn says(&self, settings: &Settings) -> EngineSaid {
        let ask = async {
            let asked = self.docker().ok()?.args(["info", "--format", "{{.ID}}\n{{.DockerRootDir}}"]);
            asked.limit(Duration::from_secs(20)).run().await.ok()
        };
        let (address, said) = tokio::join!(unavailable::address(self, &settings.docker_host), ask);
        let said = said.map(|output| output.stdout).unwrap_or_default();
        let (id, root) = said.trim().split_once('\n').unwrap_or_default();
        // The path of an engine in a virtual machine, or on another machine, means nothing here, even if it exists here.
        let is_here = !cfg!(target_os = "macos") && is_local(&address);
        EngineSaid {
            id: Some(id.to_owned()).filter(|id| !id.is_empty()),
            data_root: Some(PathBuf::from(root)).filter(|root| is_here && root.is_dir()),
        }
    }

    /// The tools by which the engine's client is found.
    pub fn tools(&self) -> &Tools {
        &self.tools
    }

    /// A call of the engine's client.
    ///
    /// # Errors
    /// [`harness_base::Error::Refused`] when it is not installed.
    #[expect(clippy::disallowed_methods, reason = "the one caller")]
    fn docker(&self) -> Result<Command> {
        self.tools.docker()
    }

    /// The platform of its containers, as `os/architecture`.
    ///
    /// # Errors
    /// [`Error::Command`] when the engine does not answer.
    pub async fn platform(&self) -> Result<String> {
        let asked = self.docker()?.args(["version", "--format", "{{.Server.Os}}/{{.Server.Arch}}"]).run().await?;
        Ok(asked.stdout.trim().to_owned())
    }

    /// The container of that name, if there is one.
    ///
    /// # Errors
    /// [`Error::Command`] when the engine does not answer.
    pub async fn container(&self, name: &str) -> Result<Option<Container>> {
        self.inspect(&["container", "inspect", name]).await
    }

    /// The image of that reference, if the engine holds it.
    ///
    /// # Errors
    /// [`Error::Command`] when the engine does not answer.
    pub async fn image(&self, reference: &str) -> Result<Option<Image>> {
        self.inspect(&["image", "inspect", reference]).await
    }

    /// The images of these references, in their order, by one call; `None` unless the engine holds all of them.
    ///
    /// # Errors
    /// [`Error::Command`] when the engine does not answer.
    pub async fn all_images(&self, references: &[&str]) -> Result<Option<Vec<Image>>> {
        self.inspect_all(&[&["image", "inspect"], references].concat()).await
    }

    /// Makes sure that the engine holds an image (`repository@digest`); pulls it, with `login` if given, where it does not.
    ///
    /// # Errors
    /// [`Error::Command`] when it cannot be pulled.
    pub async fn hold(&self, image: &str, login: Option<&Login>, settings: &Settings) -> Result<()> {
        if self.image(image).await?.is_some() {
            return Ok(());
        }
        let pull = ["pull", "--quiet", image];
        let Some(login) = login else { return self.docker()?.args(pull).limit(PULL).run().await.map(drop) };
        // With a configuration of its own, so that the user's is not changed.
        let folder = tempfile::tempdir().map_err(Error::io("make a folder for the engine's client's configuration"))?;
        let auth = base64::engine::general_purpose::STANDARD.encode(format!("{}:{}", login.username, login.password));
        let config = serde_json::json!({"auths": {key_of_registry(&login.server): {"auth": auth}}}).to_string();
        std::fs::write(folder.path().join("config.json"), config).map_err(Error::io("write the configuration"))?;
        self.docker_with(folder.path(), settings).await?.args(pull).limit(PULL).run().await.map(drop)
    }

    /// Runs `docker login` into a client configuration in `folder`, where the login remains, instead of the user's.
    ///
    /// # Errors
    /// [`Error::Command`] when the registry refuses the account.
    pub async fn login(&self, login: &Login, folder: &Path, settings: &Settings) -> Result<()> {
        let docker = self.docker_with(folder, settings).await?;
        let docker = docker.args(["login", "--username", &login.username, "--password-stdin", &login.server]);
        docker.input(login.password.clone()).run().await.map(drop)
    }

    /// The client with another configuration folder; since contexts are part of that, the engine's address is given.
    async fn docker_with(&self, folder: &Path, settings: &Settings) -> Result<Command> {
        let address = unavailable::address(self, &settings.docker_host).await;
        Ok(self.docker()?.env("DOCKER_HOST", address).arg("--config").arg(folder))
    }

    /// The first object that an inspection prints; `None` when there is no such object.
    async fn inspect<T: serde::de::DeserializeOwned>(&self, args: &[&str]) -> Result<Option<T>> {
        Ok(self.inspect_all(args).await?.and_then(|found: Vec<T>| found.into_iter().next()))
    }

    /// All objects that an inspection prints; `None` when one of them does not exist.
    async fn inspect_all<T: serde::de::DeserializeOwned>(&self, args: &[&str]) -> Result<Option<Vec<T>>> {
        match self.docker()?.args(args.iter().copied()).run().await {
            Ok(output) => serde_json::from_str(&output.stdout)
                .map(Some)
                .map_err(Error::malformed(format!("read docker {}", args.join(" ")))),
            Err(Error::Command(failure)) if owned::is_absence(&failure.tail) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Whether an engine's address is a Unix socket of this machine.
pub fn is_local(address: &str) -> bool {
    unavailable::socket(address).is_some()
}

/// The free space in GiB on the disk of a folder, or of the nearest existing folder above it.
pub(crate) fn free_gib(folder: &Path) -> Result<u64> {
    let there = folder.ancestors().find(|folder| folder.exists()).unwrap_or(folder);
    let disk = rustix::fs::statvfs(there)
        .map_err(|errno| Error::io(format!("look at the free space of {}", folder.display()))(errno.into()))?;
    Ok((disk.f_bavail * disk.f_frsize) >> 30)
}

fn check_room(folder: &Path, otherwise: &str) -> Result<()> {
    let free = free_gib(folder)?;
    if free < MIN_FREE_GIB {
        return Err(Error::refused(
            format!("only {free} GiB are free at {}; {MIN_FREE_GIB} GiB are needed", folder.display()),
            format!("make room (docker system prune), or {otherwise}"),
        ));
    }
    Ok(())
}
