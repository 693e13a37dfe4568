//! Items, a small resource that is stored in the database.

use harness::expect_eq;
use harness::scenario::{ScenarioResult, Scenarios, each, scenario};
use harness::stack::{DurableStack, OwnStack, Stack};
use jetscale::components::{API, POSTGRES};
use jetscale::services::{Envelope, ITEMS, Item, JetscaleStack};
use serde_json::{Value, json};

pub fn scenarios() -> Vec<Scenarios> {
    vec![
        scenario(are_created_read_listed_and_deleted),
        each(
            bad_input_is_refused,
            [
                ("no_name", (json!({"name": "n"}), json!({}))),
                ("empty_name", (json!({"name": "n"}), json!({"name": ""}))),
                ("name_too_long", (json!({"name": "n".repeat(100)}), json!({"name": "n".repeat(101)}))),
                ("name_of_another_type", (json!({"name": "n"}), json!({"name": {"first": "n"}}))),
                ("unknown_field", (json!({"name": "n"}), json!({"name": "n", "colour": "blue"}))),
            ],
        ),
        scenario(are_listed_by_prefix_newest_first),
        scenario(unknown_item_is_not_found),
        scenario(strangers_are_refused),
        scenario(outlive_a_backend_restart).within(300),
        scenario(outlive_a_postgres_restart).within(300).nightly(),
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

/// The nearest good body, sent in the same way, is taken: what is refused is the difference.
async fn bad_input_is_refused(stack: Stack, (good, bad): (Value, Value)) -> ScenarioResult {
    let user = stack.user().await?;
    let made: Item = user.client().post(ITEMS, &good).await?.expect_status(201)?.data()?;
    let refused = user.client().post(ITEMS, &bad).await?;
    user.delete_item(&made.id).await?;
    let body: Value = refused.expect_status(422)?.json()?;
    expect_eq!(body["error"]["code"], json!("validation_failed"))
}

/// A prefix is no pattern: its `_` stands for itself alone.
async fn are_listed_by_prefix_newest_first(stack: Stack) -> ScenarioResult {
    let (user, own) = (stack.user().await?, stack.own_name("item"));
    let mut made = Vec::new();
    for ending in ["_1", "_2", "x3"] {
        made.push(user.create_item(&format!("{own}{ending}")).await?);
    }
    let (all, some) = (user.items(&own).await?, user.items(&format!("{own}_")).await?);
    for item in &made {
        user.delete_item(&item.id).await?;
    }
    made.reverse();
    expect_eq!(all, made)?;
    expect_eq!(some, made[1..])
}

/// An item is found by the same path until it is deleted, and a name that nobody ever had is not found either.
async fn unknown_item_is_not_found(stack: Stack) -> ScenarioResult {
    let user = stack.user().await?;
    let item = user.create_item(&stack.own_name("item")).await?;
    let path = format!("{ITEMS}/{}", item.id);
    user.client().get(&path).await?.expect_status(200)?;
    user.delete_item(&item.id).await?;
    for path in [path, format!("{ITEMS}/00000000-0000-4000-8000-000000000000")] {
        user.client().get(&path).await?.expect_status(404)?;
    }
    Ok(())
}

/// Who has no token makes, lists, reads and deletes nothing; the item's user finds it as it was.
async fn strangers_are_refused(stack: Stack) -> ScenarioResult {
    let (user, stranger, name) = (stack.user().await?, stack.client()?, stack.own_name("item"));
    let item = user.create_item(&name).await?;
    let path = format!("{ITEMS}/{}", item.id);
    let replies = [
        stranger.get(ITEMS).await?,
        stranger.get(&path).await?,
        stranger.post(ITEMS, &json!({"name": name})).await?,
        stranger.delete(&path).await?,
    ];
    let left = user.items(&name).await?;
    user.client().delete(&path).await?;
    for reply in replies {
        reply.expect_status(401)?;
    }
    expect_eq!(left, [item])
}

/// What a user stored is still there after every backend pod was replaced.
async fn outlive_a_backend_restart(stack: OwnStack) -> ScenarioResult {
    let item = stack.user().await?.create_item("kept").await?;
    stack.restart(&API).await?;
    expect_eq!(stack.user().await?.item(&item.id).await?, item)
}

/// The data is on a volume, and the backend's connections come back by themselves.
async fn outlive_a_postgres_restart(stack: DurableStack) -> ScenarioResult {
    let user = stack.user().await?;
    let item = user.create_item("kept").await?;
    stack.restart(&POSTGRES).await?;
    expect_eq!(user.item(&item.id).await?, item)
}
