//! The state folder of one cluster: locks, record, kubeconfig, the registry's data.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::files::{self, read_json, write_json};
use crate::hash;
use crate::lock::{Lock, Mode};
use crate::project::Project;
use crate::run::private_folder;
use crate::settings::{Keep, Settings};
use crate::stage::Stage;

/// How long a cluster that is not kept stays after its last user, so that the gap between two tests is no end.
const GAP: Duration = Duration::from_secs(15);
/// How long provisioning by somebody else may take, at most: all tools and the node image may have to be compiled.
const CHANGE_LIMIT: Duration = Duration::from_secs(5400);

/// The state folder of one cluster.
#[derive(Debug, Clone)]
pub struct Home {
    /// The cluster's name: stage, and a hash of engine, user and checkout.
    pub cluster: String,
    /// The folder.
    pub folder: PathBuf,
}

/// What is known of the cluster and its release; read and written under the lock `change` alone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The cluster.
    pub cluster: Phase,
    /// The shared release.
    pub release: ReleaseRecord,
    /// How often somebody began to use it; the reaper looks whether it moved.
    pub uses: u64,
    /// What the last user asked for.
    pub keeping: Keeping,
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
    /// It was ready; the node container's identity and the owner token prove that it is ours.
    Ready {
        /// The node's container.
        container: String,
        /// The random text that stands in the cluster, too.
        token: String,
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
    /// [`Error::Refused`] when they ask for what is not allowed.
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
}

impl Keeping {
    /// How long to wait once nobody uses the cluster; `None`: for ever.
    pub fn idle(self, failed: bool) -> Option<Duration> {
        let secs = if failed { self.failed_secs } else { self.passed_secs };
        secs.map(Duration::from_secs)
    }
}

impl Home {
    /// The state folder of the cluster of a checkout and stage; it is made.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be made.
    pub fn of(settings: &Settings, project: &Project, stage: Stage) -> Result<Self> {
        let user = rustix::process::getuid().as_raw();
        let mut identity = format!("{}\n{user}\n{}", settings.docker_host, project.root.display());
        // Each preview is changed by itself.
        if stage == Stage::Preview {
            identity = format!("{identity}\n{}", settings.pr_number.as_deref().unwrap_or_default());
        }
        let cluster = format!("jetscale-{stage}-{}", &hash::text(&identity)[..8]);
        let home = Self { folder: settings.state_root.join("clusters").join(&cluster), cluster };
        for folder in ["slots", "owners"] {
            private_folder(&home.folder.join(folder))?;
        }
        Ok(home)
    }

    /// The homes of all clusters of this user's, whatever checkout they belong to.
    ///
    /// # Errors
    /// [`Error::Io`] when the state folder cannot be listed.
    pub fn all(state_root: &Path) -> Result<Vec<Self>> {
        let root = state_root.join("clusters");
        if !root.is_dir() {
            return Ok(Vec::new());
        }
        let say = || format!("list {}", root.display());
        let mut homes = Vec::new();
        for entry in std::fs::read_dir(&root).map_err(Error::io(say()))? {
            let entry = entry.map_err(Error::io(say()))?;
            homes.push(Self { cluster: entry.file_name().to_string_lossy().into_owned(), folder: entry.path() });
        }
        homes.sort_by(|a, b| a.cluster.cmp(&b.cluster));
        Ok(homes)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The lock `change`: to look, create, upgrade, delete.
    ///
    /// # Errors
    /// [`Error::Deadline`], saying who holds it.
    pub async fn change(&self, what: &str) -> Result<Lock> {
        let mut lock = Lock::take(&self.change_lock(), Mode::Exclusive, CHANGE_LIMIT).await?;
        lock.label(what);
        Ok(lock)
    }

    /// The path of the lock `change`.
    pub fn change_lock(&self) -> PathBuf {
        self.path("change.lock")
    }

    /// The path of the lock `use`: shared while a process runs scenarios, exclusive to want everyone out.
    pub fn use_lock(&self) -> PathBuf {
        self.path("use.lock")
    }

    /// The path of the lock for deploying the same content again, which changes nothing and so leaves `change` alone.
    pub fn again_lock(&self) -> PathBuf {
        self.path("again.lock")
    }

    /// The path of the lock that a Tilt on this cluster holds.
    pub fn tilt_lock(&self) -> PathBuf {
        self.path("tilt.lock")
    }

    /// Where it is noted whose Tilt that is.
    pub fn tilt(&self) -> PathBuf {
        self.path("tilt.json")
    }

    /// The path of the lock on what Tilt watches: exclusive to edit it, shared to look at what it serves.
    pub fn edit_lock(&self) -> PathBuf {
        self.path("edit.lock")
    }

    /// Whether the cluster has the fixed host ports of kind/kind-config.yaml: the dev cluster alone.
    pub fn has_host_ports(&self) -> bool {
        self.cluster.starts_with(&format!("jetscale-{}-", Stage::Dev))
    }

    /// The path of the lock that the one reaper holds.
    pub fn reaper_lock(&self) -> PathBuf {
        self.path("reaper.lock")
    }

    /// The path of the lock that shows whether an owner (of a namespace, of containers) lives.
    pub fn owner_lock(&self, owner: &str) -> PathBuf {
        self.folder.join("owners").join(owner)
    }

    /// The paths of the locks that limit how many isolated releases there are at once.
    pub fn slots(&self, count: usize) -> Vec<PathBuf> {
        (0..count).map(|slot| self.folder.join("slots").join(slot.to_string())).collect()
    }

    /// The kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.path("kubeconfig")
    }

    /// Where the registry keeps its data.
    pub fn registry_data(&self) -> PathBuf {
        self.path("registry")
    }

    /// The certificate of the edge's CA, which clients trust; made with the edge, and no secret.
    pub fn edge_ca(&self) -> PathBuf {
        self.path("edge-ca.pem")
    }

    /// What the cluster held of the shared release when it had converged; stays when the cluster goes.
    pub fn held(&self) -> PathBuf {
        self.path("held.json")
    }

    /// Where the reaper writes what it does.
    pub fn reaper_log(&self) -> PathBuf {
        self.path("reaper.log")
    }

    /// Reads the record.
    ///
    /// # Errors
    /// [`Error::Damaged`] when somebody else wrote it.
    pub fn record(&self) -> Result<Record> {
        Ok(read_json(&self.path("record.json"), "cargo stack clean")?.unwrap_or_default())
    }

    /// Writes the record; only under the lock `change`.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be written.
    pub fn write(&self, record: &Record) -> Result<()> {
        write_json(&self.path("record.json"), record)
    }

    /// Notes that a scenario failed; needs no lock, since whoever waits until all are out holds `change`.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be noted.
    pub fn note_failure(&self) -> Result<()> {
        let path = self.path("failed");
        std::fs::write(&path, "").map_err(Error::io(format!("write {}", path.display())))
    }

    /// Whether a scenario failed since the release was made.
    pub fn has_failed(&self) -> bool {
        self.path("failed").exists()
    }

    /// Forgets failures, since the release is made anew.
    ///
    /// # Errors
    /// [`Error::Io`] when the note cannot be removed.
    pub fn forget_failures(&self) -> Result<()> {
        remove(&self.path("failed"))
    }

    /// Removes everything but the lock files, which are never unlinked.
    ///
    /// # Errors
    /// [`Error::Io`] when something cannot be removed.
    pub fn clear(&self, registry_data_too: bool) -> Result<()> {
        let mut names = vec![
            "record.json",
            "kubeconfig",
            "kubeconfig.lock",
            "reaper.log",
            "failed",
            "tilt.json",
            "dev-inputs.json",
            "edge-ca.pem",
        ];
        if registry_data_too {
            names.extend(["registry", "skaffold-cache.yaml", "held.json"]);
        }
        names.into_iter().try_for_each(|name| remove(&self.path(name)))
    }
}

/// Removes a file or a folder; absent is fine.
fn remove(path: &Path) -> Result<()> {
    if path.is_dir() { files::remove_folder(path) } else { files::remove_file(path) }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::never("never", false, Some(15))]
    #[case::never_failed("never", true, Some(15))]
    #[case::passed("on-failure", false, Some(15))]
    #[case::failed("on-failure", true, Some(1800))]
    #[case::always("always", false, Some(1800))]
    fn idle_time(#[case] keep: &str, #[case] failed: bool, #[case] secs: Option<u64>) {
        let variables = [("JETSCALE_KEEP".to_owned(), keep.to_owned())].into();
        let keeping = Keeping::of(&Settings::parse(&variables)).unwrap();
        assert_eq!(keeping.idle(failed), secs.map(Duration::from_secs));
    }
}
