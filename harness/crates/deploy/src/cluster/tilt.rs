//! The Tilt that runs on a dev cluster: whose it is, and its end.

use std::path::PathBuf;
use std::time::Duration;

use harness_base::files::{read_json, write_json};
use harness_base::lock::{Lock, Mode, holders, kept_by};
use harness_base::process::Process;
use rustix::process::Signal;
use serde::{Deserialize, Serialize};

use super::cluster_state::ClusterState;
use crate::error::{Error, Result};

/// What stands for a run where a developer works: nobody ends that Tilt but the developer.
pub const BY_HAND: &str = "cargo stack dev";
/// How long Tilt may take to end what it runs.
const END: Duration = Duration::from_secs(20);

/// A Tilt that runs; it holds the lock [`ClusterState::tilt_lock`] as long as it, or what it started, lives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// Its process.
    pub process: Process,
    /// The run that it belongs to, or [`BY_HAND`].
    pub run: String,
    /// The copy of the checkout that it watches.
    pub tree: PathBuf,
    /// The configuration by which its API is reached.
    pub config: PathBuf,
    /// What it writes.
    pub log: PathBuf,
    /// Of a developer's: the `cargo stack dev` that runs it.
    #[serde(default)]
    pub by: Option<Process>,
}

impl Running {
    /// Whether it is a developer's whose `cargo stack dev` was killed: a terminal that closes takes both along.
    pub fn is_left_over(&self) -> bool {
        self.run == BY_HAND && self.by.as_ref().is_some_and(|by| !by.lives())
    }
}

/// The Tilt that runs on a cluster now; only under the lock `change`.
///
/// # Errors
/// [`harness_base::Error::Damaged`] when somebody else wrote the note.
pub fn running(home: &ClusterState) -> Result<Option<Running>> {
    if Lock::try_take(&home.tilt_lock(), Mode::Exclusive)?.is_some() {
        return Ok(None);
    }
    Ok(read_json(&home.tilt(), "cargo stack clean")?)
}

/// The Tilt that was noted last and lives, for those who do not hold `change`: it may end at any moment.
///
/// # Errors
/// [`harness_base::Error::Damaged`] when somebody else wrote the note.
pub fn noted(home: &ClusterState) -> Result<Option<Running>> {
    let noted: Option<Running> = read_json(&home.tilt(), "cargo stack clean")?;
    Ok(noted.filter(|noted| noted.process.lives()))
}

/// Notes a Tilt that was just started; only under the lock `change`.
///
/// # Errors
/// [`harness_base::Error::Io`] when it cannot be written.
pub fn note(home: &ClusterState, running: &Running) -> Result<()> {
    Ok(write_json(&home.tilt(), running)?)
}

/// Ends the Tilt of a cluster, if one runs, noted or not; only under the lock `change`.
///
/// # Errors
/// [`harness_base::Error::Deadline`] when it does not end, even when it is killed.
pub async fn end(home: &ClusterState) -> Result<()> {
    let lock = home.tilt_lock();
    if Lock::try_take(&lock, Mode::Exclusive)?.is_some() {
        return Ok(());
    }
    // A note that cannot be read, or is of one that ended, says nothing of who keeps the lock now: Tilt was killed and what
    // it started goes on, or whoever started it was killed before it was noted.
    let noted = noted(home).ok().flatten().map(|noted| noted.process);
    for signal in [Signal::TERM, Signal::KILL] {
        let processes = match &noted {
            Some(process) if signal == Signal::TERM => vec![process.clone()],
            _ => kept_by(&lock),
        };
        for process in processes {
            tracing::info!("ending Tilt ({process})");
            process.signal(signal);
        }
        if Lock::take(&lock, Mode::Exclusive, END).await.is_ok() {
            return Ok(());
        }
    }
    Err(Error::refused(
        format!("Tilt does not end: {} is held by {}", lock.display(), holders(&lock)),
        "end what holds it, and run the same command again",
    ))
}
