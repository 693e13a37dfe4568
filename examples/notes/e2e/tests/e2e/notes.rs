//! What this stack is for: notes that are kept.

use harness::expect;
use harness::scenario::{ScenarioResult, Scenarios, scenario};
use harness::stack::OwnStack;
use serde_json::json;
use stack::{STORE, WEB};

pub fn scenarios() -> Vec<Scenarios> {
    vec![scenario(outlive_the_pods_that_took_them).within(240)]
}

async fn outlive_the_pods_that_took_them(stack: OwnStack) -> ScenarioResult {
    let note = json!({"text": stack.own_name("note")});
    stack.client()?.post("/notes", &note).await?.expect_status(201)?;
    for component in [WEB, STORE] {
        stack.restart(&component).await?;
    }
    let reply = stack.get("/notes").await?;
    let kept: Vec<serde_json::Value> = reply.expect_status(200)?.json()?;
    expect!(kept.contains(&note), "{kept:?} is without {note}")
}
