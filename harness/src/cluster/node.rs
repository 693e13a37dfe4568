//! The nodes: when they can take pods, and how much they hold.

use std::time::Duration;

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use k8s_openapi::api::core::v1::Node;
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, Client};
use serde_json::json;

use super::Cluster;
use crate::descriptor;
use crate::error::{Error, Result};
use crate::k8s::{self, State};

/// Waits until a node can take pods.
pub(super) async fn ready(client: &Client, node: &str, limit: Duration) -> Result<()> {
    let awaited = format!("the node {node}");
    k8s::wait::object(Api::<Node>::all(client.clone()), node, &awaited, limit, |found| {
        let Some(found) = found else { return State::Pending("it has not registered".to_owned()) };
        let conditions = found.status.iter().flat_map(|status| status.conditions.iter().flatten());
        match conditions.into_iter().find(|condition| condition.type_ == "Ready") {
            Some(condition) if condition.status == "True" => State::Ready,
            Some(condition) => State::Pending(condition.message.clone().unwrap_or_default()),
            None => State::Pending("it has said nothing about itself".to_owned()),
        }
    })
    .await
    .map(drop)
}

/// Gives a share of the processors to what makes Services follow their pods, and volumes be there: kube-proxy, and the
/// provisioner that Kind brings along.
///
/// kubeadm and Kind let both request none, which is next to nothing on a node whose pods are busy: kube-proxy did not follow
/// a Service once in 70 s, where with this request it took 20 ms. The request is what EKS gives its kube-proxy.
pub(super) async fn give_shares(client: &Client) -> Result<()> {
    let kube_proxy = Api::<DaemonSet>::namespaced(client.clone(), "kube-system");
    let provisioner = Api::<Deployment>::namespaced(client.clone(), "local-path-storage");
    let request = |container: &str| {
        let container = json!({ "name": container, "resources": { "requests": { "cpu": "100m" } } });
        Patch::Strategic(json!({ "spec": { "template": { "spec": { "containers": [container] } } } }))
    };
    let params = PatchParams { field_manager: Some(k8s::FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    k8s::call("request processor time for kube-proxy", kube_proxy.patch("kube-proxy", &params, &request("kube-proxy")))
        .await?;
    let name = "local-path-provisioner";
    k8s::call("request processor time for the provisioner of volumes", provisioner.patch(name, &params, &request(name)))
        .await
        .map(drop)
}

/// How many isolated releases the cluster's memory can hold at once, at least one.
///
/// # Errors
/// [`Error::Kube`] when the nodes cannot be listed.
pub async fn slots(cluster: &Cluster) -> Result<usize> {
    let what = "list the nodes";
    let api: Api<Node> = Api::all(cluster.client.clone());
    let nodes =
        k8s::within(what, k8s::CALL, async { api.list(&ListParams::default()).await.map_err(Error::kube(what)) })
            .await?;
    let memory: u64 = nodes
        .items
        .iter()
        .filter_map(|node| bytes(&node.status.as_ref()?.allocatable.as_ref()?.get("memory")?.0))
        .sum();
    let slots = usize::try_from(memory / descriptor::OWN_RELEASE_BYTES).unwrap_or(usize::MAX);
    Ok(slots.clamp(1, descriptor::MAX_OWN_RELEASES))
}

/// A memory quantity as the kubelet writes it, in bytes.
fn bytes(quantity: &str) -> Option<u64> {
    let units = [("Ki", 10), ("Mi", 20), ("Gi", 30), ("", 0)];
    let (unit, shift) = units.into_iter().find(|(unit, _)| quantity.ends_with(unit))?;
    quantity.strip_suffix(unit)?.parse::<u64>().ok().map(|number| number << shift)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    #[rstest]
    #[case("25165824Ki", Some(24 << 30))]
    #[case("2Gi", Some(2 << 30))]
    #[case("1024", Some(1024))]
    #[case("much", None)]
    fn quantities(#[case] text: &str, #[case] bytes: Option<u64>) {
        assert_eq!(super::bytes(text), bytes);
    }
}
