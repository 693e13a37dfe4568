//! A signed-in user. Sign-in is the only request that is no GET, and changes nothing but a session.

use harness::scenario::ScenarioResult;
use harness::scenario::reading::{ReadOnlyScenarios, scenario};
use harness::stack::Account;
use harness::websocket::Handshake;
use harness::{Error, expect, expect_eq};
use jetscale::services::{Envelope, ITEMS, Item, ME, WS};
use serde_json::json;

pub fn scenarios() -> Vec<ReadOnlyScenarios> {
    vec![
        scenario(is_recognised),
        scenario(items_are_listed),
        scenario(websocket_opens),
        scenario(a_spoilt_token_is_refused),
    ]
}

async fn is_recognised(account: Account) -> ScenarioResult {
    let me = account.get(ME).await?;
    account.site().measured("answered after", format!("{:.0?}", me.took));
    expect_eq!(me.expect_status(200)?.at("/data/login")?, json!(account.login))
}

async fn items_are_listed(account: Account) -> ScenarioResult {
    let reply = account.get(ITEMS).await?;
    let items: Vec<Item> = reply.expect_status(200)?.data()?;
    account.site().measured("items", items.len());
    Ok(())
}

async fn websocket_opens(account: Account) -> ScenarioResult {
    let socket = account.websocket(WS).await?.open()?;
    account.site().measured("status", 101);
    Ok(socket.close().await?)
}

/// One letter of the signature is another; with the right one both doors open.
async fn a_spoilt_token_is_refused(account: Account) -> ScenarioResult {
    let spoilt = account.spoilt()?;
    account.get(ME).await?.expect_status(200)?;
    spoilt.get(ME).await?.expect_status(401)?;
    account.websocket(WS).await?.open()?.close().await?;
    match spoilt.websocket(WS).await? {
        Handshake::Refused { status } => {
            account.site().measured("status", status);
            expect!(matches!(status, 401 | 403), "http: the WebSocket is refused, but with status {status}")
        }
        Handshake::Open(_) => Err(Error::Unmet("the WebSocket opened for a token that nobody signed".to_owned())),
    }
}
