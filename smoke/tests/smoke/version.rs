//! The version that is served, and whether it is the expected one.

use harness::expect;
use harness::scenario::ScenarioResult;
use harness::scenario::reading::{ReadOnlyScenarios, scenario};
use harness::stack::Site;
use jetscale::services::JetscaleSite;

pub fn scenarios() -> Vec<ReadOnlyScenarios> {
    vec![scenario(is_told), scenario(is_the_one_that_was_meant)]
}

async fn is_told(site: Site) -> ScenarioResult {
    let served = site.backend().version().await?;
    site.measured("version", format!("{} ({} of {})", served.version, served.git_sha, served.git_ref));
    expect!(served.git_sha.len() >= 7 && !served.version.is_empty(), "{served:?} tells no revision")
}

/// `GIT_SHA` in stage live, the artifact set's revision where we deployed it.
async fn is_the_one_that_was_meant(site: Site) -> ScenarioResult {
    let meant = site.meant()?;
    let served = site.backend().version().await?;
    site.measured("revision", &served.git_sha);
    expect!(served.is(meant), "version: {} is served, and {meant} is meant", served.git_sha)
}
