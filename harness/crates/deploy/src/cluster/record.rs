//! What is known of a cluster and its release.

use std::path::{Path, PathBuf};
use std::time::Duration;

use harness_settings::settings::{Keep, Settings};
use serde::{Deserialize, Serialize};

use super::cluster_state::ClusterState;
use super::turns::Turns;
use crate::error::{Error, Result};

/// How long a cluster that is not kept stays after its last user, so that the gap between two runs is no end; and a run's
/// Tilt, in one that is kept.
pub(super) const GAP: Duration = Duration::from_secs(15);

/// What is known of the cluster and its release; read and written under the lock `change` alone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterRecord {
    /// What all that is ours in the engine is called, once anything may be there.
    #[serde(default)]
    pub identity: Option<Identity>,
    /// The cluster.
    pub cluster: Phase,
    /// The shared release.
    pub release: ReleaseRecord,
    /// How often somebody began to use it; the reaper looks whether it moved.
    pub uses: u64,
    /// What the last user asked for.
    pub keeping: Keeping,
    /// The runs that use the release, or wait for it.
    #[serde(default)]
    pub turns: Turns,
}

/// What a cluster and all that stands beside it are called, and in which engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The cluster's name: the home's, and a nonce that nobody else knows before it is written down here. Node, network
    /// and registry are named after it, so that what carries it is ours, whatever it answers.
    pub name: String,
    /// The engine that it is in.
    pub engine: String,
    /// The checkout that it is of; nothing where a version before wrote this down.
    #[serde(default)]
    pub checkout: PathBuf,
}

impl ClusterRecord {
    /// What all that is ours in this engine is called; named anew when nothing of ours is anywhere.
    ///
    /// By the engine's identity. The record has to be written before anything of that name is made.
    ///
    /// # Errors
    /// [`harness_base::Error::Refused`] when what is ours is in another engine.
    pub fn identity_in(&mut self, id: String, home: &ClusterState, checkout: &Path) -> Result<Identity> {
        let identity = match self.identity.take() {
            Some(identity) => identity,
            // The version before gave no nonce; its container's identity is on record instead.
            None if self.cluster != Phase::Absent => Identity::without_nonce(home, id.clone()),
            None => {
                Identity { name: format!("{}-{}", home.name, nonce()?), ..Identity::without_nonce(home, id.clone()) }
            }
        };
        let identity = Identity { checkout: checkout.to_owned(), ..identity };
        let identity = self.identity.insert(identity);
        identity.expect_engine(&id, home).map(|()| identity.clone())
    }
}

impl Identity {
    /// As the version before named it.
    pub(super) fn without_nonce(home: &ClusterState, engine: String) -> Self {
        Self { name: home.name.clone(), engine, checkout: PathBuf::new() }
    }

    /// Whether its name proves whose it is: what the version before made has the home's.
    pub(super) fn has_nonce(&self) -> bool {
        // name-stage-hash, and the nonce.
        self.name.matches('-').count() > 2
    }

    /// Makes sure that an engine is the one that this is in.
    ///
    /// # Errors
    /// [`harness_base::Error::Refused`], with both ways out.
    pub fn expect_engine(&self, id: &str, home: &ClusterState) -> Result<()> {
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
                home.name
            ),
        ))
    }
}

/// Six hexadecimal digits.
fn nonce() -> Result<String> {
    Ok(harness_base::random::hex()?[..6].to_owned())
}

/// How far the cluster is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// There is none.
    #[default]
    Absent,
    /// It is being made, or whoever made it was killed.
    Creating,
    /// It was ready.
    Ready {
        /// The node's container.
        container: String,
    },
}

/// How far the shared release is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReleaseRecord {
    /// There is none.
    #[default]
    Absent,
    /// It is being changed to this plan, or whoever changed it was killed.
    Changing(String),
    /// It converged on this plan.
    Deployed(String),
}

/// How long the cluster stays once nobody uses it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keeping {
    /// Seconds after a run without failures; `None`: for ever.
    pub passed_secs: Option<u64>,
    /// Seconds after a run with failures; `None`: for ever.
    pub failed_secs: Option<u64>,
}

impl Keeping {
    /// What the settings ask for.
    ///
    /// # Errors
    /// [`harness_base::Error::Refused`] when they ask for what is not allowed.
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

    /// How long to wait once nobody uses the cluster; `None`: for ever.
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
        let home = ClusterState { name: "shop-local-1".to_owned(), folder: PathBuf::new() };
        identity.expect_engine("ONE", &home).unwrap();
        let error = identity.expect_engine("TWO", &home).unwrap_err().report();
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
