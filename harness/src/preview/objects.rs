//! What stands in a preview's namespace beside the release: who may deploy there, and how much there may be.

use std::collections::BTreeMap;

use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use kube::Api;
use kube::api::PostParams;
use serde_json::{Value, json};

use super::PullRequest;
use crate::cluster::Cluster;
use crate::descriptor::PREVIEW_ROLE;
use crate::error::Result;
use crate::k8s;

/// The name of each of them.
const NAME: &str = "jetscale-preview";

/// Who we are to the cluster.
async fn own_name(cluster: &Cluster) -> Result<String> {
    let api: Api<SelfSubjectReview> = Api::all(cluster.client.clone());
    let what = "ask the cluster who we are";
    let answer = k8s::call(what, api.create(&PostParams::default(), &SelfSubjectReview::default())).await?;
    Ok(answer.status.and_then(|status| status.user_info?.username).unwrap_or_default())
}

/// Gives whoever deploys leave to do so in this namespace: nobody has it in all namespaces.
pub(super) async fn allow_ourselves(
    cluster: &Cluster,
    of: PullRequest,
    labels: &BTreeMap<String, String>,
) -> Result<()> {
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
        "metadata": {"name": NAME, "namespace": of.namespace(), "labels": labels},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": PREVIEW_ROLE},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": own_name(cluster).await?}],
    });
    k8s::apply(&cluster.client, &binding).await
}

/// Limits what a preview takes of the cluster.
pub(super) async fn limit(cluster: &Cluster, of: PullRequest, labels: &BTreeMap<String, String>) -> Result<()> {
    for object in limits(of, labels) {
        k8s::apply(&cluster.client, &object).await?;
    }
    Ok(())
}

/// Twice the release, for a rolling update of all of it, and some Jobs of scenarios.
fn limits(of: PullRequest, labels: &BTreeMap<String, String>) -> [Value; 2] {
    let metadata = json!({"name": NAME, "namespace": of.namespace(), "labels": labels});
    let hard = json!({
        "pods": "20", "requests.cpu": "1", "requests.memory": "2Gi", "limits.memory": "6Gi",
        "persistentvolumeclaims": "2", "requests.storage": "8Gi",
        "services": "10", "services.nodeports": "0", "services.loadbalancers": "0",
    });
    let each = json!({"type": "Container", "defaultRequest": {"cpu": "10m", "memory": "32Mi"}, "default": {"memory": "128Mi"}});
    [
        json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": metadata, "spec": {"hard": hard}}),
        json!({"apiVersion": "v1", "kind": "LimitRange", "metadata": metadata, "spec": {"limits": [each]}}),
    ]
}
