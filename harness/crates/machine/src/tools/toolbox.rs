//! The toolbox, the folder that [`harness_settings::settings::TOOLBOX`] names: programs, and zstd archives of programs, which are
//! unpacked once.

use std::path::{Path, PathBuf};
use std::time::Duration;

use harness_base::hash;
use harness_base::progress::Step;

use super::cache::{Cache, with_ending};
use super::{ChildKind, Tools};
use crate::error::{Error, Result};

/// The deadline of unpacking, which takes seconds.
const UNPACK: Duration = Duration::from_secs(300);

/// An archive in the toolbox.
#[derive(Debug, Clone)]
pub(super) struct Archive {
    /// The archive's path.
    pub path: PathBuf,
    /// The folder in the cache that it is, or will be, unpacked into.
    home: PathBuf,
    /// The only program in it; `None`: it is a tar of several.
    program: Option<&'static str>,
}

impl Archive {
    fn is_unpacked(&self) -> bool {
        self.home.is_dir()
    }
}

impl Tools {
    /// The toolbox; `None` too where the setting is not allowed: that is refused only once a tool is set up, so that stopping and
    /// cleaning still work.
    pub(super) fn toolbox(&self) -> Option<PathBuf> {
        self.inner.options.toolbox.get().ok().flatten()
    }

    /// The folders of the toolbox's programs: its `bin`, itself, and those of its unpacked archives.
    pub(super) fn toolbox_folders(&self) -> Vec<PathBuf> {
        let Some(toolbox) = self.toolbox() else { return Vec::new() };
        let unpacked = self.archives().into_iter().filter(Archive::is_unpacked).map(|archive| archive.home.join("bin"));
        [toolbox.join("bin"), toolbox].into_iter().chain(unpacked).collect()
    }

    /// The toolbox's archives that are not unpacked yet.
    pub(super) fn packed(&self) -> Vec<Archive> {
        self.archives().into_iter().filter(|archive| !archive.is_unpacked()).collect()
    }

    fn archives(&self) -> Vec<Archive> {
        let Some(toolbox) = self.toolbox() else { return Vec::new() };
        let entries = std::fs::read_dir(toolbox).into_iter().flatten().filter_map(Result::ok);
        let mut archives: Vec<Archive> = entries
            .filter_map(|entry| {
                let name = entry.file_name().into_string().ok()?;
                let program = match name.as_str() {
                    "bin.tar.zst" => None,
                    name if name.starts_with("buildx-v") && name.ends_with(".zst") => Some("docker-buildx"),
                    _ => return None,
                };
                archive(&self.inner.cache, &entry.path(), program)
            })
            .collect();
        archives.sort_by(|a, b| a.path.cmp(&b.path));
        archives
    }

    /// Unpacks an archive into the cache.
    ///
    /// What remains on cancel: a half-made folder beside its place, which the next call removes.
    pub(super) async fn unpack(&self, archive: &Archive) -> Result<()> {
        let cache = &self.inner.cache;
        let what = format!("unpacking {}", archive.path.display());
        let lock = cache.lock("toolbox", &what).await?;
        if archive.is_unpacked() {
            return Ok(());
        }
        let step = Step::begin(what);
        let part = cache.workshop(&archive.home)?;
        // The archive's path is an argument, so that no part of it is a word of the script.
        let script = match archive.program {
            None => "zstd -dc --long=31 \"$1\" | tar -x -C \"$2\"",
            Some(_) => "zstd -qd --long=31 \"$1\" -o \"$2\" && chmod 755 \"$2\"",
        };
        let to = archive.program.map_or_else(|| part.join("bin"), |program| part.join("bin").join(program));
        let done = self
            .program("sh", ChildKind::Program)
            .args(["-ec", script, "sh"])
            .arg(&archive.path)
            .arg(&to)
            .limit(UNPACK)
            .holding(Some(lock.descriptor()?))
            .on_failure("install zstd (Debian: apt-get install zstd)")
            .run()
            .await;
        // `sh` does not report a failure of a pipe's first command; an empty result is taken for one.
        let empty = || to.is_dir() && std::fs::read_dir(&to).is_ok_and(|mut entries| entries.next().is_none());
        if done.is_err() || empty() {
            harness_base::folders::remove(&part)?;
        }
        done.map_err(|error| cache.explain(error))?;
        if !part.exists() {
            return Err(Error::refused(
                format!("{} could not be unpacked: nothing came out of it", archive.path.display()),
                format!("zstd -dc --long=31 {} | tar -t", archive.path.display()),
            ));
        }
        cache.publish(&part, &archive.home)?;
        step.done();
        Ok(())
    }
}

/// An archive, whose folder in the cache is named by a hash of path, size and time.
fn archive(cache: &Cache, path: &Path, program: Option<&'static str>) -> Option<Archive> {
    use std::os::unix::fs::MetadataExt;
    let data = path.metadata().ok()?;
    let key = hash::text(&format!("{} {} {} {}", path.display(), data.size(), data.mtime(), data.mtime_nsec()));
    let home = with_ending(&cache.tools.join("toolbox"), hash::short(&key));
    Some(Archive { path: path.to_owned(), home, program })
}
