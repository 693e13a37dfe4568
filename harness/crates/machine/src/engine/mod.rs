//! The container engine: is it there, what does it hold, and how does it come to be there?

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

/// Free space below which nothing is provisioned, in GiB: a node, the images and a registry need about this much.
pub(crate) const MIN_FREE_GIB: u64 = 4;
/// How long a pull may take.
const PULL: Duration = Duration::from_secs(600);
/// How long to wait for another process that installs or starts the engine.
const SET_UP: Duration = Duration::from_secs(1200);

/// What an engine says of itself.
struct Said {
    id: Option<String>,
    /// If it is on this machine.
    data_root: Option<PathBuf>,
}

/// A container engine that answers.
#[derive(Debug, Clone)]
pub struct Engine {
    tools: Tools,
    /// The identity that it had when it was looked for; another one may answer later.
    found_id: Option<String>,
}

impl Engine {
    /// Makes sure that an engine answers; it starts and installs nothing, so that cleaning up never does.
    ///
    /// # Errors
    /// [`harness_base::Error::Refused`] with the command to run when the client is missing or no engine answers.
    pub async fn connect(tools: &Tools, settings: &Settings) -> Result<Self> {
        let engine = Self::unchecked(tools);
        match unavailable::look(&engine, &settings.docker_host).await {
            Ok(_) => Ok(engine),
            // Whatever could be done here, it is not done: the command to do it is the answer.
            Err(unavailable) => Err(match unavailable::plan_remedy(&unavailable, &Host::look(settings), true) {
                Ok(action) => unavailable.refusal(&action.command()),
                Err(left) => left.refusal(&unavailable),
            }),
        }
    }

    /// Makes sure that an engine answers, and that there is room for what it will be asked to hold in `state`, in
    /// our caches and in its own data.
    ///
    /// One that is installed and stopped is started; on Debian and Ubuntu, as root, a missing one is installed from the
    /// distribution and started, detached where no systemd runs, so that it outlives this process. Where the host lacks
    /// CAP_SYS_RESOURCE, it runs containers through a runtime that leaves that out. [`SETUP`](harness_settings::spec::variable::SETUP)`=never` turns all of
    /// this off. One process of the machine does it; others wait for it, twenty minutes at most.
    ///
    /// Cancelled or killed, what it began may go on: apt, and the engine. [`uninstall_hint`] tells what it did.
    ///
    /// # Errors
    /// [`harness_base::Error::Refused`] with the exact command when it is for somebody else to do, or the disk is full;
    /// [`harness_base::Error::Deadline`] with the end of the engine's log when it does not answer 60 s after its start (macOS: 300 s).
    pub async fn ensure(tools: &Tools, settings: &Settings, state: &Path) -> Result<Self> {
        match Self::find(tools, settings, state).await? {
            Ok(engine) => Ok(engine),
            Err(unavailable) => Self::provide(unavailable, tools, settings, state).await,
        }
    }

    /// An engine that answers, with room for what it will be asked to hold; installs and starts nothing, so that others
    /// may work meanwhile.
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

    /// [`Engine::ensure`] once none was found, for this reason.
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
        // What is refused needs no lock.
        unavailable::plan_remedy(&unavailable, &host, settings.may_set_up())
            .map_err(|left| left.refusal(&unavailable))?;
        engine.set_up(settings, &EngineFiles::system(host.root, &settings.state_root)).await?;
        let said = engine.says(settings).await;
        engine.with_room(settings, state, said)
    }

    fn with_room(mut self, settings: &Settings, state: &Path, said: Said) -> Result<Self> {
        check_room(state, "set XDG_STATE_HOME to a larger disk")?;
        check_room(&settings.cache_root, "set XDG_CACHE_HOME to a larger disk")?;
        if let Some(data) = said.data_root {
            check_room(&data, "move the engine's data-root to a larger disk")?;
        }
        self.found_id = said.id;
        Ok(self)
    }

    /// An engine that nobody asked yet whether it answers.
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

    /// Its identity, and where it keeps its data, by one question, which takes as long as some five others.
    async fn says(&self, settings: &Settings) -> Said {
        let ask = async {
            let asked = self.docker().ok()?.args(["info", "--format", "{{.ID}}\n{{.DockerRootDir}}"]);
            asked.limit(Duration::from_secs(20)).run().await.ok()
        };
        let (address, said) = tokio::join!(unavailable::address(self, &settings.docker_host), ask);
        let said = said.map(|output| output.stdout).unwrap_or_default();
        let (id, root) = said.trim().split_once('\n').unwrap_or_default();
        // In a virtual machine, and on another one, a path that exists here is another one.
        let is_here = !cfg!(target_os = "macos") && is_local(&address);
        Said {
            id: Some(id.to_owned()).filter(|id| !id.is_empty()),
            data_root: Some(PathBuf::from(root)).filter(|root| is_here && root.is_dir()),
        }
    }

    /// Where its client was found.
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

    /// What its containers run on, as `os/architecture`.
    ///
    /// # Errors
    /// [`Error::Command`] when the engine does not answer.
    pub async fn platform(&self) -> Result<String> {
        let asked = self.docker()?.args(["version", "--format", "{{.Server.Os}}/{{.Server.Arch}}"]).run().await?;
        Ok(asked.stdout.trim().to_owned())
    }

    /// What the engine says of a container of that name, if there is one.
    ///
    /// # Errors
    /// [`Error::Command`] when the engine does not answer.
    pub async fn container(&self, name: &str) -> Result<Option<Container>> {
        self.inspect(&["container", "inspect", name]).await
    }

    /// The labels of an image, if the engine holds it.
    ///
    /// # Errors
    /// [`Error::Command`] when the engine does not answer.
    pub async fn image(&self, reference: &str) -> Result<Option<Image>> {
        self.inspect(&["image", "inspect", reference]).await
    }

    /// What the engine says of images, by one question, in the order given; `None` unless it holds all of them.
    ///
    /// # Errors
    /// [`Error::Command`] when the engine does not answer.
    pub async fn all_images(&self, references: &[&str]) -> Result<Option<Vec<Image>>> {
        self.inspect_all(&[&["image", "inspect"], references].concat()).await
    }

    /// Makes sure that the engine holds an image (`repository@digest`), pulled by this account if it does not.
    ///
    /// # Errors
    /// [`Error::Command`] when it cannot be pulled.
    pub async fn hold(&self, image: &str, login: Option<&Login>, settings: &Settings) -> Result<()> {
        if self.image(image).await?.is_some() {
            return Ok(());
        }
        let pull = ["pull", "--quiet", image];
        let Some(login) = login else { return self.docker()?.args(pull).limit(PULL).run().await.map(drop) };
        // A configuration of the call's own: the user's is not ours to log in to.
        let folder = tempfile::tempdir().map_err(Error::io("make a folder for the engine's client's configuration"))?;
        let auth = base64::engine::general_purpose::STANDARD.encode(format!("{}:{}", login.username, login.password));
        let config = serde_json::json!({"auths": {key_of_registry(&login.server): {"auth": auth}}}).to_string();
        std::fs::write(folder.path().join("config.json"), config).map_err(Error::io("write the configuration"))?;
        self.docker_with(folder.path(), settings).await?.args(pull).limit(PULL).run().await.map(drop)
    }

    /// `docker login` into a client's configuration in this folder, instead of the user's.
    ///
    /// # Errors
    /// [`Error::Command`] when the registry refuses the account.
    pub async fn login(&self, login: &Login, folder: &Path, settings: &Settings) -> Result<()> {
        let docker = self.docker_with(folder, settings).await?;
        let docker = docker.args(["login", "--username", &login.username, "--password-stdin", &login.server]);
        docker.input(login.password.clone()).run().await.map(drop)
    }

    /// The client with another configuration; contexts are a part of it, so the engine is named.
    async fn docker_with(&self, folder: &Path, settings: &Settings) -> Result<Command> {
        let address = unavailable::address(self, &settings.docker_host).await;
        Ok(self.docker()?.env("DOCKER_HOST", address).arg("--config").arg(folder))
    }

    /// The first object that an inspection prints; `None` when there is no such thing.
    async fn inspect<T: serde::de::DeserializeOwned>(&self, args: &[&str]) -> Result<Option<T>> {
        Ok(self.inspect_all(args).await?.and_then(|found: Vec<T>| found.into_iter().next()))
    }

    /// All objects that an inspection prints; `None` when one of them is not there.
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

/// Whether an address is a socket of this machine.
pub fn is_local(address: &str) -> bool {
    unavailable::socket(address).is_some()
}

/// How much is free in a folder, or in the nearest one above it that is there, in GiB.
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
