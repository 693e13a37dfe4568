//! Objects in a preview's namespace beside the release: the deployer's RoleBinding, quota, limits and NetworkPolicies.

use std::collections::BTreeMap;

use harness_settings::spec::spec;
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::PostParams;
use serde_json::{Value, json};

use super::PullRequest;
use crate::cluster::Cluster;
use crate::error::{Error, Result};
use crate::k8s;

/// The name of each of these objects.
fn name() -> &'static str {
    spec().preview.reserved
}

/// The name of the deploying user, as the cluster sees it.
async fn own_name(cluster: &Cluster) -> Result<String> {
    let api: Api<SelfSubjectReview> = Api::all(cluster.client.clone());
    let what = "ask the cluster who we are";
    let answer = k8s::call(what, api.create(&PostParams::default(), &SelfSubjectReview::default())).await?;
    Ok(answer.status.and_then(|status| status.user_info?.username).unwrap_or_default())
}

/// Binds the deploying user to the role of previews in this namespace; the user has no such role in all namespaces.
pub(super) async fn allow_ourselves(
    cluster: &Cluster,
    of: PullRequest,
    labels: &BTreeMap<String, String>,
) -> Result<()> {
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
        "metadata": {"name": name(), "namespace": of.namespace(), "labels": labels},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": spec().preview.role},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": own_name(cluster).await?}],
    });
    Ok(k8s::apply(&cluster.client, &binding).await?)
}

/// Applies a preview's quota, limits and NetworkPolicies.
pub(super) async fn limit(cluster: &Cluster, of: PullRequest, labels: &BTreeMap<String, String>) -> Result<()> {
    let quota = quota(cluster).await?;
    for object in limits(of, labels, &quota).into_iter().chain(closed(of, labels)) {
        k8s::apply(&cluster.client, &object).await?;
    }
    Ok(())
}

/// The quota of a preview, as the cluster's administrator set it; the cluster accepts no larger one.
async fn quota(cluster: &Cluster) -> Result<Value> {
    let api: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), spec().preview.namespace);
    let what = format!("read quota.json of {} in {}", spec().preview.cluster, spec().preview.namespace);
    let found = k8s::call(&what, api.get(spec().preview.cluster)).await?;
    let text = found.data.and_then(|mut data| data.remove("quota.json")).unwrap_or_default();
    serde_json::from_str(&text).map_err(Error::malformed(what))
}

fn limits(of: PullRequest, labels: &BTreeMap<String, String>, quota: &Value) -> [Value; 2] {
    let metadata = json!({"name": name(), "namespace": of.namespace(), "labels": labels});
    let each = json!({"type": "Container", 
        "defaultRequest": {"cpu": "10m", "memory": "32Mi", "ephemeral-storage": "64Mi"},
        "default": {"memory": "128Mi", "ephemeral-storage": "512Mi"}});
    [
        json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": metadata, "spec": {"hard": quota}}),
        json!({"apiVersion": "v1", "kind": "LimitRange", "metadata": metadata, "spec": {"limits": [each]}}),
    ]
}

/// The policies that close a preview: no traffic to or from its pods, whatever their labels, except as the chart's own policies
/// allow; pods of scenarios' Jobs may reach the preview's pods and DNS.
fn closed(of: PullRequest, labels: &BTreeMap<String, String>) -> [Value; 2] {
    let policy = |name: String, spec: Value| {
        let metadata = json!({"name": name, "namespace": of.namespace(), "labels": labels});
        json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata, "spec": spec})
    };
    let dns = json!({
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
        "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
    });
    let asked = json!({"ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}], "to": [dns]});
    let clients = json!({
        "podSelector": {"matchLabels": {spec().client_label: "true"}}, "policyTypes": ["Egress"],
        "egress": [{"to": [{"podSelector": {}}]}, asked],
    });
    [
        policy(name().to_owned(), json!({"podSelector": {}, "policyTypes": ["Ingress", "Egress"]})),
        policy(format!("{}-clients", name()), clients),
    ]
}
