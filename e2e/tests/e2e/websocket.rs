//! The WebSocket service, through the router.

use std::time::Duration;

use harness::scenario::{ScenarioResult, Scenarios, each, scenario};
use harness::stack::{Site, Stack};
use harness::websocket::Handshake;
use harness::{Error, expect, expect_eq};
use jetscale::components::{FRONTEND, WEBSOCKET};
use jetscale::services::{JetscaleStack, WS, WS_READY};
use serde_json::json;

use crate::auth::{BAD_TOKENS, Fault, token};

pub fn scenarios() -> Vec<Scenarios> {
    vec![
        scenario(is_ready),
        scenario(echoes),
        scenario(outlives_silence),
        scenario(refuses_without_a_token),
        each(refuses_a_bad_token, BAD_TOKENS),
        scenario(a_token_in_the_query_is_written_down_nowhere),
    ]
}

async fn is_ready(site: Site) -> ScenarioResult {
    let reply = site.get(WS_READY).await?;
    expect_eq!(reply.expect_status(200)?.at("/data/status")?, json!("healthy"))
}

/// A real upgrade through the router, and two messages in order.
async fn echoes(stack: Stack) -> ScenarioResult {
    let user = stack.user().await?;
    let mut socket = stack.websocket(WS, Some(&user.token)).await?.open()?;
    for text in ["first", "zweite – ✓"] {
        socket.send_text(text).await?;
        let answer = socket.next_text().await?.unwrap_or_default();
        let answer: serde_json::Value = serde_json::from_str(&answer).map_err(Error::malformed("read the echo"))?;
        expect_eq!(answer, json!({"type": "echo", "data": text}))?;
    }
    Ok(socket.close().await?)
}

/// Nobody says anything for a while, and nobody hangs up. The service pings every 20 s, so a longer silence there is not.
async fn outlives_silence(stack: Stack) -> ScenarioResult {
    let user = stack.user().await?;
    let mut socket = stack.websocket(WS, Some(&user.token)).await?.open()?;
    socket.stays_open(Duration::from_secs(19)).await?;
    socket.send_text("still there").await?;
    expect!(socket.next_text().await?.is_some_and(|text| text.contains("still there")), "there was no echo")?;
    Ok(socket.close().await?)
}

/// The same handshake with a token opens.
async fn refuses_without_a_token(stack: Stack) -> ScenarioResult {
    stack.websocket(WS, Some(&stack.user().await?.token)).await?.open()?.close().await?;
    refused(stack.websocket(WS, None).await?)
}

/// A token made by the same hand without the fault opens it.
async fn refuses_a_bad_token(stack: Stack, fault: Fault) -> ScenarioResult {
    let (good, bad) = (token(&stack, None).await?, token(&stack, Some(fault)).await?);
    stack.websocket(WS, Some(&good)).await?.open()?.close().await?;
    refused(stack.websocket(WS, Some(&bad)).await?)
}

/// A browser can send a token in the query alone; the router's log and the service's hold the path, and not the token.
async fn a_token_in_the_query_is_written_down_nowhere(stack: Stack) -> ScenarioResult {
    let secret = stack.own_name("secret");
    // Each path is one that nobody else asks for, and led to where WebSockets are.
    let paths = ["one", "two"].map(|name| format!("{WS}/{}", stack.own_name(name)));
    stack.get(&format!("{}?token={secret}", paths[0])).await?;
    stack.get(&format!("{}?a=b&token={secret}", paths[1])).await?;
    for component in [FRONTEND, WEBSOCKET] {
        let log = stack.log_with(&component, &paths).await?;
        expect!(!log.contains(&secret), "the log of {} holds a token", component.suffix)?;
    }
    Ok(())
}

fn refused(handshake: Handshake) -> ScenarioResult {
    match handshake {
        Handshake::Refused { status } => expect!(matches!(status, 401 | 403), "refused, but with status {status}"),
        Handshake::Open(_) => Err(Error::Unmet("the WebSocket opened".to_owned())),
    }
}
