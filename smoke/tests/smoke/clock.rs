//! The server's clock, on which tokens and certificates depend.

use std::time::SystemTime;

use harness::expect;
use harness::http::since;
use harness::scenario::ScenarioResult;
use harness::scenario::reading::{ReadOnlyScenarios, each};
use harness::stack::Site;
use jetscale::services::LIVE;

pub fn scenarios() -> Vec<ReadOnlyScenarios> {
    vec![each(tells_the_time_within_a_minute, [("page", "/"), ("api", LIVE)])]
}

async fn tells_the_time_within_a_minute(site: Site, path: &'static str) -> ScenarioResult {
    let reply = site.get(path).await?;
    let ahead = since(reply.date()?, SystemTime::now());
    site.measured("ahead of here", format!("{ahead} s"));
    expect!(ahead.abs() <= 60, "{reply} by a clock that is {ahead} s ahead of this machine's")
}
