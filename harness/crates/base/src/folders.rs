//! Folders with a marker file, which says that the harness made them: where a setting names the place, no other is removed.

use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::files::{read_json, write_json};
use crate::process::Process;

/// The name of the marker file.
const MARKER: &str = ".harness.json";

/// A marker's content: what a folder is for, and for whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    /// What the folder holds, such as `a run`.
    pub holds: String,
    /// The checkout that the folder belongs to.
    pub checkout: PathBuf,
    /// The process that uses the folder; once it has ended, the folder is unused.
    pub process: Process,
}

/// A folder whose marker was read.
#[derive(Debug)]
pub struct Marked {
    path: PathBuf,
    /// The marker's content.
    pub marker: Marker,
}

/// Makes a folder with mode 0700, and marks it. An existing folder stays as it is, and is not marked.
///
/// # Errors
/// [`Error::Io`] when the folder cannot be made.
pub fn make_marked(path: &Path, marker: &Marker) -> Result<()> {
    let say = || format!("make the folder {}", path.display());
    if let Some(parent) = path.parent() {
        crate::files::private_folder(parent)?;
    }
    match std::fs::DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => write_json(&path.join(MARKER), marker),
        Err(error) if error.kind() == ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(error) => Err(Error::io(say())(error)),
    }
}

/// The marked folders directly in a folder, by path; none where the folder does not exist.
///
/// # Errors
/// [`Error::Io`] when the folder cannot be listed.
pub fn marked_in(folder: &Path) -> Result<Vec<Marked>> {
    let say = || format!("list {}", folder.display());
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::io(say())(error)),
    };
    let mut marked = Vec::new();
    for entry in entries {
        let entry = entry.map_err(Error::io(say()))?;
        // A link is skipped: it leads to a place that is not the harness's.
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        // A marker that cannot be read proves nothing.
        if let Ok(Some(marker)) = read_json(&entry.path().join(MARKER), "rm it, if the folder is yours") {
            marked.push(Marked { path: entry.path(), marker });
        }
    }
    marked.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(marked)
}

impl Marked {
    /// The folder's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// When an entry was last added to the folder or removed from it.
    pub fn changed(&self) -> Option<std::time::SystemTime> {
        self.path.metadata().and_then(|data| data.modified()).ok()
    }

    /// Removes the folder with its content.
    ///
    /// # Errors
    /// [`Error::Io`] when a part of it cannot be removed.
    pub fn remove(self) -> Result<()> {
        remove(&self.path)
    }
}

/// Removes a folder if it is empty; one that is absent or not empty is no error.
///
/// # Errors
/// [`Error::Io`] when the folder is empty and cannot be removed.
pub fn remove_if_empty(path: &Path) -> Result<()> {
    match std::fs::remove_dir(path) {
        Err(error) if ![ErrorKind::NotFound, ErrorKind::DirectoryNotEmpty].contains(&error.kind()) => {
            Err(Error::io(format!("remove {}", path.display()))(error))
        }
        _ => Ok(()),
    }
}

/// Removes a file, or a folder with its content, also read-only folders (Go's modules). An absent one is no error.
///
/// Only for what lies in a folder that the harness made: its state, its cache, a run's own folder.
///
/// # Errors
/// [`Error::Io`] when a part of it cannot be removed; the rest may be gone.
#[expect(clippy::disallowed_methods, reason = "the one place that removes folders")]
pub fn remove(path: &Path) -> Result<()> {
    let say = || format!("remove {}", path.display());
    let gone = |result: std::io::Result<()>| match result {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    };
    // A link itself is removed, not its target.
    if !path.symlink_metadata().is_ok_and(|data| data.is_dir()) {
        return gone(std::fs::remove_file(path)).map_err(Error::io(say()));
    }
    if gone(std::fs::remove_dir_all(path)).is_ok() {
        return Ok(());
    }
    let mut folders = vec![path.to_owned()];
    while let Some(folder) = folders.pop() {
        // A folder that cannot be opened up is named by the second try.
        let _ = std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o700));
        let entries = std::fs::read_dir(&folder).into_iter().flatten().filter_map(std::result::Result::ok);
        folders.extend(entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|e| e.path()));
    }
    gone(std::fs::remove_dir_all(path)).map_err(Error::io(say()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marker() -> Marker {
        Marker { holds: "a run".to_owned(), checkout: PathBuf::from("/here"), process: Process::this() }
    }

    #[test]
    fn a_strangers_folder_is_not_ours_whatever_it_is_called() {
        let root = tempfile::tempdir().unwrap();
        let (ours, theirs) = (root.path().join("ours"), root.path().join("theirs"));
        std::fs::create_dir(&theirs).unwrap();
        for folder in [&ours, &theirs] {
            make_marked(folder, &marker()).unwrap();
            std::fs::write(folder.join("file"), "text").unwrap();
        }
        std::os::unix::fs::symlink(&ours, root.path().join("link")).unwrap();
        let marked = marked_in(root.path()).unwrap();
        assert_eq!(marked.iter().map(Marked::path).collect::<Vec<_>>(), [&ours]);
        for folder in marked {
            folder.remove().unwrap();
        }
        assert!(!ours.exists() && theirs.join("file").exists());
        remove_if_empty(root.path()).unwrap();
        assert!(root.path().exists());
        assert!(marked_in(&root.path().join("nowhere")).unwrap().is_empty());
    }

    #[test]
    fn read_only_folders_go_too_and_links_lead_nowhere() {
        let root = tempfile::tempdir().unwrap();
        let (ours, theirs) = (root.path().join("ours"), root.path().join("theirs"));
        let module = ours.join("mod/example@v1");
        std::fs::create_dir_all(&module).unwrap();
        std::fs::create_dir(&theirs).unwrap();
        std::fs::write(module.join("a.go"), "").unwrap();
        std::os::unix::fs::symlink(&theirs, ours.join("link")).unwrap();
        std::fs::set_permissions(&module, std::fs::Permissions::from_mode(0o555)).unwrap();
        remove(&ours).unwrap();
        assert!(!ours.exists() && theirs.exists());
        remove(&ours).unwrap();
    }
}
