//! The process group of a child: it ends as a whole, and with this process, however this process ends.
//!
//! The group's first member is a guard. It reads from a pipe that only this process holds open; when this process ends, even
//! by SIGKILL, the kernel closes the pipe, and the guard ends the group, itself last. While the guard lives, no other group
//! gets the group's number. (PR_SET_PDEATHSIG would reach only the child and not its children, would come when the *thread*
//! that started it ends, and exists on Linux alone.)

use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use tokio::process::Child;

/// How long members may take to end after SIGTERM; the guard's script has the same.
const GRACE: Duration = Duration::from_secs(2);
/// How long killed members may take to be gone.
const KILLED: Duration = Duration::from_millis(500);
/// The time between two checks of the group: nothing tells when its last member is gone.
const BEAT: Duration = Duration::from_millis(10);
/// The guard's script. `kill … 0` signals its own group.
const GUARD: &str = "trap '' HUP INT TERM; read -r _; kill -TERM 0; sleep 2; kill -KILL 0";

/// A process group. Dropped before [`Group::end`] has ended it, all of it is killed at once.
#[derive(Debug)]
pub(super) struct Group {
    guard: Child,
    number: Pid,
    is_over: bool,
}

impl Group {
    /// Starts a group with only the guard in it.
    #[expect(clippy::disallowed_methods, reason = "a part of the one builder")]
    pub fn begin() -> std::io::Result<Self> {
        let mut command = tokio::process::Command::new("/bin/sh");
        command.args(["-c", GUARD]).env_clear().env("PATH", super::SYSTEM_PATH).current_dir("/");
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        let guard = command.spawn()?;
        let number = guard.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        let number = number.ok_or_else(|| std::io::Error::other("the guard of a process group ended at once"))?;
        Ok(Self { guard, number, is_over: false })
    }

    /// The number by which a child joins it.
    pub fn number(&self) -> i32 {
        self.number.as_raw_nonzero().get()
    }

    /// Ends the rest of the group, by SIGTERM and after 2 s by SIGKILL; returns once it is gone.
    ///
    /// Cancelled, all of it is killed.
    pub async fn end(mut self, leader: &mut Child) {
        if leader.id().is_some() {
            self.signal(Signal::TERM);
            if tokio::time::timeout(GRACE, leader.wait()).await.is_err() {
                self.signal(Signal::KILL);
                let _ = tokio::time::timeout(KILLED, leader.wait()).await;
            }
        }
        // The guard ignores SIGTERM, so it is killed. From here on the number stays ours only while another member lives.
        let _ = self.guard.kill().await;
        for (signal, limit) in [(Signal::TERM, GRACE), (Signal::KILL, KILLED)] {
            if self.lives() {
                self.signal(signal);
                let _ = tokio::time::timeout(limit, self.gone()).await;
            }
        }
        self.is_over = true;
    }

    async fn gone(&self) {
        let mut beat = tokio::time::interval(BEAT);
        while self.lives() {
            beat.tick().await;
        }
    }

    /// Whether the group has a member that has not ended.
    ///
    /// Zombies do not count where /proc shows them: a signal reaches them too, and an orphan stays one until process 1 reaps it,
    /// which in a container may be never.
    fn lives(&self) -> bool {
        test_kill_process_group(self.number).is_ok() && any_lives(self.number()).unwrap_or(true)
    }

    /// Sends a signal to the group; does nothing if it is gone.
    fn signal(&self, signal: Signal) {
        let _ = kill_process_group(self.number, signal);
    }
}

/// Whether a process of a group has not ended; `None` where there is no /proc.
fn any_lives(group: i32) -> Option<bool> {
    let processes = std::fs::read_dir("/proc").ok()?.flatten();
    let numbers = processes.filter(|entry| entry.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit));
    let mut stats = numbers.filter_map(|entry| std::fs::read_to_string(entry.path().join("stat")).ok()).peekable();
    stats.peek()?;
    Some(stats.any(|stat| lives_in(&stat, group)))
}

/// Whether the text of /proc/PID/stat (proc_pid_stat(5)) is of a live process in a group: after the program's name, which may
/// hold anything, come the state, the parent and the group.
fn lives_in(stat: &str, group: i32) -> bool {
    let fields = stat.rsplit_once(')').map(|(_, rest)| rest).unwrap_or_default();
    let mut fields = fields.split_whitespace();
    let state = fields.next().unwrap_or_default();
    fields.nth(1) == Some(group.to_string().as_str()) && !matches!(state, "Z" | "X")
}

impl Drop for Group {
    fn drop(&mut self) {
        if !self.is_over {
            self.signal(Signal::KILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    #[rstest]
    #[case::sleeps("41 (sh) S 1 40 39 0 -1", true)]
    #[case::zombie("41 (sh) Z 1 40 39 0 -1", false)]
    #[case::of_another("41 (sh) S 40 41 39 0 -1", false)]
    #[case::odd_name("41 (a) Z 1 40 (b) R 1 40 39 0", true)]
    #[case::nothing("", false)]
    fn who_lives_in_a_group(#[case] stat: &str, #[case] lives: bool) {
        assert_eq!(super::lives_in(stat, 40), lives);
    }
}
