//! The WebSocket on the same origin, without a token.

use harness::scenario::ScenarioResult;
use harness::scenario::reading::{ReadOnlyScenarios, each, scenario};
use harness::stack::Site;
use harness::websocket::Handshake;
use harness::{Error, expect, expect_eq};
use jetscale::services::{WS, WS_READY};

pub fn scenarios() -> Vec<ReadOnlyScenarios> {
    vec![scenario(is_ready), each(refuses_politely, [("without_a_token", None), ("a_bad_token", Some("not.a.token"))])]
}

async fn is_ready(site: Site) -> ScenarioResult {
    let reply = site.get(WS_READY).await?;
    let status = reply.expect_status(200)?.at("/data/status")?;
    site.measured("status", &status);
    expect_eq!(status, "healthy")
}

/// With a status that says why, and not by hanging up.
async fn refuses_politely(site: Site, token: Option<&'static str>) -> ScenarioResult {
    match site.websocket(WS, token).await? {
        Handshake::Refused { status } => {
            site.measured("status", status);
            expect!(matches!(status, 401 | 403), "http: the WebSocket is refused, but with status {status}")
        }
        Handshake::Open(_) => Err(Error::Unmet("the WebSocket opened for somebody without a valid token".to_owned())),
    }
}
