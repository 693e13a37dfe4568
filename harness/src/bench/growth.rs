//! The figure about growth: time and memory with more scenarios, and with more objects in the namespace of a wait.
//!
//! The suite is the example bench/growth: light scenarios of one request each, and one wait that sees all objects of a namespace.

use std::collections::BTreeMap;
use std::time::Instant;

use futures::stream::{StreamExt, TryStreamExt, iter};
use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;

use super::bench_environment::{BenchEnvironment, Warm};
use super::condition;
use super::report::{Row, Unit};
use super::rounds::{BenchTurn, Lane, interleaved};
use crate::error::{Error, Result};
use crate::k8s;

const COUNTS: [usize; 3] = [10, 100, 1000];
/// How many objects are created at once.
const AT_ONCE: usize = 16;

const SCENARIOS: &[(&str, Unit)] = &[("", Unit::Seconds), ("memory", Unit::Mebibytes)];
const OBJECTS: &[(&str, Unit)] = &[("", Unit::Milliseconds), ("memory", Unit::Mebibytes)];

/// Lets the sizes take turns.
///
/// # Errors
/// The first run that was not green, or wait that did not end.
pub(super) async fn measure(environment: &BenchEnvironment<'_>, rounds: usize) -> Result<Vec<Row>> {
    let warm = environment.warm().await?;
    for count in COUNTS {
        objects(warm, count).await?;
    }
    // Compiled before anything is timed.
    suite(environment, 1, "").await?;
    let of_scenarios = COUNTS.map(|count| Lane {
        measures: SCENARIOS,
        ..Lane::new(
            format!("{count} scenarios"),
            format!("a suite of {count} scenarios of one request each (bench/growth), cluster kept"),
            move || scenarios(environment, count),
        )
    });
    let of_objects = COUNTS.map(|count| Lane {
        measures: OBJECTS,
        ..Lane::new(
            format!("{count} objects"),
            format!(
                "`harness::k8s::wait` in a namespace of {count} Deployments: from a condition being written to going on"
            ),
            move || beside(environment, warm, count),
        )
    });
    interleaved(rounds, &of_scenarios.into_iter().chain(of_objects).collect::<Vec<_>>()).await
}

fn namespace(count: usize) -> String {
    format!("bench-growth-{count}")
}

/// Makes a namespace of `count` Deployments without pods: paused, so that the cluster makes nothing of them.
async fn objects(warm: &Warm, count: usize) -> Result<()> {
    let (client, namespace) = (&warm.cluster.client, namespace(count));
    k8s::namespace::create(client, &namespace, BTreeMap::new(), BTreeMap::new()).await?;
    condition::make(client, &namespace, condition::NAME).await?;
    let names = (1..count).map(|number| format!("{}-{number}", condition::NAME));
    let making = names.map(|name| {
        let namespace = namespace.clone();
        async move { condition::make(client, &namespace, &name).await }
    });
    iter(making).buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await.map(drop)
}

async fn scenarios(environment: &BenchEnvironment<'_>, count: usize) -> Result<BenchTurn> {
    let started = Instant::now();
    let peak = suite(environment, count, "").await?;
    Ok(BenchTurn { values: vec![started.elapsed().as_secs_f64(), peak], was_old: None })
}

async fn beside(environment: &BenchEnvironment<'_>, warm: &Warm, count: usize) -> Result<BenchTurn> {
    let namespace = namespace(count);
    let api: Api<Deployment> = Api::namespaced(warm.cluster.client.clone(), &namespace);
    let waited = condition::by_snapshot(&warm.cluster.client, &namespace, &api).await?.values[0];
    let peak = suite(environment, 0, &format!("{namespace}={count}")).await?;
    Ok(BenchTurn { values: vec![waited, peak], was_old: None })
}

/// Runs bench/growth, and returns its peak memory, in MiB.
async fn suite(environment: &BenchEnvironment<'_>, count: usize, watched: &str) -> Result<f64> {
    let said = environment.growth(&[("GROWTH", &count.to_string()), ("GROWTH_WATCHED", watched)]).await?;
    peak(&said)
}

fn peak(said: &str) -> Result<f64> {
    let kib = said.lines().find_map(|line| line.strip_prefix("peak ")?.trim().parse::<u32>().ok());
    kib.map(|kib| f64::from(kib) / 1024.0)
        .ok_or_else(|| Error::refused("this system does not say how much memory a process took", "measure on Linux"))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::peak;

    #[rstest]
    #[case::said("test a ... ok\npeak 51200\n", Some(50.0))]
    #[case::not_said("test a ... ok\n", None)]
    #[case::no_number("peak much\n", None)]
    fn the_peak_is_said_in_kib(#[case] said: &str, #[case] expected: Option<f64>) {
        assert_eq!(peak(said).ok(), expected);
    }
}
