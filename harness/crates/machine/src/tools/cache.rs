//! The cache of tools: `tools/<program>-<version>/bin/<program>`; each folder is completed beside its place and then renamed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use harness_base::folders::remove;
use harness_base::lock::{Lock, Mode};

use super::version::Version;
use crate::error::{Error, Result};

/// How long to wait for another process that sets up the same tool.
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

    /// The folder of yarn's downloads, in [`Cache::go`]: they are removed together.
    pub fn yarn(&self) -> PathBuf {
        self.go.join("yarn")
    }

    /// The folder of a version of a tool, whether it exists or not.
    pub fn home(&self, program: &str, version: Version) -> PathBuf {
        self.tools.join(format!("{program}-{version}"))
    }

    /// The programs of a name in the cache, the newest version first.
    pub fn made(&self, program: &str) -> Vec<PathBuf> {
        let Ok(entries) = std::fs::read_dir(&self.tools) else { return Vec::new() };
        let prefix = format!("{program}-");
        let mut made: Vec<(Version, PathBuf)> = entries
            .filter_map(|entry| {
                let name = entry.ok()?.file_name().into_string().ok()?;
                let version = Version::try_from(name.strip_prefix(&prefix)?.to_owned()).ok()?;
                // A folder that is being made has a further ending, which is no version.
                (name == format!("{program}-{version}")).then(|| (version, self.home(program, version)))
            })
            .collect();
        made.sort_by(|a, b| b.cmp(a));
        made.into_iter().map(|(_, home)| home.join("bin").join(program)).collect()
    }

    /// Takes the lock under which a tool is set up; other processes wait for it, and then find the tool.
    pub async fn lock(&self, name: &str, what: &str) -> Result<Lock> {
        self.make_folder(&self.tools)?;
        let mut lock = Lock::take(&self.tools.join(format!("{name}.lock")), Mode::Exclusive, OTHER_MAKES_IT).await?;
        lock.label(what);
        Ok(lock)
    }

    /// Makes an empty folder beside the tool's place; removes what a killed process left there. Only under the tool's lock.
    pub fn workshop(&self, home: &Path) -> Result<PathBuf> {
        let part = with_ending(home, "part");
        remove(&part)?;
        self.make_folder(&part.join("bin"))?;
        Ok(part)
    }

    /// Renames a finished workshop to its place. Only under the tool's lock.
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

    /// Refuses `what` when less than `mib` MiB are free.
    pub fn need(&self, what: &str, mib: u64) -> Result<()> {
        self.make_folder(&self.tools)?;
        match free_mib(&self.tools) {
            Some(free) if free < mib => Err(self.full(format!("{what} takes about {mib} MiB"))),
            _ => Ok(()),
        }
    }

    /// Turns an error into [`Error::DiskFull`] if the disk is full; else returns it as it is.
    pub fn explain(&self, mut error: Error) -> Error {
        let text = error.report();
        let full = ["No space left on device", "no space left on device", "Disk quota exceeded", "disk quota exceeded"];
        if !full.iter().any(|words| text.contains(words)) {
            return error;
        }
        // The error's own remedy would not help against a full disk.
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

/// The path with `.ending` appended.
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
