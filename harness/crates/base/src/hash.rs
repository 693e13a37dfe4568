//! SHA-256 hashes of content, which decide whether something must be made again.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

/// The SHA-256 of a text, in hex.
pub fn text(text: &str) -> String {
    hex::encode(Sha256::digest(text.as_bytes()))
}

/// The SHA-256 of a file's content, in hex.
///
/// # Errors
/// [`Error::Io`] when the file cannot be read.
pub fn file(path: &Path) -> Result<String> {
    let bytes = std::fs::read(path).map_err(Error::io(format!("read {}", path.display())))?;
    Ok(hex::encode(Sha256::digest(&bytes)))
}

/// A hash's first twelve hex digits: enough for names.
pub fn short(hash: &str) -> &str {
    &hash[..hash.len().min(12)]
}

/// The SHA-256 over the relative paths and bytes of all files below a folder, in the order of their paths, in hex.
///
/// # Errors
/// [`Error::Io`] when a folder cannot be listed, or a file not be read.
pub fn folder(root: &Path) -> Result<String> {
    of_files(root, &files(root)?)
}

/// The hash of a folder without its documentation (`*.md`), which changes nothing that is made of the folder.
///
/// # Errors
/// As [`folder`].
pub fn recipe(root: &Path) -> Result<String> {
    let is_documentation = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "md");
    of_files(root, &files(root)?.into_iter().filter(|path| !is_documentation(path)).collect::<Vec<_>>())
}

fn of_files(root: &Path, files: &[PathBuf]) -> Result<String> {
    let mut hasher = Sha256::new();
    for path in files {
        let bytes = std::fs::read(path).map_err(Error::io(format!("read {}", path.display())))?;
        let name = path.strip_prefix(root).unwrap_or(path).to_string_lossy().into_owned();
        for part in [name.as_bytes(), &bytes] {
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
    }
    Ok(hex::encode(hasher.finalize()))
}

/// All files below a folder, sorted by path. Links are listed and not followed: a link to a folder above would have no end.
///
/// # Errors
/// [`Error::Io`] when a folder cannot be listed.
pub fn files(root: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        let say = || format!("list {}", folder.display());
        for entry in std::fs::read_dir(&folder).map_err(Error::io(say()))? {
            let entry = entry.map_err(Error::io(say()))?;
            let is_folder = entry.file_type().map_err(Error::io(say()))?.is_dir();
            if is_folder { folders.push(entry.path()) } else { found.push(entry.path()) }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documentation_is_no_part_of_a_recipe() {
        let root = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(root.path().join(name), text).unwrap();
        write("make", "one");
        let (recipe_before, folder_before) = (recipe(root.path()).unwrap(), folder(root.path()).unwrap());
        write("README.md", "read me");
        assert_eq!(recipe(root.path()).unwrap(), recipe_before);
        assert_ne!(folder(root.path()).unwrap(), folder_before);
        write("make", "two");
        assert_ne!(recipe(root.path()).unwrap(), recipe_before);
    }

    #[test]
    fn names_and_bytes_both_count() {
        let hash = |files: &[(&str, &str)]| {
            let root = tempfile::tempdir().unwrap();
            for (name, text) in files {
                std::fs::create_dir_all(root.path().join(name).parent().unwrap()).unwrap();
                std::fs::write(root.path().join(name), text).unwrap();
            }
            folder(root.path()).unwrap()
        };
        let first = hash(&[("a/x", "1"), ("b", "2")]);
        assert_eq!(first, hash(&[("b", "2"), ("a/x", "1")]));
        assert_ne!(first, hash(&[("a/x", "1"), ("b", "3")]));
        assert_ne!(first, hash(&[("a/y", "1"), ("b", "2")]));
        assert_ne!(hash(&[("a", "bc")]), hash(&[("ab", "c")]));
    }
}
