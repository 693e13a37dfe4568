//! Server-side apply of objects of any kind.

use kube::api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams};
use kube::{Api, Client};
use serde_json::Value;

use super::{FIELD_MANAGER, call};
use crate::Result;

/// Applies an object by server-side apply, forced, with [`FIELD_MANAGER`]; one without a namespace is taken as
/// cluster-scoped. On cancel the server may still carry it out.
///
/// # Errors
/// The API's error, or [`harness_base::Error::Deadline`] after 10 s.
pub async fn apply(client: &Client, object: &Value) -> Result<()> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (version, kind, name) = (text(&object["apiVersion"]), text(&object["kind"]), text(&object["metadata"]["name"]));
    let (group, version) = version.split_once('/').unwrap_or(("", &version));
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, &kind));
    let api: Api<DynamicObject> = match object["metadata"]["namespace"].as_str() {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    let how = PatchParams::apply(FIELD_MANAGER).force();
    call(&format!("apply the {kind} {name}"), api.patch(&name, &how, &Patch::Apply(object))).await.map(drop)
}
