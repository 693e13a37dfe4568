//! The state folder of one cluster: locks, record, kubeconfig, the registry's data.

use std::path::{Path, PathBuf};

use harness_base::files::{private_folder, read_json, write_json};
use harness_base::lock::holders;
use harness_base::{folders, hash};
use harness_machine::project::Project;
use harness_settings::settings::Settings;
use harness_settings::spec::spec;
use harness_settings::stage::Stage;

use super::record::ClusterRecord;
use crate::error::{Error, Result};

/// The state folder of one cluster.
#[derive(Debug, Clone)]
pub struct ClusterState {
    /// Its name: stack, stage, and a hash of engine, user and checkout. The cluster's own name begins with it.
    pub name: String,
    /// The folder's path: `clusters/<name>` in the state folder.
    pub folder: PathBuf,
}

impl ClusterState {
    /// The state folder of the cluster of a checkout and stage; makes nothing.
    pub fn of(settings: &Settings, project: &Project, stage: Stage) -> Self {
        let user = rustix::process::getuid().as_raw();
        let mut identity = format!("{}\n{user}\n{}", settings.docker_host, project.root.display());
        // Each preview has a state of its own.
        if stage == Stage::Preview {
            identity = format!("{identity}\n{}", settings.pr_number.as_deref().unwrap_or_default());
        }
        let name = format!("{}-{stage}-{}", spec().name, &hash::text(&identity)[..8]);
        Self { folder: settings.state_root.join("clusters").join(&name), name }
    }

    /// Makes the folder, unless it is there.
    ///
    /// # Errors
    /// [`harness_base::Error::Io`] when it cannot be made.
    pub fn make(&self) -> Result<()> {
        Ok(["slots", "owners"].iter().try_for_each(|folder| private_folder(&self.folder.join(folder)))?)
    }

    /// The state folders of all of this user's clusters, of all checkouts, by name.
    ///
    /// # Errors
    /// [`harness_base::Error::Io`] when the state folder cannot be listed.
    pub fn all(state_root: &Path) -> Result<Vec<Self>> {
        let root = state_root.join("clusters");
        if !root.is_dir() {
            return Ok(Vec::new());
        }
        let say = || format!("list {}", root.display());
        let mut cluster_states = Vec::new();
        for entry in std::fs::read_dir(&root).map_err(Error::io(say()))? {
            let entry = entry.map_err(Error::io(say()))?;
            cluster_states.push(Self { name: entry.file_name().to_string_lossy().into_owned(), folder: entry.path() });
        }
        cluster_states.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(cluster_states)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The path of the lock `change`.
    pub(super) fn change_lock(&self) -> PathBuf {
        self.path("change.lock")
    }

    /// The path of the lock `use`: shared while a process runs scenarios, exclusive for changes while no process does.
    pub(super) fn use_lock(&self) -> PathBuf {
        self.path("use.lock")
    }

    /// The processes that hold the lock `use` now, as text for people.
    pub fn users(&self) -> String {
        holders(&self.use_lock())
    }

    /// The path of the lock for deploying the same content again, which changes nothing and so leaves `change` alone.
    pub fn again_lock(&self) -> PathBuf {
        self.path("again.lock")
    }

    /// The path of the lock for making an edge for previews, of which there is one.
    pub fn edge_lock(&self) -> PathBuf {
        self.path("edge.lock")
    }

    /// The path of the lock that a Tilt on this cluster holds.
    pub fn tilt_lock(&self) -> PathBuf {
        self.path("tilt.lock")
    }

    /// The path of the note about that Tilt: process, run, files.
    pub fn tilt(&self) -> PathBuf {
        self.path("tilt.json")
    }

    /// The path of the lock on the files that Tilt watches: exclusive to edit them, shared to read what they lead to.
    pub fn edit_lock(&self) -> PathBuf {
        self.path("edit.lock")
    }

    /// Whether the cluster gets the fixed host ports of kind/kind-config.yaml: only the dev cluster does.
    pub fn has_host_ports(&self) -> bool {
        self.name.starts_with(&format!("{}-{}-", spec().name, Stage::Dev))
    }

    /// The path of the reaper's note: its process and build.
    pub fn reaper(&self) -> PathBuf {
        self.path("reaper.json")
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

    /// The path of the kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.path("kubeconfig")
    }

    /// The folder of the registry's data.
    pub fn registry_data(&self) -> PathBuf {
        self.path("registry")
    }

    /// The path of the certificate of the edge's CA, which clients trust; made with the edge, and no secret.
    pub fn edge_ca(&self) -> PathBuf {
        self.path("edge-ca.pem")
    }

    /// The path of the shared release's objects as the cluster held them; the file stays when the cluster is deleted.
    pub fn held(&self) -> PathBuf {
        self.path("held.json")
    }

    /// The path of the reaper's log.
    pub fn reaper_log(&self) -> PathBuf {
        self.path("reaper.log")
    }

    /// Reads the record; the default one if there is none.
    ///
    /// # Errors
    /// [`harness_base::Error::Damaged`] when it does not parse.
    pub fn record(&self) -> Result<ClusterRecord> {
        Ok(read_json(&self.path("record.json"), &format!("cargo stack clean --forget {}", self.name))?
            .unwrap_or_default())
    }

    /// Writes the record; only under the lock `change`.
    ///
    /// # Errors
    /// [`harness_base::Error::Io`] when it cannot be written.
    pub fn write(&self, record: &ClusterRecord) -> Result<()> {
        Ok(write_json(&self.path("record.json"), record)?)
    }

    /// Notes that a scenario failed. Needs no lock: the note is read only once no process runs scenarios.
    ///
    /// # Errors
    /// [`harness_base::Error::Io`] when the note cannot be written.
    pub fn note_failure(&self) -> Result<()> {
        let path = self.path("failed");
        std::fs::write(&path, "").map_err(Error::io(format!("write {}", path.display())))
    }

    /// Whether a scenario failed since the last deploy of the shared release.
    pub fn has_failed(&self) -> bool {
        self.path("failed").exists()
    }

    /// Removes the note about failed scenarios, before the shared release is deployed.
    ///
    /// # Errors
    /// [`harness_base::Error::Io`] when the note cannot be removed.
    pub fn forget_failures(&self) -> Result<()> {
        Ok(folders::remove(&self.path("failed"))?)
    }

    /// Removes all files but the lock files, which are never unlinked; the registry's data only if `registry_data_too`.
    ///
    /// # Errors
    /// [`harness_base::Error::Io`] when something cannot be removed.
    pub fn clear(&self, registry_data_too: bool) -> Result<()> {
        let mut names = vec![
            "record.json",
            "kubeconfig",
            "kubeconfig.lock",
            "reaper.log",
            "reaper.json",
            "failed",
            "tilt.json",
            "dev-inputs.json",
            "edge-ca.pem",
        ];
        if registry_data_too {
            names.extend(["registry", "skaffold-cache.yaml", "held.json"]);
        }
        Ok(names.into_iter().try_for_each(|name| folders::remove(&self.path(name)))?)
    }
}
