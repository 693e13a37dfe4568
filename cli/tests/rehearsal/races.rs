//! Races of what happens to a pull request and what is done about it. Whatever the order: of a closed one nothing stays, and an
//! open one has its preview.

use std::time::Duration;

use fastrand::Rng;
use futures::future::join_all;

use super::github::{GitHub, Pull};
use super::place::Place;

/// Side by side, each of its own pull request.
const LANES: [&str; 3] = ["171", "172", "173"];
const RACES_EACH: usize = 10;
/// How many events a race has.
const EVENTS: usize = 4;
/// Within which the next one comes: while an earlier one's deploy or teardown goes on, or just after.
const PAUSE: std::ops::Range<u64> = 0..6000;

const OPEN: Pull = (200, "open", true);
const CLOSED: Pull = (200, "closed", true);
const UNLABELLED: Pull = (200, "open", false);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    Push,
    Close,
    Reopen,
    Label,
    Unlabel,
    Sweep,
    /// A teardown that was told of an end earlier, and comes now.
    LateDown,
    /// A deploy that was told of a push earlier, and comes now.
    LateUp,
}

const EACH: [Event; 8] = [
    Event::Push,
    Event::Close,
    Event::Reopen,
    Event::Label,
    Event::Unlabel,
    Event::Sweep,
    Event::LateDown,
    Event::LateUp,
];

/// How a pull request stands after an event, and what a workflow or the CronJob does about it.
fn after(before: Pull, event: Event) -> (Pull, Option<&'static [&'static str]>) {
    const UP: &[&str] = &["up"];
    const DOWN: &[&str] = &["down", "--unless-open"];
    let is_open = before.1 == "open";
    match event {
        Event::Push if before == OPEN => (OPEN, Some(UP)),
        Event::Close if is_open => (CLOSED, Some(DOWN)),
        Event::Reopen if !is_open => (OPEN, Some(UP)),
        Event::Label if is_open => (OPEN, Some(UP)),
        Event::Unlabel if before == OPEN => (UNLABELLED, Some(DOWN)),
        Event::Sweep => (before, Some(&["sweep"])),
        Event::LateDown => (before, Some(DOWN)),
        Event::LateUp => (before, Some(UP)),
        _ => (before, None),
    }
}

/// Thirty of them; what they were is told by their seed.
pub async fn are_run(place: &Place) {
    let seed = harness::preview::now();
    harness::tell!("the races' seed is {seed}");
    let github = GitHub::start([]).await;
    let lanes = LANES.iter().zip(0..).map(|(number, lane)| {
        let (github, rng) = (github.clone(), Rng::with_seed(seed + lane));
        async move {
            let mut rng = rng;
            github.set(number, OPEN);
            let first = place.asking(&github, number, &["up"]).run().await;
            assert!(first.passed, "{}", first.text);
            let mut stands = OPEN;
            for _ in 0..RACES_EACH {
                stands = race(place, &github, number, stands, &mut rng).await;
            }
        }
    });
    join_all(lanes).await;
    for number in LANES {
        github.set(number, CLOSED);
    }
    let sweep = place.asking(&github, LANES[0], &["sweep"]).run().await;
    assert!(sweep.passed, "{}", sweep.text);
    for number in LANES {
        place.is_gone(number).await;
    }
}

/// One of them; how the pull request stands after it.
async fn race(place: &Place, github: &GitHub, number: &str, mut stands: Pull, rng: &mut Rng) -> Pull {
    let (mut told, mut calls) = (vec![format!("{stands:?}")], Vec::new());
    while calls.len() < EVENTS {
        let event = EACH[rng.usize(..EACH.len())];
        let (now, task) = after(stands, event);
        let Some(task) = task else { continue };
        let pause = Duration::from_millis(rng.u64(PAUSE));
        told.push(format!("{event:?} after {pause:?}"));
        // The order of the events is the race; nothing is waited for.
        tokio::time::sleep(pause).await;
        github.set(number, now);
        stands = now;
        calls.push(tokio::spawn(place.asking(github, number, task).run()));
    }
    let mut texts = String::new();
    for ran in join_all(calls).await {
        texts += &ran.unwrap().text;
    }
    assert_eq!(place.exists(number).await, stands == OPEN, "pr-{number} stands as {stands:?}: {told:?}\n{texts}");
    stands
}
