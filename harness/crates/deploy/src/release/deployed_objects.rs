//! A release's objects as a cluster holds them, kept beside the cluster's record so that stages can be compared.

use futures::future::join_all;
use kube::Api;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Plan, helm, parity};
use crate::cluster::Cluster;
use crate::error::{Error, Result};
use crate::k8s;

/// A release as its cluster held it while it converged, without what controllers and the API server assign.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DeployedObjects {
    /// The plan that was deployed.
    pub plan: Plan,
    /// The release's objects, by name; of Secrets only the keys.
    pub objects: Vec<DeployedObject>,
}

/// One object, as the cluster holds it and as it was deployed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DeployedObject {
    /// The object of the API server, without what differs in each cluster ([`parity::without_assigned`]).
    pub live: Value,
    /// The object of the manifest that Helm deployed.
    pub manifest: Value,
}

impl DeployedObjects {
    /// The differences from another cluster's objects, defaults included.
    pub fn differences(&self, other: &Self) -> Vec<parity::Difference> {
        let live = |held: &Self| held.objects.iter().map(|object| object.live.clone()).collect::<Vec<Value>>();
        parity::differences(&live(self), &live(other))
    }
}

impl DeployedObject {
    /// Kind and name.
    pub fn title(&self) -> String {
        parity::title(&self.live)
    }

    /// How many fields the manifest declares, and how many more the API server added as defaults.
    pub fn fields(&self) -> (usize, usize) {
        let declared = parity::fields(&parity::as_declared(&self.live, &self.manifest));
        (declared, parity::fields(&self.live).saturating_sub(declared))
    }
}

impl DeployedObjects {
    /// Reads the objects of a plan's release from the cluster.
    ///
    /// # Errors
    /// [`Error::Command`] when Helm does not print the manifest; [`Error::Kube`] when an object cannot be read.
    pub async fn read(cluster: &Cluster, plan: &Plan) -> Result<Self> {
        let manifests = harness_manifest::yaml::objects(&helm::deployed(cluster, plan).await?)?;
        let reads = manifests.into_iter().map(|manifest| read(cluster, &plan.namespace, manifest));
        let mut objects = join_all(reads).await.into_iter().collect::<Result<Vec<_>>>()?;
        for name in plan.secrets() {
            objects.push(keys_of_secret(cluster, &plan.namespace, &name).await?);
        }
        objects.sort_by_key(DeployedObject::title);
        Ok(Self { plan: plan.clone(), objects })
    }
}

async fn read(cluster: &Cluster, namespace: &str, manifest: Value) -> Result<DeployedObject> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (version, kind) = (text(&manifest["apiVersion"]), text(&manifest["kind"]));
    let (group, version) = version.split_once('/').unwrap_or(("", &version));
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, &kind));
    let live = get(cluster, namespace, &text(&manifest["metadata"]["name"]), &resource).await?;
    Ok(DeployedObject { live: parity::without_assigned(live), manifest })
}

async fn keys_of_secret(cluster: &Cluster, namespace: &str, name: &str) -> Result<DeployedObject> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", "Secret"));
    let secret = get(cluster, namespace, name, &resource).await?;
    let keys: Vec<&String> = secret["data"].as_object().into_iter().flat_map(|data| data.keys()).collect();
    let metadata = serde_json::json!({"name": name, "namespace": namespace});
    let live = serde_json::json!({"kind": "Secret", "metadata": metadata, "type": secret["type"], "keys": keys});
    Ok(DeployedObject { manifest: live.clone(), live })
}

async fn get(cluster: &Cluster, namespace: &str, name: &str, resource: &ApiResource) -> Result<Value> {
    let api: Api<DynamicObject> = Api::namespaced_with(cluster.client.clone(), namespace, resource);
    let what = format!("read the {} {name}", resource.kind);
    let found = k8s::within(&what, k8s::CALL, async { api.get(name).await.map_err(Error::kube(&what)) }).await?;
    serde_json::to_value(found).map_err(Error::malformed(what))
}
