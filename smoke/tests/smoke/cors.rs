//! Cross-origin requests: a page of another origin may read nothing.

use harness::expect;
use harness::scenario::ScenarioResult;
use harness::scenario::reading::{ReadOnlyScenarios, each};
use harness::stack::Site;
use jetscale::services::{ME, READY};

pub fn scenarios() -> Vec<ReadOnlyScenarios> {
    vec![each(foreign_origin_gets_nothing, [("page", "/"), ("api", READY), ("account", ME)])]
}

/// Judged by what GET answers: a preflight would be another method.
async fn foreign_origin_gets_nothing(site: Site, path: &'static str) -> ScenarioResult {
    let reply = site.get_with(path, "origin", "https://elsewhere.example").await?;
    let allowed = reply.header("access-control-allow-origin");
    site.measured("allowed origin", allowed.unwrap_or("none"));
    expect!(allowed.is_none(), "{reply} and allows the origin {allowed:?}")?;
    let credentials = reply.header("access-control-allow-credentials");
    expect!(credentials.is_none(), "{reply} and allows credentials")
}
