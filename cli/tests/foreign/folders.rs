//! Folders: those that settings name, and the state folder.

use std::path::{Path, PathBuf};

use harness::folders::{Marker, make_marked};
use harness::process::Process;

use super::docker::{Heard, run, tool};
use super::place::{CHARTS, IMAGES, Place, RELEASE};
use super::planted::Thing;
use super::proxy::{Answer, Proxy};
use super::trial::Shown;

/// A run's folder is made beside a stranger's files, and removed from beside them.
pub async fn a_run_folder_keeps_what_a_stranger_put_there(place: &Place) -> Shown {
    let seat = place.seat("one").await;
    place.plant_folder(&seat.runs().join("a-strangers")).await;
    seat.suite(&CHARTS).run().await.passes("a scenario about charts");
    seat.stack(&["clean"]).run().await.passes("cargo stack clean");
    let left: Vec<_> = std::fs::read_dir(seat.runs()).map(|entries| entries.flatten().collect()).unwrap_or_default();
    let left: Vec<_> = left.iter().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    let of_ours: Vec<_> = left.iter().filter(|name| *name != "a-strangers").collect();
    assert!(of_ours.is_empty(), "cargo stack clean left a run of ours: {of_ours:?}");
    "the run went, the stranger's files stayed".into()
}

/// The runs of all checkouts lie side by side.
pub async fn cleaning_a_checkout_keeps_the_runs_of_another(place: &Place) -> Shown {
    let mut one = place.seat("one").await;
    let mut two = place.seat("two").await;
    // Neither says where runs are kept: both have the one state folder of their user.
    for seat in [&mut one, &mut two] {
        *seat = seat.clone().with("JETSCALE_RUN_DIR", "").with("XDG_STATE_HOME", place.path("state").to_string_lossy());
    }
    std::fs::create_dir_all(place.path("state")).unwrap();
    for seat in [&one, &two] {
        seat.suite(&CHARTS).run().await.passes("a scenario about charts");
    }
    let runs = place.path("state/jetscale-stack/runs");
    let list = || std::fs::read_dir(&runs).map(|entries| entries.flatten().count()).unwrap_or_default();
    let before = list();
    assert_eq!(before, 2, "two runs left {before} folders");
    one.stack(&["clean"]).run().await.passes("cargo stack clean");
    assert!(list() > 0, "cargo stack clean in one checkout removed the runs of the other");
    "the other checkout's run stayed".into()
}

/// What lies beside our folders stays, and so does what a link in them leads to.
pub async fn an_uninstall_stays_within_its_own_folders(place: &Place) -> Shown {
    let Some(proxy) = Proxy::start(place, Answer::Another).await else { return Shown::Nothing(NO_SOCKET) };
    let seat = place.seat_apart("one", &proxy).await;
    for folder in ["cache/jetscale-stack/charts", "one/state/jetscale-stack/setup"] {
        std::fs::create_dir_all(place.path(folder)).unwrap();
    }
    for folder in ["elsewhere", "one/state/a-strangers", "one/runs/a-strangers", "cache/a-strangers"] {
        place.plant_folder(&place.path(folder)).await;
    }
    for folder in ["cache/jetscale-stack/charts", "one/state/jetscale-stack/setup"] {
        std::os::unix::fs::symlink(place.path("elsewhere"), place.path(folder).join("link")).unwrap();
    }
    let runs = place.path("one/state/jetscale-stack/runs");
    place.plant_folder(&runs.join("a-strangers")).await;
    let run = |name: &str, process| {
        let marker = Marker { holds: format!("the run {name}"), checkout: PathBuf::from("/another"), process };
        make_marked(&runs.join(name), &marker).unwrap();
    };
    run("goes-on", Process::this());
    run("has-ended", Process { pid: Process::this().pid, started: "long ago".to_owned() });
    let ran = seat.stack(&["clean", "--all"]).run().await;
    ran.passes("cargo stack clean --all");
    for (folder, stay) in [("cache/jetscale-stack", 0), ("one/state/jetscale-stack", 1)] {
        let left = std::fs::read_dir(place.path(folder)).map(|entries| entries.flatten().count()).unwrap_or_default();
        assert_eq!(left, stay, "cargo stack clean --all left {left} entries in {folder}");
    }
    assert!(runs.join("goes-on").is_dir(), "cargo stack clean --all took the folder of a run that goes on");
    assert!(
        ran.text.contains("the run goes-on goes on"),
        "cargo stack clean --all left a run without a word\n{}",
        ran.text
    );
    assert!(!runs.join("has-ended").exists(), "cargo stack clean --all left the folder of a run that has ended");
    "our folders went, all others stayed, and so did that of a run that goes on".into()
}

/// A record that is cut short is unknown: it says neither that there is a cluster nor that there is none.
pub async fn a_record_that_nobody_can_read_is_no_leave_to_delete(place: &Place) -> Shown {
    let seat = place.seat("one").await;
    let name = seat.name().await;
    let record = seat.state().join("jetscale-stack/clusters").join(&name).join("record.json");
    std::fs::create_dir_all(record.parent().unwrap()).unwrap();
    std::fs::write(&record, "{\"cluster\": {\"rea").unwrap();
    let node = place.plant_node(&name, &[]).await;
    let ran = seat.stack(&["clean"]).run().await;
    ran.refuses("cargo stack clean with a record that is cut short", &["record.json", "next:"]);
    seat.suite(&RELEASE).run().await.refuses("a run with a record that is cut short", &["record.json"]);
    assert!(record.is_file(), "the record that nobody can read was removed, while {node:.12} is there");
    "it said which file, and what to do, and left all as it was".into()
}

/// What is there goes, even where nothing can be written down any more.
pub async fn a_full_state_folder_is_no_obstacle_to_clean(place: &Place) -> Shown {
    let seat = place.seat("one").await;
    if run(tool("unshare").args(["--mount", "true"])).await.is_err() {
        return Shown::Nothing("a file system of its own can be mounted by root alone");
    }
    // In a mount namespace of its own, so that the file system goes with the process. Shrunk to what it holds, it is full.
    let script = r#"set -e
        mount -t tmpfs -o size=6g tmpfs "$XDG_STATE_HOME"
        "$SUITE" images::runs_as_non_root::backend --exact
        mount -o remount,size="$(($(df --output=used -B 1024 "$XDG_STATE_HOME" | tail -n 1) * 1024))" "$XDG_STATE_HOME"
        if echo more >"$XDG_STATE_HOME/more" && test -s "$XDG_STATE_HOME/more"; then echo "the state folder is not full"; exit 9; fi
        df "$XDG_STATE_HOME"
        echo "full"
        "$STACK" clean || echo "clean failed with $?"
        echo "second run"
        "$SUITE" images::runs_as_non_root::backend --exact || true"#;
    let mut call = seat.suite(&[]);
    let mut command = tool("unshare");
    command.args(["--mount", "sh", "-c", script]).current_dir(&seat.checkout);
    for (name, value) in call.command.as_std().get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let binaries = super::binaries::get();
    command.env("SUITE", &binaries.suite).env("STACK", &binaries.stack);
    call.command = command;
    let ran = call.run().await;
    assert!(ran.text.contains("\nfull\n"), "the state folder was not filled: {}\n{}", ran.error(), ran.text);
    let cleaned = ran.text.split("\nfull\n").nth(1).unwrap_or_default();
    let cleaned = cleaned.split("second run\n").next().unwrap_or_default();
    let failed = cleaned.lines().find(|line| line.starts_with("error:")).unwrap_or("it said nothing of why");
    assert!(
        !cleaned.contains("clean failed"),
        "cargo stack clean failed in a full state folder: {failed}\n{}",
        ran.text
    );
    let left = seat_containers(place).await;
    assert!(left.is_empty(), "a full state folder kept cargo stack clean from removing {left:?}\n{}", ran.text);
    "the registry went, and a run was refused for want of room".into()
}

/// The containers of anybody whose checkout lies in the try's folder: the state folder's names went with the file system.
async fn seat_containers(place: &Place) -> Vec<String> {
    let folder = place.path("one").to_string_lossy().into_owned();
    let format = "{{.ID}} {{.Names}} {{.Mounts}}";
    let listed = super::docker::docker(&["ps", "--all", "--no-trunc", "--format", format]).await;
    let ours = listed.lines().filter(|line| line.contains(&folder));
    ours.map(|line| line.split_whitespace().nth(1).unwrap_or_default().to_owned()).collect()
}

/// The registry runs as root, and writes into a folder of somebody who is not.
pub async fn without_root_what_the_registry_wrote_as_root_goes(place: &Place) -> Shown {
    let Some(seat) = place.seat_without_root("one").await else {
        return Shown::Nothing("it takes root to be somebody else, and a socket that a group may use");
    };
    seat.registry().await;
    let roots = || roots_below(&seat.state());
    assert!(roots(), "the registry wrote nothing as root");
    let ran = seat.stack(&["clean"]).run().await;
    ran.passes("cargo stack clean without root");
    assert!(!roots(), "cargo stack clean left what belongs to root\n{}", ran.text);
    let again = seat.stack(&["clean"]).run().await;
    again.passes("cargo stack clean, again");
    assert!(
        again.text.contains("nothing of this checkout was there"),
        "the second cargo stack clean said: {}",
        again.text
    );
    "cargo stack clean removed what belonged to root".into()
}

/// Whether anything of root's is below a folder.
fn roots_below(folder: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::read_dir(folder).into_iter().flatten().flatten().any(|entry| {
        let data = entry.metadata().unwrap();
        data.uid() == 0 || data.is_dir() && roots_below(&entry.path())
    })
}

/// Each cleans up and builds at the other's side; neither finds anything of his own gone.
pub async fn two_state_folders_and_two_checkouts_at_once(place: &Place) -> Shown {
    let one = place.seat("one").await;
    // The same checkout from another state folder, as by a second CI job; and another checkout.
    let again = place.seat_in("again", &one.checkout).await;
    let two = place.seat("two").await;
    let (registry, name) = two.registry().await;
    place.note(Thing::Container(registry)).await;
    let mine = one.name().await;
    for round in 1..=10 {
        let mut heard = Heard::listen();
        let running = one.suite(&IMAGES).start();
        let meanwhile = async {
            heard.next(&["container start ", &mine, "-registry "]).await.expect("no registry was started");
            again.stack(&["clean"]).run().await
        };
        let (cleaned, other) = tokio::join!(meanwhile, two.suite(&IMAGES).run());
        let ran = running.end().await;
        let there = one.container("-registry").await.is_some();
        assert!(
            there,
            "round {round}: cargo stack clean with another state folder removed the registry of a run\n{}",
            ran.text
        );
        ran.passes(&format!("round {round}: a run while another state folder is cleaned"));
        cleaned.passes(&format!("round {round}: cargo stack clean in the other state folder"));
        other.passes(&format!("round {round}: a run in the other checkout"));
        let changes = place.changes().await;
        assert!(changes.is_empty(), "round {round}: {name} of the other checkout: {}", changes.join("; "));
        one.stack(&["clean"]).run().await.passes(&format!("round {round}: cargo stack clean in the one state folder"));
    }
    // What a stranger of this try was is ours after all, and may go.
    two.stack(&["clean"]).run().await.passes("cargo stack clean in the other checkout");
    place.forget().await;
    "ten rounds, and nobody missed anything".into()
}

pub const NO_SOCKET: &str = "the engine has no socket on this machine";
