//! The checkout, and the folders that images are built from.

use std::path::{Path, PathBuf};

use harness_base::files::remove_file;
use harness_settings::settings::{self, Setting, Settings};
use harness_settings::spec::{Built, spec};

use crate::error::{Error, Result};
use crate::tools::Tools;

/// The file of [`Project::default_set`].
pub const DEFAULT_SET: &str = "artifacts.json";

/// The checkout: everything that is read from the working tree is found from here.
#[derive(Debug, Clone)]
pub struct Project {
    /// The folder that holds skaffold.yaml.
    pub root: PathBuf,
}

impl Project {
    /// The checkout that cargo runs us from, else the one around the working folder.
    ///
    /// # Errors
    /// [`harness_base::Error::Refused`] when neither lies in a checkout.
    pub fn find(settings: &Settings) -> Result<Self> {
        let here = std::env::current_dir().map_err(Error::io("find the working folder"))?;
        let start = settings.manifest_dir.as_deref().unwrap_or(&here);
        start
            .ancestors()
            .find(|folder| folder.join("skaffold.yaml").is_file())
            .map(|root| Self { root: root.to_owned() })
            .ok_or_else(|| {
                Error::refused(
                    format!("no skaffold.yaml in {} or above it", start.display()),
                    "run this from a checkout of the stack",
                )
            })
    }

    /// The path of the default artifact set: `artifacts.json` in the checkout, which `cargo stack artifacts build` writes and
    /// stage ci reads. It does not count as a change of the working tree.
    pub fn default_set(&self) -> PathBuf {
        self.root.join(DEFAULT_SET)
    }

    /// Copies the checkout into the new folder `root`: a clone, with the changes that are not committed yet.
    ///
    /// What remains on cancel: the folder.
    ///
    /// # Errors
    /// [`Error::Command`] when git does not clone it.
    pub async fn copied(&self, tools: &Tools, root: &Path) -> Result<Self> {
        let clone = ["clone", "--quiet", "--no-hardlinks", "--"];
        tools.git(&self.root).await?.args(clone).arg(&self.root).arg(root).run().await?;
        let changed = ["ls-files", "-z", "--modified", "--deleted", "--others", "--exclude-standard"];
        let changed = tools.git(&self.root).await?.args(changed).run().await?.stdout;
        for file in changed.split('\0').filter(|file| !file.is_empty()) {
            let (from, to) = (self.root.join(file), root.join(file));
            if from.is_file() { copy(&from, &to)? } else { remove_file(&to)? }
        }
        Ok(Self { root: root.to_owned() })
    }

    /// The folder of kind's configuration and of the image recipes.
    pub fn recipes(&self) -> PathBuf {
        self.root.join(spec().recipes)
    }

    /// The text of skaffold.yaml.
    ///
    /// # Errors
    /// [`harness_base::Error::Io`] when it cannot be read.
    pub fn skaffold(&self) -> Result<String> {
        let path = self.root.join("skaffold.yaml");
        std::fs::read_to_string(&path).map_err(Error::io(format!("read {}", path.display())))
    }

    /// The build context of an image: the folder of its setting, else a sibling repository of its name in any letter case, else
    /// the checkout's own.
    ///
    /// # Errors
    /// [`harness_base::Error::Refused`] when a set folder has no Dockerfile, or two siblings differ in letter case alone.
    pub fn context(&self, image: &Built, settings: &Settings) -> Result<PathBuf> {
        let setting = settings::image_dir(image);
        let at = spec().images.built.iter().position(|built| built.name == image.name);
        let set = at.and_then(|at| settings.image_dirs.get(at)).map(Setting::get).transpose()?.flatten();
        if let Some(folder) = set {
            if !folder.join("Dockerfile").is_file() {
                return Err(Error::refused(
                    format!("{setting}={} holds no Dockerfile", folder.display()),
                    format!("set {setting} to the {}'s folder, or unset it", image.name),
                ));
            }
            return Ok(folder);
        }
        let siblings = if image.sibling { siblings(&self.root, image.name)? } else { Vec::new() };
        match siblings.as_slice() {
            [] => Ok(self.root.join(image.context)),
            [one] => Ok(one.clone()),
            many => Err(Error::refused(
                format!("{} could each be the {}: they differ in letter case alone", list(many), image.name),
                format!("set {setting} to the one that is meant"),
            )),
        }
    }
}

/// Copies a file with its permissions, so that an executable stays one.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let copied = to.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| std::fs::copy(from, to));
    copied.map(drop).map_err(Error::io(format!("copy {} to {}", from.display(), to.display())))
}

/// Folders beside the checkout of that name, in any letter case, that hold a Dockerfile.
fn siblings(root: &Path, name: &str) -> Result<Vec<PathBuf>> {
    let Some(parent) = root.parent() else { return Ok(Vec::new()) };
    let say = || format!("list {}", parent.display());
    let mut found = Vec::new();
    for entry in std::fs::read_dir(parent).map_err(Error::io(say()))? {
        let entry = entry.map_err(Error::io(say()))?;
        let is_another = entry.path() != root && entry.file_name().to_string_lossy().eq_ignore_ascii_case(name);
        if is_another && entry.path().join("Dockerfile").is_file() {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

fn list(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" and ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use harness_settings::settings::Settings;

    #[test]
    fn a_sibling_in_any_letter_case_takes_the_place_of_the_reference_service() {
        let parent = tempfile::tempdir().unwrap();
        let project = Project { root: parent.path().join("stack") };
        std::fs::create_dir_all(&project.root).unwrap();
        let settings = Settings::parse(&Default::default());
        let own = project.root.join("apps/backend");
        assert_eq!(project.context(&spec().images.built[0], &settings).unwrap(), own);
        for name in ["Backend", "backend-docs"] {
            std::fs::create_dir_all(parent.path().join(name)).unwrap();
        }
        assert_eq!(project.context(&spec().images.built[0], &settings).unwrap(), own, "no Dockerfile: not a service");
        std::fs::write(parent.path().join("Backend/Dockerfile"), "").unwrap();
        assert_eq!(project.context(&spec().images.built[0], &settings).unwrap(), parent.path().join("Backend"));
        std::fs::create_dir_all(parent.path().join("BACKEND")).unwrap();
        std::fs::write(parent.path().join("BACKEND/Dockerfile"), "").unwrap();
        let error = project.context(&spec().images.built[0], &settings).unwrap_err().report();
        assert!(error.contains("SHOP_BACKEND_DIR"), "{error}");
    }
}
