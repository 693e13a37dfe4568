//! Response times.

use std::time::Duration;

use harness::expect;
use harness::scenario::ScenarioResult;
use harness::scenario::reading::{ReadOnlyScenarios, each};
use harness::stack::Site;
use jetscale::services::{LIVE, READY};

pub fn scenarios() -> Vec<ReadOnlyScenarios> {
    vec![each(p95_is_within_its_budget, [("page", ("/", 800)), ("api", (LIVE, 800)), ("stores", (READY, 1500))])]
}

/// Small, since others use the site too; its second slowest is the 95th percentile.
const SAMPLE: usize = 20;

async fn p95_is_within_its_budget(site: Site, (path, millis): (&'static str, u64)) -> ScenarioResult {
    let mut sample = Vec::new();
    for _ in 0..SAMPLE {
        let reply = site.get(path).await?;
        reply.expect_status(200)?;
        sample.push(reply.took);
    }
    sample.sort();
    let (p95, budget) = (sample[SAMPLE * 95 / 100 - 1], site.allows(Duration::from_millis(millis)));
    site.measured("p95", format!("{p95:.0?} of {budget:.0?}"));
    expect!(p95 <= budget, "http: slow: p95 of {path} is {p95:.0?} of {budget:.0?}: {sample:.0?}")
}
