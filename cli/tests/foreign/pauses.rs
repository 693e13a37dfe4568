//! The node stands still for a while, as on a laptop that sleeps: nothing that a run stands on is deleted.

use std::time::Duration;

use super::docker::{Heard, docker, tried};
use super::kinds::LIMIT;
use super::place::{Place, RELEASE, Seat};
use super::process::{Ran, Running};
use super::trial::Shown;

/// Scenarios that take a while, on the stage's release and on releases of their own.
const ITEMS: [&str; 1] = ["items::"];
/// Words of an error that says what was the matter: something did not answer in time, or a service says so of another.
const TRUTH: &[&str] = &[
    "not done after",
    "deadline",
    "timed out",
    "no answer",
    "not answer",
    "within",
    "paused",
    "unreachable",
    "cannot be reached",
    "answered 50",
];

pub async fn while_the_cluster_is_made_for_5_s(place: &Place) -> Shown {
    while_it_is_made(place, 5).await
}

pub async fn while_the_cluster_is_made_for_20_s(place: &Place) -> Shown {
    while_it_is_made(place, 20).await
}

pub async fn as_the_cluster_is_there_for_5_s(place: &Place) -> Shown {
    as_it_is_there(place, 5).await
}

pub async fn as_the_cluster_is_there_for_20_s(place: &Place) -> Shown {
    as_it_is_there(place, 20).await
}

pub async fn during_the_deploy_for_5_s(place: &Place) -> Shown {
    during_the_deploy(place, 5).await
}

pub async fn during_the_deploy_for_20_s(place: &Place) -> Shown {
    during_the_deploy(place, 20).await
}

pub async fn during_a_suite_for_5_s(place: &Place) -> Shown {
    during_a_suite(place, 5).await
}

pub async fn during_a_suite_for_20_s(place: &Place) -> Shown {
    during_a_suite(place, 20).await
}

pub async fn as_a_second_process_provisions_for_5_s(place: &Place) -> Shown {
    as_a_second_provisions(place, 5).await
}

pub async fn as_a_second_process_provisions_for_20_s(place: &Place) -> Shown {
    as_a_second_provisions(place, 20).await
}

/// kind is at work in the node: the run may fail, as kind says it does; the next one is green.
async fn while_it_is_made(place: &Place, secs: u64) -> Shown {
    let seat = place.seat("one").await;
    let name = seat.name().await;
    let mut heard = Heard::listen();
    let running = seat.suite(&RELEASE).within(LIMIT).start();
    let node = heard.next(&["container start ", &name, "-control-plane "]).await.expect("no node was started");
    pause(&node, secs).await;
    let ran = running.end().await;
    let how = green_or_true(&ran, "the run");
    seat.suite(&RELEASE).within(LIMIT).run().await.passes("the next run");
    how.into()
}

async fn as_it_is_there(place: &Place, secs: u64) -> Shown {
    let seat = place.seat("one").await;
    let mut running = seat.suite(&RELEASE).within(LIMIT).start();
    // Its step says that it begins, and that it is done.
    assert!(running.tells(&["creating the Kind cluster", "done"]).await, "no cluster was made");
    still(&seat, running, secs).await
}

async fn during_the_deploy(place: &Place, secs: u64) -> Shown {
    let seat = place.seat("one").await;
    let mut running = seat.suite(&RELEASE).within(LIMIT).start();
    assert!(running.tells(&["command", "skaffold", " deploy "]).await, "nothing was deployed");
    still(&seat, running, secs).await
}

async fn during_a_suite(place: &Place, secs: u64) -> Shown {
    let seat = place.seat("one").await;
    let mut running = seat.suite(&ITEMS).within(LIMIT).start();
    assert!(running.says("... ok").await, "no scenario passed");
    still(&seat, running, secs).await
}

/// The second finds a record, a cluster that says nothing, and a first that uses it.
async fn as_a_second_provisions(place: &Place, secs: u64) -> Shown {
    let seat = place.seat("one").await;
    let mut first = seat.suite(&ITEMS).within(LIMIT).start();
    assert!(first.says("... ok").await, "no scenario passed");
    let node = node(&seat).await;
    docker(&["pause", &node]).await;
    let second = seat.suite(&RELEASE).within(LIMIT).start();
    let until = async {
        tokio::time::sleep(Duration::from_secs(secs)).await;
        let _ = tried(&["unpause", &node]).await;
    };
    let (first, second, ()) = tokio::join!(first.end(), second.end(), until);
    is_the_same(&seat, &node, &second).await;
    let how = [green_or_true(&first, "the first process"), green_or_true(&second, "the second process")];
    next_is_green(&seat, &node).await;
    format!("the first {}, the second {}", how[0], how[1]).into()
}

/// Pauses the node of a run that goes on; it stays the one that it was.
async fn still(seat: &Seat, running: Running, secs: u64) -> Shown {
    let node = node(seat).await;
    pause(&node, secs).await;
    let ran = running.end().await;
    is_the_same(seat, &node, &ran).await;
    let how = green_or_true(&ran, "the run");
    next_is_green(seat, &node).await;
    how.into()
}

async fn node(seat: &Seat) -> String {
    seat.container("-control-plane").await.expect("there is no node").0
}

async fn pause(node: &str, secs: u64) {
    docker(&["pause", node]).await;
    tokio::time::sleep(Duration::from_secs(secs)).await;
    // Whoever deleted it meanwhile is found out by what is there afterwards.
    let _ = tried(&["unpause", node]).await;
}

async fn is_the_same(seat: &Seat, node: &str, ran: &Ran) {
    let now = seat.container("-control-plane").await.map(|(id, _)| id);
    let what = if now.is_some() { "deleted and made anew" } else { "deleted" };
    assert!(now.as_deref() == Some(node), "the cluster was {what} because its node stood still\n{}", ran.text);
}

async fn next_is_green(seat: &Seat, node: &str) {
    let next = seat.suite(&RELEASE).within(LIMIT).run().await;
    next.passes("the next run");
    is_the_same(seat, node, &next).await;
}

/// How a run ended, in words; it breaks the try unless its failure says what was the matter.
fn green_or_true(ran: &Ran, what: &str) -> String {
    ran.ends(what);
    if ran.passed {
        return "was green without help".to_owned();
    }
    let text = ran.text.to_lowercase();
    assert!(
        TRUTH.iter().any(|words| text.contains(words)),
        "{what} failed without the truth: {}\n{}",
        ran.error(),
        ran.text
    );
    format!("failed with the truth ({})", ran.error())
}
