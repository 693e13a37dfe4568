//! A run: one identity and one folder that all of its processes share.

use std::path::{Path, PathBuf};

use harness_base::folders::{self, Marker};
use harness_base::process::Process;
use harness_settings::settings::Settings;

use crate::error::Result;
use crate::project::Project;

/// The prefix of the name of a process's folder.
const SCRATCH: &str = "process-";
/// The name of the folder in it for temporary files.
const TEMPORARY: &str = "tmp";

/// One run of the suites.
#[derive(Debug, Clone)]
pub struct Run {
    /// Its identity: nextest's run ID, else one made for this process.
    pub id: String,
    /// Its folder: plan, artifact set, events.
    pub folder: PathBuf,
    /// The process whose end is the run's: nextest, which starts one for each test, else this one.
    pub process: Process,
    /// When this process of the run started, in milliseconds since 1970.
    pub came: u64,
}

impl Run {
    /// The run that this process belongs to. Makes the run's folder, which stays until `tidy` removes old ones.
    ///
    /// # Errors
    /// [`harness_base::Error::Io`] when the folder cannot be made; as [`Run::all`].
    pub fn of(settings: &Settings, project: &Project) -> Result<Self> {
        let process = settings.by_nextest.then(Process::parent).flatten().unwrap_or_else(Process::this);
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        let came = u64::try_from(now.as_millis()).unwrap_or_default();
        let id = settings.run_id.clone().unwrap_or_else(|| format!("{came}-{}", std::process::id()));
        let folder = Self::all(settings)?.join(&id);
        let marker =
            Marker { holds: format!("the run {id}"), checkout: project.root.clone(), process: process.clone() };
        folders::make_marked(&folder, &marker)?;
        Ok(Self { id, folder, process, came })
    }

    /// The folder that holds the runs' folders: `runs` in the state folder, unless a setting names another.
    ///
    /// # Errors
    /// [`harness_base::Error::Refused`] when [`harness_settings::settings::RUN_DIR`] is set to what is not allowed.
    pub fn all(settings: &Settings) -> Result<PathBuf> {
        Ok(settings.run_dir.get()?.unwrap_or_else(|| settings.state_root.join("runs")))
    }
}

/// The folder of a process's temporary files, in the run's folder.
pub fn temporary(run: &Path, process: u32) -> PathBuf {
    scratch(run, process).join(TEMPORARY)
}

/// The folder of a process's files, in the run's folder.
pub fn scratch(run: &Path, process: u32) -> PathBuf {
    run.join(format!("{SCRATCH}{process}"))
}

/// Removes the temporary files of all processes of a run that has ended.
///
/// # Errors
/// [`harness_base::Error::Io`] when they cannot be removed.
pub(crate) fn remove_temporary(run: &Path) -> Result<()> {
    let entries = std::fs::read_dir(run).into_iter().flatten().flatten();
    let scratch = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(SCRATCH));
    Ok(scratch.map(|entry| entry.path().join(TEMPORARY)).try_for_each(|folder| folders::remove(&folder))?)
}
