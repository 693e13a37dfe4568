//! Namespaces: make, delete, list by label. Whose they are is the caller's to prove.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Namespace, Pod, ServiceAccount};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::{Api, Client, ResourceExt};

use super::wait::{State, gone, object};
use super::{FIELD_MANAGER, call, has_code};
use crate::{Error, Result};

/// How long the controllers may take to give a new namespace its ServiceAccount: 30 s.
const ACCOUNT_LIMIT: Duration = Duration::from_secs(30);

/// Makes a namespace, or brings an existing one's labels and annotations to these; returns once
/// pods can be created in it.
///
/// On cancel the namespace may remain.
///
/// # Errors
/// [`Error::Refused`] when it is being deleted; the API's error; [`Error::Deadline`] after 30 s
/// without the ServiceAccount `default`.
pub async fn create(
    client: &Client,
    name: &str,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
) -> Result<()> {
    let api: Api<Namespace> = Api::all(client.clone());
    let wanted = Namespace {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            labels: Some(labels),
            annotations: Some(annotations),
            ..ObjectMeta::default()
        },
        ..Namespace::default()
    };
    let what = format!("create the namespace {name}");
    let params = PatchParams::apply(FIELD_MANAGER).force();
    let made = call(&what, api.patch(name, &params, &Patch::Apply(&wanted))).await?;
    if made.metadata.deletion_timestamp.is_some() {
        return Err(Error::refused(
            format!("the namespace {name} is still being deleted: {}", holds(&made)),
            format!("wait until it is gone: kubectl wait --for=delete namespace/{name}"),
        ));
    }
    // A pod created before the account exists is refused.
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), name);
    let awaited = format!("the ServiceAccount default in the namespace {name}");
    object(accounts, "default", &awaited, ACCOUNT_LIMIT, |found| match found {
        Some(_) => State::Ready,
        None => State::Pending("the controllers have not made it".to_owned()),
    })
    .await
    .map(|_| ())
}

/// Deletes a namespace with all that is in it, and waits until it is gone; absent is fine.
///
/// Its pods are killed: what is thrown away need not finish what it does, and a grace period of each
/// would be waited out (measured: 17 s for a release of five, against 5 s).
///
/// On cancel the deletion goes on in the cluster.
///
/// # Errors
/// The API's error, or [`Error::Deadline`] after `limit`, which names what holds it.
pub async fn delete(client: &Client, name: &str, limit: Duration) -> Result<()> {
    let api: Api<Namespace> = Api::all(client.clone());
    let what = format!("delete the namespace {name}");
    match call(&what, api.delete(name, &DeleteParams::default())).await {
        Ok(_) => {}
        Err(error) if has_code(&error, 404) => return Ok(()),
        // Deleted already: somebody else's deletion is as good.
        Err(error) if has_code(&error, 409) => {}
        Err(error) => return Err(error),
    }
    let pods: Api<Pod> = Api::namespaced(client.clone(), name);
    let at_once = DeleteParams::default().grace_period(0);
    let what = format!("kill the pods of the namespace {name}");
    match call(&what, pods.delete_collection(&at_once, &ListParams::default())).await {
        Err(error) if !has_code(&error, 404) => return Err(error),
        _ => {}
    }
    gone(api, name, &format!("the end of the namespace {name}"), limit, holds).await
}

/// The namespaces that match a label selector, terminating ones too.
///
/// # Errors
/// The API's error, or [`Error::Deadline`] after 10 s.
pub async fn list_labelled(client: &Client, selector: &str) -> Result<Vec<Namespace>> {
    let api: Api<Namespace> = Api::all(client.clone());
    let params = ListParams::default().labels(selector);
    Ok(call(&format!("list the namespaces with {selector}"), api.list(&params)).await?.items)
}

/// What the namespace controller says that keeps a namespace from going.
fn holds(namespace: &Namespace) -> String {
    let conditions = namespace.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let holding = conditions.iter().filter(|condition| condition.status == "True");
    let said: Vec<&str> = holding.filter_map(|condition| condition.message.as_deref()).collect();
    if said.is_empty() {
        return match namespace.finalizers() {
            [] => "its content is being deleted".to_owned(),
            finalizers => format!("finalizers {}", finalizers.join(", ")),
        };
    }
    said.join("; ")
}
