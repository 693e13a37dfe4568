//! Ours alone: from no cluster, isolated releases, the whole suite.

use std::time::Instant;

use super::ground::{Ground, Runner};
use super::report::Row;
use super::rounds::{Lane, SECONDS, Turn, interleaved};
use crate::error::Result;

/// Scenarios with a release of their own whose bodies take little.
const ISOLATED: [&str; 3] = [
    "config::secrets_differ_between_releases",
    "network::stores_answer_the_backend_alone",
    "network::another_namespace_reaches_nothing",
];

/// No cluster, caches there, to the verdict of one scenario. The first turn, which is not counted, fills the caches.
///
/// # Errors
/// The first run that was not green.
pub(super) async fn cold(ground: &Ground<'_>, scenario: &'static str, rounds: usize) -> Result<Vec<Row>> {
    ground.compiled(&ground.copy).await?;
    let turn = move || async move {
        ground.without_cluster().await?;
        let started = Instant::now();
        ground.passes(&ground.copy, Runner::Nextest, scenario).await?;
        Ok(Turn { values: vec![started.elapsed().as_secs_f64()], was_old: None })
    };
    let about = format!(
        "`cargo nextest run -p e2e {scenario}`, no cluster and no registry; tools, node image and layers there"
    );
    let lane =
        Lane { name: "ours".to_owned(), about, measures: SECONDS, every: 1, turn: Box::new(move || Box::pin(turn())) };
    interleaved(rounds, &[lane]).await
}

/// Isolated releases, one and three at a time.
///
/// # Errors
/// As [`cold`].
pub(super) async fn own_release(ground: &Ground<'_>, rounds: usize) -> Result<Vec<Row>> {
    ground.warm().await?;
    let lane = |name: &str, scenarios: &'static [&'static str]| Lane {
        name: name.to_owned(),
        about: format!("`cargo test -p e2e -- {} --exact`, cluster kept", scenarios.join(" ")),
        measures: SECONDS,
        every: 1,
        turn: Box::new(move || Box::pin(timed(ground, scenarios))),
    };
    interleaved(rounds, &[lane("ours, alone", &ISOLATED[..1]), lane("ours, three at a time", &ISOLATED)]).await
}

/// All scenarios, on a cluster that is there.
///
/// # Errors
/// As [`cold`].
pub(super) async fn whole(ground: &Ground<'_>, rounds: usize) -> Result<Vec<Row>> {
    ground.warm().await?;
    let lane = Lane {
        name: "ours".to_owned(),
        about: "`cargo test -p e2e`, cluster kept".to_owned(),
        measures: SECONDS,
        every: 1,
        turn: Box::new(move || Box::pin(timed(ground, &[]))),
    };
    interleaved(rounds, &[lane]).await
}

async fn timed(ground: &Ground<'_>, scenarios: &[&str]) -> Result<Turn> {
    let started = Instant::now();
    ground.all_pass(scenarios).await?;
    Ok(Turn { values: vec![started.elapsed().as_secs_f64()], was_old: None })
}
