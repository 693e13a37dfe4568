//! A run that is killed at any moment: the next one is green without help, and after `cargo stack clean` nothing of ours is
//! left.

use super::dev::{self, TILT};
use super::docker::Heard;
use super::kinds::LIMIT;
use super::leavings::Leavings;
use super::place::{IMAGES, Place, RELEASE, Seat};
use super::process::{Call, Running};
use super::table::Table;
use super::trial::{Cost, Doing, Shown, Try};
use super::turns;

/// In turn, from one moment to the next.
const SIGNALS: [&str; 3] = ["KILL", "TERM", "INT"];

/// A scenario with a release of its own, which restarts pods of it.
const OWN: &[&str] = &["items::outlive_a_backend_restart", "--exact"];
/// One whose release is rolled back.
const BAD: &[&str] = &["rollout::a_bad_image_is_rolled_back", "--exact", "--include-ignored"];
/// One with a registry of its own.
const PULLS: &[&str] = &["registry::good_credentials_pull_every_image", "--exact", "--include-ignored"];
/// One with a container of its own.
const CONTAINER: &[&str] = &["images::backend_stops_on_sigterm", "--exact"];
/// Many on the stage's release, and some on their own.
const ITEMS: &[&str] = &["items::"];

/// What is killed.
#[derive(Clone, Copy)]
enum Killed {
    /// A run where nothing was before.
    First(&'static [&'static str]),
    /// A run where the stage's release is there, after an edit.
    After(Edit, &'static [&'static str]),
    /// A run that waits for its turn, while the one before it goes on.
    Waiting,
    /// The run that another waits for, which then goes on.
    WaitedFor,
    /// `cargo stack dev`, on a cluster of its own.
    Dev,
    /// `cargo stack clean`.
    Clean,
    /// What removes the cluster after a run that keeps none.
    Reaper,
}

#[derive(Clone, Copy)]
enum Edit {
    Nothing,
    Backend,
    Charts,
}

/// The moment: an event that somebody tells of.
#[derive(Clone, Copy)]
enum Event {
    /// The run, in its events: the words of one line.
    Run(&'static [&'static str]),
    /// The engine: what it did, and the end of the name of what it did it to. Names of ours begin with the seat's.
    Engine(&'static str, &'static str),
    /// The engine, of a container of a scenario's own.
    OwnContainer,
    /// The run, as it goes.
    Said(&'static str),
}

use Event::{Engine, OwnContainer, Run, Said};
use Killed::{After, Clean, Dev, First, Reaper, WaitedFor, Waiting};

type Moment = (&'static str, Killed, Event);

/// All of them, over provisioning, building, pushing, deploying, waiting, running and tearing down.
const MOMENTS: &[Moment] = &[
    ("provisioning::the_engine_is_asked_for_its_id", First(&RELEASE), Run(&["docker info", "{{.ID}}"])),
    ("provisioning::the_network_is_looked_for", First(&RELEASE), Run(&["docker network inspect"])),
    ("provisioning::the_network_is_made", First(&RELEASE), Run(&["docker network create"])),
    ("provisioning::kind_is_called", First(&RELEASE), Run(&["kind create cluster"])),
    ("provisioning::the_node_is_made", First(&RELEASE), Engine("container create", "-control-plane")),
    ("provisioning::the_node_starts", First(&RELEASE), Engine("container start", "-control-plane")),
    ("provisioning::the_node_is_initialised", First(&RELEASE), Engine("exec_create: kubeadm init", "-control-plane")),
    ("provisioning::the_cluster_is_there", First(&RELEASE), Run(&["creating the Kind cluster", "done in"])),
    ("provisioning::the_registry_is_made", First(&RELEASE), Engine("container create", "-registry")),
    ("provisioning::the_registry_starts", First(&RELEASE), Engine("container start", "-registry")),
    ("provisioning::the_registry_joins_the_network", First(&RELEASE), Run(&["docker network connect"])),
    ("provisioning::the_node_learns_of_the_registry", First(&RELEASE), Run(&["docker exec", "certs.d"])),
    ("provisioning::the_node_of_dev_starts", Dev, Engine("container start", "-control-plane")),
    ("building::charts_are_rendered", First(&RELEASE), Run(&["helm template"])),
    ("building::the_revision_is_asked_for", First(&RELEASE), Run(&["/git "])),
    ("building::skaffold_is_called", First(&IMAGES), Run(&["skaffold build"])),
    ("building::skaffold_is_called_after_an_edit", After(Edit::Backend, &RELEASE), Run(&["skaffold build"])),
    ("building::edited_images_are_ready", After(Edit::Backend, &RELEASE), Run(&["images ready"])),
    ("building::images_are_ready", First(&RELEASE), Run(&["images ready"])),
    ("pushing::postgres_is_named", First(&IMAGES), Run(&["docker tag", "/postgres"])),
    ("pushing::postgres_is_pushed", First(&IMAGES), Run(&["docker push", "/postgres"])),
    ("pushing::redis_is_pushed", First(&RELEASE), Run(&["docker push", "/redis"])),
    ("pushing::an_image_was_pushed", First(&IMAGES), Engine("image push", "/backend")),
    ("pushing::an_edited_image_was_pushed", After(Edit::Backend, &RELEASE), Engine("image push", "/backend")),
    ("deploying::skaffold_is_called", First(&RELEASE), Run(&["skaffold deploy"])),
    ("deploying::other_charts_take_the_place", After(Edit::Charts, &RELEASE), Run(&["skaffold deploy"])),
    ("deploying::an_edited_backend_takes_the_place", After(Edit::Backend, &RELEASE), Run(&["skaffold deploy"])),
    ("deploying::a_release_of_its_own_is_installed", After(Edit::Nothing, OWN), Run(&["helm", " upgrade ", "-own-"])),
    ("deploying::a_release_is_rolled_back", After(Edit::Nothing, BAD), Run(&["helm", " rollback ", "-own-"])),
    ("waiting::for_the_release", First(&RELEASE), Run(&["manifests of jetscale applied"])),
    ("waiting::for_other_charts", After(Edit::Charts, &RELEASE), Run(&["manifests of jetscale applied"])),
    ("waiting::for_a_release_of_its_own", After(Edit::Nothing, OWN), Run(&["manifests of jetscale applied"])),
    ("waiting::for_another_run", Waiting, Said(turns::WAITS)),
    ("waiting::while_another_run_waits", WaitedFor, Said(turns::WAITS)),
    ("running::the_first_verdict_was_given", After(Edit::Nothing, ITEMS), Run(&["verdict", "passed"])),
    ("running::a_release_of_its_own_is_there", After(Edit::Nothing, OWN), Run(&["jetscale-own-", "converged"])),
    ("running::a_container_of_its_own_starts", After(Edit::Nothing, CONTAINER), OwnContainer),
    ("running::a_registry_of_its_own_starts", After(Edit::Nothing, PULLS), OwnContainer),
    ("running::tilt_serves_its_page", Dev, Said(TILT)),
    ("tearing_down::the_node_is_killed_by_clean", Clean, Engine("container kill", "-control-plane")),
    ("tearing_down::the_node_was_removed_by_clean", Clean, Engine("container destroy", "-control-plane")),
    ("tearing_down::the_registry_was_removed_by_clean", Clean, Engine("container destroy", "-registry")),
    ("tearing_down::the_network_was_removed_by_clean", Clean, Engine("network destroy", "")),
    ("tearing_down::the_node_was_removed_by_the_reaper", Reaper, Engine("container destroy", "-control-plane")),
    ("tearing_down::the_registry_was_removed_by_the_reaper", Reaper, Engine("container destroy", "-registry")),
];

/// Of each kind one, for a quick look.
const SAMPLE: [&str; 6] = [
    "provisioning::the_node_starts",
    "building::skaffold_is_called_after_an_edit",
    "pushing::an_edited_image_was_pushed",
    "waiting::for_other_charts",
    "running::a_release_of_its_own_is_there",
    "tearing_down::the_node_was_removed_by_clean",
];

pub fn tries() -> Vec<Try> {
    let signalled = MOMENTS.iter().zip(SIGNALS.iter().cycle());
    let tries = signalled.map(|(moment, signal)| Try {
        name: format!("kill::{}", moment.0),
        table: Table::Kills,
        about: format!("SIG{signal}"),
        cost: Cost::Cluster,
        body: Box::new(move |place| Box::pin(at(place, moment, signal)) as Doing<'_>),
    });
    let sample = Try {
        name: "kill::six_in_a_row".to_owned(),
        table: Table::Kills,
        about: "each".to_owned(),
        cost: Cost::Cluster,
        body: Box::new(|place| Box::pin(six_in_a_row(place))),
    };
    tries.chain([sample]).collect()
}

async fn at(place: &Place, moment: &Moment, signal: &str) -> Shown {
    let seat = seat(place).await;
    let leavings = Leavings::before(&seat).await;
    die(&seat, moment, signal).await;
    leavings.are_seen().await;
    seat.stack(&["clean", "--wait"]).within(LIMIT).run().await.passes("cargo stack clean");
    leavings.are_none().await;
    "the next run was green, and cargo stack clean left nothing".into()
}

/// On one cluster, as far as the moments leave it.
async fn six_in_a_row(place: &Place) -> Shown {
    let seat = seat(place).await;
    let leavings = Leavings::before(&seat).await;
    for (name, signal) in SAMPLE.iter().zip(SIGNALS.iter().cycle()) {
        let moment = MOMENTS.iter().find(|moment| moment.0 == *name).expect("no such moment");
        die(&seat, moment, signal).await;
    }
    seat.stack(&["clean", "--wait"]).within(LIMIT).run().await.passes("cargo stack clean");
    leavings.are_none().await;
    "each next run was green, and cargo stack clean left nothing".into()
}

/// With a folder of temporary files of its own, so that what is left in it is seen.
async fn seat(place: &Place) -> Seat {
    let seat = place.seat("one").await;
    std::fs::create_dir_all(seat.temporary()).unwrap();
    let temporary = seat.temporary().to_string_lossy().into_owned();
    seat.with("TMPDIR", temporary)
}

/// What is killed dies at the moment, and the next run is green.
async fn die(seat: &Seat, moment: &Moment, signal: &str) {
    let (_, killed, event) = moment;
    let mut next: &[&str] = &RELEASE;
    match *killed {
        First(args) => kill(seat, seat.suite(args), *event, signal).await,
        After(edit, args) => {
            next = args;
            ready(seat).await;
            make(seat, edit);
            kill(seat, seat.suite(args), *event, signal).await;
        }
        Waiting => {
            let (first, second) = two(seat).await;
            end(second, signal).await;
            first.signal("CONT").await;
            first.end().await.passes("the run that was waited for");
        }
        WaitedFor => {
            let (first, second) = two(seat).await;
            first.signal(signal).await;
            first.signal("CONT").await;
            let (first, second) = tokio::join!(first.end(), second.end());
            assert!(!first.passed, "the run went on after SIG{signal}\n{}", first.text);
            second.passes("the run that waited for the one that was killed");
        }
        Dev => {
            kill(seat, seat.stack(&["dev"]), *event, signal).await;
            let next = dev::started(seat).await;
            next.signal("INT").await;
            next.end().await.passes("the next cargo stack dev");
            return;
        }
        Clean => {
            ready(seat).await;
            kill(seat, seat.stack(&["clean", "--wait"]), *event, signal).await;
        }
        Reaper => {
            let brief = seat.clone().with("JETSCALE_KEEP", "never");
            let mut heard = Heard::listen();
            brief.suite(&RELEASE).within(LIMIT).run().await.passes("a run that keeps no cluster");
            happens(seat, &mut heard, *event, 0).await;
            let reapers = seat.reapers();
            assert!(!reapers.is_empty(), "the reaper was gone before the event was told");
            for pid in reapers {
                super::docker::run(super::docker::tool("kill").args(["-s", signal, &pid])).await.unwrap();
            }
        }
    }
    seat.suite(next).within(LIMIT).run().await.passes("the next run");
}

/// The stage's release is there.
async fn ready(seat: &Seat) {
    seat.suite(&RELEASE).within(LIMIT).run().await.passes("the run before");
}

fn make(seat: &Seat, edit: Edit) {
    match edit {
        Edit::Nothing => {}
        // Twice is another edit.
        Edit::Charts => turns::edit(&seat.checkout, turns::content(&seat.checkout) + 1),
        Edit::Backend => {
            let path = seat.checkout.join("apps/backend/jetscale_backend/app.py");
            let text = std::fs::read_to_string(&path).unwrap();
            std::fs::write(&path, format!("{text}# An edit.\n")).unwrap();
        }
    }
}

/// A run that stands still with the release in use, and one with other charts that waits for it.
async fn two(seat: &Seat) -> (Running, Running) {
    let mut first = seat.suite(&turns::RELEASE_THEN_IMAGES).within(LIMIT).start();
    assert!(first.says("... ok").await, "no scenario passed");
    first.signal("STOP").await;
    make(seat, Edit::Charts);
    let mut second = seat.suite(&RELEASE).within(LIMIT).start();
    assert!(second.says(turns::WAITS).await, "the second run did not wait for the first");
    (first, second)
}

/// Starts it, and sends it the signal at the moment.
async fn kill(seat: &Seat, call: Call, event: Event, signal: &str) {
    let mut heard = Heard::listen();
    let mut running = call.within(LIMIT).start();
    let told = match event {
        Run(words) => running.tells(words).await,
        Said(words) => running.says(words).await,
        Engine(..) | OwnContainer => happens(seat, &mut heard, event, running.pid()).await,
    };
    assert!(told, "it never came to that moment\n{}", running.end().await.text);
    end(running, signal).await;
}

async fn end(running: Running, signal: &str) {
    running.signal(signal).await;
    let ran = running.end().await;
    ran.ends("what was killed");
    // Tilt takes signals for its end, and says so.
    assert!(!ran.passed || ran.text.contains(TILT), "it went on after SIG{signal}\n{}", ran.text);
}

/// Waits until the engine tells of it.
async fn happens(seat: &Seat, heard: &mut Heard, event: Event, pid: u32) -> bool {
    let (what, of, end) = match event {
        // In whichever registry: the one beside the cluster has no name in an image's.
        Engine(what, end) if end.starts_with('/') => (what, "127.0.0.1:".to_owned(), end.to_owned()),
        // Of whichever stage: a seat runs one at a time, and its hash is the seat's own.
        Engine(what, end) => (what, seat.hash().await, format!("{end} ")),
        OwnContainer => ("container start", "jetscale-own-".to_owned(), format!("-{pid}-")),
        Run(_) | Said(_) => unreachable!("the engine does not tell of that"),
    };
    heard.next(&[what, &of, &end]).await.is_some()
}
