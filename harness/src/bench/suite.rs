//! Figures of the harness alone: from no cluster, isolated releases, the whole suite.

use std::time::Instant;

use super::bench_environment::{BenchEnvironment, Runner};
use super::report::Row;
use super::rounds::{BenchTurn, Lane, interleaved};
use crate::error::{Error, Result};
use crate::spec::spec;

/// From no cluster, with full caches, to the verdict of one scenario. The first turn, which is not counted, fills the caches.
///
/// # Errors
/// The first run that was not green.
pub(super) async fn cold(
    environment: &BenchEnvironment<'_>,
    scenario: &'static str,
    rounds: usize,
) -> Result<Vec<Row>> {
    environment.compiled(&environment.copy).await?;
    let turn = move || async move {
        environment.without_cluster().await?;
        let started = Instant::now();
        environment.passes(&environment.copy, Runner::Nextest, scenario).await?;
        Ok(BenchTurn::since(started))
    };
    let about = format!(
        "`cargo nextest run -p e2e {scenario}`, no cluster and no registry; tools, node image and layers there"
    );
    interleaved(rounds, &[Lane::new("ours", about, turn)]).await
}

/// Isolated releases, one alone and all of the spec's at a time.
///
/// # Errors
/// As [`cold`].
pub(super) async fn own_release(environment: &BenchEnvironment<'_>, rounds: usize) -> Result<Vec<Row>> {
    let isolated = spec().bench.isolated;
    if isolated.is_empty() {
        return Err(Error::refused(
            "the stack's spec names no isolated scenarios to measure",
            "set bench.isolated in the spec",
        ));
    }
    environment.warm().await?;
    let lane = |name: String, scenarios: &'static [&'static str]| {
        let about = format!("`cargo nextest run -p e2e` of {}, cluster kept", scenarios.join(", "));
        Lane::new(name, about, move || timed(environment, scenarios))
    };
    let alone = lane("ours, alone".to_owned(), &isolated[..1]);
    interleaved(rounds, &[alone, lane(format!("ours, {} at a time", isolated.len()), isolated)]).await
}

/// All scenarios, on a cluster that is there.
///
/// # Errors
/// As [`cold`].
pub(super) async fn whole(environment: &BenchEnvironment<'_>, rounds: usize) -> Result<Vec<Row>> {
    environment.warm().await?;
    interleaved(rounds, &[Lane::new("ours", "`cargo test -p e2e`, cluster kept", || timed(environment, &[]))]).await
}

async fn timed(environment: &BenchEnvironment<'_>, scenarios: &[&str]) -> Result<BenchTurn> {
    let started = Instant::now();
    environment.all_pass(scenarios).await?;
    Ok(BenchTurn::since(started))
}
