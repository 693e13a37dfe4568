//! A small resource that is really stored.

use harness::descriptor::{API, POSTGRES};
use harness::expect_eq;
use harness::scenario::{ScenarioResult, Scenarios, each, scenario};
use harness::services::ITEMS;
use harness::stack::{OwnStack, Site, Stack};
use serde_json::{Value, json};

pub fn scenarios() -> Vec<Scenarios> {
    vec![
        scenario(are_created_read_listed_and_deleted),
        each(
            bad_input_is_refused,
            [
                ("no_name", json!({})),
                ("empty_name", json!({"name": ""})),
                ("name_too_long", json!({"name": "n".repeat(101)})),
                ("name_of_another_type", json!({"name": {"first": "n"}})),
                ("unknown_field", json!({"name": "n", "colour": "blue"})),
            ],
        ),
        scenario(unknown_item_is_not_found),
        scenario(strangers_are_refused),
        scenario(outlive_a_backend_restart).within(120),
        scenario(outlive_a_postgres_restart).within(150),
    ]
}

async fn are_created_read_listed_and_deleted(stack: Stack) -> ScenarioResult {
    let (user, name) = (stack.user().await?, stack.own_name("item"));
    let item = user.create_item(&name).await?;
    expect_eq!(item.name, name)?;
    expect_eq!(user.item(&item.id).await?, item)?;
    expect_eq!(user.items(&name).await?, vec![item.clone()])?;
    user.delete_item(&item.id).await?;
    expect_eq!(user.items(&name).await?, vec![])
}

async fn bad_input_is_refused(stack: Stack, body: Value) -> ScenarioResult {
    let reply = stack.user().await?.client().post(ITEMS, &body).await?;
    reply.expect_status(422).map(drop)
}

async fn unknown_item_is_not_found(stack: Stack) -> ScenarioResult {
    let path = format!("{ITEMS}/00000000-0000-4000-8000-000000000000");
    stack.user().await?.client().get(&path).await?.expect_status(404).map(drop)
}

async fn strangers_are_refused(site: Site) -> ScenarioResult {
    site.get(ITEMS).await?.expect_status(401).map(drop)
}

/// What a user stored is still there after every backend pod was replaced.
async fn outlive_a_backend_restart(stack: OwnStack) -> ScenarioResult {
    let item = stack.user().await?.create_item("kept").await?;
    stack.restart(&API).await?;
    expect_eq!(stack.user().await?.item(&item.id).await?, item)
}

/// The data is on a volume, and the backend's connections come back by themselves.
async fn outlive_a_postgres_restart(stack: OwnStack) -> ScenarioResult {
    let user = stack.user().await?;
    let item = user.create_item("kept").await?;
    stack.restart(&POSTGRES).await?;
    expect_eq!(user.item(&item.id).await?, item)
}
