//! The two locks of a cluster in their one order: first `change`, then `use`; who waits for `change` holds no `use`.
//!
//! A process has one [`Hold`]. `change` is had from [`Hold::Free`] alone; from [`Hold::Using`] no
//! way leads back, since another scenario of the process may need what it uses.

use std::time::Duration;

use harness_base::lock::{Lock, Mode, holders};

use super::cluster_state::ClusterState;
use super::record::ClusterRecord;
use crate::error::{Error, Result};

/// How long provisioning by somebody else may take, at most: all tools and the node image may have to be compiled.
const CHANGE: Duration = Duration::from_secs(5400);
/// How long to wait until everybody is out, before what is in use is changed.
const EVERYONE_OUT: Duration = Duration::from_secs(1800);

/// What a process holds.
#[derive(Debug)]
pub enum Hold {
    /// Nothing, so that it may take `change`.
    Free(Free),
    /// `use`, until it ends.
    Using(Use),
}

/// Holds nothing.
#[derive(Debug)]
pub struct Free(());

/// Holds `use`: nobody changes or deletes what this process, or a command that it started, uses.
#[derive(Debug)]
pub struct Use(Lock);

/// Holds `change`: looks, makes, upgrades, deletes.
#[derive(Debug)]
pub struct Change<'a> {
    home: &'a ClusterState,
    lock: Lock,
}

/// Holds `change`, and `use` alone: nobody is there who could use what is changed.
#[derive(Debug)]
pub struct Alone<'a> {
    /// The lock `change`.
    pub change: &'a Change<'a>,
    _everyone_out: Lock,
}

impl Hold {
    /// The one of a process, as it begins.
    pub(crate) fn nothing() -> Self {
        Self::Free(Free(()))
    }

    /// What `change` is had from.
    ///
    /// # Errors
    /// [`harness_base::Error::Refused`] when this process uses a release: from there no way leads back.
    pub fn free(&mut self) -> Result<&mut Free> {
        match self {
            Self::Free(free) => Ok(free),
            Self::Using(_) => Err(Error::refused("this process uses a release already", "report this as a bug")),
        }
    }
}

impl Free {
    /// Waits for `change`; `what` tells others what for.
    ///
    /// # Errors
    /// [`harness_base::Error::Deadline`] after an hour and a half, saying who holds it.
    pub async fn change<'a>(&'a mut self, home: &'a ClusterState, what: &str) -> Result<Change<'a>> {
        Change::take(home, what, CHANGE).await
    }
}

impl<'a> Change<'a> {
    /// Waits for `change`, of a process that never uses what it changes: the reaper, and those who clean.
    ///
    /// # Errors
    /// [`harness_base::Error::Deadline`] after `limit`, saying who holds it.
    pub(super) async fn take(home: &'a ClusterState, what: &str, limit: Duration) -> Result<Self> {
        let mut lock = Lock::take(&home.change_lock(), Mode::Exclusive, limit).await?;
        lock.label(what);
        Ok(Self { home, lock })
    }

    /// The same, if nobody has it.
    ///
    /// # Errors
    /// [`harness_base::Error::Refused`], saying who has it.
    pub(super) fn try_take(home: &'a ClusterState, what: &str) -> Result<Self> {
        match Lock::try_take(&home.change_lock(), Mode::Exclusive)? {
            Some(mut lock) => {
                lock.label(what);
                Ok(Self { home, lock })
            }
            None => Err(in_use(home, &holders(&home.change_lock()))),
        }
    }

    /// What is on record.
    ///
    /// # Errors
    /// [`harness_base::Error::Malformed`] when it cannot be read.
    pub fn record(&self) -> Result<ClusterRecord> {
        self.home.record()
    }

    /// Writes the record.
    ///
    /// # Errors
    /// [`harness_base::Error::Io`] when it cannot be written.
    pub fn write(&self, record: &ClusterRecord) -> Result<()> {
        self.home.write(record)
    }

    /// The lock, for a command to inherit.
    pub fn lock(&self) -> &Lock {
        &self.lock
    }

    /// Waits until nobody uses what is there.
    ///
    /// # Errors
    /// [`harness_base::Error::Deadline`] after half an hour, saying who does.
    pub async fn alone(&self) -> Result<Alone<'_>> {
        self.alone_within(EVERYONE_OUT).await
    }

    pub(super) async fn alone_within(&self, limit: Duration) -> Result<Alone<'_>> {
        let out = Lock::take(&self.home.use_lock(), Mode::Exclusive, limit).await?;
        Ok(Alone { change: self, _everyone_out: out })
    }

    /// The same, if nobody does.
    pub(super) fn try_alone(&self) -> Result<Option<Alone<'_>>> {
        let out = Lock::try_take(&self.home.use_lock(), Mode::Exclusive)?;
        Ok(out.map(|out| Alone { change: self, _everyone_out: out }))
    }

    /// Takes `use`, before `change` is let go.
    ///
    /// # Errors
    /// [`harness_base::Error::Deadline`] when somebody holds it alone, who holds `change` no more: a command of a killed process.
    pub async fn begin_use(&self) -> Result<Use> {
        Ok(Use(Lock::take(&self.home.use_lock(), Mode::Shared, EVERYONE_OUT).await?))
    }
}

impl Use {
    /// Takes `use` at once, of what is there already; `None` when somebody is changing it.
    ///
    /// What was read before has to be read again.
    ///
    /// # Errors
    /// [`harness_base::Error::Io`] when the lock cannot be opened.
    pub fn try_begin(_: &mut Free, home: &ClusterState) -> Result<Option<Self>> {
        Ok(Lock::try_take(&home.use_lock(), Mode::Shared)?.map(Self))
    }

    /// The lock, for a command to inherit.
    pub fn lock(&self) -> &Lock {
        &self.0
    }
}

/// Waits until nobody uses what is there, and lets others use it again at once.
pub(super) async fn everyone_out(home: &ClusterState, limit: Duration) -> Result<()> {
    drop(Lock::take(&home.use_lock(), Mode::Exclusive, limit).await?);
    Ok(())
}

pub(super) fn in_use(home: &ClusterState, by: &str) -> Error {
    Error::refused(format!("{} is in use by {by}", home.name), "cargo stack clean --wait, to wait for them")
}
