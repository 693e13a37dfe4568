//! The record of a cluster and its release.

use std::path::{Path, PathBuf};
use std::time::Duration;

use harness_settings::settings::{Keep, Settings};
use serde::{Deserialize, Serialize};

use super::cluster_state::ClusterState;
use super::turns::Turns;
use crate::error::{Error, Result};

/// How long a cluster that is not kept stays after its last user, so that it survives the gap between two processes; and a run's
/// Tilt on a cluster that is kept.
pub(super) const GAP: Duration = Duration::from_secs(15);

/// The record of a cluster and its release; written only under the lock `change`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterRecord {
    /// The name of the cluster and of all beside it, once anything of it may exist.
    #[serde(default)]
    pub identity: Option<Identity>,
    /// The state of the cluster.
    pub cluster: Phase,
    /// The state of the shared release.
    pub release: ReleaseRecord,
    /// How often a process began to use the cluster; the reaper compares it.
    pub uses: u64,
    /// How long the cluster is kept, by the last user's settings.
    pub keeping: Keeping,
    /// The runs that use the release, or wait for it.
    #[serde(default)]
    pub turns: Turns,
}

/// The identity of a cluster and of all that is made beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The cluster's name: that of its state folder, and a random nonce. Node, network and registry are named after it, so that
    /// an object with this name is ours.
    pub name: String,
    /// The identity of the engine that it is in.
    pub engine: String,
    /// The checkout that it belongs to; empty if an older version wrote the record.
    #[serde(default)]
    pub checkout: PathBuf,
}

impl ClusterRecord {
    /// The identity in an engine (`id`: the engine's identity); a new one if the record has none.
    ///
    /// The record has to be written before anything of that name is made.
    ///
    /// # Errors
    /// [`harness_base::Error::Refused`] when the recorded cluster is in another engine.
    pub fn identity_in(&mut self, id: String, cluster_state: &ClusterState, checkout: &Path) -> Result<Identity> {
        let identity = match self.identity.take() {
            Some(identity) => identity,
            // An older version used no nonce; it recorded the container's ID instead.
            None if self.cluster != Phase::Absent => Identity::without_nonce(cluster_state, id.clone()),
            None => Identity {
                name: format!("{}-{}", cluster_state.name, nonce()?),
                ..Identity::without_nonce(cluster_state, id.clone())
            },
        };
        let identity = Identity { checkout: checkout.to_owned(), ..identity };
        let identity = self.identity.insert(identity);
        identity.expect_engine(&id, cluster_state).map(|()| identity.clone())
    }
}

impl Identity {
    /// The identity as an older version named it.
    pub(super) fn without_nonce(cluster_state: &ClusterState, engine: String) -> Self {
        Self { name: cluster_state.name.clone(), engine, checkout: PathBuf::new() }
    }

    /// Whether the name has a nonce, and so proves that an object is ours; names of an older version have none.
    pub(super) fn has_nonce(&self) -> bool {
        // name-stage-hash, and the nonce.
        self.name.matches('-').count() > 2
    }

    /// Checks that an engine is the one that the cluster is in.
    ///
    /// # Errors
    /// [`harness_base::Error::Refused`], with both ways out.
    pub fn expect_engine(&self, id: &str, cluster_state: &ClusterState) -> Result<()> {
        if self.engine == id {
            return Ok(());
        }
        Err(Error::refused(
            format!(
                "the cluster {} is in another container engine (ID {}) than the one that answers (ID {id})",
                self.name, self.engine
            ),
            format!(
                "choose that engine (DOCKER_HOST, DOCKER_CONTEXT, docker context use), and run the same command again\n        \
                 if it is gone for good: cargo stack clean --forget {}",
                cluster_state.name
            ),
        ))
    }
}

/// Six hexadecimal digits.
fn nonce() -> Result<String> {
    Ok(harness_base::random::hex()?[..6].to_owned())
}

/// The state of the cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// There is no cluster.
    #[default]
    Absent,
    /// The cluster is being made, or the process that made it was killed.
    Creating,
    /// The cluster was ready.
    Ready {
        /// The ID of the node's container.
        container: String,
    },
}

/// The state of the shared release.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReleaseRecord {
    /// There is no release.
    #[default]
    Absent,
    /// The release is being changed to the plan of this hash, or the process that changed it was killed.
    Changing(String),
    /// The release converged on the plan of this hash.
    Deployed(String),
}

/// How long the cluster is kept once no process uses it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keeping {
    /// Seconds after a run without failures; `None`: for ever.
    pub passed_secs: Option<u64>,
    /// Seconds after a run with failures; `None`: for ever.
    pub failed_secs: Option<u64>,
}

impl Keeping {
    /// The times that the settings ask for.
    ///
    /// # Errors
    /// [`harness_base::Error::Refused`] when a setting is not allowed.
    pub fn of(settings: &Settings) -> Result<Self> {
        let kept = settings.idle_ttl.get()?.map(|ttl| ttl.as_secs());
        let gone = Some(GAP.as_secs());
        let (passed_secs, failed_secs) = match settings.keep.get()? {
            Keep::Never => (gone, gone),
            Keep::OnFailure => (gone, kept),
            Keep::Always => (kept, kept),
        };
        Ok(Self { passed_secs, failed_secs })
    }

    /// How long the cluster is kept once no process uses it; `None`: for ever. `failed`: whether a scenario failed.
    pub fn idle(self, failed: bool) -> Option<Duration> {
        let secs = if failed { self.failed_secs } else { self.passed_secs };
        secs.map(Duration::from_secs)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// What the version before wrote, which is read as it is.
    #[test]
    fn a_record_of_the_version_before_is_read() {
        let text = r#"{"cluster": {"ready": {"container": "abc", "token": "t"}}, "release": {"deployed": "x"}, "uses": 3,
            "keeping": {"passed_secs": 15, "failed_secs": null}}"#;
        let record: ClusterRecord = serde_json::from_str(text).unwrap();
        assert_eq!(record.cluster, Phase::Ready { container: "abc".to_owned() });
        assert_eq!((record.identity, record.uses), (None, 3));
    }

    #[test]
    fn another_engine_is_told_with_both_ways_out() {
        let identity =
            Identity { name: "shop-local-1-a".to_owned(), engine: "ONE".to_owned(), checkout: PathBuf::from("/here") };
        let cluster_state = ClusterState { name: "shop-local-1".to_owned(), folder: PathBuf::new() };
        identity.expect_engine("ONE", &cluster_state).unwrap();
        let error = identity.expect_engine("TWO", &cluster_state).unwrap_err().report();
        assert!(error.contains("(ID ONE)") && error.contains("clean --forget shop-local-1"), "{error}");
    }

    #[rstest]
    #[case::never("never", false, Some(15))]
    #[case::never_failed("never", true, Some(15))]
    #[case::passed("on-failure", false, Some(15))]
    #[case::failed("on-failure", true, Some(1800))]
    #[case::always("always", false, Some(1800))]
    fn idle_time(#[case] keep: &str, #[case] failed: bool, #[case] secs: Option<u64>) {
        let variables = [("SHOP_KEEP".to_owned(), keep.to_owned())].into();
        let keeping = Keeping::of(&Settings::parse(&variables)).unwrap();
        assert_eq!(keeping.idle(failed), secs.map(Duration::from_secs));
    }
}
