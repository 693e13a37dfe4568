//! The frontend: the page, and the router in front of all services.

use harness::http::ContentSecurityPolicy;
use harness::scenario::{ScenarioResult, Scenarios, each, scenario};
use harness::stack::{Site, Stack};
use harness::stage::Stage;
use harness::{expect, expect_eq};
use jetscale::components::FRONTEND;
use jetscale::services::{Envelope, ITEMS, JetscaleStack, ServiceVersion, VERSION};
use serde_json::{Value, json};

const CSP: &str = "content-security-policy";
const UNKNOWN_ITEM: &str = "00000000-0000-4000-8000-000000000000";

pub fn scenarios() -> Vec<Scenarios> {
    vec![
        scenario(page_is_served),
        scenario(every_asset_of_the_page_is_served),
        scenario(api_is_proxied),
        scenario(unknown_path_is_not_found),
        each(
            sends_security_headers,
            [
                ("content_security_policy", (CSP, "frame-ancestors 'none'")),
                ("frame_options", ("x-frame-options", "DENY")),
                ("content_type_options", ("x-content-type-options", "nosniff")),
                ("referrer_policy", ("referrer-policy", "strict-origin")),
            ],
        ),
        scenario(the_page_runs_its_own_scripts_alone),
        scenario(tells_no_version),
        scenario(a_query_is_not_logged),
        scenario(a_large_body_is_refused),
        scenario(a_large_attachment_reaches_the_backend),
        scenario(hsts_is_for_tls_alone)
            .not_in(Stage::Preview, "a preview is reached by TLS alone, as the smoke scenarios see"),
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
    expect_eq!(routed.expect_status(200)?.data::<ServiceVersion>()?, direct)
}

async fn unknown_path_is_not_found(site: Site) -> ScenarioResult {
    let reply = site.get("/no/such/page").await?;
    reply.expect_status(404)?;
    let text = reply.text().to_lowercase();
    expect!(!text.contains("nginx/") && !text.contains("traceback"), "{reply} tells what serves it")
}

async fn sends_security_headers(site: Site, (header, part): (&'static str, &'static str)) -> ScenarioResult {
    let page = site.get("/").await?;
    let value = page.header(header).unwrap_or("not sent");
    expect!(value.contains(part), "{page} with {header}: {value}, without {part}")
}

/// What others' scripts could do in the page of somebody who is signed in, they cannot: none is run.
async fn the_page_runs_its_own_scripts_alone(site: Site) -> ScenarioResult {
    let page = site.get("/").await?;
    let policy = ContentSecurityPolicy::parse(page.expect_status(200)?.header(CSP).unwrap_or_default());
    expect!(policy.allows_alone("default-src", "'self'"), "the policy lets in more than the site's own: {policy:?}")?;
    expect_eq!(policy.laxities(), Vec::<String>::new())
}

/// Neither in a header nor in a page of the router's own, such as the one for a method that it does not serve.
async fn tells_no_version(stack: Stack) -> ScenarioResult {
    let own = stack.client()?.post("/", &json!({})).await?;
    expect!(own.expect_status(405)?.text().contains("nginx"), "{own}, and not by a page of nginx's own")?;
    for reply in [own, stack.get("/").await?, stack.get("/no/such/page").await?, stack.get(VERSION).await?] {
        let server = reply.header("server").unwrap_or_default();
        expect!(!server.contains(|letter: char| letter.is_ascii_digit()), "{reply} by {server}")?;
        expect!(!reply.text().contains("nginx/"), "{reply} and shows a version of nginx")?;
    }
    Ok(())
}

/// A query may hold what is nobody else's; the log holds the path alone.
async fn a_query_is_not_logged(stack: Stack) -> ScenarioResult {
    let secret = stack.own_name("secret");
    // Each path is one that nobody else asks for: of the page, and of the api.
    let paths = [format!("/{}", stack.own_name("page")), format!("/api/v2/{}", stack.own_name("api"))];
    for path in &paths {
        stack.get(&format!("{path}?token={secret}")).await?.expect_status(404)?;
    }
    let log = stack.log_with(&FRONTEND, &paths).await?;
    expect!(!log.contains(&secret), "the router's log holds a query")
}

/// Nobody needs more than 64 KiB but for attachments; what is less is judged by what it says.
async fn a_large_body_is_refused(stack: Stack) -> ScenarioResult {
    let user = stack.user().await?;
    for (bytes, status, code) in [(60 * 1024, 422, "validation_failed"), (2 * 1024 * 1024, 413, "body_too_large")] {
        let reply = user.client().post(ITEMS, &json!({"name": "n".repeat(bytes)})).await?;
        let judged: Value = reply.expect_status(status)?.json()?;
        expect_eq!(judged["error"]["code"], json!(code))?;
    }
    Ok(())
}

/// The backend judges it, and not the router: there is no such item, or no such path where nothing stores objects.
async fn a_large_attachment_reaches_the_backend(stack: Stack) -> ScenarioResult {
    let place = format!("{ITEMS}/{UNKNOWN_ITEM}/attachments/plan.json");
    let plan = "x".repeat(2 * 1024 * 1024);
    let reply = stack.user().await?.client().put(&place, &plan).await?;
    let judged: Value = reply.expect_status(404)?.json()?;
    let code = judged["error"]["code"].as_str().unwrap_or_default();
    expect!(["item_not_found", "not_found"].contains(&code), "{reply} is {code:?}")
}

/// HSTS over plain HTTP is ignored by browsers and a mistake of the router's.
async fn hsts_is_for_tls_alone(site: Site) -> ScenarioResult {
    let plain = site.get("/").await?;
    expect_eq!(plain.header("strict-transport-security"), None)?;
    let behind_tls = site.get_with("/", "x-forwarded-proto", "https").await?;
    let hsts = behind_tls.header("strict-transport-security").unwrap_or_default();
    expect!(hsts.contains("max-age="), "{behind_tls}: no HSTS behind TLS")
}
