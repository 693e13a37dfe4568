//! Figures of the harness alone: from no cluster, isolated releases, the whole suite.

use std::time::Instant;

use super::bench_environment::{BenchEnvironment, Runner};
use super::report::Row;
use super::rounds::{BenchTurn, Lane, interleaved};
use crate::error::Result;

/// Scenarios with an isolated release, whose bodies take little time.
const ISOLATED: [&str; 3] = [
    "config::secrets_differ_between_releases",
    "network::stores_answer_the_backend_alone",
    "network::another_namespace_reaches_nothing",
];

/// From no cluster, with full caches, to the verdict of one scenario. The first turn, which is not counted, fills the caches.
///
/// # Errors
/// The first run that was not green.
pub(super) async fn cold(ground: &BenchEnvironment<'_>, scenario: &'static str, rounds: usize) -> Result<Vec<Row>> {
    ground.compiled(&ground.copy).await?;
    let turn = move || async move {
        ground.without_cluster().await?;
        let started = Instant::now();
        ground.passes(&ground.copy, Runner::Nextest, scenario).await?;
        Ok(BenchTurn::since(started))
    };
    let about = format!(
        "`cargo nextest run -p e2e {scenario}`, no cluster and no registry; tools, node image and layers there"
    );
    interleaved(rounds, &[Lane::new("ours", about, turn)]).await
}

/// Isolated releases, one and three at a time.
///
/// # Errors
/// As [`cold`].
pub(super) async fn own_release(ground: &BenchEnvironment<'_>, rounds: usize) -> Result<Vec<Row>> {
    ground.warm().await?;
    let lane = |name: &str, scenarios: &'static [&'static str]| {
        let about = format!("`cargo nextest run -p e2e` of {}, cluster kept", scenarios.join(", "));
        Lane::new(name, about, move || timed(ground, scenarios))
    };
    interleaved(rounds, &[lane("ours, alone", &ISOLATED[..1]), lane("ours, three at a time", &ISOLATED)]).await
}

/// All scenarios, on a cluster that is there.
///
/// # Errors
/// As [`cold`].
pub(super) async fn whole(ground: &BenchEnvironment<'_>, rounds: usize) -> Result<Vec<Row>> {
    ground.warm().await?;
    interleaved(rounds, &[Lane::new("ours", "`cargo test -p e2e`, cluster kept", || timed(ground, &[]))]).await
}

async fn timed(ground: &BenchEnvironment<'_>, scenarios: &[&str]) -> Result<BenchTurn> {
    let started = Instant::now();
    ground.all_pass(scenarios).await?;
    Ok(BenchTurn::since(started))
}
