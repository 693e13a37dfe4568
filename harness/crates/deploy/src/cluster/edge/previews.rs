//! The edge for previews: it serves all namespaces, with one certificate for all previews' hosts.
//!
//! For rehearsals on kind, which has neither an ALB nor ACM.

use std::collections::BTreeMap;

use harness_base::progress::Step;
use harness_settings::spec::spec;
use kube::Client;
use serde_json::{Value, json};

use super::{EdgeOptions, MANIFESTS, PORTS, READY, certificate, established, image, with_edge_label};
use crate::cluster::node_name;
use crate::error::Result;
use crate::k8s::snapshot::Watched;
use crate::k8s::verdict::deployment_converged;
use crate::k8s::{self, Forward};

/// The edge's namespace, which is also its ingress class.
pub const NAMESPACE: &str = "harness-previews-edge";
/// The Secret with the certificate, which previews' Ingresses name.
const CERTIFICATE: &str = "previews";

/// An edge for previews.
pub struct PreviewsEdge {
    client: Client,
    /// The certificate of the CA that a client has to trust, as PEM.
    pub ca: String,
}

impl std::fmt::Debug for PreviewsEdge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PreviewsEdge")
    }
}

/// Makes the edge, and waits until it is ready to route. Only under a lock of the caller's.
///
/// What remains on cancel: a part of its objects, which the next call applies again; all are removed with the cluster.
///
/// # Errors
/// As [`super::make`].
pub async fn make(options: EdgeOptions<'_>) -> Result<PreviewsEdge> {
    let step = Step::begin("making the previews' edge");
    let (client, labels) = (&options.cluster.client, options.labels);
    let images = image::push(&options.request, options.sources, &node_name(&options.cluster.name)).await?;
    let issued = certificate::issue(&[&format!("*.{}", spec().preview.domain)])?;
    k8s::namespace::create(client, NAMESPACE, with_edge_label(labels), BTreeMap::new()).await?;
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
        "metadata": {"name": CERTIFICATE, "namespace": NAMESPACE, "labels": labels},
        "stringData": {"tls.crt": issued.chain, "tls.key": issued.key},
    });
    k8s::apply(client, &secret).await?;
    for object in objects([&images.contour.by_digest(), &images.envoy.by_digest()], labels)? {
        k8s::apply(client, &object).await?;
        if object["kind"] == "CustomResourceDefinition" {
            established(client, object["metadata"]["name"].as_str().unwrap_or_default()).await?;
        }
    }
    let kinds = [Watched::Deployments, Watched::ReplicaSets, Watched::Pods, Watched::Warnings];
    let judge = |seen: &k8s::Snapshot| deployment_converged(seen, "edge");
    k8s::wait::wait_on(client, NAMESPACE, &kinds, "the previews' edge", READY, judge).await?;
    step.done();
    Ok(PreviewsEdge { client: client.clone(), ca: issued.ca })
}

impl PreviewsEdge {
    /// Opens a forward to the edge's HTTPS port.
    ///
    /// # Errors
    /// As [`Forward::open`].
    pub async fn forward(&self) -> Result<Forward> {
        Ok(Forward::open(self.client.clone(), NAMESPACE, "app=edge", PORTS.0).await?)
    }

    /// The Helm values, as JSON, by which a preview's Ingress uses this edge.
    pub fn values() -> String {
        let annotations = json!({
            "ingress.kubernetes.io/force-ssl-redirect": "true",
            "projectcontour.io/tls-cert-namespace": NAMESPACE,
            "projectcontour.io/websocket-routes": "/",
        });
        let tls = json!({"enabled": true, "secretName": CERTIFICATE});
        json!({"ingress": {"className": NAMESPACE, "annotations": annotations, "tls": tls}}).to_string()
    }
}

/// The edge's objects without those for one release, and with the roles to serve all namespaces.
fn objects([contour, envoy]: [&str; 2], labels: &BTreeMap<String, String>) -> Result<Vec<Value>> {
    const OF_ONE_RELEASE: [&str; 4] = ["Role", "RoleBinding", "NetworkPolicy", "Ingress"];
    let text = MANIFESTS.replace("$EDGE", NAMESPACE).replace("$CONTOUR", contour).replace("$ENVOY", envoy);
    let mut objects: Vec<Value> = Vec::new();
    for mut object in harness_manifest::yaml::objects(&text)? {
        if object["kind"].as_str().is_some_and(|kind| OF_ONE_RELEASE.contains(&kind)) {
            continue;
        }
        let containers = object.pointer_mut("/spec/template/spec/containers").and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten() {
            if let Some(command) = container["command"].as_array_mut() {
                command.retain(|word| !word.as_str().is_some_and(|word| word.starts_with("--watch-namespaces=")));
            }
        }
        object["metadata"]["labels"] = json!(labels);
        objects.push(object);
    }
    let account = json!({"kind": "ServiceAccount", "name": "edge", "namespace": NAMESPACE});
    let read = json!(["get", "list", "watch"]);
    let rules = json!([
        {"apiGroups": [""], "resources": ["secrets", "services", "namespaces", "configmaps"], "verbs": read},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": read},
        {"apiGroups": ["networking.k8s.io"], "resources": ["ingresses", "ingressclasses"], "verbs": read},
        {"apiGroups": ["networking.k8s.io"], "resources": ["ingresses/status"], "verbs": ["get", "update"]},
        {"apiGroups": ["projectcontour.io"], "resources": ["*"], "verbs": ["get", "list", "watch", "update"]},
    ]);
    let role = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": NAMESPACE});
    let metadata = json!({"name": NAMESPACE, "labels": labels});
    objects.extend([
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": metadata, "rules": rules}),
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": metadata,
            "roleRef": role, "subjects": [account],
        }),
        json!({
            "apiVersion": "projectcontour.io/v1", "kind": "TLSCertificateDelegation",
            "metadata": {"name": CERTIFICATE, "namespace": NAMESPACE, "labels": labels},
            "spec": {"delegations": [{"secretName": CERTIFICATE, "targetNamespaces": ["*"]}]},
        }),
    ]);
    Ok(objects)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_leads_to_every_namespace_and_to_no_one_release() {
        let labels = BTreeMap::from([("whose".to_owned(), "ours".to_owned())]);
        let objects = objects(["registry/edge@sha256:0", "registry/edge@sha256:1"], &labels).unwrap();
        let text = json!(objects).to_string();
        assert!(!text.contains('$') && !text.contains("--watch-namespaces"), "{text}");
        assert!(objects.iter().any(|object| object["kind"] == "Deployment"), "{text}");
        assert!(objects.iter().all(|object| object["metadata"]["labels"]["whose"] == "ours"));
        assert!(objects.iter().all(|object| object["kind"] != "Ingress" && object["kind"] != "Role"));
    }
}
