//! Rolling updates lose no request; a bad image is rolled back.

use std::collections::BTreeSet;
use std::time::Duration;

use harness::scenario::{ScenarioResult, Scenarios, scenario};
use harness::spec::Component;
use harness::stack::OwnStack;
use harness::{Result, expect, expect_eq};
use jetscale::components::{API, FRONTEND};
use jetscale::services::{JetscaleSite, JetscaleStack};
use kube::ResourceExt;

pub fn scenarios() -> Vec<Scenarios> {
    vec![
        scenario(a_rolling_update_loses_no_request).within(300),
        scenario(a_rolling_update_on_a_busy_node_loses_none_either).within(480).nightly(),
        scenario(a_bad_image_is_rolled_back).within(300).nightly(),
    ]
}

/// Asks the Service from inside the cluster, a new connection each time, until a file says that it is enough; prints how
/// many good answers there were up to each mark, and when what was lost was asked. It begins to count with the first good
/// answer: policies learn of a new pod a moment after its start.
const STEADY: &str = r#"
import json, os, sys, time, urllib.request
url, marks = sys.argv[1], sys.argv[2:]
start, good, bad, part = time.monotonic(), [0], [], 0
while part < len(marks) or good[-1] < 100:
    if part < len(marks) and os.path.exists("/tmp/" + marks[part]):
        part += 1
        good.append(0)
    since = time.monotonic() - start
    try:
        with urllib.request.urlopen(url, timeout=10) as reply:
            json.load(reply)["data"]["version"]
        if good == [0]:
            print("asking", flush=True)
        good[-1] += 1
    except Exception as error:
        if good != [0]:
            bad.append(f"{since:.2f}s {error!r}")
    time.sleep(0.005)
print("good", *good, "lost", len(bad), bad[:3], bad[-1:], flush=True)
sys.exit(1 if bad else 0)
"#;

/// Keeps every processor of the node busy, until its namespace goes.
const BUSY: &str = r#"
import os
for _ in range(8):
    if os.fork() == 0:
        break
print("busy", flush=True)
while True:
    pass
"#;

/// Every pod of api and frontend is replaced under steady requests through the frontend's Service; none is lost. The load
/// goes on until the last old pod is gone, and then asks the new ones alone.
async fn a_rolling_update_loses_no_request(stack: OwnStack) -> ScenarioResult {
    let url = format!("http://{}/api/v2/system/version", stack.name_of(&FRONTEND));
    let old = names(&stack, &[API, FRONTEND]).await?;
    let asking =
        stack.start_python("steady", STEADY, &[&url, API.suffix, FRONTEND.suffix], Duration::from_secs(220)).await?;
    asking.first_line().await?;
    for component in [API, FRONTEND] {
        stack.restart(&component).await?;
        asking.tell(&format!("open('/tmp/{}', 'w')", component.suffix)).await?;
    }
    let new = names(&stack, &[API, FRONTEND]).await?;
    let outcome = asking.finish().await?;
    expect!(outcome.succeeded, "requests were lost during the update: {}", outcome.logs)?;
    expect!(old.is_disjoint(&new), "of {old:?} not all were replaced: {new:?}")?;
    let good = counts(&outcome.logs);
    let enough = good.len() == 3 && good.iter().all(|count| *count >= 50);
    expect!(
        enough,
        "good answers while the api, then the frontend was replaced, then after: {good:?}: {}",
        outcome.logs
    )
}

/// A Service follows its pods where the other pods leave the node no time of its own.
async fn a_rolling_update_on_a_busy_node_loses_none_either(stack: OwnStack) -> ScenarioResult {
    let busy = stack.start_python("busy", BUSY, &[], Duration::from_secs(440)).await?;
    busy.first_line().await?;
    a_rolling_update_loses_no_request(stack).await
}

/// The names of the pods of these components.
async fn names(stack: &OwnStack, components: &[Component]) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for component in components {
        names.extend(stack.pods(component).await?.iter().map(ResourceExt::name_any));
    }
    Ok(names)
}

/// The numbers between the words `good` and `lost`.
fn counts(log: &str) -> Vec<u32> {
    let words = log.split_whitespace().skip_while(|word| *word != "good").skip(1);
    words.map_while(|word| word.parse().ok()).collect()
}

/// An image that does not exist fails the deploy as soon as it is seen; the release goes back, and the old pods serve on.
async fn a_bad_image_is_rolled_back(stack: OwnStack) -> ScenarioResult {
    let before: Vec<_> = stack.pods(&API).await?.into_iter().map(|pod| pod.metadata.name).collect();
    let mut plan = stack.plan().clone();
    for artifact in &mut plan.artifacts.builds {
        if artifact.image_name == API.artifact {
            artifact.tag.digest = format!("sha256:{}", "0".repeat(64));
        }
    }
    let Err(error) = stack.upgrade(&plan).await else {
        return Err(harness::Error::Unmet("an image that does not exist was deployed".to_owned()));
    };
    let report = error.report();
    let first = report.lines().next().unwrap_or_default();
    // Said once it was seen, that is, and not when the deploy's time was over.
    let named = first.contains(" cannot come about: ")
        && first.contains("cannot pull the image")
        && first.ends_with(": not found");
    expect!(named, "the first line does not name the cause: {report}")?;
    expect!(!report.contains("rollback failed"), "{report}")?;
    let after: Vec<_> = stack.pods(&API).await?.into_iter().map(|pod| pod.metadata.name).collect();
    expect_eq!(after, before)?;
    stack.backend().becomes_ready().await.map(drop)
}
