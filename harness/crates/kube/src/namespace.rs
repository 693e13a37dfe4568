//! Namespaces: create, delete, list by label. Whether a namespace may be changed is the caller's to prove.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Namespace, Pod, ServiceAccount};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, Preconditions};
use kube::{Api, Client, ResourceExt};

use super::wait::{State, gone, object};
use super::{FIELD_MANAGER, call, has_code};
use crate::{Error, Result};

/// The limit for the controllers to give a new namespace its ServiceAccount: 30 s.
const ACCOUNT_LIMIT: Duration = Duration::from_secs(30);

/// Creates a namespace, or brings an existing one's labels and annotations to these; returns once pods can be created in it.
///
/// On cancel the namespace may remain.
///
/// # Errors
/// [`harness_base::Error::Refused`] when the namespace is being deleted; the API's error; [`harness_base::Error::Deadline`]
/// after 30 s without the ServiceAccount `default`.
pub async fn create(
    client: &Client,
    name: &str,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
) -> Result<()> {
    let made = applied(client, name, labels, annotations).await?;
    if made.metadata.deletion_timestamp.is_some() {
        return Err(Error::refused(
            format!("the namespace {name} is still being deleted: {}", holds(&made)),
            format!("wait until it is gone: kubectl wait --for=delete namespace/{name}"),
        ));
    }
    // The API refuses a pod before the account exists.
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), name);
    let awaited = format!("the ServiceAccount default in the namespace {name}");
    object(accounts, "default", &awaited, ACCOUNT_LIMIT, |found| match found {
        Some(_) => State::Ready,
        None => State::Pending("the controllers have not made it".to_owned()),
    })
    .await
    .map(|_| ())
}

/// Creates a namespace, or brings an existing one's labels to these, without waiting until pods can be created in it. On
/// cancel the namespace may remain.
///
/// # Errors
/// The API's error, or [`harness_base::Error::Deadline`] after 10 s.
pub async fn apply(client: &Client, name: &str, labels: &BTreeMap<String, String>) -> Result<()> {
    applied(client, name, labels.clone(), BTreeMap::new()).await.map(drop)
}

async fn applied(
    client: &Client,
    name: &str,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
) -> Result<Namespace> {
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
    let params = PatchParams::apply(FIELD_MANAGER).force();
    call(&format!("create the namespace {name}"), api.patch(name, &params, &Patch::Apply(&wanted))).await
}

/// Waits until a namespace that is being deleted is gone; an absent one is no error.
///
/// # Errors
/// [`harness_base::Error::Deadline`] after `limit`, with what holds the namespace.
pub async fn gone_by(client: &Client, name: &str, limit: Duration) -> Result<()> {
    gone(Api::<Namespace>::all(client.clone()), name, &format!("the end of the namespace {name}"), limit, holds).await
}

/// Deletes the namespace that was looked at, by its uid, and waits until it is gone; a later one of the same name is left
/// alone.
///
/// Its pods are killed without a grace period where that is allowed. On cancel the deletion goes on in the cluster.
///
/// # Errors
/// The API's error, or [`harness_base::Error::Deadline`] after `limit`, with what holds the namespace.
pub async fn delete_exactly(client: &Client, found: &Namespace, limit: Duration) -> Result<()> {
    let (api, name) = (Api::<Namespace>::all(client.clone()), found.name_any());
    let preconditions = Preconditions { uid: found.uid(), ..Preconditions::default() };
    let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
    match call(&format!("delete the namespace {name}"), api.delete(&name, &params)).await {
        Err(error) if has_code(&error, 404) => return Ok(()),
        // A conflict: it is being deleted already, or another one has its name, so that the meant one is gone.
        Err(error) if has_code(&error, 409) => {}
        Err(error) => return Err(error),
        Ok(_) => {}
    }
    // The kill saves seconds alone: permission to delete the namespace need not include it.
    if let Err(error) = kill_pods(client, &name).await {
        tracing::debug!("the pods of {name} end in their own time: {}", error.report());
    }
    gone_by(client, &name, limit).await
}

/// Deletes a namespace with its content, and waits until it is gone; an absent one is no error.
///
/// On cancel the deletion goes on in the cluster.
///
/// # Errors
/// As [`begin_deletion`]; [`harness_base::Error::Deadline`] after `limit`, with what holds the namespace.
pub async fn delete(client: &Client, name: &str, limit: Duration) -> Result<()> {
    begin_deletion(client, name).await?;
    gone_by(client, name, limit).await
}

/// Requests the deletion of a namespace with its content, and kills its pods; an absent one is no error. On cancel the
/// deletion may have begun.
///
/// Without the kill each pod's grace period would be waited out (measured: 17 s for a release of five pods, against 5 s).
///
/// # Errors
/// The API's error, or [`harness_base::Error::Deadline`] after 10 s for a call.
pub async fn begin_deletion(client: &Client, name: &str) -> Result<()> {
    let api: Api<Namespace> = Api::all(client.clone());
    let what = format!("delete the namespace {name}");
    match call(&what, api.delete(name, &DeleteParams::default())).await {
        Ok(_) => {}
        Err(error) if has_code(&error, 404) => return Ok(()),
        // A conflict: it is being deleted already.
        Err(error) if has_code(&error, 409) => {}
        Err(error) => return Err(error),
    }
    kill_pods(client, name).await
}

/// Deletes the pods without a grace period: thrown-away pods need not finish their work.
async fn kill_pods(client: &Client, namespace: &str) -> Result<()> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let at_once = DeleteParams::default().grace_period(0);
    let what = format!("kill the pods of the namespace {namespace}");
    match call(&what, pods.delete_collection(&at_once, &ListParams::default())).await {
        Err(error) if !has_code(&error, 404) => Err(error),
        _ => Ok(()),
    }
}

/// The namespaces that match a label selector, terminating ones too.
///
/// # Errors
/// The API's error, or [`harness_base::Error::Deadline`] after 10 s.
pub async fn list_labelled(client: &Client, selector: &str) -> Result<Vec<Namespace>> {
    let api: Api<Namespace> = Api::all(client.clone());
    let params = ListParams::default().labels(selector);
    Ok(call(&format!("list the namespaces with {selector}"), api.list(&params)).await?.items)
}

/// What keeps a namespace from going: the text that a finalizer's owner wrote into an annotation named like the finalizer
/// with `-failed`, else the namespace controller's conditions.
fn holds(namespace: &Namespace) -> String {
    let said = |finalizer: &String| namespace.annotations().get(&format!("{finalizer}-failed"));
    if let Some(why) = namespace.finalizers().iter().find_map(said) {
        return why.clone();
    }
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
