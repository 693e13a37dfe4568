//! The project's cache of tools: `tools/<program>-<version>/bin/<program>`, each made whole beside its place and renamed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use harness_base::folders::remove;
use harness_base::lock::{Lock, Mode};

use super::version::Version;
use crate::error::{Error, Result};

/// How long one may wait for another process that sets up the same tool.
const OTHER_MAKES_IT: Duration = Duration::from_secs(3600);

/// The cache's folders.
#[derive(Debug)]
pub struct Cache {
    /// `tools`, below the root.
    pub tools: PathBuf,
    /// `go`: modules and build cache, below the root.
    pub go: PathBuf,
}

impl Cache {
    pub fn new(root: &Path) -> Self {
        Self { tools: root.join("tools"), go: root.join("go") }
    }

    /// yarn's downloads, in [`Cache::go`]: they are removed together.
    pub fn yarn(&self) -> PathBuf {
        self.go.join("yarn")
    }

    /// Where a version of a tool is, or will be.
    pub fn home(&self, program: &str, version: Version) -> PathBuf {
        self.tools.join(format!("{program}-{version}"))
    }

    /// The versions of a program that are there, newest first.
    pub fn made(&self, program: &str) -> Vec<PathBuf> {
        let Ok(entries) = std::fs::read_dir(&self.tools) else { return Vec::new() };
        let prefix = format!("{program}-");
        let mut made: Vec<(Version, PathBuf)> = entries
            .filter_map(|entry| {
                let name = entry.ok()?.file_name().into_string().ok()?;
                let version = Version::try_from(name.strip_prefix(&prefix)?.to_owned()).ok()?;
                // What is being made has another ending, and is no version.
                (name == format!("{program}-{version}")).then(|| (version, self.home(program, version)))
            })
            .collect();
        made.sort_by(|a, b| b.cmp(a));
        made.into_iter().map(|(_, home)| home.join("bin").join(program)).collect()
    }

    /// The lock under which a tool is set up; others wait for it and then find the tool.
    pub async fn lock(&self, name: &str, what: &str) -> Result<Lock> {
        self.make_folder(&self.tools)?;
        let mut lock = Lock::take(&self.tools.join(format!("{name}.lock")), Mode::Exclusive, OTHER_MAKES_IT).await?;
        lock.label(what);
        Ok(lock)
    }

    /// An empty folder beside the place; what a killed process left in it is removed. Only under the tool's lock.
    pub fn workshop(&self, home: &Path) -> Result<PathBuf> {
        let part = with_ending(home, "part");
        remove(&part)?;
        self.make_folder(&part.join("bin"))?;
        Ok(part)
    }

    /// Puts what was made in a workshop into its place. Only under the tool's lock.
    pub fn publish(&self, part: &Path, home: &Path) -> Result<()> {
        let old = with_ending(home, "old");
        remove(&old)?;
        let say = || format!("move {} to {}", part.display(), home.display());
        // A folder cannot be renamed over one that has files.
        match std::fs::rename(home, &old) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(Error::io(say())(error)),
            _ => {}
        }
        std::fs::rename(part, home).map_err(Error::io(say()))?;
        Ok(remove(&old)?)
    }

    pub fn make_folder(&self, folder: &Path) -> Result<()> {
        std::fs::create_dir_all(folder)
            .map_err(|error| self.explain(Error::io(format!("make the folder {}", folder.display()))(error)))
    }

    /// Refuses when less than this many MiB are free, before anything is begun.
    pub fn need(&self, what: &str, mib: u64) -> Result<()> {
        self.make_folder(&self.tools)?;
        match free_mib(&self.tools) {
            Some(free) if free < mib => Err(self.full(format!("{what} takes about {mib} MiB"))),
            _ => Ok(()),
        }
    }

    /// The same error, or what to do when it is a full disk.
    pub fn explain(&self, mut error: Error) -> Error {
        let text = error.report();
        let full = ["No space left on device", "no space left on device", "Disk quota exceeded", "disk quota exceeded"];
        if !full.iter().any(|words| text.contains(words)) {
            return error;
        }
        // What else might be done about it would not help.
        if let Error::Command(failure) = &mut error {
            failure.next = None;
        }
        self.full(error.report())
    }

    fn full(&self, cause: String) -> Error {
        let free = free_mib(&self.tools).map_or_else(|| "little is".to_owned(), |free| format!("{free} MiB are"));
        Error::DiskFull { folder: self.tools.clone(), free, cause }
    }
}

fn free_mib(folder: &Path) -> Option<u64> {
    rustix::fs::statvfs(folder).ok().map(|disk| (disk.f_bavail * disk.f_frsize) >> 20)
}

/// The path with `.ending` added.
pub fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{ending}"));
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_appears_whole_and_replaces_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path());
        let home = cache.home("kind", Version::new(0, 33, 0));
        for text in ["one", "two"] {
            let part = cache.workshop(&home).unwrap();
            std::fs::write(part.join("bin/kind"), text).unwrap();
            let before = cache.made("kind").len();
            assert_eq!(before, usize::from(text == "two"), "a workshop is no tool");
            cache.publish(&part, &home).unwrap();
            assert_eq!(std::fs::read_to_string(home.join("bin/kind")).unwrap(), text);
        }
        std::fs::create_dir_all(cache.home("kind", Version::new(0, 34, 0)).join("bin")).unwrap();
        assert_eq!(cache.made("kind")[0], cache.home("kind", Version::new(0, 34, 0)).join("bin/kind"));
    }

    #[test]
    fn a_killed_process_leaves_nothing_that_the_next_one_trips_over() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path());
        let home = cache.home("kind", Version::new(0, 33, 0));
        let part = cache.workshop(&home).unwrap();
        std::fs::create_dir_all(part.join("mod/read-only")).unwrap();
        std::fs::write(part.join("mod/read-only/file"), "").unwrap();
        std::fs::set_permissions(part.join("mod/read-only"), std::fs::Permissions::from_mode(0o500)).unwrap();
        cache.workshop(&home).unwrap();
        assert!(!part.join("mod").exists());
    }

    #[test]
    fn a_full_disk_says_what_to_do() {
        let cache = Cache::new(Path::new("/nowhere"));
        let error = cache.explain(Error::io("write x")(std::io::Error::from_raw_os_error(28)));
        assert!(
            matches!(error, Error::DiskFull { .. }) && error.report().contains("XDG_CACHE_HOME"),
            "{}",
            error.report()
        );
        let other = Error::refused("other", "nothing");
        assert_eq!(cache.explain(other).report(), "other\n  next: nothing");
    }
}
