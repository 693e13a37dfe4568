//! The reaper: whoever uses a cluster, and however it ends, the cluster goes when its time is over.
//!
//! It is the suite's own binary run again with a hidden first argument: a session of its own, no
//! inherited streams or descriptors, so that a killed run does not take it along and a reader of
//! the run's output sees its end.

use std::process::{ExitCode, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, setsid};
use tokio::signal::unix::{SignalKind, signal};

use super::home::{Home, Phase};
use super::{kind, tilt};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::lock::{Lock, Mode, holders};
use crate::settings::Settings;
use crate::tools::{Tool, Tools};

/// The hidden first argument; the cluster's name follows.
const ARGUMENT: &str = "__reaper";
/// How long the gap between two tests of a run may be.
const GAP: Duration = Duration::from_secs(15);
/// "Without a limit": nobody waits this long.
const FOR_EVER: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// Turns this process into a reaper if that is what it was started for; suites and the CLI call it first of all.
pub fn enter_if_asked() -> Option<ExitCode> {
    let mut arguments = std::env::args().skip(1);
    if arguments.next()? != ARGUMENT {
        return None;
    }
    let cluster = arguments.next()?;
    close_inherited();
    // Not a leader of a process group yet, since it was just started: this cannot fail for another reason.
    let _ = setsid();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(_) => return Some(ExitCode::FAILURE),
    };
    let outcome = runtime.block_on(async {
        let settings = Settings::from_environment();
        let home = Home { folder: settings.state_root.join("clusters").join(&cluster), cluster };
        crate::events::start_at(&home.reaper_log(), crate::events::Show::Lines)?;
        let outcome = reap(&home, &settings).await;
        if let Err(error) = &outcome {
            tracing::error!("{}", error.report());
        }
        outcome
    });
    // A thread may still wait for a lock: it must not keep the process.
    runtime.shutdown_background();
    Some(if outcome.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Closes what whoever started the run left open for its children: a pipe that the reaper kept would hide the run's end.
#[expect(unsafe_code, reason = "first thing in main: no descriptor above 2 belongs to anything in this process")]
fn close_inherited() {
    let open = std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let numbers: Vec<i32> = open.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    // The listing's own descriptor is among them, and closed by now.
    let is_open = |number: &i32| std::fs::symlink_metadata(format!("/proc/self/fd/{number}")).is_ok();
    for number in numbers.into_iter().filter(|number| *number > 2 && is_open(number)) {
        // SAFETY: nothing in this process owns it.
        unsafe { rustix::io::close(number) }
    }
}

/// Makes sure that a reaper watches the cluster, and that it knows of a change; only under the lock `change`.
///
/// # Errors
/// [`Error::Io`] when it cannot be started.
pub fn ensure(home: &Home) -> Result<()> {
    if send(home, Signal::USR1)? {
        return Ok(());
    }
    let program = std::env::current_exe().map_err(Error::io("find this program's own file"))?;
    std::process::Command::new(&program)
        .args([ARGUMENT, &home.cluster])
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map(drop)
        .map_err(Error::io(format!("start the reaper, {} {ARGUMENT}", program.display())))
}

/// Sends the reaper a signal; whether there is one.
fn send(home: &Home, what: Signal) -> Result<bool> {
    if Lock::try_take(&home.reaper_lock(), Mode::Exclusive)?.is_some() {
        return Ok(false);
    }
    // The holder's own number stands first in what it wrote.
    let note = std::fs::read_to_string(home.reaper_lock()).unwrap_or_default();
    let pid = note.split_whitespace().nth(1).and_then(|word| word.trim_end_matches(':').parse().ok());
    if let Some(pid) = pid.and_then(Pid::from_raw) {
        // Gone in between: then there is nothing to tell, and the next user starts one.
        let _ = kill_process(pid, what);
    }
    Ok(true)
}

async fn reap(home: &Home, settings: &Settings) -> Result<()> {
    let mut woken = signal(SignalKind::user_defined1()).map_err(Error::io("listen for SIGUSR1"))?;
    let Some(mut reaper) = Lock::try_take(&home.reaper_lock(), Mode::Exclusive)? else { return Ok(()) };
    reaper.label("reaper");
    let tools = Tools::new(settings);
    loop {
        // Blocks while anybody runs scenarios, or provisions.
        drop(Lock::take(&home.use_lock(), Mode::Exclusive, FOR_EVER).await?);
        let change = Lock::take(&home.change_lock(), Mode::Exclusive, FOR_EVER).await?;
        let before = home.record()?;
        if before.cluster == Phase::Absent && !home.registry_data().is_dir() {
            // Provisioning ended before it made anything. The order is that of the other end, below.
            drop(reaper);
            drop(change);
            return Ok(());
        }
        drop(change);
        let idle = before.keeping.idle(home.has_failed()).unwrap_or(FOR_EVER);
        // A run's Tilt is of no use to anybody after it: it goes before the cluster that it runs on.
        let tilt_first = idle > GAP && tilt::running(home)?.is_some();
        let idle = if tilt_first { GAP } else { idle };
        tracing::info!(
            "nobody uses {}; {} in {idle:.0?}",
            home.cluster,
            if tilt_first { "its Tilt ends" } else { "it goes" }
        );
        tokio::select! {
            () = tokio::time::sleep(idle) => {}
            _ = woken.recv() => continue,
        }
        let change = Lock::take(&home.change_lock(), Mode::Exclusive, FOR_EVER).await?;
        let record = home.record()?;
        let unused = Lock::try_take(&home.use_lock(), Mode::Exclusive)?;
        if record.uses == before.uses && unused.is_some() {
            if tilt_first {
                tilt::end(home).await?;
                continue;
            }
            remove(home, settings, &tools, &change, false).await?;
            // A newcomer who gets `change` next must find no reaper, so that it starts one.
            drop(reaper);
            drop(change);
            return Ok(());
        }
    }
}

/// Deletes what belongs to a cluster: leavings, the cluster, the registry, the record; only under the lock `change`.
async fn remove(home: &Home, settings: &Settings, tools: &Tools, change: &Lock, data_too: bool) -> Result<()> {
    tilt::end(home).await?;
    let mut record = home.record()?;
    if record.cluster != Phase::Absent {
        tools.require(&[Tool::Docker, Tool::Kind]).await?;
    }
    let engine = Engine::connect(tools, settings).await?;
    // The cluster takes its namespaces along; containers of killed scenarios have to go one by one.
    super::sweep_leavings(home, &engine, None).await?;
    kind::delete(home, &mut record, &engine, tools, change).await?;
    home.clear(data_too)
}

/// `cargo stack clean`: the same at once, and with the registry's data.
///
/// # Errors
/// [`Error::Refused`] when somebody uses the cluster and `wait` is `None`; [`Error::Deadline`] when they do so for longer.
pub async fn clean(home: &Home, settings: &Settings, wait: Option<Duration>) -> Result<bool> {
    let change = match wait {
        Some(limit) => Lock::take(&home.change_lock(), Mode::Exclusive, limit).await?,
        None => {
            Lock::try_take(&home.change_lock(), Mode::Exclusive)?.ok_or_else(|| in_use(home, &home.change_lock()))?
        }
    };
    let _everyone_out = match wait {
        Some(limit) => Lock::take(&home.use_lock(), Mode::Exclusive, limit).await?,
        None => Lock::try_take(&home.use_lock(), Mode::Exclusive)?.ok_or_else(|| in_use(home, &home.use_lock()))?,
    };
    let there = home.record()?.cluster != Phase::Absent || home.registry_data().is_dir();
    let tools = Tools::new(settings);
    remove(home, settings, &tools, &change, true).await?;
    // It has nothing left to do; whoever comes next starts another.
    send(home, Signal::TERM)?;
    Ok(there)
}

fn in_use(home: &Home, lock: &std::path::Path) -> Error {
    Error::refused(
        format!("{} is in use by {}", home.cluster, holders(lock)),
        "cargo stack clean --wait, to wait for them",
    )
}
