//! The WebSocket service, through the one origin.

use harness::scenario::{ScenarioResult, Scenarios, scenario};
use harness::services::WS_READY;
use harness::stack::{Site, Stack};
use harness::websocket::Handshake;
use harness::{Error, expect, expect_eq};
use serde_json::json;

pub fn scenarios() -> Vec<Scenarios> {
    vec![scenario(is_ready), scenario(echoes), scenario(refuses_without_a_token), scenario(refuses_a_bad_token)]
}

async fn is_ready(site: Site) -> ScenarioResult {
    let reply = site.get(WS_READY).await?;
    expect_eq!(reply.expect_status(200)?.data()?["status"], json!("healthy"))
}

/// A real upgrade through the router, and two messages in order.
async fn echoes(stack: Stack) -> ScenarioResult {
    let user = stack.user().await?;
    let mut socket = stack.websocket(Some(&user.token)).await?.open()?;
    for text in ["first", "zweite – ✓"] {
        socket.send_text(text).await?;
        let answer = socket.next_text().await?.unwrap_or_default();
        let answer: serde_json::Value = serde_json::from_str(&answer).map_err(Error::malformed("read the echo"))?;
        expect_eq!(answer, json!({"type": "echo", "data": text}))?;
    }
    socket.close().await
}

async fn refuses_without_a_token(site: Site) -> ScenarioResult {
    refused(site.websocket(None).await?)
}

async fn refuses_a_bad_token(site: Site) -> ScenarioResult {
    refused(site.websocket(Some("not.a.token")).await?)
}

fn refused(handshake: Handshake) -> ScenarioResult {
    match handshake {
        Handshake::Refused { status } => expect!(matches!(status, 401 | 403), "refused, but with status {status}"),
        Handshake::Open(_) => Err(Error::Unmet("the WebSocket opened".to_owned())),
    }
}
