//! A suite as large as is asked for: `GROWTH` light scenarios, and one that waits in a namespace of many objects. Says at its
//! end how much memory it took at most, in KiB (Linux alone: VmHWM of proc_pid_status(5)).

use std::process::ExitCode;
use std::time::Duration;

use harness::k8s::{Snapshot, State};
use harness::scenario::{Scenario, ScenarioResult, scenario};
use harness::stack::{Site, Stack};
use harness::stage::Stage;
use harness::{expect, say, suite};
use jetscale::services::LIVE;

/// How many light scenarios there are.
const COUNT: &str = "GROWTH";
/// The namespace of many objects, and how many Deployments are in it, as `name=count`.
const WATCHED: &str = "GROWTH_WATCHED";

fn main() -> ExitCode {
    let count: usize = variable(COUNT).parse().unwrap_or_default();
    let light = scenario(is_light).0;
    let named = |one: &Scenario, number: usize| {
        let mut one = one.clone();
        one.name = format!("growth::is_light::{number:04}");
        one
    };
    let many = light.iter().flat_map(|one| (0..count).map(move |number| named(one, number)));
    let waits = scenario(waits_beside_many_objects).0;
    let code = suite::main(&jetscale::STACK, Stage::Local, many.chain(waits).collect::<Vec<_>>());
    if let Some(peak) = peak() {
        say!("peak {peak}");
    }
    code
}

/// As little as a scenario can do and still ask the stack something.
async fn is_light(site: Site) -> ScenarioResult {
    site.get(LIVE).await?.expect_status(200)?;
    Ok(())
}

/// What is awaited is there, once all of them were read.
async fn waits_beside_many_objects(stack: Stack) -> ScenarioResult {
    let watched = variable(WATCHED);
    let Some((namespace, count)) = watched.split_once('=') else {
        return Ok(());
    };
    let (count, limit) = (count.parse().unwrap_or(usize::MAX), Duration::from_secs(60));
    let all = |seen: &Snapshot| match seen.deployments.len() {
        there if there == count => State::Ready,
        there => State::Pending(format!("{there} of {count} are there")),
    };
    let seen = harness::k8s::wait(stack.kube(), namespace, "all Deployments", limit, all).await?;
    expect!(seen.deployments.len() == count, "not {count}")
}

#[expect(clippy::disallowed_methods, reason = "what the bench gives it is no setting of the harness")]
fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}
