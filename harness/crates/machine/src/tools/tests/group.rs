//! Real processes: what a command started ends with it, and with us.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use harness_base::lock::{Lock, Mode};
use rstest::rstest;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::AsyncWriteExt;

use crate::tools::{ChildKind, Command, Environment};

/// How long what is killed may take: 2 s of grace, and a machine that is busy.
const SOON: Duration = Duration::from_secs(20);

/// A command that says in the folder that it has begun, whose child ignores SIGTERM; both hold the folder's lock.
fn stubborn(folder: &Path) -> Command {
    let lock = Lock::try_take(&folder.join("lock"), Mode::Exclusive).unwrap().unwrap();
    let script = "(trap '' TERM; : >\"$1/begun\"; while :; do sleep 1; done) & wait";
    let command = Command::new("sh").args(["-c", script, "sh"]).arg(folder);
    command.limit(Duration::from_secs(600)).holding(Some(lock.descriptor().unwrap()))
}

async fn begun(folder: &Path) {
    let mut beat = tokio::time::interval(Duration::from_millis(10));
    let waiting = async {
        while !folder.join("begun").exists() {
            beat.tick().await;
        }
    };
    tokio::time::timeout(SOON, waiting).await.expect("the command did not begin");
}

fn is_held(folder: &Path) -> bool {
    Lock::try_take(&folder.join("lock"), Mode::Exclusive).unwrap().is_none()
}

/// Waits until nobody holds the lock any more: neither the command nor what it started.
async fn released(folder: &Path) {
    Lock::take(&folder.join("lock"), Mode::Exclusive, SOON).await.unwrap();
}

/// Nobody holds the lock, but for a process that another test starts right now: that has a copy of every descriptor until
/// it runs its program.
async fn let_go(folder: &Path) {
    let taken = Lock::take(&folder.join("lock"), Mode::Exclusive, Duration::from_secs(1)).await;
    assert!(taken.is_ok(), "the command's child goes on");
}

#[tokio::test]
async fn a_deadline_ends_all_that_was_started_before_it_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let running = tokio::spawn(stubborn(folder.path()).limit(Duration::from_secs(1)).run());
    begun(folder.path()).await;
    assert!(is_held(folder.path()));
    let error = running.await.unwrap().unwrap_err().report();
    assert!(error.contains("not done after 1s"), "{error}");
    let_go(folder.path()).await;
}

#[tokio::test]
async fn a_call_that_is_dropped_ends_all_that_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let running = tokio::spawn(stubborn(folder.path()).run());
    begun(folder.path()).await;
    running.abort();
    released(folder.path()).await;
}

#[tokio::test]
async fn what_a_command_leaves_behind_ends_with_it_and_delays_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let lock = Lock::try_take(&folder.path().join("lock"), Mode::Exclusive).unwrap().unwrap();
    // The child keeps both streams open.
    let command = Command::new("sh").args(["-c", "sleep 600 & echo done; exit 3"]);
    let started = Instant::now();
    let running = command.holding(Some(lock.descriptor().unwrap())).run();
    drop(lock);
    let error = running.await.unwrap_err().report();
    assert!(error.contains("exit status: 3") && error.contains("| done"), "{error}");
    let_go(folder.path()).await;
    assert!(started.elapsed() < SOON, "{:?}", started.elapsed());
}

#[tokio::test]
async fn who_leaves_the_group_and_keeps_the_streams_delays_nobody() {
    let script =
        "import os, time\nif os.fork():\n    print('done', flush=True)\n    os._exit(0)\nos.setsid()\ntime.sleep(15)";
    let started = Instant::now();
    let said = Command::new("python3").args(["-c", script]).run().await.unwrap().stdout;
    assert_eq!(said, "done\n");
    assert!(started.elapsed() < Duration::from_secs(12), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_child_sees_what_it_is_given_and_nothing_else() {
    let pairs = [("HELM_KUBEAPISERVER", "https://elsewhere"), ("GIT_DIR", "/x"), ("HOME", "/home/me"), ("LANG", "C")];
    let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let environment = Environment::new(&pairs.into());
    let command = Command::new("/usr/bin/env").given(&environment, ChildKind::Helm).env("LANG", "C.UTF-8");
    assert_eq!(command.line(), "LANG=C.UTF-8 /usr/bin/env");
    let said = command.run().await.unwrap().stdout;
    let mut lines: Vec<&str> = said.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["HOME=/home/me", "LANG=C.UTF-8"]);
}

/// The run that the test below ends.
#[tokio::test]
#[ignore = "a process of its own, which `a_run_that_is_ended_takes_all_that_it_started_along` starts"]
async fn a_run() {
    let mut folder = String::new();
    std::io::stdin().read_line(&mut folder).unwrap();
    // Started by somebody who runs all ignored tests.
    if folder.trim().is_empty() {
        return;
    }
    stubborn(Path::new(folder.trim())).run().await.unwrap();
}

#[expect(clippy::disallowed_methods, reason = "a run as a user starts it, which the test ends")]
fn start_a_run() -> tokio::process::Child {
    // Whoever ignores SIGINT, as a script's job in the background does, has its children ignore it; a handler is not handed on.
    drop(tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt()).unwrap());
    let mut run = tokio::process::Command::new(std::env::current_exe().unwrap());
    run.args(["--exact", "tools::tests::group::a_run", "--ignored", "--nocapture"]);
    run.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    run.spawn().unwrap()
}

#[rstest]
#[case::interrupted(Signal::INT)]
#[case::terminated(Signal::TERM)]
#[case::killed(Signal::KILL)]
#[tokio::test]
async fn a_run_that_is_ended_takes_all_that_it_started_along(#[case] signal: Signal) {
    let folder = tempfile::tempdir().unwrap();
    let mut run = start_a_run();
    let line = format!("{}\n", folder.path().display());
    run.stdin.as_mut().unwrap().write_all(line.as_bytes()).await.unwrap();
    begun(folder.path()).await;
    let pid = Pid::from_raw(run.id().unwrap().cast_signed()).unwrap();
    kill_process(pid, signal).unwrap();
    assert!(!run.wait().await.unwrap().success());
    // Until the last of them is gone, they hold the lock that they inherited: nobody else acts meanwhile.
    released(folder.path()).await;
}
