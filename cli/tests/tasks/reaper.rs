//! The reaper as it really runs: a process of its own that nobody waits for.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use harness::engine::Engine;
use harness::events::{self, Show};
use harness::settings::Settings;
use harness::tools::Tools;

const CLUSTER: &str = "jetscale-test-00000000";

/// A state folder with a record of nothing, whose time is over a second after its last user; and the record's path.
fn state() -> (tempfile::TempDir, PathBuf) {
    let state = tempfile::tempdir().unwrap();
    let home = state.path().join("jetscale-stack/clusters").join(CLUSTER);
    // A registry's data is what a run without a cluster leaves.
    for folder in ["owners", "slots", "registry"] {
        std::fs::create_dir_all(home.join(folder)).unwrap();
    }
    let record = home.join("record.json");
    let text = r#"{"cluster": "absent", "release": "absent", "uses": 1,
                   "keeping": {"passed_secs": 1, "failed_secs": 1}}"#;
    std::fs::write(&record, text).unwrap();
    (state, record)
}

/// The reaper asks the engine what it has of ours, and starts none: on a bare machine, this test is the first to need it.
fn engine() {
    harness::spec::of(&jetscale::STACK);
    let settings = Settings::from_environment();
    let own = tempfile::tempdir().unwrap();
    events::start(own.path(), Show::Lines).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    if let Err(error) = runtime.block_on(Engine::ensure(&Tools::new(settings.tools()), &settings, own.path())) {
        panic!("{}", error.report());
    }
}

#[test]
fn it_ends_when_the_time_is_over_and_leaves_the_lock_files() {
    engine();
    let (state, record) = state();
    let status = Command::new(env!("CARGO_BIN_EXE_cargo-stack"))
        .args(["__reaper", CLUSTER])
        .env("XDG_STATE_HOME", state.path())
        .status()
        .unwrap();
    assert!(status.success());
    assert!(!record.exists());
    for lock in ["change.lock", "use.lock", "reaper.lock"] {
        assert!(record.with_file_name(lock).exists(), "{lock} was unlinked");
    }
}

/// Whoever reads a run's output sees its end when the run ends, not when the reaper does.
#[test]
fn it_keeps_no_pipe_of_whoever_started_it() {
    let (state, record) = state();
    let started = Instant::now();
    // The shell hands a copy of its standard output down as descriptor 9, as a careless CI would.
    let output = Command::new("sh")
        .args(["-c", "\"$0\" __reaper jetscale-test-00000000 9>&1 >/dev/null 2>&1 & echo started"])
        .arg(env!("CARGO_BIN_EXE_cargo-stack"))
        .env("XDG_STATE_HOME", state.path())
        .stderr(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "started\n");
    assert!(record.exists(), "the reaper ended before the pipe did, after {:?}", started.elapsed());
}
