//! Namespaces: make, delete, list by label. Whose they are is the caller's to prove.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Namespace, Pod, ServiceAccount};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, Preconditions};
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
/// [`harness_base::Error::Refused`] when it is being deleted; the API's error; [`harness_base::Error::Deadline`] after 30 s
/// without the ServiceAccount `default`.
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

/// Makes a namespace, or brings an existing one's labels to these; does not wait until pods can be created in it.
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

/// Waits until a namespace that is being deleted is gone; absent is fine.
///
/// # Errors
/// [`harness_base::Error::Deadline`] after `limit`, which names what holds it.
pub async fn gone_by(client: &Client, name: &str, limit: Duration) -> Result<()> {
    gone(Api::<Namespace>::all(client.clone()), name, &format!("the end of the namespace {name}"), limit, holds).await
}

/// Deletes the very namespace that was looked at, and waits until it is gone; another one of its name is left alone.
///
/// Its pods are killed where we may do so. On cancel the deletion goes on in the cluster.
///
/// # Errors
/// The API's error, or [`harness_base::Error::Deadline`] after `limit`, which names what holds it.
pub async fn delete_exactly(client: &Client, found: &Namespace, limit: Duration) -> Result<()> {
    let (api, name) = (Api::<Namespace>::all(client.clone()), found.name_any());
    let preconditions = Preconditions { uid: found.uid(), ..Preconditions::default() };
    let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
    match call(&format!("delete the namespace {name}"), api.delete(&name, &params)).await {
        Err(error) if has_code(&error, 404) => return Ok(()),
        // Deleted already, or another one of that name: then the one that was meant is gone.
        Err(error) if has_code(&error, 409) => {}
        Err(error) => return Err(error),
        Ok(_) => {}
    }
    // Only a matter of seconds: who may delete the namespace need not be allowed to.
    if let Err(error) = kill_pods(client, &name).await {
        tracing::debug!("the pods of {name} end in their own time: {}", error.report());
    }
    gone_by(client, &name, limit).await
}

/// Deletes a namespace with all that is in it, and waits until it is gone; absent is fine.
///
/// On cancel the deletion goes on in the cluster.
///
/// # Errors
/// As [`begin_deletion`]; [`harness_base::Error::Deadline`] after `limit`, which names what holds it.
pub async fn delete(client: &Client, name: &str, limit: Duration) -> Result<()> {
    begin_deletion(client, name).await?;
    gone_by(client, name, limit).await
}

/// Asks for the deletion of a namespace with all that is in it, and kills its pods; absent is fine.
///
/// A grace period of each pod would be waited out otherwise (measured: 17 s for a release of five, against 5 s).
///
/// # Errors
/// The API's error.
pub async fn begin_deletion(client: &Client, name: &str) -> Result<()> {
    let api: Api<Namespace> = Api::all(client.clone());
    let what = format!("delete the namespace {name}");
    match call(&what, api.delete(name, &DeleteParams::default())).await {
        Ok(_) => {}
        Err(error) if has_code(&error, 404) => return Ok(()),
        // Deleted already: somebody else's deletion is as good.
        Err(error) if has_code(&error, 409) => {}
        Err(error) => return Err(error),
    }
    kill_pods(client, name).await
}

/// What is thrown away need not finish what it does.
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

/// What keeps a namespace from going: what the owner of a finalizer says in an annotation called as it is and `-failed`,
/// else what the namespace controller says.
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
