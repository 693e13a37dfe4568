//! The two locks of a cluster, always taken in one order: first `change`, then `use`. A process that waits for `change` does not
//! hold `use`.
//!
//! A process has one [`Hold`]. `change` can be taken from [`Hold::Free`] only; [`Hold::Using`] lasts until the process ends,
//! since another scenario of the process may need what it uses.

use std::time::Duration;

use harness_base::lock::{Lock, Mode, holders};

use super::cluster_state::ClusterState;
use super::record::ClusterRecord;
use crate::error::{Error, Result};

/// How long to wait for `change`, 5400 s: another process may have to compile all tools and the node image.
const CHANGE: Duration = Duration::from_secs(5400);
/// How long to wait until no process uses the cluster: 1800 s.
const EVERYONE_OUT: Duration = Duration::from_secs(1800);

/// The locks that a process holds.
#[derive(Debug)]
pub enum Hold {
    /// None, so that the process may take `change`.
    Free(Free),
    /// `use`, until the process ends.
    Using(Use),
}

/// Proof that the process holds no lock.
#[derive(Debug)]
pub struct Free(());

/// The lock `use`, held: no process changes or deletes what this process, or a command that it started, uses.
#[derive(Debug)]
pub struct Use(Lock);

/// The lock `change`, held: needed to make, upgrade or delete the cluster or its release.
#[derive(Debug)]
pub struct Change<'a> {
    cluster_state: &'a ClusterState,
    lock: Lock,
}

/// The locks `change` and, exclusively, `use`, held: no process uses the cluster.
#[derive(Debug)]
pub struct Alone<'a> {
    /// The lock `change`.
    pub change: &'a Change<'a>,
    _everyone_out: Lock,
}

impl Hold {
    /// The hold of a process as it begins: no lock.
    pub(crate) fn nothing() -> Self {
        Self::Free(Free(()))
    }

    /// The proof that no lock is held, from which `change` can be taken.
    ///
    /// # Errors
    /// [`harness_base::Error::Refused`] when this process uses a release already.
    pub fn free(&mut self) -> Result<&mut Free> {
        match self {
            Self::Free(free) => Ok(free),
            Self::Using(_) => Err(Error::refused("this process uses a release already", "report this as a bug")),
        }
    }
}

impl Free {
    /// Waits for `change`; `what` is shown to processes that wait for it meanwhile.
    ///
    /// # Errors
    /// [`harness_base::Error::Deadline`] after 5400 s, naming the holder.
    pub async fn change<'a>(&'a mut self, cluster_state: &'a ClusterState, what: &str) -> Result<Change<'a>> {
        Change::take(cluster_state, what, CHANGE).await
    }
}

impl<'a> Change<'a> {
    /// Waits for `change`, for processes that never use the cluster: the reaper, and clean-ups.
    ///
    /// # Errors
    /// [`harness_base::Error::Deadline`] after `limit`, naming the holder.
    pub(super) async fn take(cluster_state: &'a ClusterState, what: &str, limit: Duration) -> Result<Self> {
        let mut lock = Lock::take(&cluster_state.change_lock(), Mode::Exclusive, limit).await?;
        lock.label(what);
        Ok(Self { cluster_state, lock })
    }

    /// Takes `change` without waiting.
    ///
    /// # Errors
    /// [`harness_base::Error::Refused`], naming the holder, when it is held.
    pub(super) fn try_take(cluster_state: &'a ClusterState, what: &str) -> Result<Self> {
        match Lock::try_take(&cluster_state.change_lock(), Mode::Exclusive)? {
            Some(mut lock) => {
                lock.label(what);
                Ok(Self { cluster_state, lock })
            }
            None => Err(in_use(cluster_state, &holders(&cluster_state.change_lock()))),
        }
    }

    /// Reads the record.
    ///
    /// # Errors
    /// As [`ClusterState::record`].
    pub fn record(&self) -> Result<ClusterRecord> {
        self.cluster_state.record()
    }

    /// Writes the record.
    ///
    /// # Errors
    /// [`harness_base::Error::Io`] when it cannot be written.
    pub fn write(&self, record: &ClusterRecord) -> Result<()> {
        self.cluster_state.write(record)
    }

    /// The lock, for a command to inherit.
    pub fn lock(&self) -> &Lock {
        &self.lock
    }

    /// Waits until no process uses the cluster.
    ///
    /// # Errors
    /// [`harness_base::Error::Deadline`] after 1800 s, naming the users.
    pub async fn alone(&self) -> Result<Alone<'_>> {
        self.alone_within(EVERYONE_OUT).await
    }

    pub(super) async fn alone_within(&self, limit: Duration) -> Result<Alone<'_>> {
        let out = Lock::take(&self.cluster_state.use_lock(), Mode::Exclusive, limit).await?;
        Ok(Alone { change: self, _everyone_out: out })
    }

    /// [`Change::alone`] without waiting; `None` when a process uses the cluster.
    pub(super) fn try_alone(&self) -> Result<Option<Alone<'_>>> {
        let out = Lock::try_take(&self.cluster_state.use_lock(), Mode::Exclusive)?;
        Ok(out.map(|out| Alone { change: self, _everyone_out: out }))
    }

    /// Takes `use`, while `change` is still held.
    ///
    /// # Errors
    /// [`harness_base::Error::Deadline`] after 1800 s, when a command of a killed process still holds `use` exclusively.
    pub async fn begin_use(&self) -> Result<Use> {
        Ok(Use(Lock::take(&self.cluster_state.use_lock(), Mode::Shared, EVERYONE_OUT).await?))
    }
}

impl Use {
    /// Takes `use` without waiting and without `change`; `None` when another process holds it exclusively.
    ///
    /// The record has to be read again afterwards.
    ///
    /// # Errors
    /// [`harness_base::Error::Io`] when the lock cannot be opened.
    pub fn try_begin(_: &mut Free, cluster_state: &ClusterState) -> Result<Option<Self>> {
        Ok(Lock::try_take(&cluster_state.use_lock(), Mode::Shared)?.map(Self))
    }

    /// The lock, for a command to inherit.
    pub fn lock(&self) -> &Lock {
        &self.0
    }
}

/// Waits until no process uses the cluster, and releases the lock at once.
pub(super) async fn everyone_out(cluster_state: &ClusterState, limit: Duration) -> Result<()> {
    drop(Lock::take(&cluster_state.use_lock(), Mode::Exclusive, limit).await?);
    Ok(())
}

pub(super) fn in_use(cluster_state: &ClusterState, by: &str) -> Error {
    Error::refused(format!("{} is in use by {by}", cluster_state.name), "cargo stack clean --wait, to wait for them")
}
