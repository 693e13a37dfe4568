//! Lock files that processes share: flock(2), as std locks a file on Unix, never converted, removed by an uninstall alone.
//!
//! A conversion drops the lock before it takes the other kind, and a removed file is another lock than the next one of its
//! path (both measured). So each holding is a descriptor of its own, a lock on a removed file is taken anew, and the kernel
//! drops a dead process's locks.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::error::{Error, Result};
use crate::process::Process;

/// How long a wait may last before it is reported.
const QUIET: Duration = Duration::from_millis(500);

/// How a lock is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// By one holder alone.
    Exclusive,
    /// By any number of holders, all of them shared.
    Shared,
}

/// A held lock. It is free once this is dropped and every descriptor that a child inherited is closed.
#[derive(Debug)]
pub struct Lock {
    file: File,
    path: PathBuf,
}

impl Lock {
    /// Takes the lock if that is possible at once.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be opened.
    pub fn try_take(path: &Path, mode: Mode) -> Result<Option<Self>> {
        loop {
            let file = open(path)?;
            let taken = match mode {
                Mode::Exclusive => file.try_lock(),
                Mode::Shared => file.try_lock_shared(),
            };
            match taken {
                Ok(()) => {
                    let lock = Self { file, path: path.to_owned() };
                    if lock.is_the_one() {
                        return Ok(Some(lock));
                    }
                }
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(Error::io(format!("lock {}", path.display()))(error)),
            }
        }
    }

    /// Whether the locked file is still the one at its path: an uninstall removes the file, and the next one made there is
    /// another lock.
    fn is_the_one(&self) -> bool {
        let inode = |data: std::io::Result<std::fs::Metadata>| data.ok().map(|data| (data.dev(), data.ino()));
        inode(self.file.metadata()) == inode(self.path.metadata())
    }

    /// Waits for the lock, woken by the kernel; after half a second it reports who holds it.
    ///
    /// On cancel and after the deadline a thread remains, which releases the lock as soon as it gets it.
    ///
    /// # Errors
    /// [`Error::Deadline`] after `limit`, with the holders; [`Error::Io`] when the file cannot be opened or locked.
    pub async fn take(path: &Path, mode: Mode, limit: Duration) -> Result<Self> {
        Self::take_any(&[path.to_owned()], mode, limit).await
    }

    /// Waits for the first free one of several locks. Threads that wait for the others remain, as on cancel of
    /// [`Lock::take`].
    ///
    /// # Errors
    /// [`Error::Deadline`] after `limit`, with the holders of the first lock; [`Error::Io`] when a file cannot be opened or
    /// locked.
    pub async fn take_any(paths: &[PathBuf], mode: Mode, limit: Duration) -> Result<Self> {
        let name = paths.first().and_then(|path| path.file_name()).unwrap_or_default().to_string_lossy();
        crate::events::step(format!("taking the lock {name}"), Self::taking(paths, mode, limit)).await
    }

    async fn taking(paths: &[PathBuf], mode: Mode, limit: Duration) -> Result<Self> {
        let until = tokio::time::Instant::now() + limit;
        loop {
            let lock = Self::telling(paths, mode, until.saturating_duration_since(tokio::time::Instant::now())).await?;
            if lock.is_the_one() {
                return Ok(lock);
            }
        }
    }

    async fn telling(paths: &[PathBuf], mode: Mode, limit: Duration) -> Result<Self> {
        let mut taking = std::pin::pin!(Self::any(paths, mode, limit));
        // A short wait is not reported.
        if let Ok(taken) = tokio::time::timeout(QUIET, &mut taking).await {
            return taken;
        }
        if let Some(path) = paths.first() {
            tracing::info!("waiting for {}, which holds {}", holders(path), path.display());
        }
        taking.await
    }

    async fn any(paths: &[PathBuf], mode: Mode, limit: Duration) -> Result<Self> {
        for path in paths {
            if let Some(lock) = Self::try_take(path, mode)? {
                return Ok(lock);
            }
        }
        let (sender, receiver) = oneshot::channel();
        let sender = Arc::new(std::sync::Mutex::new(Some(sender)));
        let done = Arc::new(AtomicBool::new(false));
        for path in paths {
            let (file, path) = (open(path)?, path.clone());
            let (sender, done) = (Arc::clone(&sender), Arc::clone(&done));
            // flock(2) has no deadline: a thread waits, and one that comes too late releases its lock at once.
            std::thread::spawn(move || {
                let taken = match mode {
                    Mode::Exclusive => file.lock(),
                    Mode::Shared => file.lock_shared(),
                };
                if done.swap(true, Ordering::SeqCst) {
                    return;
                }
                if let Some(sender) = sender.lock().ok().and_then(|mut sender| sender.take()) {
                    let _ = sender.send(
                        taken
                            .map(|()| Self { file, path: path.clone() })
                            .map_err(Error::io(format!("lock {}", path.display()))),
                    );
                }
            });
        }
        match tokio::time::timeout(limit, receiver).await {
            Ok(Ok(lock)) => lock,
            _ => {
                done.store(true, Ordering::SeqCst);
                let path = paths.first().map_or_else(PathBuf::new, Clone::clone);
                Err(Error::Deadline {
                    awaited: format!("the lock {}", path.display()),
                    after: limit,
                    last: format!("held by {}", holders(&path)),
                })
            }
        }
    }

    /// A second descriptor of the same holding, for a child process to inherit.
    ///
    /// # Errors
    /// [`Error::Io`] when no descriptor is left.
    pub fn descriptor(&self) -> Result<OwnedFd> {
        self.file.try_clone().map(OwnedFd::from).map_err(Error::io(format!("duplicate {}", self.path.display())))
    }

    /// Writes the holder's process and purpose into the lock file, for those who wait to report.
    pub fn label(&mut self, text: &str) {
        // The note is for people alone: a failure costs nothing else.
        let _ = self.file.set_len(0);
        let _ = self.file.rewind();
        let _ = writeln!(self.file, "process {}: {text}", std::process::id());
    }
}

fn open(path: &Path) -> Result<File> {
    let open = || OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path);
    let opened = match (open(), path.parent()) {
        // An uninstall removed the folder during the wait.
        (Err(error), Some(folder)) if error.kind() == std::io::ErrorKind::NotFound => {
            crate::files::private_folder(folder)?;
            open()
        }
        (opened, _) => opened,
    };
    opened.map_err(Error::io(format!("open the lock {}", path.display())))
}

/// A lock's holders as text: the holder's note, and the processes that the kernel lists (proc_locks(5)).
pub fn holders(path: &Path) -> String {
    let mut note = String::new();
    let _ = File::open(path).and_then(|mut file| file.read_to_string(&mut note));
    let inode = path.metadata().map(|data| data.ino()).unwrap_or_default();
    let locks = std::fs::read_to_string("/proc/locks").unwrap_or_default();
    let processes = flock_holders(&locks, inode)
        .into_iter()
        .map(|pid| {
            let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            // An inherited lock is listed under the process that took it, which may be gone.
            let name = if name.is_empty() { "(ended; a child of it goes on)" } else { name.trim() };
            format!("{pid} {name}")
        })
        .collect::<Vec<_>>();
    match (processes.is_empty(), note.trim()) {
        (true, "") => "nobody any more".to_owned(),
        (true, note) => note.to_owned(),
        (false, "") => format!("process {}", processes.join(", ")),
        (false, note) => format!("process {} ({note})", processes.join(", ")),
    }
}

/// The processes that hold a lock, those that inherited its descriptor included.
///
/// Empty where the system does not say: read from /proc (proc_pid_fdinfo(5)).
pub fn kept_by(path: &Path) -> Vec<Process> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| keeps(*pid, path)).filter_map(Process::of).collect()
}

fn keeps(pid: i32, path: &Path) -> bool {
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let here = open.filter(|entry| std::fs::read_link(entry.path()).is_ok_and(|to| to == path));
    // A process that waits for the lock has the file open too, without holding it.
    let info = |number: &std::ffi::OsStr| {
        std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("fdinfo").join(number))
    };
    here.map(|entry| info(&entry.file_name())).any(|info| info.is_ok_and(|info| info.contains("\nlock:")))
}

/// The process ids that hold a flock on an inode, from the text of /proc/locks (proc_locks(5)).
fn flock_holders(locks: &str, inode: u64) -> Vec<u32> {
    locks
        .lines()
        .filter_map(|line| {
            let words: Vec<_> = line.split_whitespace().collect();
            match words.as_slice() {
                [_, "FLOCK", _, _, pid, file, ..] if file.rsplit(':').next() == Some(&inode.to_string()) => {
                    pid.parse().ok()
                }
                // A line with `->` is one that waits.
                _ => None,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_waiter_gets_the_lock_when_the_holder_lets_go() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let held = Lock::try_take(&path, Mode::Exclusive).unwrap().unwrap();
        assert!(Lock::try_take(&path, Mode::Shared).unwrap().is_none());
        let waiter = tokio::spawn({
            let path = path.clone();
            async move { Lock::take(&path, Mode::Shared, Duration::from_secs(5)).await }
        });
        tokio::task::yield_now().await;
        drop(held);
        waiter.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_deadline_says_who_holds_it_and_leaves_no_lock_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let mut held = Lock::try_take(&path, Mode::Exclusive).unwrap().unwrap();
        held.label("deploying");
        let error = Lock::take(&path, Mode::Exclusive, Duration::from_millis(30)).await.unwrap_err().report();
        assert!(error.contains("deploying") && error.contains(&std::process::id().to_string()), "{error}");
        drop(held);
        Lock::take(&path, Mode::Exclusive, Duration::from_secs(5)).await.unwrap();
    }

    #[tokio::test]
    async fn whichever_is_free_first_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let paths = [folder.path().join("0"), folder.path().join("1")];
        let _first = Lock::try_take(&paths[0], Mode::Exclusive).unwrap().unwrap();
        let second = Lock::try_take(&paths[1], Mode::Exclusive).unwrap().unwrap();
        let waiter = tokio::spawn({
            let paths = paths.clone();
            async move { Lock::take_any(&paths, Mode::Exclusive, Duration::from_secs(5)).await }
        });
        tokio::task::yield_now().await;
        drop(second);
        assert_eq!(waiter.await.unwrap().unwrap().path, paths[1]);
    }

    #[tokio::test]
    async fn who_waited_for_a_file_that_is_no_more_begins_again() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("home");
        std::fs::create_dir(&home).unwrap();
        let path = home.join("lock");
        let held = Lock::try_take(&path, Mode::Exclusive).unwrap().unwrap();
        let waiter = tokio::spawn({
            let path = path.clone();
            async move { Lock::take(&path, Mode::Exclusive, Duration::from_secs(5)).await }
        });
        tokio::task::yield_now().await;
        crate::folders::remove(&home).unwrap();
        drop(held);
        let _lock = waiter.await.unwrap().unwrap();
        assert!(Lock::try_take(&path, Mode::Shared).unwrap().is_none(), "the next comer has another lock");
    }

    #[test]
    fn holders_are_read_from_proc_locks() {
        let text = "1: FLOCK  ADVISORY  WRITE 71 fe:00:42 0 EOF\n1: -> FLOCK  ADVISORY  WRITE 72 fe:00:42 0 EOF\n\
                    2: POSIX  ADVISORY  WRITE 73 fe:00:42 0 EOF\n3: FLOCK  ADVISORY  READ 74 fe:00:421 0 EOF\n";
        assert_eq!(flock_holders(text, 42), [71]);
    }
}
