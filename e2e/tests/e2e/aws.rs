//! Managed stores: the api's connections and credentials, and attachments. In stages local and ci the stores are the release's
//! own, and most of this does not apply.

use std::collections::BTreeMap;

use harness::k8s::pod;
use harness::scenario::{ScenarioResult, Scenarios, scenario};
use harness::stack::Stack;
use harness::{Error, Result, expect, expect_eq};
use jetscale::components::{API, POSTGRES};
use jetscale::services::{ITEMS, JetscaleSite, JetscaleStack};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Container, Pod};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

/// The largest attachment, in bytes, as the api has it.
const ATTACHMENT_MAX: usize = 5 * 1024 * 1024;
const UNKNOWN_ITEM: &str = "00000000-0000-4000-8000-000000000000";
/// Either names where a pod gets a role's credentials, which end: IRSA's, and Pod Identity's.
const ROLES: [&str; 2] = ["AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI"];

pub fn scenarios() -> Vec<Scenarios> {
    vec![
        scenario(readiness_names_each_part),
        scenario(attachments_are_put_read_back_and_deleted),
        scenario(what_is_no_attachment_is_refused),
        scenario(the_database_is_asked_over_verified_tls),
        scenario(no_key_is_stored),
    ]
}

/// Each part that is configured, no other, and all are well.
async fn readiness_names_each_part(stack: Stack) -> ScenarioResult {
    let stores_objects = variables(&api(&stack).await?).contains_key("JETSCALE_S3_BUCKET");
    let parts = ["database", "redis"].into_iter().chain(stores_objects.then_some("object_store"));
    let wanted: BTreeMap<String, String> = parts.map(|part| (part.to_owned(), "ok".to_owned())).collect();
    expect_eq!(stack.backend().becomes_ready().await?.components, wanted)
}

async fn attachments_are_put_read_back_and_deleted(stack: Stack) -> ScenarioResult {
    stores_objects(&stack).await?;
    let user = stack.user().await?;
    let item = user.create_item(&stack.own_name("item")).await?;
    let (plan, place) = (json!({"regions": ["eu-central-1"]}), attachment(&item.id, "plan.json"));
    user.client().put(&place, &plan).await?.expect_status(200)?;

    let read = user.client().get(&place).await?;
    expect_eq!(read.expect_status(200)?.json::<Value>()?, plan)?;
    expect_eq!(read.header("content-type"), Some("application/json"))?;
    let listed = user.client().get(&attachments(&item.id)).await?.expect_status(200)?.at("/data")?;
    expect_eq!(listed[0]["name"], json!("plan.json"))?;

    user.client().delete(&place).await?.expect_status(204)?;
    user.client().get(&place).await?.expect_status(404)?;
    user.delete_item(&item.id).await
}

/// Too large, of no item, or by a name that no file should have: nothing of it is kept.
async fn what_is_no_attachment_is_refused(stack: Stack) -> ScenarioResult {
    stores_objects(&stack).await?;
    let user = stack.user().await?;
    let item = user.create_item(&stack.own_name("item")).await?;
    // The same without what is wrong with each is kept, and goes again.
    let good = attachment(&item.id, "plan.json");
    user.client().put(&good, &String::new()).await?.expect_status(200)?;
    user.client().delete(&good).await?.expect_status(204)?;
    let attempts = [
        // The quotes of JSON make it two bytes too large.
        (attachment(&item.id, "large.json"), "x".repeat(ATTACHMENT_MAX), 413),
        (attachment(UNKNOWN_ITEM, "plan.json"), String::new(), 404),
        (attachment(&item.id, ".plan"), String::new(), 422),
    ];
    for (place, body, status) in attempts {
        user.client().put(&place, &body).await?.expect_status(status)?;
    }
    user.client().get(&attachment(&item.id, "absent.json")).await?.expect_status(404)?;
    let listed = user.client().get(&attachments(&item.id)).await?.expect_status(200)?.at("/data")?;
    expect_eq!(listed, json!([]))?;
    user.delete_item(&item.id).await
}

/// The server must be who its certificate says, by a CA that the pod is given.
async fn the_database_is_asked_over_verified_tls(stack: Stack) -> ScenarioResult {
    let api = api(&stack).await?;
    let variables = variables(&api);
    let host = variables.get("JETSCALE_DB_HOST").cloned().unwrap_or_default();
    if host == stack.name_of(&POSTGRES) {
        return Err(Error::NotApplicable("the database is the release's own (backend.database.external)".to_owned()));
    }
    expect_eq!(variables.get("JETSCALE_DB_SSLMODE").map(String::as_str), Some("verify-full"))?;
    let file = variables.get("JETSCALE_DB_CA_FILE").cloned().unwrap_or_default();
    let mut mounts = api.volume_mounts.iter().flatten();
    let mounted = mounts.any(|mount| file.starts_with(&format!("{}/", mount.mount_path)));
    expect!(mounted, "JETSCALE_DB_CA_FILE is {file:?}, where no volume is mounted")
}

/// A pod is somebody by a role's token, which ends; no container has a key of somebody's.
async fn no_key_is_stored(stack: Stack) -> ScenarioResult {
    stores_objects(&stack).await?;
    // The pods, not the Deployment: IRSA and Pod Identity add to a pod as it is made.
    for pod in stack.pods(&API).await? {
        let names = names_of_variables(&pod);
        for key in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
            expect!(!names.iter().any(|name| name == key), "{} has {key}", pod.name_any())?;
        }
        let role = names.iter().any(|name| ROLES.contains(&name.as_str()));
        expect!(role, "{} has none of {ROLES:?}", pod.name_any())?;
    }
    Ok(())
}

fn attachments(item: &str) -> String {
    format!("{ITEMS}/{item}/attachments")
}

fn attachment(item: &str, name: &str) -> String {
    format!("{}/{name}", attachments(item))
}

/// The api's own container, as its Deployment describes it.
async fn api(stack: &Stack) -> Result<Container> {
    let name = stack.name_of(&API);
    let deployments: Api<Deployment> = Api::namespaced(stack.kube().clone(), stack.namespace());
    let deployment = deployments.get(&name).await.map_err(Error::kube("read the api's Deployment"))?;
    let pod = deployment.spec.and_then(|spec| spec.template.spec).unwrap_or_default();
    let api = pod.containers.into_iter().find(|container| container.name == API.label);
    api.ok_or_else(|| Error::Unmet(format!("the Deployment {name} has no container {}", API.label)))
}

/// What the container's variables say; one that comes from a Secret says nothing here.
fn variables(container: &Container) -> BTreeMap<String, String> {
    let variables = container.env.iter().flatten();
    variables.map(|variable| (variable.name.clone(), variable.value.clone().unwrap_or_default())).collect()
}

fn names_of_variables(pod: &Pod) -> Vec<String> {
    let variables = pod::containers(pod).into_iter().flat_map(|container| container.env.iter().flatten());
    variables.map(|variable| variable.name.clone()).collect()
}

async fn stores_objects(stack: &Stack) -> Result<()> {
    let stores = variables(&api(stack).await?).contains_key("JETSCALE_S3_BUCKET");
    let none = || Error::NotApplicable("no object storage is configured (backend.storage.bucket)".to_owned());
    stores.then_some(()).ok_or_else(none)
}
