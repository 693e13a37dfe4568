//! A process's identity: its number and its start, since numbers are used again.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// A process of this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// The process id.
    pub pid: i32,
    /// The start as the system gives it, on Linux with the boot: text to compare, and nothing else.
    pub started: String,
}

impl Process {
    /// The running process with this number; `None` when there is none, or only a zombie.
    pub fn of(pid: i32) -> Option<Self> {
        system::started(pid).map(|started| Self { pid, started })
    }

    /// This process.
    pub fn this() -> Self {
        let pid = i32::try_from(std::process::id()).unwrap_or_default();
        // Where the system does not give the start, it gives none for any process: the empty text still compares equal.
        Self::of(pid).unwrap_or(Self { pid, started: String::new() })
    }

    /// This process's parent; `None` when it has ended.
    pub fn parent() -> Option<Self> {
        let pid = rustix::process::getppid()?.as_raw_nonzero().get();
        // A process whose parent ended is given to process 1, which did not start it.
        if pid == 1 { None } else { Self::of(pid) }
    }

    /// The time since the process started, to 0.01 s, and its program's name; `None` where the system does not tell.
    pub fn age(&self) -> Option<(Duration, String)> {
        system::age(self.pid)
    }

    /// Whether the process still runs; a later one with the same number is another process.
    pub fn lives(&self) -> bool {
        system::started(self.pid).as_ref() == Some(&self.started)
    }

    /// Sends a signal to the process; returns whether it still runs and took the signal.
    pub fn signal(&self, signal: Signal) -> bool {
        self.lives() && Pid::from_raw(self.pid).is_some_and(|pid| kill_process(pid, signal).is_ok())
    }

    /// Waits until the process has ended: the kernel tells on Linux, elsewhere it is asked every 500 ms.
    ///
    /// # Errors
    /// [`Error::Deadline`] when the process still runs after `limit`; [`Error::Io`] when it cannot be watched.
    pub async fn ended(&self, limit: Duration) -> Result<()> {
        let waited = tokio::time::timeout(limit, system::ended(self)).await;
        waited.unwrap_or_else(|_| {
            let last = "it still runs".to_owned();
            Err(Error::Deadline { awaited: format!("the end of process {}", self.pid), after: limit, last })
        })
    }
}

impl std::fmt::Display for Process {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "process {}", self.pid)
    }
}

#[cfg(target_os = "linux")]
mod system {
    use std::time::Duration;

    use rustix::process::{Pid, PidfdFlags, pidfd_open};
    use tokio::io::Interest;
    use tokio::io::unix::AsyncFd;

    use super::Process;
    use crate::error::{Error, Result};

    /// A process's start; `None` when it has ended, a zombie included (proc_pid_stat(5), fields 3 and 22).
    pub(super) fn started(pid: i32) -> Option<String> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        since(&stat).map(|ticks| format!("{ticks} in boot {}", boot.get(..8).unwrap_or_default()))
    }

    /// A process's age and its program's name. Start and uptime both count from the boot (proc_pid_stat(5), proc_uptime(5));
    /// in a container with an uptime of its own they may not fit.
    pub(super) fn age(pid: i32) -> Option<(Duration, String)> {
        let read = |file: &str| std::fs::read_to_string(format!("/proc/{file}")).ok();
        let ticks: f64 = since(&read(&format!("{pid}/stat"))?)?.parse().ok()?;
        let up: f64 = read("uptime")?.split(' ').next()?.parse().ok()?;
        let age = up - ticks / rustix::param::clock_ticks_per_second() as f64;
        let name = read(&format!("{pid}/comm"))?.trim().to_owned();
        Some((Duration::try_from_secs_f64(age).ok()?, name))
    }

    /// The start in ticks since the boot, from a text of /proc/PID/stat; the name in it may hold blanks and brackets.
    pub(super) fn since(stat: &str) -> Option<&str> {
        let (_, fields) = stat.rsplit_once(") ")?;
        let mut fields = fields.split(' ');
        if matches!(fields.next()?, "Z" | "X") { None } else { fields.nth(18) }
    }

    #[expect(unsafe_code, reason = "tokio asks for a promise that an owned descriptor keeps by itself")]
    pub(super) async fn ended(process: &Process) -> Result<()> {
        let Some(pid) = Pid::from_raw(process.pid) else { return Ok(()) };
        let watched = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(watched) => watched,
            Err(rustix::io::Errno::SRCH) => return Ok(()),
            Err(errno) => return Err(Error::io(format!("watch {process}"))(errno.into())),
        };
        // The lives check comes after the open, so that a number that was given anew is found out.
        if !process.lives() {
            return Ok(());
        }
        let say = || format!("watch {process}");
        // SAFETY: the descriptor is owned, and closed by nobody before the registration ends with it.
        let watched = unsafe { AsyncFd::register_with_interest(watched, Interest::READABLE) };
        let watched = watched.map_err(|refused| Error::io(say())(refused.into_parts().1))?;
        watched.readable().await.map(drop).map_err(Error::io(say()))
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use std::time::Duration;

    use super::Process;
    use crate::error::Result;

    /// How often a process is asked for: POSIX cannot wait for the end of a process that is no child.
    const ASK: Duration = Duration::from_millis(500);

    #[expect(clippy::disallowed_methods, reason = "a moment's question, asked where nothing is awaited")]
    pub(super) fn started(pid: i32) -> Option<String> {
        let asked =
            std::process::Command::new("ps").args(["-o", "stat=,lstart=", "-p", &pid.to_string()]).output().ok()?;
        let said = String::from_utf8_lossy(&asked.stdout).trim().to_owned();
        let (state, since) = said.split_once(' ')?;
        (!state.starts_with('Z')).then(|| since.trim().to_owned())
    }

    /// Never an age: `ps` gives whole seconds, too coarse for a run's steps.
    pub(super) fn age(_: i32) -> Option<(Duration, String)> {
        None
    }

    pub(super) async fn ended(process: &Process) -> Result<()> {
        let mut beat = tokio::time::interval(ASK);
        while process.lives() {
            beat.tick().await;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn a_start_is_read_behind_any_name() {
        let fields = (3..=22).map(|number| number.to_string()).collect::<Vec<_>>().join(" ");
        let stat = |name: &str, state: &str| format!("7 ({name}) {state}{}", &fields[1..]);
        assert_eq!(system::since(&stat("a) S b", "S")), Some("22"));
        assert_eq!(system::since(&stat("a", "Z")), None);
        assert_eq!(system::since("7"), None);
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "a child that ends when its input does, and is looked at from outside"
    )]
    #[tokio::test]
    async fn an_end_is_told_and_a_number_used_anew_is_another_process() {
        let mut child = tokio::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
        let process = Process::of(i32::try_from(child.id().unwrap()).unwrap()).unwrap();
        assert!(process.lives());
        let other = Process { started: "another time".to_owned(), ..process.clone() };
        assert!(!other.lives() && !other.signal(Signal::TERM));
        other.ended(Duration::from_secs(5)).await.unwrap();
        assert!(process.ended(Duration::from_millis(20)).await.is_err());
        drop(child.stdin.take());
        process.ended(Duration::from_secs(10)).await.unwrap();
        assert!(!process.lives());
        child.wait().await.unwrap();
    }
}
