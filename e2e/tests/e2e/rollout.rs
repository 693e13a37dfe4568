//! Updates that users do not notice, and bad ones that they do not notice either.

use std::time::Duration;

use harness::descriptor::{API, FRONTEND};
use harness::scenario::{ScenarioResult, Scenarios, scenario};
use harness::stack::OwnStack;
use harness::{expect, expect_eq};

pub fn scenarios() -> Vec<Scenarios> {
    vec![
        scenario(a_rolling_update_loses_no_request).within(240),
        scenario(a_bad_image_is_rolled_back).within(180),
    ]
}

/// Asks the Service from inside the cluster, a new connection each time; prints the counts, and when what was lost was
/// asked. It begins to count with the first good answer: policies learn of a new pod a moment after its start.
const STEADY: &str = r#"
import json, sys, time, urllib.request
url, seconds = sys.argv[1], float(sys.argv[2])
start, good, bad = time.monotonic(), 0, []
while (since := time.monotonic() - start) < seconds:
    try:
        with urllib.request.urlopen(url, timeout=10) as reply:
            json.load(reply)["data"]["version"]
        if not good:
            print("asking", flush=True)
        good += 1
    except Exception as error:
        if good:
            bad.append(f"{since:.2f}s {error!r}")
    time.sleep(0.005)
print("good", good, "lost", len(bad), bad[:3], bad[-1:], flush=True)
sys.exit(1 if bad else 0)
"#;

/// Every pod of api and frontend is replaced under steady requests through the frontend's Service; none is lost.
async fn a_rolling_update_loses_no_request(stack: OwnStack) -> ScenarioResult {
    let url = format!("http://{}/api/v2/system/version", stack.name_of(&FRONTEND));
    let asking = stack.start_job("steady", STEADY, &[&url, "60"], Duration::from_secs(140)).await?;
    asking.first_line().await?;
    stack.restart(&API).await?;
    stack.restart(&FRONTEND).await?;
    let outcome = asking.finish().await?;
    expect!(outcome.succeeded, "requests were lost during the update: {}", outcome.logs)?;
    let good: u32 = outcome.logs.split_whitespace().skip_while(|word| *word != "good").nth(1).and_then(|n| n.parse().ok()).unwrap_or(0);
    expect!(good > 200, "only {good} requests were made: {}", outcome.logs)
}

/// An image that does not exist fails the deploy within seconds; the release goes back, and the old pods serve on.
async fn a_bad_image_is_rolled_back(stack: OwnStack) -> ScenarioResult {
    let before: Vec<_> = stack.pods(&API).await?.into_iter().map(|pod| pod.metadata.name).collect();
    let mut plan = stack.plan().clone();
    for artifact in &mut plan.artifacts.builds {
        if artifact.image_name == API.artifact {
            artifact.tag.digest = format!("sha256:{}", "0".repeat(64));
        }
    }
    let started = std::time::Instant::now();
    let Err(error) = stack.upgrade(&plan).await else {
        return Err(harness::Error::Unmet("an image that does not exist was deployed".to_owned()));
    };
    let report = error.report();
    expect!(started.elapsed() < Duration::from_secs(60), "it took {:.0?} to see that", started.elapsed())?;
    expect!(report.contains("ImagePullBackOff") || report.contains("ErrImagePull"), "the cause is not named: {report}")?;
    expect!(!report.contains("rollback failed"), "{report}")?;
    let after: Vec<_> = stack.pods(&API).await?.into_iter().map(|pod| pod.metadata.name).collect();
    expect_eq!(after, before)?;
    expect_eq!(stack.backend().ready().await?.0, 200)
}
