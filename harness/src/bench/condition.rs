//! The figure about waits: the time from a condition becoming true in the cluster until the waiter goes on. The harness waits by
//! a watch, peers by polling.
//!
//! The condition is an annotation of a Deployment without pods. The time is taken before the write is sent, so that the request
//! to the API counts for all contenders alike.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use serde_json::json;

use super::bench_environment::{BenchEnvironment, Warm, kept};
use super::report::{Row, Unit};
use super::rounds::{BenchTurn, Lane, interleaved};
use crate::error::{Error, Result};
use crate::hash;
use crate::k8s::{self, State};
use crate::tell;
use crate::tools::ChildKind;

const NAMESPACE: &str = "bench-condition";
pub(super) const NAME: &str = "condition";
const ANNOTATION: &str = "harness.internal/bench";
/// The deadline of one wait.
const WAIT: Duration = Duration::from_secs(60);
/// The deadline of a peer's turn: to start, wait and end.
const TURN: Duration = Duration::from_secs(120);
/// The deadline for building a Go program, with its modules.
const BUILD: Duration = Duration::from_secs(3600);
/// The version of e2e-framework that bench/e2e-framework/go.mod names.
pub const E2E_FRAMEWORK: &str = "0.7.0";
/// The version of chainsaw that bench/chainsaw/go.mod names.
pub const CHAINSAW: &str = "0.2.12";

const MILLISECONDS: &[(&str, Unit)] = &[("", Unit::Milliseconds)];

/// Lets the harness and the peers take turns at waiting.
///
/// # Errors
/// The first wait that did not end, or a Go program that cannot be built.
pub(super) async fn measure(environment: &BenchEnvironment<'_>, rounds: usize) -> Result<Vec<Row>> {
    // Built first: the suite's provisioning ends with Go's caches removed.
    let (framework, chainsaw) = (program(environment, "e2e-framework").await?, program(environment, "chainsaw").await?);
    let warm = environment.warm().await?;
    let client = &warm.cluster.client;
    k8s::namespace::create(client, NAMESPACE, BTreeMap::new(), BTreeMap::new()).await?;
    make(client, NAMESPACE, NAME).await?;
    let api: Api<Deployment> = Api::namespaced(client.clone(), NAMESPACE);
    let lanes = [
        Lane::new("ours", "`harness::k8s::wait::object`: a watch of the one object", || by_object(&api)),
        Lane::new(
            "ours, whole namespace",
            "`harness::k8s::wait`: watches of every kind in the namespace, as a release is waited for",
            || by_snapshot(client, NAMESPACE, &api),
        ),
        Lane {
            is_peer: true,
            ..Lane::new(
            "e2e-framework, 50 ms",
            format!(
                "`wait.For` of {E2E_FRAMEWORK} with an interval of 50 ms, and no limit of requests (bench/e2e-framework)"
            ),
            || by_framework(environment, warm, &framework, "50ms"),
        )
        },
        Lane {
            is_peer: true,
            every: 10,
            ..Lane::new("e2e-framework", "the same with its defaults: it asks every 5 s", || {
                by_framework(environment, warm, &framework, "0s")
            })
        },
        Lane {
            is_peer: true,
            every: 4,
            ..Lane::new(
                "chainsaw",
                format!("`chainsaw assert` of {CHAINSAW}, which asks every 50 ms; its end counts too (bench/chainsaw)"),
                || by_chainsaw(environment, warm, &api, &chainsaw),
            )
        },
    ]
    .map(|lane| Lane { measures: MILLISECONDS, ..lane });
    interleaved(rounds, &lanes).await
}

/// Makes a Deployment without pods: paused, so that the cluster makes nothing of it.
pub(super) async fn make(client: &Client, namespace: &str, name: &str) -> Result<()> {
    let labels = json!({"app": name});
    let container = json!({"name": "none", "image": "none"});
    let template = json!({"metadata": {"labels": labels}, "spec": {"containers": [container]}});
    let spec = json!({"replicas": 0, "paused": true, "selector": {"matchLabels": labels}, "template": template});
    let metadata = json!({"name": name, "namespace": namespace});
    Ok(k8s::apply(client, &json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}))
        .await?)
}

/// A new value of the annotation: the time in nanoseconds.
fn value() -> String {
    SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_nanos().to_string()
}

/// Writes the condition after `after` and a random delay of up to 300 ms; returns the time at which the write was sent.
async fn write(api: &Api<Deployment>, value: &str, after: Duration) -> Result<Instant> {
    let jitter = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().subsec_nanos() % 300_000_000;
    tokio::time::sleep(after + Duration::from_nanos(u64::from(jitter))).await;
    let patch = json!({"metadata": {"annotations": {ANNOTATION: value}}});
    let at = Instant::now();
    let patched = api.patch(NAME, &PatchParams::default(), &Patch::Merge(&patch)).await;
    patched.map_err(Error::kube("write the condition"))?;
    Ok(at)
}

fn state(found: Option<&Deployment>, value: &str) -> State {
    match found.and_then(|found| found.annotations().get(ANNOTATION)) {
        Some(there) if there == value => State::Ready,
        other => State::Pending(format!("it is {other:?}")),
    }
}

/// The turn from a write to the end of a wait; an error if the wait ended first, since it then waited for something else.
fn turn(from: Instant, to: Instant) -> Result<BenchTurn> {
    let took = to
        .checked_duration_since(from)
        .ok_or_else(|| Error::Unmet("it went on before the condition was written".to_owned()))?;
    Ok(BenchTurn::of(took.as_secs_f64() * 1000.0))
}

async fn by_object(api: &Api<Deployment>) -> Result<BenchTurn> {
    let value = value();
    let waiting = async {
        k8s::wait::object(api.clone(), NAME, "the condition", WAIT, |found| state(found, &value)).await?;
        Ok(Instant::now())
    };
    let (from, to) = tokio::try_join!(write(api, &value, Duration::from_millis(200)), waiting)?;
    turn(from, to)
}

/// One wait by watches of every kind in the namespace.
pub(super) async fn by_snapshot(client: &Client, namespace: &str, api: &Api<Deployment>) -> Result<BenchTurn> {
    let value = value();
    let judge = |seen: &k8s::Snapshot| state(seen.deployment(NAME), &value);
    let waiting = async {
        k8s::wait(client, namespace, "the condition", WAIT, judge).await?;
        Ok(Instant::now())
    };
    let (from, to) = tokio::try_join!(write(api, &value, Duration::from_millis(200)), waiting)?;
    turn(from, to)
}

async fn by_chainsaw(
    environment: &BenchEnvironment<'_>,
    warm: &Warm,
    api: &Api<Deployment>,
    program: &Path,
) -> Result<BenchTurn> {
    let value = value();
    let expected = environment.scratch("chainsaw")?.join("expected.yaml");
    let metadata = json!({"name": NAME, "namespace": NAMESPACE, "annotations": {ANNOTATION: value}});
    let text = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata}).to_string();
    std::fs::write(&expected, text).map_err(Error::io(format!("write {}", expected.display())))?;
    let command = environment.tools.program(program, ChildKind::Helm).args(["--no-color", "--timeout", "60s"]);
    let command = command.args(["--namespace", NAMESPACE, "--kube-context", &warm.cluster.context, "--file"]);
    // chainsaw has no flag for the kubeconfig file.
    let command = command.arg(&expected).env("KUBECONFIG", warm.cluster.kubeconfig.to_string()).limit(TURN);
    let waiting = async {
        command.run().await?;
        Ok(Instant::now())
    };
    // Chainsaw has begun to poll by then.
    let (from, to) = tokio::try_join!(write(api, &value, Duration::from_millis(1500)), waiting)?;
    turn(from, to)
}

/// Starts bench/e2e-framework for one wait.
async fn by_framework(
    environment: &BenchEnvironment<'_>,
    warm: &Warm,
    program: &Path,
    interval: &str,
) -> Result<BenchTurn> {
    let command = environment
        .tools
        .program(program, ChildKind::Helm)
        .arg("--kubeconfig")
        .arg(warm.cluster.kubeconfig.to_string());
    let command = command.args(["--context", &warm.cluster.context, "--namespace", NAMESPACE]);
    let command = command.args(["--deployment", NAME, "--annotation", ANNOTATION]);
    millis(&command.args(["--times", "1", "--interval", interval]).limit(TURN).run().await?.stdout)
}

/// Reads the milliseconds that bench/e2e-framework prints.
fn millis(text: &str) -> Result<BenchTurn> {
    let value = text.trim().parse().map_err(Error::malformed("read what bench/e2e-framework says"))?;
    Ok(BenchTurn::of(value))
}

/// The Go program of a folder of bench/, built unless it is already.
async fn program(environment: &BenchEnvironment<'_>, name: &str) -> Result<PathBuf> {
    let source = environment.copy.root.join("bench").join(name);
    let program = kept(environment.settings)?.join(format!("{name}-{}", hash::short(&hash::folder(&source)?)));
    if !program.is_file() {
        tell!("building bench/{name}");
        // In a turn to build: the end of a run removes Go's caches, unless a build holds one.
        let turn = environment.tools.turn_to_build(&format!("building bench/{name}")).await?;
        let go = environment.tools.go().await?.command().args(["build", "-ldflags=-s -w", "-o"]).arg(&program).arg(".");
        go.folder(&source).limit(BUILD).holding(Some(turn.descriptor()?)).run().await?;
    }
    Ok(program)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::said("4.125\n", Some(4.125))]
    #[case::nothing("", None)]
    #[case::of_two("1\n2\n", None)]
    fn what_the_framework_says_is_one_figure(#[case] text: &str, #[case] expected: Option<f64>) {
        assert_eq!(millis(text).ok().map(|turn| turn.values[0]), expected);
    }

    #[test]
    fn who_goes_on_too_early_waited_for_nothing() {
        let (first, later) = (Instant::now(), Instant::now() + Duration::from_millis(20));
        assert_eq!(turn(first, later).unwrap().values, [(later - first).as_secs_f64() * 1000.0]);
        assert!(turn(later, first).is_err());
    }

    #[test]
    fn the_versions_named_are_those_that_are_built() {
        let modules = crate::structure::text("bench/e2e-framework/go.mod");
        assert!(modules.contains(&format!("sigs.k8s.io/e2e-framework v{E2E_FRAMEWORK}\n")));
        let modules = crate::structure::text("bench/chainsaw/go.mod");
        assert!(modules.contains(&format!("github.com/kyverno/chainsaw v{CHAINSAW}\n")));
    }
}
