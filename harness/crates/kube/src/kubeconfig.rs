//! Kubeconfig files, merged as kubectl does.

use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use kube::config::{Kubeconfig, KubeconfigError};

use crate::error::{Error, Result};

/// One or several kubeconfig files, as KUBECONFIG lists them; shown as that variable's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubeconfigFiles(Vec<PathBuf>);

impl KubeconfigFiles {
    /// A list of files; of entries with the same name the first file's counts.
    pub const fn new(files: Vec<PathBuf>) -> Self {
        Self(files)
    }

    /// The file, if there is just one: a tool gets it by a flag, since its path may have a colon.
    pub fn single(&self) -> Option<&Path> {
        match self.0.as_slice() {
            [file] => Some(file),
            _ => None,
        }
    }

    /// The merged kubeconfig. Relative paths in a file are relative to its folder; absent files are skipped.
    ///
    /// # Errors
    /// [`harness_base::Error::Refused`] when no file exists; [`harness_base::Error::Malformed`] for one that cannot be read
    /// or parsed.
    pub fn read(&self) -> Result<Kubeconfig> {
        let mut found: Option<Kubeconfig> = None;
        for file in &self.0 {
            let malformed = |source| harness_base::Error::Malformed {
                what: format!("read {}", file.display()),
                source: Box::new(source),
            };
            let next = match Kubeconfig::read_from(file) {
                Err(KubeconfigError::ReadConfig(error, _)) if error.kind() == ErrorKind::NotFound => continue,
                other => other.map_err(malformed)?,
            };
            found = Some(match found {
                Some(found) => found.merge(next).map_err(malformed)?,
                None => next,
            });
        }
        found.ok_or_else(|| {
            Error::refused(
                format!("there is no kubeconfig at {self}"),
                "set KUBECONFIG to the files that hold the context",
            )
        })
    }
}

impl From<PathBuf> for KubeconfigFiles {
    fn from(file: PathBuf) -> Self {
        Self(vec![file])
    }
}

impl fmt::Display for KubeconfigFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.0.iter().map(|file| file.to_string_lossy()).collect();
        f.write_str(&names.join(":"))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::*;

    fn cluster(name: &str, server: &str) -> serde_json::Value {
        json!({"clusters": [{"name": name, "cluster": {"server": server, "certificate-authority": "ca.pem"}}]})
    }

    fn written(folder: &Path, name: &str, config: &serde_json::Value) -> PathBuf {
        let path = folder.join(name).join("config");
        std::fs::create_dir_all(folder.join(name)).unwrap();
        std::fs::write(&path, config.to_string()).unwrap();
        path
    }

    #[test]
    fn the_first_file_that_has_an_entry_counts_and_its_paths_are_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let files = KubeconfigFiles::new(vec![
            folder.path().join("missing"),
            written(folder.path(), "one", &cluster("a", "https://one")),
            written(folder.path(), "two", &cluster("a", "https://two")),
            written(folder.path(), "three", &cluster("b", "https://three")),
        ]);
        let read = files.read().unwrap();
        let said: Vec<_> = read
            .clusters
            .into_iter()
            .map(|named| {
                let cluster = named.cluster.unwrap();
                (named.name, cluster.server.unwrap(), cluster.certificate_authority.unwrap())
            })
            .collect();
        let of = |name: &str, file: &str| {
            let ca = folder.path().join(file).join("ca.pem").display().to_string();
            (name.to_owned(), format!("https://{file}"), ca)
        };
        assert_eq!(said, [of("a", "one"), of("b", "three")]);
    }

    #[test]
    fn files_of_which_none_is_there_are_named() {
        let error = KubeconfigFiles::new(vec!["/nowhere/a".into(), "/nowhere/b".into()]).read().unwrap_err().report();
        assert!(error.contains("/nowhere/a:/nowhere/b") && error.contains("next: "), "{error}");
    }

    #[test]
    fn a_file_that_is_no_kubeconfig_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let broken = written(folder.path(), "broken", &json!("no kubeconfig"));
        let files = KubeconfigFiles::new(vec![written(folder.path(), "one", &json!({})), broken.clone()]);
        let error = files.read().unwrap_err().report();
        assert!(error.contains(&broken.display().to_string()), "{error}");
    }
}
