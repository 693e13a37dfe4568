//! DNS: the host name resolves, and every address that it resolves to answers.

use harness::expect;
use harness::http::is_routed;
use harness::scenario::ScenarioResult;
use harness::scenario::reading::{ReadOnlyScenarios, scenario};
use harness::stack::Site;
use jetscale::services::LIVE;

pub fn scenarios() -> Vec<ReadOnlyScenarios> {
    vec![scenario(name_resolves), scenario(every_address_answers)]
}

async fn name_resolves(site: Site) -> ScenarioResult {
    let addresses = site.addresses().await?;
    site.measured("addresses", format!("{addresses:?}"));
    expect!(!addresses.is_empty(), "dns: {} has no address", site.host())
}

/// One dead address of several fails some users only. An address that this machine has no route to says nothing.
async fn every_address_answers(site: Site) -> ScenarioResult {
    let (routed, others): (Vec<_>, Vec<_>) = site.addresses().await?.into_iter().partition(|to| is_routed(*to));
    site.measured("asked", format!("{routed:?}, without a route from here: {others:?}"));
    for address in &routed {
        site.at(*address)?.get(LIVE).await?.expect_status(200)?;
    }
    expect!(
        !routed.is_empty(),
        "dns: no address of {} is one that this machine has a route to: {others:?}",
        site.host()
    )
}
