//! A run: one identity and one folder that all of its processes share.

use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};
use crate::folders::{self, Marker};
use crate::process::Process;
use crate::project::Project;
use crate::settings::Settings;

/// One run of the suites.
#[derive(Debug, Clone)]
pub struct Run {
    /// Its identity: nextest's, else made once for this process.
    pub id: String,
    /// Its folder: plan, artifact set, events.
    pub folder: PathBuf,
    /// The process whose end is the run's: nextest, which starts one for each test, else this one.
    pub process: Process,
}

impl Run {
    /// The run that this process belongs to; its folder is made.
    ///
    /// # Errors
    /// [`Error::Io`] when the folder cannot be made.
    pub fn of(settings: &Settings, project: &Project) -> Result<Self> {
        let process = settings.run_id.as_ref().and_then(|_| Process::parent()).unwrap_or_else(Process::this);
        let id = settings.run_id.clone().unwrap_or_else(|| {
            let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
            format!("{}-{}", now.as_millis(), std::process::id())
        });
        let folder = Self::all(settings).join(&id);
        let marker = Marker { holds: format!("the run {id}"), checkout: project.root.clone(), process: process.clone() };
        folders::make_marked(&folder, &marker)?;
        Ok(Self { id, folder, process })
    }

    /// Where the folders of runs are made.
    pub fn all(settings: &Settings) -> PathBuf {
        settings.run_dir.clone().unwrap_or_else(|| settings.state_root.join("runs"))
    }
}

/// Makes a folder that only its owner can enter.
///
/// # Errors
/// [`Error::Io`] when it cannot be made.
pub fn private_folder(path: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(Error::io(format!("make the folder {}", path.display())))
}

/// Reads a file of JSON; `None` when there is none.
///
/// # Errors
/// [`Error::Io`] or [`Error::Malformed`].
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io(format!("read {}", path.display()))(error)),
    };
    serde_json::from_slice(&text).map(Some).map_err(Error::malformed(format!("read {}", path.display())))
}

/// Writes a file of JSON in one step: a reader, and a kill, see the old or the new one whole.
///
/// # Errors
/// [`Error::Io`] when it cannot be written.
pub fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<()> {
    let say = || format!("write {}", path.display());
    let mut text = serde_json::to_vec_pretty(value).map_err(Error::malformed(say()))?;
    text.push(b'\n');
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(Error::io(say()))?;
    file.write_all(&text).map_err(Error::io(say()))?;
    file.persist(path).map_err(|error| Error::io(say())(error.error))?;
    Ok(())
}
