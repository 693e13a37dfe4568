//! The reaper: a process that deletes a cluster when it has been unused for its time, however the runs on it ended.
//!
//! The reaper is the program itself, run again with a hidden first argument: in a session of its own, with no inherited streams
//! or descriptors, so that it outlives a killed run, and a reader of the run's output sees its end.

use std::process::{ExitCode, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use harness_base::files::{read_json, write_json};
use harness_base::lock::{Lock, Mode};
use harness_base::process::Process;
use harness_machine::engine::Engine;
use harness_machine::tools::{ChildKind, Environment, Tools};
use harness_settings::settings::Settings;
use rustix::process::{Signal, setsid};
use serde::{Deserialize, Serialize};
use tokio::signal::unix::{Signal as Woken, SignalKind, signal};

use super::cluster_state::ClusterState;
use super::hold::{Alone, Change, everyone_out, in_use};
use super::record::{ClusterRecord, GAP};
use super::{kind, tilt};
use crate::error::{Error, Result};

/// The hidden first argument; the cluster's name follows.
const ARGUMENT: &str = "__reaper";
/// The pause before a failed attempt is repeated, at first and at most: nothing tells when an engine is back.
const AGAIN: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(300));
/// How long failed attempts are repeated: 24 h.
const GIVE_UP: Duration = Duration::from_secs(24 * 3600);
/// How long `cargo stack dev` may take to end once its Tilt has.
const DEV_ENDS: Duration = Duration::from_secs(20);
/// How long a reaper of an older build may take to end.
const REPLACED: Duration = Duration::from_secs(20);
/// A limit that is never reached.
const FOR_EVER: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// Whether this program, started again with [`ARGUMENT`], is a reaper.
static IS_ASKED: AtomicBool = AtomicBool::new(false);

/// Runs this process as a reaper if it was started as one, and returns its exit status then. The `main` of each program that
/// provisions has to call it first; without, [`ensure`] refuses.
pub fn enter_if_asked() -> Option<ExitCode> {
    IS_ASKED.store(true, Ordering::Relaxed);
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
        let cluster_state = ClusterState { folder: settings.state_root.join("clusters").join(&cluster), name: cluster };
        harness_base::events::start_at(&cluster_state.reaper_log(), harness_base::events::Show::Lines)?;
        let outcome = reap(&cluster_state, &settings).await;
        if let Err(error) = &outcome {
            tracing::error!("{}", error.report());
        }
        outcome
    });
    // A thread may still wait for a lock: it must not keep the process.
    runtime.shutdown_background();
    Some(if outcome.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Closes inherited descriptors: a pipe that the reaper kept open would hide the run's end from its reader.
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

/// A reaper that runs.
#[derive(Debug, Serialize, Deserialize)]
struct RunningReaper {
    process: Process,
    /// When its program was built, in nanoseconds since 1970: a reaper of an older build is replaced.
    built: u128,
}

/// When this program was built, by the time of the file that runs, which may have been replaced since.
fn built() -> u128 {
    let modified = std::fs::metadata(program()).and_then(|file| file.modified()).ok();
    modified.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok()).map_or(0, |age| age.as_nanos())
}

/// The path of this program's file; on Linux one that works also when the file was replaced or removed meanwhile.
fn program() -> std::path::PathBuf {
    let own = std::path::PathBuf::from("/proc/self/exe");
    if own.exists() { own } else { std::env::current_exe().unwrap_or(own) }
}

/// Makes sure that a reaper of this build or a newer one watches the cluster, and wakes it. It outlives this process.
///
/// # Errors
/// [`harness_base::Error::Io`] when it cannot be started; [`harness_base::Error::Deadline`] when an older one does not end;
/// [`harness_base::Error::Refused`] in a program whose `main` does not call [`enter_if_asked`].
#[expect(clippy::disallowed_methods, reason = "the reaper outlives us, and so does its group")]
pub async fn ensure(cluster_state: &ClusterState, environment: &Environment) -> Result<()> {
    if !IS_ASKED.load(Ordering::Relaxed) {
        return Err(Error::refused(
            "this program would leave its cluster for ever: nothing in it becomes a reaper",
            "let its main begin with harness::cluster::reaper::enter_if_asked",
        ));
    }
    match running(cluster_state)? {
        Some(Some(running)) if running.built >= built() => {
            running.process.signal(Signal::USR1);
            return Ok(());
        }
        Some(running) => {
            if let Some(running) = running {
                tracing::debug!("the reaper of an older build ({}) is replaced", running.process);
                running.process.signal(Signal::TERM);
            } else if let Some(process) = of_the_version_before(cluster_state) {
                process.signal(Signal::TERM);
            }
            drop(Lock::take(&cluster_state.reaper_lock(), Mode::Exclusive, REPLACED).await?);
        }
        None => {}
    }
    let program = program();
    std::process::Command::new(&program)
        .args([ARGUMENT, &cluster_state.name])
        .env_clear()
        .envs(environment.of(ChildKind::Reaper))
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map(drop)
        .map_err(Error::io(format!("start the reaper, {} {ARGUMENT}", program.display())))
}

/// The reaper that runs, if one does; the inner `None`: it runs, and its note cannot be read.
fn running(cluster_state: &ClusterState) -> Result<Option<Option<RunningReaper>>> {
    if Lock::try_take(&cluster_state.reaper_lock(), Mode::Exclusive)?.is_some() {
        return Ok(None);
    }
    // A note that cannot be read was written by another build.
    let noted: Option<RunningReaper> = read_json(&cluster_state.reaper(), "cargo stack clean").ok().flatten();
    Ok(Some(noted.filter(|running| running.process.lives())))
}

/// The reaper of an older version, which wrote its process ID into its lock; while it holds that, the ID is its own.
fn of_the_version_before(cluster_state: &ClusterState) -> Option<Process> {
    let note = std::fs::read_to_string(cluster_state.reaper_lock()).ok()?;
    let pid = note.split_whitespace().nth(1)?.trim_end_matches(':').parse().ok()?;
    Process::of(pid).filter(|_| note.ends_with("reaper\n"))
}

async fn reap(cluster_state: &ClusterState, settings: &Settings) -> Result<()> {
    let mut woken = signal(SignalKind::user_defined1()).map_err(Error::io("listen for SIGUSR1"))?;
    let Some(mut reaper) = Lock::try_take(&cluster_state.reaper_lock(), Mode::Exclusive)? else { return Ok(()) };
    reaper.label("the reaper");
    write_json(&cluster_state.reaper(), &RunningReaper { process: Process::this(), built: built() })?;
    let tools = Tools::new(settings.tools());
    let mut failing_since = None;
    let mut pause = AGAIN.0;
    loop {
        // Errors (an engine that is down, a full disk) are tried again: the cluster still has to be deleted.
        match watch(cluster_state, settings, &tools, &mut woken).await {
            Ok(Some(change)) => {
                // Released before `change`, so that the next holder of `change` finds no reaper and starts one.
                drop(reaper);
                drop(change);
                return Ok(());
            }
            Ok(None) => (pause, failing_since) = (AGAIN.0, None),
            Err(error) => {
                let since = *failing_since.get_or_insert_with(tokio::time::Instant::now);
                if since.elapsed() > GIVE_UP {
                    return Err(error);
                }
                tracing::warn!("{}; tried again in {pause:.0?}", error.report());
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    _ = woken.recv() => {}
                }
                pause = (pause * 2).min(AGAIN.1);
            }
        }
    }
}

/// Waits until the cluster is unused, then for its time, and deletes it. Returns `change` when nothing is left to watch, so that
/// the caller releases it last.
async fn watch<'a>(
    cluster_state: &'a ClusterState,
    settings: &Settings,
    tools: &Tools,
    woken: &mut Woken,
) -> Result<Option<Change<'a>>> {
    end_left_over(cluster_state).await?;
    // Blocks while a process runs scenarios.
    everyone_out(cluster_state, FOR_EVER).await?;
    let change = Change::take(cluster_state, "the reaper looks", FOR_EVER).await?;
    let before = change.record()?;
    if let Some(turn) = before.turns.living() {
        let process = turn.by.clone();
        drop(change);
        process.ended(FOR_EVER).await?;
        return Ok(None);
    }
    if !is_there(cluster_state, &before) {
        // Nothing exists: provisioning ended before it made anything.
        return Ok(Some(change));
    }
    drop(change);
    let tidied = async {
        let engine = Engine::connect(tools, settings).await?;
        note_images(&before, &engine, settings).await?;
        Ok::<_, Error>(harness_machine::tidy::run(&engine, settings).await?)
    };
    if let Err(error) = tidied.await {
        tracing::warn!("what piles up was not removed: {}", error.report());
    }
    let idle = before.keeping.idle(cluster_state.has_failed()).unwrap_or(FOR_EVER);
    // A run's Tilt is useless after its run: it is ended before the cluster's time is over.
    let tilt_first = idle > GAP && tilt::running(cluster_state)?.is_some();
    let idle = if tilt_first { GAP } else { idle };
    tracing::info!(
        "nobody uses {}; {} in {idle:.0?}",
        cluster_state.name,
        if tilt_first { "its Tilt ends" } else { "it goes" }
    );
    tokio::select! {
        () = tokio::time::sleep(idle) => {}
        _ = woken.recv() => return Ok(None),
    }
    let change = Change::take(cluster_state, "the reaper removes what nobody uses", FOR_EVER).await?;
    let record = change.record()?;
    if record.uses != before.uses || record.turns.living().is_some() {
        return Ok(None);
    }
    let Some(alone) = change.try_alone()? else { return Ok(None) };
    if tilt_first {
        tilt::end(cluster_state).await?;
        return Ok(None);
    }
    for removed in remove(&alone, cluster_state, settings, tools, false).await? {
        tracing::info!("removed {removed}");
    }
    drop(alone);
    Ok(Some(change))
}

/// Waits for the end of a `cargo stack dev`, and ends the Tilt that it leaves when it is killed: that would hold `use` for ever.
async fn end_left_over(cluster_state: &ClusterState) -> Result<()> {
    let by = {
        let _change = Change::take(cluster_state, "the reaper looks", FOR_EVER).await?;
        tilt::running(cluster_state)?.filter(|running| running.run == tilt::BY_HAND).and_then(|running| running.by)
    };
    let Some(by) = by else { return Ok(()) };
    by.ended(FOR_EVER).await?;
    let _change = Change::take(cluster_state, "the reaper ends a Tilt", FOR_EVER).await?;
    match tilt::running(cluster_state)?.is_some_and(|running| running.is_left_over()) {
        true => tilt::end(cluster_state).await,
        false => Ok(()),
    }
}

/// Whether anything of a cluster may exist.
fn is_there(cluster_state: &ClusterState, record: &ClusterRecord) -> bool {
    record.identity.is_some() || record.cluster != super::Phase::Absent || cluster_state.registry_data().is_dir()
}

/// Deletes leavings, the cluster, the registry and the record; returns what was removed.
async fn remove(
    alone: &Alone<'_>,
    cluster_state: &ClusterState,
    settings: &Settings,
    tools: &Tools,
    data_too: bool,
) -> Result<Vec<String>> {
    tilt::end(cluster_state).await?;
    let mut removed = Vec::new();
    let mut record = alone.change.record()?;
    if is_there(cluster_state, &record) {
        let engine = Engine::connect(tools, settings).await?;
        kind::expect_engine(&record, &engine, cluster_state).await?;
        // Images that are not noted are not removed later; that is no reason to keep the rest.
        if let Err(error) = note_images(&record, &engine, settings).await {
            tracing::warn!("the images that were built here were not noted: {}", error.report());
        }
        // Namespaces are deleted with the cluster; containers of killed scenarios are removed one by one.
        super::sweep_leavings(cluster_state, &engine, None).await?;
        if data_too {
            kind::empty_registry(&record, &engine, cluster_state).await?;
        }
        removed = kind::delete(alone, &mut record, &engine, cluster_state).await?;
        if record.identity.is_some() {
            return Ok(removed);
        }
    }
    if data_too && cluster_state.registry_data().is_dir() {
        removed.push(format!("what the registry of {} held", cluster_state.name));
    }
    cluster_state.clear(data_too)?;
    Ok(removed)
}

/// Notes the images that were built for the registry beside a cluster, if it runs.
async fn note_images(record: &ClusterRecord, engine: &Engine, settings: &Settings) -> Result<()> {
    let Some(identity) = &record.identity else { return Ok(()) };
    match kind::registry(identity, engine).await? {
        Some(address) => Ok(harness_machine::tidy::note(engine, &settings.state_root, &address).await?),
        None => Ok(()),
    }
}

/// Runs `cargo stack clean`: deletes the cluster at once, with the registry's data; returns what was removed.
///
/// # Errors
/// [`harness_base::Error::Refused`] when somebody uses the cluster and `wait` is `None`; [`harness_base::Error::Deadline`] when
/// they do so for longer.
pub async fn clean(cluster_state: &ClusterState, settings: &Settings, wait: Option<Duration>) -> Result<Vec<String>> {
    if !cluster_state.folder.is_dir() {
        return Ok(Vec::new());
    }
    let change = match wait {
        Some(limit) => everyone_gone(cluster_state, limit).await?,
        None => Change::try_take(cluster_state, "cargo stack clean")?,
    };
    // A developer's Tilt holds `use`, so it is ended before the cluster can be had alone.
    end_by_hand(cluster_state, &change.record()?).await?;
    let alone = match wait {
        Some(limit) => change.alone_within(limit).await?,
        None => change.try_alone()?.ok_or_else(|| in_use(cluster_state, &cluster_state.users()))?,
    };
    let record = change.record()?;
    if let Some(turn) = record.turns.living() {
        return Err(in_use(cluster_state, &turn.to_string()));
    }
    // Read before its note is removed with the rest.
    let watching = running(cluster_state)?;
    let removed = remove(&alone, cluster_state, settings, &Tools::new(settings.tools()), true).await?;
    drop(alone);
    end(watching);
    Ok(removed)
}

/// Ends the Tilt that a developer runs on this cluster, and waits for its `cargo stack dev`: cleaning means to end it.
async fn end_by_hand(cluster_state: &ClusterState, record: &ClusterRecord) -> Result<()> {
    let Some(running) = tilt::running(cluster_state)?.filter(|running| running.run == tilt::BY_HAND) else {
        return Ok(());
    };
    // A clean-up that is refused anyway ends nothing before.
    if let Some(turn) = record.turns.living().filter(|turn| Some(&turn.by) != running.by.as_ref()) {
        return Err(in_use(cluster_state, &turn.to_string()));
    }
    tracing::info!("ending the Tilt that cargo stack dev runs ({})", running.process);
    tilt::end(cluster_state).await?;
    match running.by {
        Some(process) => Ok(process.ended(DEV_ENDS).await?),
        None => Ok(()),
    }
}

/// Takes `change` once no run lives that uses the release or waits for it.
async fn everyone_gone(cluster_state: &ClusterState, limit: Duration) -> Result<Change<'_>> {
    let until = tokio::time::Instant::now() + limit;
    loop {
        let left = until.saturating_duration_since(tokio::time::Instant::now());
        let change = Change::take(cluster_state, "cargo stack clean", left).await?;
        let record = change.record()?;
        let Some(turn) = record.turns.living() else { return Ok(change) };
        tracing::info!("waiting for the end of {turn}");
        drop(change);
        turn.by.ended(left).await?;
    }
}

/// Runs `cargo stack clean --forget`: removes the state of a cluster whose engine is gone for good; returns the name of what may
/// be left there.
///
/// # Errors
/// [`harness_base::Error::Refused`] when a process uses the cluster.
pub async fn forget(cluster_state: &ClusterState) -> Result<Option<String>> {
    let change = Change::try_take(cluster_state, "cargo stack clean --forget")?;
    let alone = change.try_alone()?.ok_or_else(|| in_use(cluster_state, &cluster_state.users()))?;
    tilt::end(cluster_state).await?;
    let left = change.record().ok().and_then(|record| record.identity).map(|identity| identity.name);
    let watching = running(cluster_state)?;
    cluster_state.clear(true)?;
    drop(alone);
    end(watching);
    Ok(left)
}

/// Ends the reaper, which has nothing left to do; the next run starts another.
fn end(watching: Option<Option<RunningReaper>>) {
    if let Some(running) = watching.flatten() {
        running.process.signal(Signal::TERM);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As this one, whose `main` is the test runner's own: it was started, took its arguments for a test's name, and ended.
    #[tokio::test]
    async fn a_program_that_becomes_none_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings::parse(&Default::default());
        let cluster_state = ClusterState { name: "shop-test-00000000".to_owned(), folder: folder.path().to_owned() };
        let refused = ensure(&cluster_state, &settings.environment).await.unwrap_err().report();
        assert!(refused.contains("nothing in it becomes a reaper"), "{refused}");
    }
}
