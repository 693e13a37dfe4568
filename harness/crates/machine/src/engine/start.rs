//! Starting an engine that is installed: by systemd, by a macOS application, or detached.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::os::fd::BorrowedFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use harness_base::progress::{Step, Teller};
use harness_settings::settings::Settings;
use rustix::io::{FdFlags, fcntl_setfd};

use super::engine_files::EngineFiles;
use super::host::App;
use super::record::EngineRecord;
use super::unavailable;
use super::{Engine, unavailable::EngineUnavailable};
use crate::error::{Error, Result};
use crate::tools::{ChildKind, Command, SYSTEM_PATH};

/// The deadline for a started engine to answer.
const ANSWERS: Duration = Duration::from_secs(60);
/// The deadline for an engine whose virtual machine has to start first, or to be made.
const VIRTUAL_MACHINE: Duration = Duration::from_secs(300);
/// The time between two checks whether it answers.
const BETWEEN_LOOKS: Duration = Duration::from_millis(200);
/// How much of the log's end is read for its last lines, in bytes.
const LOG_TAIL: u64 = 16 * 1024;
/// How many lines of it are shown.
const LOG_LINES: usize = 20;

/// Starts the engine by `systemctl start docker`; returns once it answers.
pub(super) async fn by_systemd(engine: &Engine, settings: &Settings) -> Result<()> {
    let step = Step::begin("starting the container engine");
    Command::new("systemctl")
        .given(&settings.environment, ChildKind::Program)
        .args(["start", "docker"])
        .on_failure("journalctl --unit docker --no-pager --lines 30")
        .telling(step.teller())
        .run()
        .await?;
    until_it_answers(engine, settings, ANSWERS, &step.teller(), || Ok(())).await?;
    step.done();
    Ok(())
}

/// Starts the macOS application that runs the engine; returns once it answers.
pub(super) async fn by_app(engine: &Engine, settings: &Settings, app: App) -> Result<()> {
    let (what, command) = match app {
        App::Desktop => ("starting Docker Desktop", Command::new("open").args(["-a", "Docker"])),
        App::Colima => ("starting colima", Command::new("colima").arg("start")),
    };
    let step = Step::begin(what);
    command.given(&settings.environment, ChildKind::Engine).limit(VIRTUAL_MACHINE).telling(step.teller()).run().await?;
    until_it_answers(engine, settings, VIRTUAL_MACHINE, &step.teller(), || Ok(())).await?;
    step.done();
    Ok(())
}

/// Starts the engine's daemon detached: it outlives this process, and inherits none of its descriptors.
///
/// A daemon that runs and does not answer yet, since another process just started it, is waited for.
/// Cancelled or killed, the engine goes on; the record has its process ID.
pub(super) async fn detached(
    engine: &Engine,
    settings: &Settings,
    dockerd: &Path,
    place: &EngineFiles,
    record: &mut EngineRecord,
) -> Result<()> {
    let step = Step::begin(format!("starting the container engine (log: {})", place.log.display()));
    // The process ID in a PID file that a killed engine left may be another process's by now; the engine then refuses to start.
    remove_stale(&place.containerd_pid, "containerd")?;
    let mut child = None;
    if remove_stale(&place.pid, "dockerd")?.is_none() {
        record.wrote(&place.log)?;
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&place.log)
            .map_err(Error::io(format!("open {}", place.log.display())))?;
        let started = spawn(dockerd, place, settings, &log)?;
        record.started(started.id())?;
        child = Some(started);
    }
    let ended = || match child.as_mut().map(Child::try_wait) {
        Some(Ok(Some(status))) => Err(Error::refused(
            format!("the container engine ended ({status}) instead of starting:\n{}", last_lines(&place.log)),
            format!("mend that, and run again; all of it is in {}", place.log.display()),
        )),
        _ => Ok(()),
    };
    until_it_answers(engine, settings, ANSWERS, &step.teller(), ended).await.map_err(|error| match error {
        Error::Base(harness_base::Error::Deadline { awaited, after, last }) => {
            harness_base::Error::Deadline { awaited, after, last: format!("{last}\n{}", last_lines(&place.log)) }.into()
        }
        other => other,
    })?;
    step.done();
    Ok(())
}

/// Waits until the engine answers with its version; `ended` returns an error early when the engine has ended.
async fn until_it_answers(
    engine: &Engine,
    settings: &Settings,
    limit: Duration,
    teller: &Teller,
    mut ended: impl FnMut() -> Result<()>,
) -> Result<()> {
    let since = Instant::now();
    // Polled, since no event tells that an engine is ready: its socket exists before, and systemd's even without an engine.
    let mut beat = tokio::time::interval(BETWEEN_LOOKS);
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        beat.tick().await;
        ended()?;
        let said = match unavailable::look(engine, &settings.docker_host).await {
            Ok(version) => {
                teller.tell(&format!("version {version} answers"));
                return Ok(());
            }
            Err(EngineUnavailable::Silent { said, .. } | EngineUnavailable::Unusable { said, .. }) => said,
            Err(EngineUnavailable::Denied(socket)) => {
                format!("its socket {} is not this account's to use", socket.display())
            }
            Err(EngineUnavailable::NoClient) => "its client docker is not in PATH".to_owned(),
        };
        if since.elapsed() > limit {
            let awaited = "an answer of the container engine that was started".to_owned();
            return Err(harness_base::Error::Deadline { awaited, after: limit, last: said }.into());
        }
    }
}

/// Whether a process runs this program.
pub(super) fn is(pid: u32, program: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == program)
}

/// Reads a PID file: returns the process ID if it is this program's, else removes the file.
fn remove_stale(path: &Path, program: &str) -> Result<Option<u32>> {
    let Ok(text) = std::fs::read_to_string(path) else { return Ok(None) };
    if let Some(pid) = text.trim().parse().ok().filter(|pid| is(*pid, program)) {
        return Ok(Some(pid));
    }
    tracing::info!("removing {}, which an engine that was killed left", path.display());
    std::fs::remove_file(path).map_err(Error::io(format!("remove {}", path.display())))?;
    Ok(None)
}

/// Starts the daemon in a session of its own, with its output in the log and no other descriptor open.
#[expect(clippy::disallowed_methods, reason = "the engine outlives us; its environment is cleared here")]
#[expect(
    unsafe_code,
    reason = "std has no way to make a session; only calls of the system happen between fork and exec"
)]
fn spawn(dockerd: &Path, place: &EngineFiles, settings: &Settings, log: &File) -> Result<Child> {
    let say = || format!("start {}", dockerd.display());
    let output = || log.try_clone().map(Stdio::from).map_err(Error::io(say()));
    // Descriptors of this process are closed on exec; those that it inherited itself (a pipe, a lock) are not.
    let open = std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let inherited: Vec<i32> =
        open.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(|number| *number > 2).collect();
    let mut command = std::process::Command::new(dockerd);
    command
        .args(&place.args)
        // Cargo's library path, nextest's variables and the like must not reach a service.
        .env_clear()
        .envs(settings.for_engine.iter().map(|(name, value)| (name, value)))
        .env("PATH", format!("{SYSTEM_PATH}:{}", settings.path))
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(output()?)
        .stderr(output()?);
    let detach = move || {
        rustix::process::setsid()?;
        for number in &inherited {
            // SAFETY: the number is used for this call alone; one that is closed by now is an error that changes nothing.
            let descriptor = unsafe { BorrowedFd::borrow_raw(*number) };
            let _ = fcntl_setfd(descriptor, FdFlags::CLOEXEC);
        }
        Ok(())
    };
    // SAFETY: neither allocates nor locks; setsid and fcntl are bare calls of the system.
    unsafe { command.pre_exec(detach) };
    command.spawn().map_err(Error::io(say()))
}

/// The last lines of the engine's log.
fn last_lines(log: &Path) -> String {
    let mut bytes = Vec::new();
    let _ = File::open(log).and_then(|mut file| {
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(LOG_TAIL)))?;
        file.read_to_end(&mut bytes)
    });
    let text = String::from_utf8_lossy(&bytes);
    // Lines of level info tell at length how the engine's parts shut down.
    let lines: Vec<&str> = text.lines().filter(|line| !line.contains("level=info")).collect();
    // From a panic on, the first lines tell the cause; more stacks follow than fit.
    let panic = lines.iter().rposition(|line| line.starts_with("panic:") || line.starts_with("fatal error:"));
    let first = panic.unwrap_or(lines.len().saturating_sub(LOG_LINES));
    let last = lines.iter().skip(first).take(LOG_LINES);
    last.map(|line| format!("  | {line}")).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests;
