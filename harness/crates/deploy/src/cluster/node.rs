//! The nodes: readiness, processor shares of their agents, and slots for isolated releases.

use std::fmt::Debug;
use std::time::Duration;

use harness_settings::spec::spec;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use k8s_openapi::api::core::v1::{Container, Node, PodSpec};
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::json;

use super::Cluster;
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
    .await?;
    Ok(())
}

/// The CPU request of each container that a node's network and volumes depend on, in millicores; as EKS sets it for kube-proxy.
pub const SHARE: u64 = 100;

/// Sets CPU requests for the agents of each node, which make Services and policies follow their pods, and for kind's provisioner
/// of volumes.
///
/// kubeadm's and kind's manifests request none, which is next to nothing on a node whose pods are busy: kube-proxy once did not
/// follow a Service for 70 s, where with this request it took 20 ms. A network's own agent may request too little as well.
pub(super) async fn give_shares(client: &Client) -> Result<()> {
    let agents = Api::<DaemonSet>::namespaced(client.clone(), "kube-system");
    let what = "list the agents of each node";
    for agent in k8s::call(what, agents.list(&ListParams::default())).await? {
        let name = agent.name_any();
        give_share(&agents, &name, agent.spec.and_then(|spec| spec.template.spec)).await?;
    }
    let provisioners = Api::<Deployment>::namespaced(client.clone(), "local-path-storage");
    let name = "local-path-provisioner";
    let found = k8s::call("read the provisioner of volumes", provisioners.get(name)).await?;
    give_share(&provisioners, name, found.spec.and_then(|spec| spec.template.spec)).await
}

async fn give_share<K>(api: &Api<K>, name: &str, pod: Option<PodSpec>) -> Result<()>
where
    K: Clone + DeserializeOwned + Debug,
{
    let poor: Vec<_> = pod.iter().flat_map(|pod| &pod.containers).filter(|it| requested(it) < SHARE).collect();
    if poor.is_empty() {
        return Ok(());
    }
    let request = json!({ "requests": { "cpu": format!("{SHARE}m") } });
    let containers: Vec<_> = poor.iter().map(|it| json!({ "name": it.name, "resources": request })).collect();
    let patch = Patch::Strategic(json!({ "spec": { "template": { "spec": { "containers": containers } } } }));
    let params = PatchParams { field_manager: Some(k8s::FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    k8s::call(&format!("request processor time for {name}"), api.patch(name, &params, &patch)).await?;
    Ok(())
}

/// A container's CPU request, in millicores; 0 if it has none.
pub fn requested(container: &Container) -> u64 {
    let requests = container.resources.as_ref().and_then(|resources| resources.requests.as_ref());
    requests.and_then(|requests| k8s::quantity::millis(&requests.get("cpu")?.0)).unwrap_or_default()
}

/// How many isolated releases the cluster can hold at once, by its memory and its processors; at least 1, and at most the spec's
/// `own.most`. With more releases than processors their starts only slow each other (three on two processors, beside another
/// suite: load 36, and probes fail).
///
/// # Errors
/// [`Error::Kube`] when the nodes cannot be listed.
pub async fn slots(cluster: &Cluster) -> Result<usize> {
    let what = "list the nodes";
    let api: Api<Node> = Api::all(cluster.client.clone());
    let nodes =
        k8s::within(what, k8s::CALL, async { api.list(&ListParams::default()).await.map_err(Error::kube(what)) })
            .await?;
    let all_of = |resource: &str, read: fn(&str) -> Option<u64>| -> u64 {
        let allocatable = |node: &Node| read(&node.status.as_ref()?.allocatable.as_ref()?.get(resource)?.0);
        nodes.items.iter().filter_map(allocatable).sum()
    };
    let by_memory = all_of("memory", bytes) / spec().own.bytes;
    let by_processors = all_of("cpu", k8s::quantity::millis) / 1000;
    let slots = usize::try_from(by_memory.min(by_processors)).unwrap_or(usize::MAX);
    Ok(slots.clamp(1, spec().own.most))
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
