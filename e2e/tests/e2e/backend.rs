//! What the backend promises, in every stage that deploys it.

use harness::scenario::{ScenarioResult, Scenarios, scenario};
use harness::stack::{OwnStack, Site, Stack};
use harness::stage::Stage;
use harness::{expect, expect_eq};
use jetscale::components::{API, REDIS};
use jetscale::services::{DOCS, JetscaleSite, JetscaleStack, LIVE, OPENAPI};

pub fn scenarios() -> Vec<Scenarios> {
    vec![
        scenario(docs_are_served),
        scenario(openapi_describes_the_contract),
        scenario(is_live),
        scenario(is_ready_with_every_part),
        scenario(version_is_the_artifacts_revision)
            .not_in(Stage::Dev, "stage dev has no artifact set: Tilt builds its images"),
        scenario(ready_names_redis_while_it_is_down).within(300),
    ]
}

/// uvicorn came up by itself and serves the interactive documentation.
async fn docs_are_served(site: Site) -> ScenarioResult {
    let page = site.backend().get(DOCS).await?;
    page.expect_status(200)?;
    expect!(page.text().contains("swagger-ui"), "{page} is not the documentation")
}

async fn openapi_describes_the_contract(site: Site) -> ScenarioResult {
    let openapi: serde_json::Value = site.backend().get(OPENAPI).await?.expect_status(200)?.json()?;
    for path in ["/api/v2/items", "/api/v2/auth/sign-in", "/api/v2/auth/me", "/api/v2/system/ready"] {
        expect!(openapi["paths"].get(path).is_some(), "openapi.json does not describe {path}")?;
    }
    Ok(())
}

async fn is_live(site: Site) -> ScenarioResult {
    site.backend().get(LIVE).await?.expect_status(200)?;
    Ok(())
}

async fn is_ready_with_every_part(site: Site) -> ScenarioResult {
    let readiness = site.backend().becomes_ready().await?;
    for part in ["database", "redis"] {
        expect_eq!(readiness.components.get(part).map(String::as_str), Some("ok"))?;
    }
    Ok(())
}

/// What serves was built from the revision that the artifact set records.
async fn version_is_the_artifacts_revision(stack: Stack) -> ScenarioResult {
    expect_eq!(stack.backend().version().await?.git_sha, stack.artifacts().revision_of(API.artifact))
}

/// Readiness turns 503 and names the part that is down, and the Service leads to the api no more; both recover with it.
async fn ready_names_redis_while_it_is_down(stack: OwnStack) -> ScenarioResult {
    let api = stack.api_of_one_pod().await?;
    stack.scale(&REDIS, 0).await?;
    let (status, down) = api.ready().await?;
    expect_eq!(status, 503)?;
    expect_eq!(down.components["redis"], "down")?;
    expect_eq!(down.components["database"], "ok")?;
    stack.is_left_out(&API).await?;
    stack.scale(&REDIS, 1).await?;
    let up = api.becomes_ready().await?;
    expect_eq!(up.components["redis"], "ok")?;
    stack.converged().await
}
