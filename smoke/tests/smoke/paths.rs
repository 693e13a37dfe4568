//! Paths that do not exist: 404, and no further information.

use harness::expect;
use harness::http::Reply;
use harness::scenario::ScenarioResult;
use harness::scenario::reading::{ReadOnlyScenarios, each};
use harness::stack::Site;

pub fn scenarios() -> Vec<ReadOnlyScenarios> {
    vec![
        each(unknown_is_not_found, [("page", "/no/such/page"), ("api", "/api/v2/no/such/thing")]),
        each(private_is_not_found, [("git", "/.git/config"), ("env", "/.env"), ("configuration", "/nginx.conf")]),
    ]
}

async fn unknown_is_not_found(site: Site, path: &'static str) -> ScenarioResult {
    let reply = site.get(path).await?;
    site.measured("server", reply.header("server").unwrap_or("not told"));
    reply.expect_status(404)?;
    tells_nothing(&reply)
}

/// Files that a careless image serves beside the page.
async fn private_is_not_found(site: Site, path: &'static str) -> ScenarioResult {
    let reply = site.get(path).await?;
    site.measured("status", reply.status);
    reply.expect_status(404)?;
    tells_nothing(&reply)
}

/// No stack trace, and no version of what serves.
fn tells_nothing(reply: &Reply) -> ScenarioResult {
    let text = reply.text().to_lowercase();
    for trace in ["traceback", "stack trace", "  at ", "exception", "nginx/", "uvicorn"] {
        expect!(!text.contains(trace), "{reply} and shows {trace:?}")?;
    }
    let server = reply.header("server").unwrap_or_default();
    expect!(!server.contains(|letter: char| letter.is_ascii_digit()), "{reply} and names its server: {server}")?;
    let powered = reply.header("x-powered-by");
    expect!(powered.is_none(), "{reply} and says what it is powered by: {powered:?}")
}
