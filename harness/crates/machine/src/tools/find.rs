//! Finds tools in toolbox, PATH and cache without setting any up, and asks programs for their versions.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::time::Duration;

use harness_base::files::{read_json, write_json};
use serde::{Deserialize, Serialize};

use super::version::{Range, Version};
use super::{ChildKind, Command, Found, Look, Origin, Tool, Tools};
use crate::error::{Error, Result};

/// The deadline for a program to print its version.
const ASK: Duration = Duration::from_secs(20);

/// The file in the cache with the versions that programs printed.
const NOTE: &str = "versions.json";

/// A program's version, with size and time of its file: valid as long as those are the same.
#[derive(Debug, Serialize, Deserialize)]
struct VersionSaid {
    size: u64,
    changed: (i64, i64),
    version: Option<Version>,
}

impl Tools {
    /// Looks for a tool. Writes nothing but the versions that programs printed, so that they are not asked again.
    ///
    /// # Errors
    /// [`harness_base::Error::Io`] when the toolbox cannot be read.
    pub async fn look(&self, tool: Tool) -> Result<Look> {
        if let Some(found) = self.known(tool) {
            return Ok(Look::Found(found));
        }
        let mut seen = Vec::new();
        for (path, origin) in self.candidates(tool)? {
            let version = match tool.supported() {
                None => Ok(None),
                Some(range) => self.supported_version(tool, &path, range).await,
            };
            match version {
                Ok(version) => {
                    let found = Found { path, version, origin };
                    self.remember(tool, &found);
                    return Ok(Look::Found(found));
                }
                Err(why) => seen.push(why),
            }
        }
        if let Some(found) = self.plugin_by_client(tool).await {
            self.remember(tool, &found);
            return Ok(Look::Found(found));
        }
        Ok(Look::Missing { seen })
    }

    /// The command for a tool, with a PATH that includes tools that were set up; sets up nothing.
    ///
    /// # Errors
    /// [`harness_base::Error::Refused`], with what to do, when the tool is missing.
    pub async fn command(&self, tool: Tool) -> Result<Command> {
        match self.look(tool).await? {
            Look::Found(found) => Ok(self.program(found.path, tool.child())),
            Look::Missing { seen } => Err(self.refusal(&[(tool, seen)])),
        }
    }

    /// The command for the engine's client. Any version is supported, so it is not asked for one.
    ///
    /// # Errors
    /// [`harness_base::Error::Refused`] with what to install when it is nowhere.
    pub(crate) fn docker(&self) -> Result<Command> {
        Ok(self.program(self.docker_program()?, ChildKind::Engine))
    }

    pub(super) fn docker_program(&self) -> Result<PathBuf> {
        if let Some(found) = self.known(Tool::Docker) {
            return Ok(found.path);
        }
        let first = self.candidates(Tool::Docker)?.into_iter().next();
        let (path, origin) = first.ok_or_else(|| self.refusal(&[(Tool::Docker, Vec::new())]))?;
        self.remember(Tool::Docker, &Found { path: path.clone(), version: None, origin });
        Ok(path)
    }

    /// The PATH of called programs: the folders of tools that were set up, the toolbox, and PATH.
    pub fn search_path(&self) -> String {
        let mut folders: Vec<PathBuf> = Vec::new();
        let known = self.inner.known.lock().unwrap_or_else(PoisonError::into_inner);
        // Without Helm 3, which only Skaffold needs, and gets first in its own PATH.
        let set_up = known.iter().filter(|(tool, found)| **tool != Tool::Helm3 && found.origin != Origin::Path);
        folders.extend(set_up.filter_map(|(_, found)| found.path.parent().map(Path::to_owned)));
        folders.extend(self.toolbox_folders());
        folders.extend(self.inner.options.path.iter().cloned());
        let mut all: Vec<String> = Vec::new();
        for folder in folders.iter().map(|folder| folder.to_string_lossy().into_owned()) {
            if !all.contains(&folder) {
                all.push(folder);
            }
        }
        all.join(":")
    }

    /// Programs of the tool's name, in the order in which they are preferred.
    fn candidates(&self, tool: Tool) -> Result<Vec<(PathBuf, Origin)>> {
        let program = tool.program();
        let at = |folder: PathBuf, origin| (folder.join(program), origin);
        let mut all: Vec<(PathBuf, Origin)> =
            self.toolbox_folders().into_iter().map(|folder| at(folder, Origin::Toolbox)).collect();
        match tool {
            Tool::Buildx => all.extend(self.plugin_folders().into_iter().map(|folder| at(folder, Origin::Path))),
            _ => all.extend(self.inner.options.path.iter().cloned().map(|folder| at(folder, Origin::Path))),
        }
        all.extend(self.inner.cache.made(program).into_iter().map(|path| (path, Origin::Cache)));
        all.retain(|(path, _)| is_program(path));
        // A plugin that is a link into the cache counts as the cache's.
        for (path, origin) in &mut all {
            if *origin == Origin::Path && path.canonicalize().is_ok_and(|real| real.starts_with(self.cache_folder())) {
                *origin = Origin::Cache;
            }
        }
        Ok(all)
    }

    /// The version that a program prints, if it is supported; else why the program is not used.
    async fn supported_version(&self, tool: Tool, path: &Path, range: Range) -> Result<Option<Version>, String> {
        let at = || format!("at {}", path.display());
        match self.version(tool, path).await {
            // A build without a version, such as `go install` makes, is used as it is.
            Ok(None) => Ok(None),
            Ok(Some(version)) if range.contains(version) => Ok(Some(version)),
            Ok(Some(version)) => {
                let because = (self.inner.table)(tool).and_then(|entry| entry.because);
                let why = because.map_or_else(|| format!("{range} is supported"), str::to_owned);
                Err(format!("{} {version} {}: {why}", tool.program(), at()))
            }
            Err(error) => {
                let why = error.report();
                Err(format!(
                    "{} {} does not say its version: {}",
                    tool.program(),
                    at(),
                    why.lines().next().unwrap_or("")
                ))
            }
        }
    }

    /// A program's version: noted before for the same file, else asked for now.
    async fn version(&self, tool: Tool, path: &Path) -> Result<Option<Version>> {
        let data = path.metadata().map_err(Error::io(format!("look at {}", path.display())))?;
        let (size, changed) = (data.size(), (data.mtime(), data.mtime_nsec()));
        let key = path.to_string_lossy().into_owned();
        let constant = speaks_for_itself(path, tool.program());
        if let Some(said) =
            self.all_said().get(&key).filter(|said| constant && (said.size, said.changed) == (size, changed))
        {
            return Ok(said.version);
        }
        let asks: &[&str] = (self.inner.table)(tool).map_or(&["version"], |entry| entry.asks);
        let command = self.program(path, tool.child()).args(asks);
        let command = match tool {
            // Else Go would print, or even download, the version that the user's settings name.
            Tool::Go => command.env("GOTOOLCHAIN", "local"),
            Tool::Skaffold => command.env("SKAFFOLD_UPDATE_CHECK", "false"),
            _ => command,
        };
        let version = Version::said(&command.folder(Path::new("/")).limit(ASK).run().await?.stdout);
        if constant {
            self.note(key, VersionSaid { size, changed, version });
        }
        Ok(version)
    }

    fn all_said(&self) -> BTreeMap<String, VersionSaid> {
        read_json(&self.inner.cache.tools.join(NOTE), "none: it is made anew").ok().flatten().unwrap_or_default()
    }

    /// Notes a program's version. A failure is only logged: without the note, programs are asked again.
    fn note(&self, key: String, said: VersionSaid) {
        // Not locked between processes: of two that write at once, one note is lost, and that program asked again.
        let _one = self.inner.noting.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = self.all_said();
        all.retain(|path, _| Path::new(path).exists());
        all.insert(key, said);
        let cache = &self.inner.cache;
        if let Err(error) =
            cache.make_folder(&cache.tools).and_then(|()| Ok(write_json(&cache.tools.join(NOTE), &all)?))
        {
            tracing::debug!("versions are not remembered: {}", error.report());
        }
    }

    fn known(&self, tool: Tool) -> Option<Found> {
        let mut known = self.inner.known.lock().unwrap_or_else(PoisonError::into_inner);
        // The program may have been removed since.
        if known.get(&tool).is_some_and(|found| !is_program(&found.path)) {
            known.remove(&tool);
        }
        known.get(&tool).cloned()
    }

    fn remember(&self, tool: Tool, found: &Found) {
        self.inner.known.lock().unwrap_or_else(PoisonError::into_inner).insert(tool, found.clone());
    }

    pub(super) fn forget(&self, tool: Tool) {
        self.inner.known.lock().unwrap_or_else(PoisonError::into_inner).remove(&tool);
    }
}

/// Whether a file's version is its own: a script, or a link to a version manager, may call another program tomorrow.
fn speaks_for_itself(path: &Path, program: &str) -> bool {
    use std::io::Read;
    let named = path.canonicalize().is_ok_and(|real| {
        real.file_name().is_some_and(|name| name.to_string_lossy().contains(program.trim_start_matches("docker-")))
    });
    let mut start = [0; 2];
    named && std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut start)).is_ok() && &start != b"#!"
}

pub(super) fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}
