//! The Tilt that runs on a dev cluster: the note about it, and how it is ended.

use std::path::PathBuf;
use std::time::Duration;

use harness_base::files::{read_json, write_json};
use harness_base::lock::{Lock, Mode, holders, kept_by};
use harness_base::process::Process;
use rustix::process::Signal;
use serde::{Deserialize, Serialize};

use super::cluster_state::ClusterState;
use crate::error::{Error, Result};

/// The value of [`Running::run`] for a developer's Tilt, which no run ends.
pub const BY_HAND: &str = "cargo stack dev";
/// The deadline for Tilt to end after a signal.
const END: Duration = Duration::from_secs(20);

/// The note about a running Tilt; the Tilt, or what it started, holds the lock [`ClusterState::tilt_lock`].
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
    /// The file that its output goes to; empty for a developer's.
    pub log: PathBuf,
    /// The process of the `cargo stack dev` that runs it, for a developer's.
    #[serde(default)]
    pub by: Option<Process>,
}

impl Running {
    /// Whether it is a developer's Tilt whose `cargo stack dev` was killed. (A terminal that closes ends both.)
    pub fn is_left_over(&self) -> bool {
        self.run == BY_HAND && self.by.as_ref().is_some_and(|by| !by.lives())
    }
}

/// The Tilt that runs on a cluster now; only under the lock `change`.
///
/// # Errors
/// [`harness_base::Error::Damaged`] when the note does not parse.
pub fn running(cluster_state: &ClusterState) -> Result<Option<Running>> {
    if Lock::try_take(&cluster_state.tilt_lock(), Mode::Exclusive)?.is_some() {
        return Ok(None);
    }
    Ok(read_json(&cluster_state.tilt(), "cargo stack clean")?)
}

/// The Tilt that was noted last, if its process lives. Needs no lock; the Tilt may end at any moment.
///
/// # Errors
/// [`harness_base::Error::Damaged`] when the note does not parse.
pub fn noted(cluster_state: &ClusterState) -> Result<Option<Running>> {
    let noted: Option<Running> = read_json(&cluster_state.tilt(), "cargo stack clean")?;
    Ok(noted.filter(|noted| noted.process.lives()))
}

/// Notes a Tilt that was just started; only under the lock `change`.
///
/// # Errors
/// [`harness_base::Error::Io`] when it cannot be written.
pub fn note(cluster_state: &ClusterState, running: &Running) -> Result<()> {
    Ok(write_json(&cluster_state.tilt(), running)?)
}

/// Ends the Tilt of a cluster, if one runs, noted or not; only under the lock `change`.
///
/// # Errors
/// [`harness_base::Error::Refused`] when it does not end within 20 s after SIGTERM, and 20 s more after SIGKILL.
pub async fn end(cluster_state: &ClusterState) -> Result<()> {
    let lock = cluster_state.tilt_lock();
    if Lock::try_take(&lock, Mode::Exclusive)?.is_some() {
        return Ok(());
    }
    // A note that cannot be read, or is of a process that ended, does not tell who holds the lock: a killed Tilt's children
    // may, or a Tilt that was never noted.
    let noted = noted(cluster_state).ok().flatten().map(|noted| noted.process);
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
