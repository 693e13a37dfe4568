//! Security headers of answers.

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
    // Names of directives are of any case, and values may be quoted (RFC 6797); of several fields the first counts.
    let of = |part: &str| {
        let (name, value) = part.split_once('=')?;
        let value = value.trim().trim_matches('"').parse::<u64>().ok()?;
        name.trim().eq_ignore_ascii_case("max-age").then_some(value)
    };
    let seconds = hsts.split(';').find_map(of);
    expect!(seconds >= Some(LEAST_HSTS_SECS), "{page} with HSTS {hsts}, less than {LEAST_HSTS_SECS} s")
}

async fn page_sends(site: Site, (header, part): (&'static str, &'static str)) -> ScenarioResult {
    let page = site.get("/").await?;
    let value = page.expect_status(200)?.field(header).unwrap_or_else(|| "not sent".to_owned());
    site.measured(header, &value);
    expect!(value.to_lowercase().contains(&part.to_lowercase()), "{page} with {header}: {value}, without {part}")
}

/// Answers of the services and errors pass the same router.
async fn types_are_not_guessed(site: Site, path: &'static str) -> ScenarioResult {
    let reply = site.get(path).await?;
    let value = reply.header("x-content-type-options").unwrap_or("not sent");
    site.measured("x-content-type-options", value);
    expect!(value.eq_ignore_ascii_case("nosniff"), "{reply} with x-content-type-options: {value}")
}

async fn the_page_runs_its_own_scripts_alone(site: Site) -> ScenarioResult {
    let page = site.get("/").await?;
    let policy =
        ContentSecurityPolicy::parse(&page.expect_status(200)?.field("content-security-policy").unwrap_or_default());
    let lax = policy.laxities();
    site.measured("lax", lax.len());
    expect!(lax.is_empty(), "{page} lets in what is not the site's own: {}", lax.join(", "))
}

async fn nobody_frames_the_page(site: Site) -> ScenarioResult {
    let page = site.get("/").await?;
    let policy = page.field("content-security-policy").unwrap_or_default();
    site.measured("policy", &policy);
    expect!(ContentSecurityPolicy::parse(&policy).forbids_frames(), "{page} may be framed: {policy}")
}
