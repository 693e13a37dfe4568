//! A cluster that has no room for a preview at first, and grows, as an autoscaler's does.

use std::time::Duration;

use harness::k8s::{self, Snapshot, State};
use k8s_openapi::api::core::v1::Node;
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use super::place::{Place, namespace_of};

/// What the node has none of; nothing else of the cluster wants it.
const ROOM: &str = "rehearsal.invalid/room";
/// Longer than a pod may be without room on a cluster that does not grow (docs/causes.md).
const LONG: Duration = Duration::from_secs(30);

/// A pod without room is told in the scheduler's words, waited for, and served once there is a node for it.
pub async fn comes_in_time(place: &Place, number: &str) {
    let template = wants_room(&place.backend_image());
    let up = place.up(number).with_charts(place, &template).run();
    let grows = async {
        let limit = Duration::from_secs(120);
        let unscheduled = |seen: &Snapshot| match seen.pods.iter().any(|pod| is_unscheduled(pod)) {
            true => State::Ready,
            false => State::Pending("every pod has a node".to_owned()),
        };
        let namespace = namespace_of(number);
        k8s::wait(place.client(), &namespace, "a pod without room", limit, unscheduled).await.unwrap();
        tokio::time::sleep(LONG).await;
        room(place, json!("1")).await;
    };
    let (up, ()) = tokio::join!(up, grows);
    room(place, Value::Null).await;
    let told = "seen so far: pod wants-room-";
    let words = format!("unschedulable: 0/1 nodes are available: 1 Insufficient {ROOM}");
    assert!(up.passed && up.text.contains(told) && up.text.contains(&words), "{}", up.text);
    place.takes_down(number).await;
}

fn is_unscheduled(pod: &k8s_openapi::api::core::v1::Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|condition| condition.reason.as_deref() == Some("Unschedulable"))
}

/// Gives the node this much room.
async fn room(place: &Place, amount: Value) {
    let nodes: Api<Node> = Api::all(place.client().clone());
    let all = nodes.list(&ListParams::default()).await.unwrap();
    let status = json!({"status": {"capacity": {ROOM: amount}, "allocatable": {ROOM: amount}}});
    nodes.patch_status(&all.items[0].name_any(), &PatchParams::default(), &Patch::Merge(&status)).await.unwrap();
}

/// A workload of the release that wants room.
fn wants_room(image: &str) -> String {
    let labels = json!({"app.kubernetes.io/name": "wants-room", "app.kubernetes.io/instance": "jetscale"});
    let container = json!({
        "name": "sleeper", "image": image, "command": ["sleep", "3600"],
        "resources": {"requests": {ROOM: "1"}, "limits": {ROOM: "1"}},
        "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
    });
    let spec = json!({
        "automountServiceAccountToken": false, "terminationGracePeriodSeconds": 1, "containers": [container],
        "securityContext": {"runAsNonRoot": true, "runAsUser": 10001, "seccompProfile": {"type": "RuntimeDefault"}},
    });
    let object = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "wants-room", "labels": labels},
        "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": spec}},
    });
    object.to_string()
}
