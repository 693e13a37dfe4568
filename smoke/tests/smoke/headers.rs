//! Headers by which a browser protects users.

use harness::expect;
use harness::http::ContentSecurityPolicy;
use harness::scenario::ScenarioResult;
use harness::scenario::reading::{ReadOnlyScenarios, each, scenario};
use harness::stack::Site;
use jetscale::services::{DOCS, LIVE};

pub fn scenarios() -> Vec<ReadOnlyScenarios> {
    vec![
        scenario(https_is_for_good),
        each(
            page_sends,
            [
                ("content_security_policy", ("content-security-policy", "default-src")),
                ("content_type_options", ("x-content-type-options", "nosniff")),
                ("frame_options", ("x-frame-options", "DENY")),
                ("referrer_policy", ("referrer-policy", "strict-origin")),
                ("permissions_policy", ("permissions-policy", "camera=()")),
            ],
        ),
        each(types_are_not_guessed, [("api", LIVE), ("docs", DOCS), ("error", "/no/such/page")]),
        scenario(the_page_runs_its_own_scripts_alone),
        scenario(nobody_frames_the_page),
    ]
}

/// Half a year, in seconds: what browsers ask of a site that is to be asked by https alone.
const LEAST_HSTS_SECS: u64 = 15_552_000;

async fn https_is_for_good(site: Site) -> ScenarioResult {
    site.speaks_tls()?;
    let page = site.get("/").await?;
    let hsts = page.header("strict-transport-security").unwrap_or("not sent");
    site.measured("HSTS", hsts);
    let seconds = hsts.split(';').find_map(|part| part.trim().strip_prefix("max-age=")?.parse::<u64>().ok());
    expect!(seconds >= Some(LEAST_HSTS_SECS), "{page} with HSTS {hsts}, less than {LEAST_HSTS_SECS} s")
}

async fn page_sends(site: Site, (header, part): (&'static str, &'static str)) -> ScenarioResult {
    let page = site.get("/").await?;
    let value = page.expect_status(200)?.header(header).unwrap_or("not sent");
    site.measured(header, value);
    expect!(value.contains(part), "{page} with {header}: {value}, without {part}")
}

/// Answers of the services and errors pass the same router.
async fn types_are_not_guessed(site: Site, path: &'static str) -> ScenarioResult {
    let reply = site.get(path).await?;
    let value = reply.header("x-content-type-options").unwrap_or("not sent");
    site.measured("x-content-type-options", value);
    expect!(value == "nosniff", "{reply} with x-content-type-options: {value}")
}

async fn the_page_runs_its_own_scripts_alone(site: Site) -> ScenarioResult {
    let page = site.get("/").await?;
    let policy = ContentSecurityPolicy::parse(page.expect_status(200)?.header("content-security-policy").unwrap_or_default());
    let lax = policy.laxities();
    site.measured("lax", lax.len());
    expect!(lax.is_empty(), "{page} lets in what is not the site's own: {}", lax.join(", "))
}

async fn nobody_frames_the_page(site: Site) -> ScenarioResult {
    let page = site.get("/").await?;
    let policy = page.header("content-security-policy").unwrap_or_default();
    let frames = policy.split(';').map(str::trim).find(|part| part.starts_with("frame-ancestors"));
    site.measured("policy", frames.unwrap_or("none"));
    expect!(frames == Some("frame-ancestors 'none'"), "{page} may be framed: {policy}")
}
