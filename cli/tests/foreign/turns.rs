//! Runs that want other content of one cluster: each is green, in the order in which they came, and none waits for one that
//! waits for it.

use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;

use super::kinds::LIMIT;
use super::place::{Place, RELEASE, Seat};
use super::process::{Ran, Running};
use super::trial::Shown;

/// Scenarios of which the first use the release, and the last images alone.
pub const RELEASE_THEN_IMAGES: [&str; 2] = ["::is_", "--test-threads=1"];
/// How soon after its turn has come a run deploys, on a busy machine: the one before it has to end first.
const SOON: Duration = Duration::from_secs(30);
/// The words of a run that waits for one that came first.
pub const WAITS: &str = "waiting for run ";

pub async fn an_images_scenario_beside_edited_charts_waits_for_nobody_for_ever(place: &Place) -> Shown {
    let seat = place.seat("one").await;
    let mut first = seat.suite(&RELEASE_THEN_IMAGES).within(LIMIT).start();
    assert!(first.says("... ok").await, "no scenario passed");
    first.signal("STOP").await;
    edit(&seat.checkout, 1);
    let mut second = seat.suite(&RELEASE).within(LIMIT).start();
    assert!(second.says(WAITS).await, "the second run did not wait for the first");
    first.signal("CONT").await;
    let (first, second) = tokio::join!(first.end(), second.end());
    first.passes("the run with an images scenario");
    second.passes("the run with edited charts");
    "both were green".into()
}

pub async fn three_runs_with_three_contents_in_ten_rounds(place: &Place) -> Shown {
    rounds(place, 10).await
}

pub async fn three_runs_with_three_contents(place: &Place) -> Shown {
    rounds(place, 1).await
}

async fn rounds(place: &Place, rounds: usize) -> Shown {
    let seat = place.seat("one").await;
    for round in 0..rounds {
        edit(&seat.checkout, round * 3);
        let mut first = seat.suite(&RELEASE_THEN_IMAGES).within(LIMIT).start();
        assert!(first.says("... ok").await, "round {round}: the first run deployed nothing");
        first.signal("STOP").await;
        let mut others = Vec::new();
        for number in 1..3 {
            let mut other = started(&seat, round * 3 + number).await;
            assert!(other.says(WAITS).await, "round {round}: run {number} did not wait for its turn");
            others.push(other);
        }
        first.signal("CONT").await;
        let third = others.pop().unwrap();
        let second = others.pop().unwrap();
        first.end().await.passes("the first run");
        // First come, first served: each deploys once the one before it has ended, and soon then.
        let freed = Instant::now();
        let (second, third) = tokio::join!(followed(second), followed(third));
        second.ran.passes("the second run");
        third.ran.passes("the third run");
        assert!(second.ended <= third.deployed, "round {round}: the third run overtook the second");
        for (who, turn, deployed) in [("second", freed, second.deployed), ("third", second.ended, third.deployed)] {
            let late = deployed.duration_since(turn);
            assert!(late < SOON, "round {round}: the {who} run waited {late:.1?} longer than the runs before it took");
        }
    }
    format!("{rounds} rounds, {} runs were green in their order", rounds * 3).into()
}

/// A run, when it deployed, and when it ended.
struct Followed {
    ran: Ran,
    deployed: Instant,
    ended: Instant,
}

async fn followed(mut running: Running) -> Followed {
    // One that deploys nothing fails, and says why.
    running.tells(&["skaffold deploy"]).await;
    let deployed = Instant::now();
    let ran = running.end().await;
    Followed { ran, deployed, ended: Instant::now() }
}

/// A run with charts of its own.
async fn started(seat: &Seat, content: usize) -> Running {
    edit(&seat.checkout, content);
    seat.suite(&RELEASE).within(LIMIT).start()
}

/// Other charts, which render to the same: their content is another all the same.
pub fn edit(checkout: &Path, content: usize) {
    let path = checkout.join("charts/app/Chart.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    let kept: Vec<_> = text.lines().filter(|line| !line.starts_with("# content ")).collect();
    std::fs::write(&path, format!("{}\n# content {content}\n", kept.join("\n"))).unwrap();
}

/// Which content it has.
pub fn content(checkout: &Path) -> usize {
    let text = std::fs::read_to_string(checkout.join("charts/app/Chart.yaml")).unwrap();
    let numbers = text.lines().filter_map(|line| line.strip_prefix("# content ")).map(|number| number.parse().unwrap());
    numbers.max().unwrap_or_default()
}
