//! A record of what the harness installed, wrote and started for an engine, so that a person can be told how to remove it.

use std::path::{Path, PathBuf};

use harness_base::files::{read_json, write_json};
use harness_settings::settings::Settings;
use serde::{Deserialize, Serialize};

use crate::error::Result;

/// The changes of the machine for an engine; each is recorded before it is made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct EngineRecord {
    /// The record's file.
    #[serde(skip)]
    path: PathBuf,
    /// Packages that were not there before.
    pub packages: Vec<String>,
    /// Files and folders that were not there before.
    pub files: Vec<PathBuf>,
    /// Files that were there before, and were added to.
    pub edited: Vec<PathBuf>,
    /// The engine's process ID, if the harness started it itself.
    pub engine: Option<u32>,
}

impl EngineRecord {
    pub fn read(settings: &Settings) -> Result<Self> {
        let path = settings.state_root.join("engine.json");
        let read: Option<Self> =
            read_json(&path, "cargo stack clean --all; what it removes of the engine is no longer known")?;
        Ok(Self { path, ..read.unwrap_or_default() })
    }

    /// Records packages before their installation, and the data folders that will come with them.
    pub fn installs(&mut self, packages: &[String], data: &[PathBuf]) -> Result<()> {
        add(&mut self.packages, packages.to_vec());
        add(&mut self.files, data.iter().filter(|path| !path.exists()).cloned().collect());
        self.write()
    }

    /// Records a file before it is written.
    pub fn wrote(&mut self, path: &Path) -> Result<()> {
        // A file that is there is either recorded already, or not ours.
        if !path.exists() {
            add(&mut self.files, vec![path.to_owned()]);
        }
        self.write()
    }

    /// Records a file before it is added to.
    pub fn edited(&mut self, path: &Path) -> Result<()> {
        if !self.files.iter().any(|file| file == path) {
            add(&mut self.edited, vec![path.to_owned()]);
        }
        self.write()
    }

    /// Records the engine's process after its start.
    pub fn started(&mut self, pid: u32) -> Result<()> {
        self.engine = Some(pid);
        self.write()
    }

    fn write(&self) -> Result<()> {
        Ok(write_json(&self.path, self)?)
    }

    /// The commands that undo the recorded changes; `runs` tells whether a process ID is an engine's.
    fn undo(&self, runs: impl Fn(u32) -> bool) -> Option<String> {
        let mut lines = Vec::new();
        if let Some(pid) = self.engine.filter(|pid| runs(*pid)) {
            lines.push(format!(
                "kill {pid} && tail --pid={pid} --follow /dev/null  # the container engine, and with it its containers"
            ));
        }
        let data = Path::new("/var/lib/docker");
        if self.files.iter().any(|file| file == data) {
            // It may have been mounted on itself, so that nothing could remove it.
            lines.push(format!("umount --quiet --recursive {}", data.display()));
        }
        if !self.packages.is_empty() {
            lines.push(format!("apt-get purge {}", self.packages.join(" ")));
        }
        let quoted = |path: &PathBuf| {
            let path = path.to_string_lossy();
            shlex::try_quote(&path).map_or_else(|_| format!("{path:?}"), |path| path.into_owned())
        };
        if !self.files.is_empty() {
            lines.push(format!("rm -rf {}", self.files.iter().map(quoted).collect::<Vec<_>>().join(" ")));
        }
        for file in &self.edited {
            lines.push(format!("take the runtime `harness` out of {}", quoted(file)));
        }
        (!lines.is_empty()).then(|| lines.join("\n"))
    }
}

fn add<T: PartialEq>(list: &mut Vec<T>, new: Vec<T>) {
    for item in new {
        if !list.contains(&item) {
            list.push(item);
        }
    }
}

/// The exact commands that remove the engine that the harness installed or started; `None` when it did neither.
///
/// Runs none of them: the engine may serve others too.
pub fn uninstall_hint(settings: &Settings) -> Option<String> {
    let mut record = EngineRecord::read(settings).ok()?;
    // Some of the commands may have been run already.
    record.packages.retain(|package| is_installed(package));
    record.files.retain(|path| path.exists());
    record.edited.retain(|path| std::fs::read_to_string(path).is_ok_and(|text| text.contains("harness-runc")));
    record.undo(|pid| super::start::is(pid, "dockerd"))
}

/// Whether dpkg has a package installed; some packages have the architecture in their list's name.
fn is_installed(package: &str) -> bool {
    let lists = std::fs::read_dir("/var/lib/dpkg/info").into_iter().flatten().flatten();
    lists.filter_map(|entry| entry.file_name().into_string().ok()).any(|name| {
        let of = name.strip_suffix(".list").map(|name| name.split(':').next().unwrap_or(name));
        of == Some(package)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_done_is_kept_and_its_undoing_said() {
        let folder = tempfile::tempdir().unwrap();
        let variables = [("XDG_STATE_HOME".to_owned(), folder.path().display().to_string())].into();
        let settings = Settings::parse(&variables);
        std::fs::create_dir_all(&settings.state_root).unwrap();
        assert_eq!(uninstall_hint(&settings), None);

        let mut record = EngineRecord::read(&settings).unwrap();
        let absent = PathBuf::from("/nowhere/docker");
        record.installs(&["docker.io".to_owned(), "runc".to_owned()], &[absent.clone(), PathBuf::from("/")]).unwrap();
        record.installs(&["runc".to_owned()], &[absent]).unwrap();
        record.wrote(Path::new("/nowhere/shop runc")).unwrap();
        record.edited(Path::new("/etc/docker/daemon.json")).unwrap();
        record.started(71).unwrap();

        let read = EngineRecord::read(&settings).unwrap();
        assert_eq!(read, record);
        insta::assert_snapshot!(read.undo(|_| true).unwrap(), @r"
        kill 71 && tail --pid=71 --follow /dev/null  # the container engine, and with it its containers
        apt-get purge docker.io runc
        rm -rf /nowhere/docker '/nowhere/shop runc'
        take the runtime `harness` out of /etc/docker/daemon.json
        ");
        assert!(!read.undo(|_| false).unwrap().contains("kill"));
        let data = EngineRecord { files: vec![PathBuf::from("/var/lib/docker")], ..EngineRecord::default() };
        assert!(data.undo(|_| false).unwrap().starts_with("umount --quiet --recursive /var/lib/docker\nrm -rf "));
    }
}
