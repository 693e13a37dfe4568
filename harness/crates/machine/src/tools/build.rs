//! Builds of tools from package registries, the Go module proxy and crates.io; one at a time on a machine.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use harness_base::folders::remove;
use harness_base::lock::{Lock, Mode};
use harness_base::progress::{Step, Teller};

use super::Tools;
use super::cache::{Cache, with_ending};
use super::entry::{Build, Entry};
use super::go_build::{BUILD, GoJob};
use crate::error::{Error, Result};

/// How long to wait for the builds before: 2 h.
const QUEUE: Duration = Duration::from_secs(2 * 3600);

/// This process's queue of builds: first come, first served, but urgent ones before all others.
static QUEUED: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
/// The number of urgent builds that wait.
static URGENT: AtomicUsize = AtomicUsize::new(0);
/// The name of what this process builds now.
static CURRENT: Mutex<String> = Mutex::new(String::new());

/// The turn to build, held during a build. One at a time: a build keeps all cores busy, so that two at once would both be late.
#[derive(Debug)]
pub struct BuildTurn {
    lock: Lock,
    _first: tokio::sync::MutexGuard<'static, ()>,
}

/// The rank of a build in the queue: builds that the cluster waits for go before those that are needed later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rank {
    Urgent,
    Ordinary,
}

/// Counts an urgent build while it waits, also when it is cancelled.
struct WaitingBuild;

impl WaitingBuild {
    fn count() -> Self {
        URGENT.fetch_add(1, Ordering::SeqCst);
        Self
    }
}

impl Drop for WaitingBuild {
    fn drop(&mut self) {
        URGENT.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Waits in this process's queue.
async fn queue(rank: Rank) -> tokio::sync::MutexGuard<'static, ()> {
    let _waiting = (rank == Rank::Urgent).then(WaitingBuild::count);
    loop {
        let first = QUEUED.lock().await;
        if rank == Rank::Urgent || URGENT.load(Ordering::SeqCst) == 0 {
            return first;
        }
        // The mutex is fair: an urgent build is in its queue already, and this one queues again behind it.
        drop(first);
        tokio::task::yield_now().await;
    }
}

impl BuildTurn {
    pub(super) async fn take(cache: &Cache, what: &str, rank: Rank) -> Result<Self> {
        let current = || CURRENT.lock().unwrap_or_else(PoisonError::into_inner);
        let first = match QUEUED.try_lock() {
            Ok(first) => first,
            Err(_) => {
                let other = current().clone();
                tracing::info!("{what} waits for {other}");
                tokio::time::timeout(QUEUE, queue(rank)).await.map_err(|_| harness_base::Error::Deadline {
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

    /// The turn, if no build is running or waiting.
    pub(super) fn try_take(cache: &Cache) -> Result<Option<Self>> {
        let Ok(first) = QUEUED.try_lock() else { return Ok(None) };
        let lock = Lock::try_take(&build_lock(cache), Mode::Exclusive)?;
        Ok(lock.map(|lock| Self { lock, _first: first }))
    }

    /// A descriptor of the lock for a child to inherit: if this process is killed, the next build waits for its compiler too.
    ///
    /// # Errors
    /// [`harness_base::Error::Io`] when no descriptor is left.
    pub fn descriptor(&self) -> Result<OwnedFd> {
        Ok(self.lock.descriptor()?)
    }
}

fn build_lock(cache: &Cache) -> PathBuf {
    cache.tools.join("build.lock")
}

impl Tools {
    /// Waits for the turn to build something with [`Tools::go`]; goes before tools that wait in this process.
    ///
    /// # Errors
    /// [`harness_base::Error::Deadline`] after two hours, naming the build before.
    pub async fn turn_to_build(&self, what: &str) -> Result<BuildTurn> {
        BuildTurn::take(&self.inner.cache, what, Rank::Urgent).await
    }

    /// Builds a tool into the cache. Only under the tool's lock.
    ///
    /// What remains on cancel: a half-made folder, which the next call removes, and Go's caches, which make the next call quick.
    pub(super) async fn build(&self, entry: &Entry) -> Result<()> {
        let cache = &self.inner.cache;
        let version = match entry.build {
            Some(Build::Go(go)) => go.version,
            Some(Build::Cargo { version, .. }) => version,
            None => return Err(cannot(entry, "no package registry carries it")),
        };
        let what = format!("building {} {version}", entry.program);
        // Checked before it queues, so that a build that is impossible fails at once.
        let go = match entry.build {
            Some(Build::Go(build)) => {
                if let Some(error) = self.lacks_for(&build) {
                    return Err(error);
                }
                cache.need(&what, build.disk)?;
                Some((build, self.go().await?))
            }
            _ => None,
        };
        let rank = if entry.program == "kind" { Rank::Urgent } else { Rank::Ordinary };
        let turn = BuildTurn::take(cache, &what, rank).await?;
        let step = Step::begin(what);
        let home = cache.home(entry.program, version);
        let part = cache.workshop(&home)?;
        let program = part.join("bin").join(entry.program);
        // Outside the workshop, which is emptied each time, so that cargo goes on where a kill stopped it.
        let target = with_ending(&home, "target");
        let made = match &go {
            Some((build, go)) => {
                let (part, program, turn) = (&part, &program, &turn);
                self.go_build(&GoJob { build, go, part, program, turn, teller: step.teller() }).await
            }
            None => self.cargo_install(entry, &part, &target, &turn, step.teller()).await,
        };
        remove(&target)?;
        if let Err(error) = made {
            remove(&part)?;
            return Err(cache.explain(error));
        }
        for left in ["source", "tmp", "node"] {
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
        turn: &BuildTurn,
        teller: Teller,
    ) -> Result<()> {
        let Some(Build::Cargo { package, version, .. }) = entry.build else {
            return Err(cannot(entry, "crates.io does not carry it"));
        };
        self.program("cargo", super::ChildKind::Cargo)
            .args(["install", "--locked", "--no-track", "--root"])
            .arg(part)
            // Not the checkout's own target folder, whose lock may be held by the cargo that runs this process.
            .arg("--target-dir")
            .arg(target)
            .arg(format!("{package}@{version}"))
            .folder(Path::new("/"))
            .limit(BUILD)
            .holding(Some(turn.descriptor()?))
            .telling(teller)
            .run()
            .await
            .map(drop)
    }
}

fn cannot(entry: &Entry, why: &str) -> Error {
    Error::refused(format!("{} cannot be built here: {why}", entry.program), "download it where that is possible")
}
