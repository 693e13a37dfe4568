//! The figure about loading a changed image into the node: by the registry, layer by layer, and by `kind load`, as an archive of
//! the whole image.

use std::time::{Duration, Instant};

use super::bench_environment::{BenchEnvironment, Warm};
use super::report::Row;
use super::rounds::{BenchTurn, Lane, interleaved};
use super::verdict::BenchTask;
use crate::artifacts;
use crate::cluster::node_name;
use crate::engine::Engine;
use crate::error::Result;
use crate::marks;
use crate::spec::spec;
use crate::tools::Tool;

/// The deadline of one build, or of one load.
const LIMIT: Duration = Duration::from_secs(600);

/// Lets both ways take turns; each image is built before the time is taken.
///
/// # Errors
/// The first call that failed.
pub(super) async fn measure(environment: &BenchEnvironment<'_>, task: &BenchTask, rounds: usize) -> Result<Vec<Row>> {
    let warm = environment.warm().await?;
    let engine = Engine::connect(&environment.tools, environment.settings).await?;
    let lanes = [
        Lane::new(
            "ours",
            "`docker push` to the registry beside the cluster, `ctr images pull` by digest on the node",
            || by_registry(environment, warm, &engine, task),
        ),
        Lane {
            is_peer: true,
            ..Lane::new("kind load", "`kind load docker-image`", || by_kind(environment, warm, &engine, task))
        },
    ];
    let rows = interleaved(rounds, &lanes).await?;
    task.restore(&environment.copy)?;
    Ok(rows)
}

/// Builds the first of the stack's images after an edit; returns its name.
async fn built(environment: &BenchEnvironment<'_>, warm: &Warm, engine: &Engine, task: &BenchTask) -> Result<String> {
    let number = task.edited(environment, &environment.copy)?.unwrap_or_default();
    let image = &spec().images.built[0];
    // Named below the registry, so that it is removed with the other images of that registry.
    let name = format!("{}/{}:bench-{number}", warm.registry, image.name);
    let base = warm.bases.iter().find(|(name, _)| image.base.is_some_and(|base| base.argument == name));
    let base = base.map(|(name, value)| format!("{name}={value}")).unwrap_or_default();
    let build =
        engine.build()?.args(["--tag", &name, "--target", image.name, "--network", "host", "--build-arg", &base]);
    build.arg(environment.copy.root.join(image.context)).limit(LIMIT).run().await?;
    Ok(name)
}

async fn by_registry(
    environment: &BenchEnvironment<'_>,
    warm: &Warm,
    engine: &Engine,
    task: &BenchTask,
) -> Result<BenchTurn> {
    let name = built(environment, warm, engine, task).await?;
    let started = Instant::now();
    let repository = format!("{}/{}", warm.registry, spec().images.built[0].name);
    let pushed = artifacts::push(engine, &name, &repository).await?.at_registry(marks::REGISTRY);
    // `ctr` is in every node image; the folder is containerd's, with the address of the registry.
    let pull = "ctr --namespace=k8s.io images pull --hosts-dir /etc/containerd/certs.d";
    engine.exec(&node_name(&warm.cluster.name), &format!("{pull} {}", pushed.by_digest()), "").await?;
    Ok(BenchTurn::since(started))
}

async fn by_kind(
    environment: &BenchEnvironment<'_>,
    warm: &Warm,
    engine: &Engine,
    task: &BenchTask,
) -> Result<BenchTurn> {
    let name = built(environment, warm, engine, task).await?;
    let started = Instant::now();
    let kind = environment.tools.command(Tool::Kind).await?.args(["load", "docker-image", &name]);
    kind.args(["--name", &warm.cluster.name]).limit(LIMIT).run().await?;
    Ok(BenchTurn::since(started))
}
