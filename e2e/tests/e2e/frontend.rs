//! The page, and the one router in front of everything.

use harness::scenario::{ScenarioResult, Scenarios, each, scenario};
use harness::services::VERSION;
use harness::stage::Stage;
use harness::stack::{Site, Stack};
use harness::{expect, expect_eq};

pub fn scenarios() -> Vec<Scenarios> {
    vec![
        scenario(page_is_served),
        scenario(every_asset_of_the_page_is_served),
        scenario(api_is_proxied),
        scenario(unknown_path_is_not_found),
        each(
            sends_security_headers,
            [
                ("content_security_policy", "content-security-policy"),
                ("frame_options", "x-frame-options"),
                ("content_type_options", "x-content-type-options"),
                ("referrer_policy", "referrer-policy"),
            ],
        ),
        scenario(hsts_is_for_tls_alone).not_in(Stage::Preview, "a preview is reached by TLS alone, as the smoke scenarios see"),
    ]
}

async fn page_is_served(site: Site) -> ScenarioResult {
    let page = site.get("/").await?;
    page.expect_status(200)?;
    expect!(page.header("content-type").is_some_and(|kind| kind.starts_with("text/html")), "{page} is no page")?;
    expect!(page.text().contains("<title>"), "{page} has no title")
}

/// Style sheets and scripts that the page names, each with its own type.
async fn every_asset_of_the_page_is_served(site: Site) -> ScenarioResult {
    let page = site.get("/").await?.text();
    let quoted = page.split('"').skip(1).step_by(2);
    let assets: Vec<_> = quoted.filter(|path| path.ends_with(".css") || path.ends_with(".js")).collect();
    expect!(assets.len() >= 2, "the page names {} assets", assets.len())?;
    for path in assets {
        let asset = site.get(&format!("/{}", path.trim_start_matches(['.', '/']))).await?;
        asset.expect_status(200)?;
        let wanted = if path.ends_with(".css") { "text/css" } else { "javascript" };
        expect!(asset.header("content-type").is_some_and(|kind| kind.contains(wanted)), "{asset} is no {wanted}")?;
    }
    Ok(())
}

/// The same answer through the router as from the api's own pod.
async fn api_is_proxied(stack: Stack) -> ScenarioResult {
    let direct = stack.api_of_one_pod().await?.version().await?;
    let routed = stack.get(VERSION).await?;
    expect_eq!(harness::services::data::<harness::services::Version>(routed.expect_status(200)?)?, direct)
}

async fn unknown_path_is_not_found(site: Site) -> ScenarioResult {
    let reply = site.get("/no/such/page").await?;
    reply.expect_status(404)?;
    let text = reply.text().to_lowercase();
    expect!(!text.contains("nginx/") && !text.contains("traceback"), "{reply} tells what serves it")
}

async fn sends_security_headers(site: Site, header: &'static str) -> ScenarioResult {
    let page = site.get("/").await?;
    expect!(page.header(header).is_some_and(|value| !value.is_empty()), "{page} has no {header}")
}

/// HSTS over plain HTTP is ignored by browsers and a mistake of the router's.
async fn hsts_is_for_tls_alone(site: Site) -> ScenarioResult {
    let plain = site.get("/").await?;
    expect_eq!(plain.header("strict-transport-security"), None)?;
    let behind_tls = site.get_with("/", "x-forwarded-proto", "https").await?;
    let hsts = behind_tls.header("strict-transport-security").unwrap_or_default();
    expect!(hsts.contains("max-age="), "{behind_tls}: no HSTS behind TLS")
}
