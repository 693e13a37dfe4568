//! What a cluster really holds of a release, kept beside the cluster's record so that stages can be compared.

use futures::future::join_all;
use kube::Api;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Plan, parity, render};
use crate::cluster::Cluster;
use crate::descriptor;
use crate::error::{Error, Result};
use crate::k8s;

/// The objects of a release as their cluster held them when it had converged.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Held {
    /// The revision of its artifacts.
    pub revision: String,
    /// Each object as the API server gave it, as far as its manifest speaks of it; of Secrets the keys alone.
    pub objects: Vec<Value>,
}

impl Held {
    /// Reads what the cluster holds of a plan's release.
    ///
    /// # Errors
    /// [`Error::Kube`] when an object that was deployed cannot be read.
    pub async fn read(cluster: &Cluster, plan: &Plan) -> Result<Self> {
        let manifests = super::objects(&render(&cluster.tools, plan).await?)?;
        let reads = manifests.iter().map(|manifest| read(cluster, &plan.namespace, manifest));
        let mut objects = join_all(reads).await.into_iter().collect::<Result<Vec<_>>>()?;
        for name in [plan.name(descriptor::AUTH_SUFFIX), descriptor::PULL_SECRET.to_owned()] {
            objects.push(keys_of_secret(cluster, &plan.namespace, &name).await?);
        }
        objects.sort_by_key(parity::title);
        Ok(Self { revision: plan.artifacts.revision.clone(), objects })
    }
}

async fn read(cluster: &Cluster, namespace: &str, manifest: &Value) -> Result<Value> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (version, kind) = (text(&manifest["apiVersion"]), text(&manifest["kind"]));
    let (group, version) = version.split_once('/').unwrap_or(("", &version));
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, &kind));
    let live = get(cluster, namespace, &text(&manifest["metadata"]["name"]), &resource).await?;
    Ok(parity::as_declared(&live, manifest))
}

async fn keys_of_secret(cluster: &Cluster, namespace: &str, name: &str) -> Result<Value> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", "Secret"));
    let secret = get(cluster, namespace, name, &resource).await?;
    let keys: Vec<&String> = secret["data"].as_object().into_iter().flat_map(|data| data.keys()).collect();
    Ok(serde_json::json!({"kind": "Secret", "metadata": {"name": name}, "type": secret["type"], "keys": keys}))
}

async fn get(cluster: &Cluster, namespace: &str, name: &str, resource: &ApiResource) -> Result<Value> {
    let api: Api<DynamicObject> = Api::namespaced_with(cluster.client.clone(), namespace, resource);
    let what = format!("read the {} {name}", resource.kind);
    let found = k8s::within(&what, k8s::CALL, async { api.get(name).await.map_err(Error::kube(&what)) }).await?;
    serde_json::to_value(found).map_err(Error::malformed(what))
}
