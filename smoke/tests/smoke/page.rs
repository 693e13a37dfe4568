//! The page at the public address.

use harness::expect;
use harness::scenario::{ScenarioResult, Scenarios, scenario};
use harness::stack::Site;

pub fn scenarios() -> Vec<Scenarios> {
    vec![scenario(is_served), scenario(unknown_path_is_not_found)]
}

async fn is_served(site: Site) -> ScenarioResult {
    let page = site.get("/").await?;
    page.expect_status(200)?;
    expect!(page.header("content-type").is_some_and(|kind| kind.starts_with("text/html")), "{page} is no page")
}

async fn unknown_path_is_not_found(site: Site) -> ScenarioResult {
    let reply = site.get("/no/such/page").await?;
    reply.expect_status(404)?;
    expect!(!reply.text().contains("Traceback"), "{reply} shows a stack trace")
}
