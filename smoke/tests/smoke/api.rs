//! The api behind the public address: alive, ready with every part, described.

use harness::scenario::ScenarioResult;
use harness::scenario::reading::{ReadOnlyScenarios, each, scenario};
use harness::stack::Site;
use harness::{expect, expect_eq};
use jetscale::services::{DOCS, ITEMS, JetscaleSite, LIVE, ME, OPENAPI, READY, SIGN_IN};

pub fn scenarios() -> Vec<ReadOnlyScenarios> {
    vec![
        scenario(is_live),
        scenario(is_ready),
        each(part_is_ready, [("database", "database"), ("redis", "redis")]),
        scenario(docs_are_served),
        scenario(openapi_describes_the_contract),
        scenario(answers_are_kept_by_nobody),
        scenario(who_has_no_token_is_refused),
    ]
}

async fn is_live(site: Site) -> ScenarioResult {
    let reply = site.get(LIVE).await?;
    site.measured("answered after", format!("{:.0?}", reply.took));
    // A page that says that the site is being worked on may say so with 200.
    reply.expect_status(200)?.at("/data")?;
    Ok(())
}

async fn is_ready(site: Site) -> ScenarioResult {
    let reply = site.get(READY).await?;
    site.measured("answered after", format!("{:.0?}", reply.took));
    reply.expect_status(200)?.at("/data")?;
    Ok(())
}

/// Readiness names each part, so that a failure does as well.
async fn part_is_ready(site: Site, part: &'static str) -> ScenarioResult {
    let (_, readiness) = site.backend().ready().await?;
    let word = readiness.components.get(part).map_or("not named", String::as_str);
    site.measured(part, word);
    expect_eq!(word, "ok")
}

async fn docs_are_served(site: Site) -> ScenarioResult {
    let page = site.get(DOCS).await?;
    page.expect_status(200)?;
    site.measured("bytes", page.body.len());
    expect!(page.text().contains("swagger-ui"), "{page} is not the documentation")
}

async fn openapi_describes_the_contract(site: Site) -> ScenarioResult {
    let openapi: serde_json::Value = site.get(OPENAPI).await?.expect_status(200)?.json()?;
    let paths = openapi["paths"].as_object().cloned().unwrap_or_default();
    site.measured("paths", paths.len());
    let missing: Vec<_> = [READY, SIGN_IN, ME, ITEMS].into_iter().filter(|path| !paths.contains_key(*path)).collect();
    expect!(missing.is_empty(), "{OPENAPI} does not describe {missing:?}")
}

/// A proxy on the way must not answer in the api's place.
async fn answers_are_kept_by_nobody(site: Site) -> ScenarioResult {
    let reply = site.get(READY).await?;
    let caching = reply.header("cache-control").unwrap_or("nothing");
    site.measured("cache-control", caching);
    expect!(caching.contains("no-store"), "{reply} says {caching} about caching")
}

async fn who_has_no_token_is_refused(site: Site) -> ScenarioResult {
    let reply = site.get(ME).await?;
    site.measured("status", reply.status);
    reply.expect_status(401)?;
    expect!(reply.header("www-authenticate").is_some_and(|how| how.starts_with("Bearer")), "{reply}: no challenge")
}
