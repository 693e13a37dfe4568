use std::sync::Arc;

use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use rstest::rstest;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::*;

fn object<K: DeserializeOwned>(value: Value) -> Arc<K> {
    Arc::new(serde_json::from_value(value).unwrap())
}

fn labels() -> Value {
    json!({ "app.kubernetes.io/instance": "rel", "app": "web" })
}

fn owner(uid: &str) -> Value {
    json!([{ "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "x", "uid": uid, "controller": true }])
}

/// A converged deployment of two replicas at revision 2, with its Service and pods.
fn snapshot() -> Snapshot {
    let template = json!({ "metadata": { "labels": labels() }, "spec": { "containers": [] } });
    let set = |name: &str, revision: &str| -> Arc<ReplicaSet> {
        object(json!({ "metadata": { "name": name, "uid": name, "ownerReferences": owner("web"),
            "annotations": { "deployment.kubernetes.io/revision": revision } } }))
    };
    Snapshot {
        deployments: vec![object(json!({
            "metadata": { "name": "web", "uid": "web", "labels": labels(), "generation": 4,
                "annotations": { "deployment.kubernetes.io/revision": "2" } },
            "spec": { "replicas": 2, "selector": {}, "template": template },
            "status": { "observedGeneration": 4, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, "availableReplicas": 2 },
        }))],
        replica_sets: vec![set("old", "1"), set("new", "2")],
        pods: vec![pod("new-a", "new", "Running"), pod("new-b", "new", "Running")],
        services: vec![object(
            json!({ "metadata": { "name": "web", "labels": labels() }, "spec": { "selector": { "app": "web" } } }),
        )],
        endpoint_slices: vec![slice("new-a", true)],
        ..Snapshot::default()
    }
}

fn pod(name: &str, set: &str, phase: &str) -> Arc<Pod> {
    let ready = if phase == "Running" { "True" } else { "False" };
    object(json!({ "metadata": { "name": name, "uid": name, "labels": labels(), "ownerReferences": owner(set) },
        "status": { "phase": phase, "conditions": [{ "type": "Ready", "status": ready }] } }))
}

fn broken_pod(name: &str, set: &str) -> Arc<Pod> {
    let mut pod = Arc::unwrap_or_clone(pod(name, set, "Pending"));
    pod.status.as_mut().unwrap().container_statuses =
        serde_json::from_value(json!([{ "name": "app", "image": "i", "imageID": "",
        "ready": false, "restartCount": 0, "state": { "waiting": { "reason": "InvalidImageName" } } }]))
        .unwrap();
    Arc::new(pod)
}

fn slice(pod: &str, ready: bool) -> Arc<EndpointSlice> {
    object(
        json!({ "metadata": { "name": "web-x", "labels": { "kubernetes.io/service-name": "web" } }, "addressType": "IPv4",
        "endpoints": [{ "addresses": ["10.0.0.1"], "conditions": { "ready": ready }, "targetRef": { "kind": "Pod", "name": pod } }] }),
    )
}

fn status(snapshot: &mut Snapshot, changes: Value) {
    let deployment = Arc::make_mut(&mut snapshot.deployments[0]);
    let mut value = serde_json::to_value(&deployment.status).unwrap();
    value.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    deployment.status = serde_json::from_value(value).unwrap();
}

fn pending(state: State) -> String {
    match state {
        State::Pending(why) => why,
        other => panic!("{other:?} is not pending"),
    }
}

/// The release of that deployment.
fn rel(name: &str) -> Instance {
    Instance::new("app.kubernetes.io/instance", name)
}

#[test]
fn a_rolled_out_release_is_ready() {
    assert_eq!(converged(&snapshot(), &rel("rel")), State::Ready);
    assert_eq!(deployment_converged(&snapshot(), "web"), State::Ready);
}

#[test]
fn nothing_deployed_is_not_ready() {
    assert!(pending(converged(&snapshot(), &rel("other"))).contains("app.kubernetes.io/instance=other"));
}

#[rstest]
#[case::not_observed(json!({ "observedGeneration": 3 }), "deployment/web: its controller has not seen the current generation")]
#[case::never_observed(json!({ "observedGeneration": null }), "deployment/web: its controller has not seen the current generation")]
#[case::updating(json!({ "updatedReplicas": 1 }), "deployment/web: 1 of 2 updated, 2 ready, 2 available, 1 old")]
#[case::old_left(json!({ "replicas": 3 }), "deployment/web: 2 of 2 updated, 2 ready, 2 available, 1 old")]
#[case::not_available(json!({ "availableReplicas": 1 }), "deployment/web: 2 of 2 updated, 2 ready, 1 available, 0 old")]
#[case::surplus(json!({ "replicas": 3, "updatedReplicas": 3, "readyReplicas": 3, "availableReplicas": 3 }), "deployment/web: 3 of 2 updated, 3 ready, 3 available, 0 old")]
fn a_deployment_that_lags_says_by_how_much(#[case] changes: Value, #[case] why: &str) {
    let mut snapshot = snapshot();
    status(&mut snapshot, changes);
    assert_eq!(pending(converged(&snapshot, &rel("rel"))), why);
}

#[test]
fn pods_that_are_not_ready_are_named() {
    let mut snapshot = snapshot();
    status(&mut snapshot, json!({ "readyReplicas": 1, "availableReplicas": 1 }));
    snapshot.pods[1] = pod("new-b", "new", "Pending");
    assert!(pending(converged(&snapshot, &rel("rel"))).ends_with("0 old (new-b 0/0 Pending)"));
}

#[rstest]
#[case::of_the_current_revision("new", true)]
#[case::of_an_old_revision("old", false)]
#[case::of_somebody_else("other", false)]
fn only_pods_of_the_current_revision_are_blamed(#[case] set: &str, #[case] blamed: bool) {
    let mut snapshot = snapshot();
    status(&mut snapshot, json!({ "updatedReplicas": 1 }));
    snapshot.pods.push(broken_pod("broken", set));
    let state = converged(&snapshot, &rel("rel"));
    assert_eq!(matches!(state, State::Degraded(_)), blamed, "{state:?}");
}

#[test]
fn nobody_is_blamed_before_the_new_revision_is_known() {
    let mut snapshot = snapshot();
    status(&mut snapshot, json!({ "updatedReplicas": 1 }));
    // The deployment is at revision 3 already, but its replica set has not arrived.
    let annotations = Arc::make_mut(&mut snapshot.deployments[0]).metadata.annotations.as_mut().unwrap();
    annotations.insert("deployment.kubernetes.io/revision".to_owned(), "3".to_owned());
    snapshot.pods.push(broken_pod("broken", "new"));
    assert!(matches!(converged(&snapshot, &rel("rel")), State::Pending(_)));
}

#[test]
fn a_terminating_pod_is_not_blamed() {
    let mut snapshot = snapshot();
    status(&mut snapshot, json!({ "updatedReplicas": 1 }));
    let mut broken = Arc::unwrap_or_clone(broken_pod("broken", "new"));
    broken.metadata.deletion_timestamp = serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap();
    snapshot.pods.push(Arc::new(broken));
    assert!(matches!(converged(&snapshot, &rel("rel")), State::Pending(_)));
}

#[test]
fn pods_that_are_refused_are_a_cause() {
    let mut snapshot = snapshot();
    let refused = json!([{ "type": "ReplicaFailure", "status": "True", "message": "pods \"web-x\" is forbidden: exceeded quota: q, used: pods=1" }]);
    status(&mut snapshot, json!({ "updatedReplicas": 0, "conditions": refused }));
    let State::Degraded(found) = converged(&snapshot, &rel("rel")) else { panic!("it is not degraded") };
    assert_eq!(
        found.to_string(),
        "deployment/web: its pods cannot be created: exceeded quota: q, used: pods=1\n  pods \"web-x\" is forbidden: exceeded quota: q, used: pods=1"
    );
}

#[rstest]
#[case::none(vec![])]
#[case::not_ready(vec![slice("new-a", false)])]
#[case::of_a_pod_that_is_gone(vec![slice("gone", true)])]
fn a_service_needs_an_endpoint(#[case] slices: Vec<Arc<EndpointSlice>>) {
    let mut snapshot = snapshot();
    snapshot.endpoint_slices = slices;
    assert_eq!(pending(converged(&snapshot, &rel("rel"))), "service/web: no ready endpoint");
}

#[test]
fn a_service_of_nothing_needs_no_endpoint() {
    let mut snapshot = snapshot();
    Arc::make_mut(&mut snapshot.deployments[0]).spec.as_mut().unwrap().replicas = Some(0);
    status(&mut snapshot, json!({ "replicas": 0, "updatedReplicas": 0, "readyReplicas": 0, "availableReplicas": 0 }));
    snapshot.endpoint_slices.clear();
    assert_eq!(converged(&snapshot, &rel("rel")), State::Ready);
}

fn with_stateful_set(status: Value, revision_of_pod: &str) -> Snapshot {
    let mut all = snapshot();
    all.stateful_sets = vec![object(json!({
        "metadata": { "name": "db", "uid": "db", "labels": labels(), "generation": 2 },
        "spec": { "replicas": 1, "selector": {}, "serviceName": "db", "template": { "metadata": { "labels": { "app": "db" } } } },
        "status": status,
    }))];
    let mut pod = Arc::unwrap_or_clone(broken_pod("db-0", "db"));
    pod.metadata.labels.as_mut().unwrap().insert("controller-revision-hash".to_owned(), revision_of_pod.to_owned());
    all.pods.push(Arc::new(pod));
    all
}

fn set_status(updated: i32, ready: i32, current: &str) -> Value {
    json!({ "observedGeneration": 2, "replicas": 1, "updatedReplicas": updated, "readyReplicas": ready,
        "availableReplicas": ready, "currentRevision": current, "updateRevision": "r2" })
}

#[test]
fn a_stateful_set_at_its_update_revision_is_ready() {
    assert_eq!(converged(&with_stateful_set(set_status(1, 1, "r2"), "r2"), &rel("rel")), State::Ready);
}

#[test]
fn a_stateful_set_between_revisions_is_not() {
    let mut snapshot = with_stateful_set(set_status(1, 1, "r1"), "r2");
    snapshot.pods.pop();
    let why = pending(converged(&snapshot, &rel("rel")));
    assert_eq!(why, "statefulset/db: 1 of 1 updated, 1 ready, 1 available, the old revision is still the current one");
}

#[rstest]
#[case::current("r2", "pod db-0, container app: the image name \"i\" is invalid", 0)]
#[case::old("r1", "statefulset/db: a broken pod of the old revision blocks the rollout; delete that pod", 15)]
fn a_broken_pod_of_a_stateful_set_is_told_by_revision(#[case] revision: &str, #[case] first: &str, #[case] secs: u64) {
    let snapshot = with_stateful_set(set_status(0, 0, "r1"), revision);
    let State::Degraded(found) = converged(&snapshot, &rel("rel")) else { panic!("it is not degraded") };
    assert_eq!((found.first_line(), found.tolerance.by_default().as_secs()), (first.to_owned(), secs));
}

fn port(snapshot: &mut Snapshot, target: Value, declared: Value) {
    let service = Arc::make_mut(&mut snapshot.services[0]);
    service.spec.as_mut().unwrap().ports =
        serde_json::from_value(json!([{ "port": 80, "targetPort": target }])).unwrap();
    let template = &mut Arc::make_mut(&mut snapshot.deployments[0]).spec.as_mut().unwrap().template;
    let containers = json!([{ "name": "app", "ports": declared }]);
    template.spec.as_mut().unwrap().containers = serde_json::from_value(containers).unwrap();
}

#[rstest]
#[case::by_name(json!("http"), json!([{ "name": "http", "containerPort": 8080 }]), None)]
#[case::by_number(json!(8080), json!([{ "name": "http", "containerPort": 8080 }]), None)]
#[case::the_ports_own(Value::Null, json!([{ "containerPort": 80 }]), None)]
#[case::nobody_says_what_is_open(json!(81), json!([]), None)]
#[case::a_wrong_number(json!(81), json!([{ "name": "http", "containerPort": 8080 }, { "containerPort": 9 }]), Some("81"))]
#[case::a_wrong_name(json!("web"), json!([{ "name": "http", "containerPort": 8080 }, { "containerPort": 9 }]), Some("web"))]
fn a_service_that_leads_nowhere_is_told_although_all_is_ready(
    #[case] target: Value,
    #[case] declared: Value,
    #[case] wrong: Option<&str>,
) {
    let mut snapshot = snapshot();
    port(&mut snapshot, target, declared);
    let wanted = wrong.map(|target| {
        format!(
            "service/web: its port 80 leads to the target port {target}, which no container of deployment/web has: they \
             have http (8080), 9"
        )
    });
    let found = match converged(&snapshot, &rel("rel")) {
        State::Degraded(found) => Some(found.to_string()),
        state => (state != State::Ready).then(|| format!("{state:?}")),
    };
    assert_eq!(found, wanted);
}

/// A pod with one running container whose readiness probe fails.
fn unready_pod(snapshot: &mut Snapshot, name: &str, owner: &str) -> Arc<Pod> {
    let mut pod = Arc::unwrap_or_clone(pod(name, owner, "Running"));
    let status = json!({ "phase": "Running", "conditions": [{ "type": "Ready", "status": "False" }],
        "containerStatuses": [{ "name": "app", "image": "i", "imageID": "", "ready": false, "restartCount": 0,
            "started": true, "state": { "running": {} } }] });
    pod.status = serde_json::from_value(status).unwrap();
    snapshot.events.push(object(json!({ "metadata": {}, "reason": "Unhealthy",
        "message": "Readiness probe failed: HTTP probe failed with statuscode: 503",
        "involvedObject": { "kind": "Pod", "uid": name, "fieldPath": "spec.containers{app}" } })));
    Arc::new(pod)
}

#[rstest]
#[case::while_a_store_starts(Some("Pending"), None)]
#[case::once_the_store_is_ready(
    None,
    Some("pod new-b, container app: runs and is not ready: readiness probe: HTTP 503")
)]
fn what_is_not_ready_is_blamed_once_nothing_else_starts(#[case] store: Option<&str>, #[case] blamed: Option<&str>) {
    let mut snapshot = match store {
        Some(phase) => {
            let mut all = with_stateful_set(set_status(1, 0, "r2"), "r2");
            let labels = all.pods.pop().unwrap().metadata.labels.clone();
            let mut starting = Arc::unwrap_or_clone(pod("db-0", "db", phase));
            starting.metadata.labels = labels;
            all.pods.push(Arc::new(starting));
            all
        }
        None => snapshot(),
    };
    status(&mut snapshot, json!({ "readyReplicas": 1, "availableReplicas": 1 }));
    snapshot.pods[1] = unready_pod(&mut snapshot, "new-b", "new");
    let found = match converged(&snapshot, &rel("rel")) {
        State::Degraded(found) => Some(found.to_string()),
        _ => None,
    };
    assert_eq!(found.as_deref(), blamed);
}

/// An update makes one new pod at a time, and waits for it.
#[test]
fn one_of_several_that_is_not_ready_is_blamed() {
    let mut snapshot = snapshot();
    status(&mut snapshot, json!({ "replicas": 3, "updatedReplicas": 1, "readyReplicas": 2, "availableReplicas": 2 }));
    let unready = unready_pod(&mut snapshot, "new-a", "new");
    snapshot.pods = vec![unready, pod("old-a", "old", "Running"), pod("old-b", "old", "Running")];
    let State::Degraded(found) = converged(&snapshot, &rel("rel")) else { panic!("nobody is blamed") };
    assert!(found.to_string().starts_with("pod new-a, container app: runs and is not ready"), "{}", found);
}

/// The controller has replaced an ended pod, and keeps it for people to look at.
#[test]
fn a_failed_pod_that_was_replaced_is_not_blamed() {
    let mut snapshot = snapshot();
    status(&mut snapshot, json!({ "readyReplicas": 1, "availableReplicas": 1 }));
    snapshot.pods.push(pod("new-c", "new", "Failed"));
    assert!(matches!(converged(&snapshot, &rel("rel")), State::Pending(_)));
}

/// An evicted pod is replaced at once: the first of this deploy is blamed, and none of a former deploy of the same revision.
#[rstest]
#[case::as_many_as_are_wanted(&["09:59:00", "10:00:00"], None)]
#[case::one_more(&["09:59:00", "09:59:30", "10:00:00"], Some("pod new-09:59:00: Evicted: low on disk"))]
#[case::some_of_a_former_deploy(&["08:00:00", "09:59:00", "10:00:00"], None)]
fn evicted_again_and_again_is_blamed(
    #[case] evicted: &[&str],
    #[case] blamed: Option<&str>,
    #[values("Failed", "Succeeded")] phase: &str,
) {
    let mut snapshot = snapshot();
    status(&mut snapshot, json!({ "readyReplicas": 1, "availableReplicas": 1 }));
    let at = |name: &str, time: &str| {
        let mut pod = Arc::unwrap_or_clone(pod(name, "new", "Pending"));
        pod.metadata.creation_timestamp = serde_json::from_value(json!(format!("2026-01-01T{time}Z"))).unwrap();
        pod
    };
    snapshot.pods = vec![pod("new-a", "new", "Running"), Arc::new(at("new-b", "10:00:10"))];
    for time in evicted {
        let mut pod = at(&format!("new-{time}"), time);
        pod.metadata.uid = Some(format!("uid-{time}"));
        let (reason, message) = ("Evicted", "low on disk");
        let status = match phase {
            "Failed" => json!({ "phase": phase, "reason": reason, "message": message }),
            // The containers of an evicted pod ended with 0.
            _ => {
                let event = json!({
                    "metadata": {}, "type": "Warning", "reason": reason, "message": message,
                    "involvedObject": {"kind": "Pod", "uid": pod.metadata.uid},
                });
                snapshot.events.push(Arc::new(serde_json::from_value(event).unwrap()));
                json!({ "phase": phase })
            }
        };
        pod.status = serde_json::from_value(status).unwrap();
        snapshot.pods.push(Arc::new(pod));
    }
    let found = match converged(&snapshot, &rel("rel")) {
        State::Degraded(found) => Some(found.to_string()),
        _ => None,
    };
    assert_eq!(found.as_deref(), blamed);
}

#[test]
fn of_two_that_are_not_ready_the_store_is_blamed() {
    let mut snapshot = with_stateful_set(set_status(1, 0, "r2"), "r2");
    let labels = snapshot.pods.pop().unwrap().metadata.labels.clone();
    let mut store = Arc::unwrap_or_clone(unready_pod(&mut snapshot, "db-0", "db"));
    store.metadata.labels = labels;
    snapshot.pods.push(Arc::new(store));
    status(&mut snapshot, json!({ "readyReplicas": 1, "availableReplicas": 1 }));
    snapshot.pods[1] = unready_pod(&mut snapshot, "new-b", "new");
    let State::Degraded(found) = converged(&snapshot, &rel("rel")) else { panic!("it is not degraded") };
    assert!(found.first_line().starts_with("pod db-0, "), "{found:?}");
}

fn leaving(name: &str, set: &str) -> Arc<Pod> {
    let mut pod = Arc::unwrap_or_clone(pod(name, set, "Running"));
    pod.metadata.deletion_timestamp = serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap();
    Arc::new(pod)
}

#[rstest]
#[case::nothing_is_left(vec![], vec![slice("new-a", true)], None)]
#[case::one_leaves_and_is_not_asked(vec![leaving("old-a", "old")], vec![slice("new-a", true), slice("old-a", false)], None)]
#[case::one_leaves_and_is_asked(
    vec![leaving("old-a", "old")],
    vec![slice("new-a", true), slice("old-a", true)],
    Some("service/web: still leads to old-a")
)]
// The deployment's status comes by another watch than the end of its pods.
#[case::one_has_not_begun_to_leave(
    vec![pod("old-a", "old", "Running")],
    vec![slice("new-a", true), slice("old-a", true)],
    Some("service/web: still leads to old-a")
)]
fn a_release_is_handed_over_once_its_services_lead_to_new_pods(
    #[case] former: Vec<Arc<Pod>>,
    #[case] slices: Vec<Arc<EndpointSlice>>,
    #[case] why: Option<&str>,
) {
    let mut seen = snapshot();
    let names: Vec<String> = former.iter().map(|pod| pod.name_any()).collect();
    seen.pods.extend(former);
    seen.endpoint_slices = slices;
    assert_eq!(former_pods(&seen, &rel("rel")).iter().map(|pod| pod.name_any()).collect::<Vec<_>>(), names);
    match why {
        Some(why) => assert_eq!(pending(handed_over(&seen, &rel("rel"))), why),
        None => assert_eq!(handed_over(&seen, &rel("rel")), State::Ready),
    }
}

#[rstest]
#[case::of_the_current_revision("2", "Pending", false)]
#[case::of_a_former_one_that_serves("1", "Running", false)]
#[case::of_a_former_one_that_does_not("1", "Pending", true)]
fn a_stateful_sets_pod_that_keeps_it_from_going_on(#[case] revision: &str, #[case] phase: &str, #[case] stuck: bool) {
    let labels = json!({ "app.kubernetes.io/instance": "rel", "controller-revision-hash": revision });
    let ready = if phase == "Running" { "True" } else { "False" };
    let owners =
        json!([{ "apiVersion": "apps/v1", "kind": "StatefulSet", "name": "db", "uid": "db", "controller": true }]);
    let set = |observed: u64| {
        object(json!({
            "metadata": { "name": "db", "uid": "db", "labels": labels, "generation": 3 },
            "spec": { "selector": {}, "serviceName": "db", "template": {} },
            "status": { "replicas": 1, "observedGeneration": observed, "updateRevision": "2" },
        }))
    };
    let mut seen = Snapshot {
        stateful_sets: vec![set(3)],
        pods: vec![object(json!({ "metadata": { "name": "db-0", "labels": labels, "ownerReferences": owners },
            "status": { "phase": phase, "conditions": [{ "type": "Ready", "status": ready }] } }))],
        ..Snapshot::default()
    };
    assert_eq!(stuck_pods(&seen, &rel("rel")).len(), usize::from(stuck));
    assert_eq!(stateful_sets_observed(&seen, &rel("rel")), State::Ready);
    seen.stateful_sets = vec![set(2)];
    assert!(matches!(stateful_sets_observed(&seen, &rel("rel")), State::Pending(_)));
}

/// An ended pod serves nobody, and stays as long as its set.
#[rstest]
#[case::failed("Failed", false)]
#[case::succeeded("Succeeded", false)]
#[case::running("Running", true)]
fn what_ended_as_a_whole_is_no_former_pod(#[case] phase: &str, #[case] is_former: bool) {
    let mut seen = snapshot();
    seen.pods.push(pod("old-a", "old", phase));
    assert_eq!(!former_pods(&seen, &rel("rel")).is_empty(), is_former);
}
