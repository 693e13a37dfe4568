//! Builds from package registries: the Go module proxy, crates.io. One at a time on a machine.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::cache::{Cache, remove, with_ending};
use super::entry::{Build, Entry, GoBuild};
use super::{GoEnv, Tools};
use crate::error::{Error, Result};
use crate::lock::{Lock, Mode};
use crate::progress::{Step, Teller};

/// How long a build may take; the longest needs six minutes of two cores.
const BUILD: Duration = Duration::from_secs(3600);
/// How long one may wait for the builds before it.
const QUEUE: Duration = Duration::from_secs(2 * 3600);

/// This process's queue: first come, first served, but the urgent before all others.
static QUEUED: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
/// How many urgent ones wait.
static URGENT: AtomicUsize = AtomicUsize::new(0);
/// What is built by this process now.
static CURRENT: Mutex<String> = Mutex::new(String::new());

/// The turn to build: a build keeps all cores busy, so that two at once would both be late.
#[derive(Debug)]
pub struct Turn {
    lock: Lock,
    _first: tokio::sync::MutexGuard<'static, ()>,
}

/// What the cluster waits for goes before what is only needed once it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rank {
    Urgent,
    Ordinary,
}

/// Counts an urgent one for as long as it waits, even if it is cancelled.
struct Waiting;

impl Waiting {
    fn count() -> Self {
        URGENT.fetch_add(1, Ordering::SeqCst);
        Self
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        URGENT.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Waits in this process's queue.
async fn queue(rank: Rank) -> tokio::sync::MutexGuard<'static, ()> {
    let _waiting = (rank == Rank::Urgent).then(Waiting::count);
    loop {
        let first = QUEUED.lock().await;
        if rank == Rank::Urgent || URGENT.load(Ordering::SeqCst) == 0 {
            return first;
        }
        // The queue is fair: whoever is urgent stands in it already, and this one queues again behind.
        drop(first);
        tokio::task::yield_now().await;
    }
}

impl Turn {
    pub(super) async fn take(cache: &Cache, what: &str, rank: Rank) -> Result<Self> {
        let current = || CURRENT.lock().unwrap_or_else(PoisonError::into_inner);
        let first = match QUEUED.try_lock() {
            Ok(first) => first,
            Err(_) => {
                let other = current().clone();
                tracing::info!("{what} waits for {other}");
                tokio::time::timeout(QUEUE, queue(rank)).await.map_err(|_| Error::Deadline {
                    awaited: format!("the turn of {what}"),
                    after: QUEUE,
                    last: format!("it waits for {other}"),
                })?
            }
        };
        what.clone_into(&mut current());
        cache.make_folder(&cache.tools)?;
        let mut lock = Lock::take(&build_lock(cache), Mode::Exclusive, QUEUE).await?;
        lock.label(what);
        Ok(Self { lock, _first: first })
    }

    /// The turn, if nobody builds.
    pub(super) fn try_take(cache: &Cache) -> Result<Option<Self>> {
        let Ok(first) = QUEUED.try_lock() else { return Ok(None) };
        let lock = Lock::try_take(&build_lock(cache), Mode::Exclusive)?;
        Ok(lock.map(|lock| Self { lock, _first: first }))
    }

    /// For a child to inherit: if we are killed, the next build waits until our compiler has ended too.
    ///
    /// # Errors
    /// [`Error::Io`] when no descriptor is left.
    pub fn descriptor(&self) -> Result<OwnedFd> {
        self.lock.descriptor()
    }
}

fn build_lock(cache: &Cache) -> PathBuf {
    cache.tools.join("build.lock")
}

impl Tools {
    /// Waits for the turn to build the node image with [`Tools::go`]; tools that nobody builds yet come after it.
    ///
    /// # Errors
    /// [`Error::Deadline`] after two hours, saying who builds.
    pub async fn turn_to_build(&self, what: &str) -> Result<Turn> {
        Turn::take(&self.inner.cache, what, Rank::Urgent).await
    }

    /// Builds a tool into the cache. Only under the tool's lock.
    ///
    /// What remains on cancel: a half-made folder that the next call removes, and Go's caches, with which it is quick.
    pub(super) async fn build(&self, entry: &Entry) -> Result<()> {
        let cache = &self.inner.cache;
        let version = match entry.build {
            Build::Go(go) => go.version,
            Build::Cargo { version, .. } => version,
            Build::Not(why) => return Err(cannot(entry, why)),
        };
        let what = format!("building {} {version}", entry.program);
        // Before it queues: what cannot be done is said at once.
        let go = match entry.build {
            Build::Go(go) => {
                cache.need(&what, go.disk)?;
                Some((go, self.go().await?))
            }
            _ => None,
        };
        let rank = if entry.program == "kind" { Rank::Urgent } else { Rank::Ordinary };
        let turn = Turn::take(cache, &what, rank).await?;
        let step = Step::begin(what);
        let home = cache.home(entry.program, version);
        let part = cache.workshop(&home)?;
        let program = part.join("bin").join(entry.program);
        // Outside the workshop, which is emptied each time: so that cargo goes on where a kill stopped it.
        let target = with_ending(&home, "target");
        let made = match go {
            Some((build, go)) => go_build(&go, &build, &part, &program, &turn, step.teller()).await,
            None => self.cargo_install(entry, &part, &target, &turn, step.teller()).await,
        };
        remove(&target)?;
        if let Err(error) = made {
            remove(&part)?;
            return Err(cache.explain(error));
        }
        for left in ["source", "tmp"] {
            remove(&part.join(left))?;
        }
        cache.publish(&part, &home)?;
        step.done();
        Ok(())
    }

    async fn cargo_install(
        &self,
        entry: &Entry,
        part: &Path,
        target: &Path,
        turn: &Turn,
        teller: Teller,
    ) -> Result<()> {
        let Build::Cargo { package, version, .. } = entry.build else {
            return Err(cannot(entry, "crates.io does not carry it"));
        };
        super::Command::new("cargo")
            .args(["install", "--locked", "--no-track", "--root"])
            .arg(part)
            // Not the checkout's own target folder, whose lock the cargo that runs us may hold.
            .arg("--target-dir")
            .arg(target)
            .arg(format!("{package}@{version}"))
            .env("PATH", self.search_path())
            .folder(Path::new("/"))
            .limit(BUILD)
            .holding(Some(turn.descriptor()?))
            .telling(teller)
            .run()
            .await
            .map(drop)
    }
}

/// Builds a Go program at this path.
async fn go_build(go: &GoEnv, build: &GoBuild, part: &Path, program: &Path, turn: &Turn, teller: Teller) -> Result<()> {
    let (module, tmp) = (format!("{}@v{}", build.module, build.version), part.join("tmp"));
    std::fs::create_dir_all(&tmp).map_err(Error::io(format!("make the folder {}", tmp.display())))?;
    let stamp = build.stamp.map(|variable| format!(" -X {variable}=v{}", build.version)).unwrap_or_default();
    let flags =
        ["-v".to_owned(), "-trimpath".to_owned(), format!("-ldflags=-s -w{stamp}"), format!("-tags={}", build.tags)];
    let held = || -> Result<_> {
        let command = go.command().env("GOTMPDIR", tmp.to_string_lossy()).telling(teller.clone()).limit(BUILD);
        Ok(command.holding(Some(turn.descriptor()?)))
    };
    let package = match build.package {
        "" => String::new(),
        package => format!("/{package}"),
    };
    if build.copied {
        let folder = download_module(held()?, &module).await?;
        let source = part.join("source");
        copy_folder(&folder, &source)?;
        let command = held()?.folder(&source).arg("build").args(flags).arg("-o").arg(program);
        return command.arg(format!(".{package}")).run().await.map(drop);
    }
    let bin = part.join("bin");
    let command = held()?.folder(part).env("GOBIN", bin.to_string_lossy()).arg("install").args(flags);
    command.arg(format!("{}{package}@v{}", build.module, build.version)).run().await?;
    // `go install` calls it as the package's last folder is called.
    let name = build.package.rsplit('/').next().filter(|name| !name.is_empty());
    let name = name.or_else(|| build.module.rsplit('/').next()).unwrap_or_default();
    let made = bin.join(name);
    std::fs::rename(&made, program).map_err(Error::io(format!("move {} to {}", made.display(), program.display())))
}

/// Where the module cache holds a module, downloaded and verified by Go.
async fn download_module(command: super::Command, module: &str) -> Result<PathBuf> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Module {
        dir: PathBuf,
    }
    let text = command.args(["mod", "download", "-json", module]).folder(Path::new("/")).run().await?.stdout;
    let module: Module =
        serde_json::from_str(&text).map_err(Error::malformed(format!("read where Go put {module}")))?;
    Ok(module.dir)
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    let say = || format!("copy {} to {}", from.display(), to.display());
    std::fs::create_dir_all(to).map_err(Error::io(say()))?;
    for entry in std::fs::read_dir(from).map_err(Error::io(say()))? {
        let entry = entry.map_err(Error::io(say()))?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        match entry.file_type().map_err(Error::io(say()))?.is_dir() {
            true => copy_folder(&source, &target)?,
            false => std::fs::copy(&source, &target).map(drop).map_err(Error::io(say()))?,
        }
    }
    Ok(())
}

fn cannot(entry: &Entry, why: &str) -> Error {
    Error::refused(format!("{} cannot be built here: {why}", entry.program), "download it where that is possible")
}
