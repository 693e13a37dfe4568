//! The backend behind the public address.

use harness::scenario::{ScenarioResult, Scenarios, scenario};
use harness::services::{DOCS, LIVE};
use harness::stack::Site;
use harness::{expect, expect_eq};

pub fn scenarios() -> Vec<Scenarios> {
    vec![scenario(is_live), scenario(is_ready), scenario(docs_are_served)]
}

async fn is_live(site: Site) -> ScenarioResult {
    site.backend().get(LIVE).await?.expect_status(200).map(drop)
}

async fn is_ready(site: Site) -> ScenarioResult {
    let (status, readiness) = site.backend().ready().await?;
    expect_eq!(status, 200)?;
    expect!(readiness.components.values().all(|word| word == "ok"), "{readiness:?}")
}

async fn docs_are_served(site: Site) -> ScenarioResult {
    site.backend().get(DOCS).await?.expect_status(200).map(drop)
}
