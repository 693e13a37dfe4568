//! Files of state: written whole or not at all, read with the command that repairs them, removed whether or not they exist.

use std::fs::{File, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};

/// The mode of files that the harness writes: their owner alone.
const PRIVATE: u32 = 0o600;
/// How to repair a record in a run's folder.
pub const MENDS: &str = "start the run anew: its folder is its own";

/// Makes a folder with mode 0700, and its parents; one that exists stays as it is.
///
/// # Errors
/// [`Error::Io`] when the folder cannot be made.
pub fn private_folder(path: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(Error::io(format!("make the folder {}", path.display())))
}

/// Writes a file atomically with mode 0600: a reader, a kill and a power cut see the old or the new content, never a part.
///
/// # Errors
/// [`Error::Io`] when the file cannot be written; the old content stays.
pub fn write_whole(path: &Path, bytes: impl AsRef<[u8]>) -> Result<()> {
    write_with_mode(path, bytes, PRIVATE)
}

/// [`write_whole`] with other permissions, such as `0o644`.
///
/// # Errors
/// As [`write_whole`].
pub fn write_with_mode(path: &Path, bytes: impl AsRef<[u8]>, mode: u32) -> Result<()> {
    let write = || {
        // The parent of a path of one component is the empty path.
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(bytes.as_ref())?;
        file.as_file().set_permissions(Permissions::from_mode(mode))?;
        // The content is synced before the rename, and the rename before this returns (fsync(2)).
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        File::open(folder)?.sync_all()
    };
    write().map_err(Error::io(format!("write {}", path.display())))
}

/// Writes a value as JSON, as [`write_whole`] does.
///
/// # Errors
/// [`Error::Io`] when the file cannot be written, [`Error::Malformed`] when JSON has no form for the value.
pub fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<()> {
    let mut text = serde_json::to_vec_pretty(value).map_err(Error::malformed(format!("write {}", path.display())))?;
    text.push(b'\n');
    write_whole(path, text)
}

/// Reads a record, which is JSON; `None` when the file does not exist. `mend` is the command that makes the record anew or
/// removes it: the content of a record that does not parse is unknown, not empty.
///
/// # Errors
/// [`Error::Io`] when the file cannot be read, [`Error::Damaged`] with `mend` when it does not parse.
pub fn read_json<T: DeserializeOwned>(path: &Path, mend: &str) -> Result<Option<T>> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io(format!("read {}", path.display()))(error)),
    };
    serde_json::from_slice(&text).map(Some).map_err(|error| Error::Damaged {
        path: path.to_owned(),
        why: error.to_string(),
        next: mend.to_owned(),
    })
}

/// The text with its one occurrence of `from` replaced by `to`.
///
/// # Errors
/// The number of occurrences, when it is not one.
pub fn replaced_once(text: &str, from: &str, to: &str) -> std::result::Result<String, usize> {
    match text.matches(from).count() {
        1 => Ok(text.replacen(from, to, 1)),
        count => Err(count),
    }
}

/// Removes a file; an absent one is no error.
///
/// # Errors
/// [`Error::Io`] when the file exists and cannot be removed.
pub fn remove_file(path: &Path) -> Result<()> {
    unless_absent(path, std::fs::remove_file(path))
}

/// Copies a file with its mode, over an existing one.
///
/// # Errors
/// [`Error::Io`] when `from` cannot be read, or `to` not be written.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::copy(from, to).map(drop).map_err(Error::io(format!("copy {} to {}", from.display(), to.display())))
}

/// Copies a folder's content into another folder, beside what is there already. Links are copied as what they lead to. Copies
/// are writable by their owner; entries named in `without` are left out at any depth.
///
/// On an error, what was copied by then remains.
///
/// # Errors
/// [`Error::Io`] when something cannot be read or written.
pub fn copy_folder(from: &Path, to: &Path, without: &[&str]) -> Result<()> {
    std::fs::create_dir_all(to).map_err(Error::io(format!("make {}", to.display())))?;
    let say = || format!("list {}", from.display());
    for entry in std::fs::read_dir(from).map_err(Error::io(say()))? {
        let entry = entry.map_err(Error::io(say()))?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if without.iter().any(|name| entry.file_name() == *name) {
            continue;
        }
        if source.is_dir() {
            copy_folder(&source, &target, without)?;
            continue;
        }
        copy(&source, &target)?;
        make_writable(&target).map_err(Error::io(format!("make {} writable", target.display())))?;
    }
    Ok(())
}

fn make_writable(file: &Path) -> std::io::Result<()> {
    let mode = std::fs::metadata(file)?.permissions().mode();
    match mode & 0o200 {
        0 => std::fs::set_permissions(file, std::fs::Permissions::from_mode(mode | 0o200)),
        _ => Ok(()),
    }
}

fn unless_absent(path: &Path, removed: std::io::Result<()>) -> Result<()> {
    match removed {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(Error::io(format!("remove {}", path.display()))(error))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn what_was_written_is_read_and_nobody_else_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("record.json");
        assert_eq!(read_json::<u32>(&path, "").unwrap(), None);
        for value in [1, 2] {
            write_json(&path, &value).unwrap();
            assert_eq!(read_json(&path, "").unwrap(), Some(value));
        }
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "a temporary file is left");
    }

    #[test]
    fn what_cannot_be_written_leaves_the_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("record");
        // A file cannot take the name of a folder.
        std::fs::create_dir(&path).unwrap();
        let error = write_whole(&path, "new").unwrap_err().report();
        assert!(error.starts_with(&format!("write {}", path.display())), "{error}");
        assert!(path.is_dir());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "a temporary file is left");
    }

    #[rstest]
    #[case::empty("")]
    #[case::cut_short("{\"uses\": ")]
    #[case::of_somebody_else("[]")]
    #[case::zeros_after_a_power_cut("\0\0\0\0")]
    fn a_damaged_record_names_what_mends_it(#[case] text: &str) {
        #[derive(Debug, serde::Deserialize)]
        struct Record {
            #[expect(dead_code, reason = "only its type is read")]
            uses: u64,
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("record.json");
        std::fs::write(&path, text).unwrap();
        let error = read_json::<Record>(&path, "cargo stack clean").unwrap_err();
        assert!(matches!(error, Error::Damaged { .. }));
        let report = error.report();
        assert!(report.contains(&format!("{} cannot be read back", path.display())), "{report}");
        assert!(report.ends_with("\n  next: cargo stack clean"), "{report}");
    }

    #[test]
    fn what_is_not_there_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        for _ in 0..2 {
            remove_file(&file).unwrap();
        }
        assert!(remove_file(folder.path()).is_err(), "a folder is no file");
    }

    #[test]
    fn a_copy_of_a_folder_can_be_changed_and_lacks_what_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        std::fs::create_dir_all(from.join("in/target")).unwrap();
        std::fs::write(from.join("in/file"), "new").unwrap();
        std::fs::write(from.join("in/target/large"), "").unwrap();
        std::fs::set_permissions(from.join("in/file"), std::fs::Permissions::from_mode(0o555)).unwrap();
        std::fs::create_dir_all(to.join("in")).unwrap();
        std::fs::write(to.join("in/beside"), "").unwrap();
        copy_folder(&from, &to, &["target"]).unwrap();
        assert_eq!(std::fs::read_to_string(to.join("in/file")).unwrap(), "new");
        assert_eq!(std::fs::metadata(to.join("in/file")).unwrap().permissions().mode() & 0o777, 0o755);
        assert!(to.join("in/beside").exists() && !to.join("in/target").exists());
    }
}
