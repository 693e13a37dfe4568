use rstest::rstest;
use serde_json::{Value, json};

use super::*;

fn pod(status: Value) -> Pod {
    serde_json::from_value(json!({ "metadata": { "name": "web-1" }, "status": status })).unwrap()
}

fn waiting(reason: &str, message: &str) -> Value {
    json!({ "waiting": { "reason": reason, "message": message } })
}

fn container(state: &Value, last: &Value, restarts: i32) -> Value {
    json!([{ "name": "app", "image": "img:1", "imageID": "", "ready": false, "restartCount": restarts, "state": state, "lastState": last }])
}

fn crashed(reason: &str) -> Value {
    json!({ "terminated": { "exitCode": 3, "reason": reason, "message": "no database\n" } })
}

#[rstest]
#[case::no_status(json!({}))]
#[case::starting(json!({ "phase": "Pending", "containerStatuses": container(&waiting("ContainerCreating", ""), &json!({}), 0) }))]
#[case::initializing(json!({ "phase": "Pending", "containerStatuses": container(&waiting("PodInitializing", ""), &json!({}), 0) }))]
#[case::running_after_a_crash(json!({ "phase": "Running", "containerStatuses": container(&json!({ "running": {} }), &crashed("Error"), 1) }))]
#[case::just_done(json!({ "phase": "Running", "containerStatuses": container(&json!({ "terminated": { "exitCode": 0 } }), &json!({}), 0) }))]
#[case::done(json!({ "phase": "Succeeded" }))]
#[case::gated(json!({ "conditions": [{ "type": "PodScheduled", "status": "False", "reason": "SchedulingGated" }] }))]
fn is_well(#[case] status: Value) {
    assert_eq!(failure_cause(&pod(status), &[]), None);
}

#[rstest]
#[case::invalid_name(
    "InvalidImageName",
    "bad",
    "pod web-1, container app: the image name \"img:1\" is invalid: bad",
    0
)]
#[case::never_pull(
    "ErrImageNeverPull",
    "",
    "pod web-1, container app: the image img:1 is not on the node, and may not be pulled",
    0
)]
#[case::pull(
    "ErrImagePull",
    "dial tcp: i/o timeout",
    "pod web-1, container app: cannot pull the image img:1: dial tcp: i/o timeout",
    40
)]
#[case::pull_from_a_registry_that_is_nowhere_now(
    "ErrImagePull",
    "dial tcp: lookup r.example on 10.96.0.10:53: no such host",
    "pod web-1, container app: cannot pull the image img:1: dial tcp: lookup r.example on 10.96.0.10:53: no such host",
    40
)]
#[case::pull_from_a_registry_that_is_busy(
    "ImagePullBackOff",
    "unexpected status from HEAD request to https://r.example/v2/img/manifests/1: 429 Too Many Requests",
    "pod web-1, container app: cannot pull the image img:1: unexpected status from HEAD request to https://r.example/v2/img/manifests/1: 429 Too Many Requests",
    40
)]
#[case::pull_whose_token_is_not_given_now(
    "ImagePullBackOff",
    "failed to authorize: failed to fetch anonymous token: 503 Service Unavailable",
    "pod web-1, container app: cannot pull the image img:1: failed to authorize: failed to fetch anonymous token: 503 Service Unavailable",
    40
)]
#[case::pull_not_found(
    "ErrImagePull",
    "img:1: not found",
    "pod web-1, container app: cannot pull the image img:1: not found\n  img:1: not found",
    1
)]
#[case::pull_unauthorized(
    "ImagePullBackOff",
    "401 Unauthorized",
    "pod web-1, container app: cannot pull the image img:1: 401 Unauthorized",
    1
)]
#[case::pull_through_the_layers(
    "ImagePullBackOff",
    "Back-off pulling image \"img:1\": ErrImagePull: failed to resolve reference \"img:1\": img:1: not found",
    "pod web-1, container app: cannot pull the image img:1: not found\n  Back-off pulling image \"img:1\": ErrImagePull: failed to resolve reference \"img:1\": img:1: not found",
    1
)]
#[case::pull_without_a_reason(
    "ImagePullBackOff",
    "Back-off pulling image \"img:1\"",
    "pod web-1, container app: cannot pull the image img:1\n  Back-off pulling image \"img:1\"",
    40
)]
#[case::config(
    "CreateContainerConfigError",
    "secret \"x\" not found",
    "pod web-1, container app: its configuration is incomplete: secret \"x\" not found",
    5
)]
#[case::run("RunContainerError", "exec", "pod web-1, container app: cannot be started (RunContainerError): exec", 5)]
fn names_what_a_container_waits_for(
    #[case] reason: &str,
    #[case] message: &str,
    #[case] cause: &str,
    #[case] tolerance: u64,
) {
    let found = failure_cause(
        &pod(json!({ "phase": "Pending", "containerStatuses": container(&waiting(reason, message), &json!({}), 0) })),
        &[],
    );
    let found = found.map(|found| (found.to_string(), found.tolerance.by_default()));
    assert_eq!(found, Some((cause.to_owned(), Duration::from_secs(tolerance))));
}

/// The kubelet's status between an end and its back-off, and in the back-off.
fn ended(now: &Value, before: &Value, restarts: i32) -> Value {
    json!({ "phase": "Running", "containerStatuses": container(now, before, restarts) })
}

fn backing_off(last: &Value, restarts: i32) -> Value {
    ended(&waiting("CrashLoopBackOff", "back-off 10s restarting failed container"), last, restarts)
}

fn ran(from: &str, to: &str) -> Value {
    let mut end = crashed("Error");
    end["terminated"]["startedAt"] = json!(from);
    end["terminated"]["finishedAt"] = json!(to);
    end
}

fn memory() -> Value {
    json!({ "terminated": { "exitCode": 137, "reason": "OOMKilled" } })
}

#[rstest]
#[case::the_first(ended(&crashed("Error"), &json!({}), 0), 30)]
#[case::the_first_in_its_back_off(backing_off(&crashed("Error"), 0), 30)]
#[case::the_second_of_the_same_way(ended(&crashed("Error"), &crashed("Error"), 1), 0)]
#[case::the_second_of_another_way(ended(&crashed("Error"), &memory(), 1), 30)]
#[case::the_second_alone_to_be_seen(backing_off(&crashed("Error"), 1), 30)]
#[case::the_third(backing_off(&crashed("Error"), 2), 0)]
#[case::one_that_served_before(backing_off(&ran("2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z"), 7), 30)]
#[case::one_that_served_too_short(backing_off(&ran("2026-01-01T00:00:00Z", "2026-01-01T00:00:59Z"), 7), 0)]
fn crashes_are_counted_by_starts(#[case] status: Value, #[case] secs: u64) {
    let found = failure_cause(&pod(status), &[]).unwrap();
    assert_eq!(found.first_line(), "pod web-1, container app: crashes: no database");
    assert_eq!(found.key, "pod web-1, container app: crashes");
    assert!(
        found.to_string().contains("exit code 3") && found.to_string().ends_with("its last words: no database"),
        "{found:?}"
    );
    assert_eq!(found.tolerance.by_default(), Duration::from_secs(secs));
}

#[rstest]
#[case::without_a_limit(json!({}), "killed for using more memory than its limit (OOMKilled)")]
#[case::with_one(json!({ "limits": { "memory": "16Mi" } }), "killed for using more memory than its limit of 16Mi (OOMKilled)")]
fn memory_is_named_with_its_limit(#[case] resources: Value, #[case] says: &str) {
    let mut pod = pod(ended(&memory(), &memory(), 1));
    pod.spec = serde_json::from_value(json!({ "containers": [{ "name": "app", "resources": resources }] })).unwrap();
    let found = failure_cause(&pod, &[]).unwrap();
    assert_eq!(found.first_line(), format!("pod web-1, container app: {says}"));
    assert_eq!(found.tolerance, Window::None.into());
}

#[test]
fn the_end_of_one_that_is_not_started_again_is_no_crash() {
    let mut pod = pod(ended(&crashed("Error"), &json!({}), 0));
    pod.spec = serde_json::from_value(json!({ "containers": [], "restartPolicy": "Never" })).unwrap();
    assert_eq!(failure_cause(&pod, &[]), None);
}

fn warning(reason: &str, kind: &str, name: &str, message: &str) -> Event {
    serde_json::from_value(json!({ "metadata": {}, "reason": reason, "message": message,
        "involvedObject": { "kind": kind, "name": name, "fieldPath": "spec.containers{app}" } }))
    .unwrap()
}

fn running(started: bool) -> Value {
    let mut all = container(&json!({ "running": {} }), &json!({}), 0);
    all[0]["started"] = json!(started);
    json!({ "phase": "Running", "containerStatuses": all })
}

#[rstest]
#[case::no_warning(true, "", None)]
#[case::an_answer(true, "Readiness probe failed: HTTP probe failed with statuscode: 503", Some(("readiness probe: HTTP 503", 60)))]
#[case::no_answer(true, "Readiness probe failed: Get \"http://10.0.0.1:1/\": connection refused",
    Some(("readiness probe: Get \"http://10.0.0.1:1/\": connection refused", 60)))]
#[case::still_starting(false, "Startup probe failed: Get \"http://10.0.0.1:1/\": connection refused", None)]
#[case::an_answer_while_starting(false, "Startup probe failed: HTTP probe failed with statuscode: 404", Some(("startup probe: HTTP 404", 120)))]
#[case::what_was_before_it_started(true, "Startup probe failed: HTTP probe failed with statuscode: 404", None)]
fn what_runs_and_is_not_ready_says_so_by_its_probe(
    #[case] started: bool,
    #[case] message: &str,
    #[case] wanted: Option<(&str, u64)>,
) {
    let mut pod = pod(running(started));
    let probe = json!({ "periodSeconds": 1, "failureThreshold": 120 });
    pod.spec = serde_json::from_value(json!({ "containers": [{ "name": "app", "startupProbe": probe }] })).unwrap();
    let event = warning("Unhealthy", "Pod", "web-1", message);
    let found = failure_cause(&pod, &[&event]);
    let wanted = wanted.map(|(says, secs)| (format!("pod web-1, container app: runs and is not ready: {says}"), secs));
    assert_eq!(found.as_ref().map(|it| (it.first_line(), it.tolerance.by_default().as_secs())), wanted);
    assert_eq!(found.and_then(|it| it.asked).is_some(), wanted.is_some());
}

#[test]
fn a_kill_by_a_probe_is_told_by_the_probe() {
    let killed = json!({ "terminated": { "exitCode": 137, "reason": "Error", "message": "bye" } });
    let event = warning("Unhealthy", "Pod", "web-1", "Liveness probe failed: HTTP probe failed with statuscode: 404");
    let found = failure_cause(&pod(backing_off(&killed, 2)), &[&event]).unwrap();
    let says = "killed by the kubelet: Liveness probe failed: HTTP probe failed with statuscode: 404";
    assert_eq!(found.first_line(), format!("pod web-1, container app: {says}"));
}

/// A startup probe that may fail twice, at a period of 1 s.
#[rstest]
#[case::once_it_failed_so_often("2026-01-01T00:00:01Z", "killed by the kubelet: Startup probe failed: refused")]
#[case::before("2026-01-01T00:00:00Z", "crashes: no database")]
fn a_startup_probe_kills_when_its_budget_is_spent(#[case] finished: &str, #[case] says: &str) {
    let mut killed = ran("2026-01-01T00:00:00Z", finished);
    killed["terminated"]["exitCode"] = json!(137);
    let mut pod = pod(backing_off(&killed, 2));
    let probe = json!({ "periodSeconds": 1, "failureThreshold": 2 });
    pod.spec = serde_json::from_value(json!({ "containers": [{ "name": "app", "startupProbe": probe }] })).unwrap();
    let mut event = warning("Unhealthy", "Pod", "web-1", "Startup probe failed: refused");
    event.last_timestamp = serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap();
    assert_eq!(failure_cause(&pod, &[&event]).unwrap().first_line(), format!("pod web-1, container app: {says}"));
}

/// Beside a failing readiness probe, liveness may fail later, and the startup probe failed before.
#[test]
fn other_probes_do_not_hide_what_readiness_says() {
    let mut pod = pod(running(true));
    let probe = json!({ "periodSeconds": 1, "failureThreshold": 120 });
    pod.spec = serde_json::from_value(json!({ "containers": [{ "name": "app", "startupProbe": probe }] })).unwrap();
    let said = [
        "Startup probe failed: x",
        "Readiness probe failed: HTTP probe failed with statuscode: 503",
        "Liveness probe failed: x",
    ];
    let events = said.map(|said| warning("Unhealthy", "Pod", "web-1", said));
    let found = failure_cause(&pod, &events.iter().collect::<Vec<_>>()).unwrap();
    assert_eq!(found.first_line(), "pod web-1, container app: runs and is not ready: readiness probe: HTTP 503");
    pod.spec = serde_json::from_value(json!({ "containers": [{ "name": "app" }] })).unwrap();
    let unbounded = failure_cause(&pod, &events.iter().collect::<Vec<_>>()).unwrap();
    assert_eq!((found.tolerance, unbounded.tolerance), (Window::Ready.into(), Window::Unbounded.into()));
}

/// An init container gives up after two minutes, and a probe kills after its budget: neither end is that of one that served.
#[rstest]
#[case::served("containerStatuses", None, false)]
#[case::gave_up("initContainerStatuses", None, true)]
#[case::was_killed("containerStatuses", Some("Startup probe failed: connection refused"), true)]
#[case::failed_before_it_ran("containerStatuses", Some("Readiness probe failed: connection refused"), false)]
fn what_ran_for_long_without_serving_ends_finally(
    #[case] list: &str,
    #[case] probe: Option<&str>,
    #[case] is_final: bool,
) {
    let mut end = crashed("Error");
    end["terminated"]["exitCode"] = json!(137);
    end["terminated"]["startedAt"] = json!("2026-01-01T00:00:00Z");
    end["terminated"]["finishedAt"] = json!("2026-01-01T00:02:00Z");
    let mut status = json!({});
    status[list] = container(&waiting("CrashLoopBackOff", ""), &end, 2);
    let events: Vec<Event> = probe
        .map(|said| {
            let mut event = warning("Unhealthy", "Pod", "web-1", said);
            event.last_timestamp = serde_json::from_value(json!("2026-01-01T00:01:59Z")).unwrap();
            event
        })
        .into_iter()
        .collect();
    let found = failure_cause(&pod(status), &events.iter().collect::<Vec<_>>()).unwrap();
    assert_eq!(found.tolerance == Window::None.into(), is_final, "{found:?}");
}

#[test]
fn both_words_for_a_failed_pull_are_one_cause() {
    let key = |reason: &str, message: &str| {
        let status = json!({ "containerStatuses": container(&waiting(reason, message), &json!({}), 0) });
        failure_cause(&pod(status), &[]).unwrap().key
    };
    assert_eq!(key("ErrImagePull", "a"), key("ImagePullBackOff", "b"));
}

#[test]
fn an_init_container_counts() {
    let init = container(&waiting("CreateContainerConfigError", "no"), &json!({}), 0);
    let status = json!({ "initContainerStatuses": init, "containerStatuses": container(&waiting("PodInitializing", ""), &json!({}), 0) });
    assert!(failure_cause(&pod(status), &[]).unwrap().to_string().starts_with("pod web-1, init container app: "));
}

#[test]
fn the_least_tolerable_cause_comes_first() {
    let mut both = container(&waiting("CreateContainerConfigError", ""), &json!({}), 0);
    let other = container(&waiting("InvalidImageName", ""), &json!({}), 0);
    both.as_array_mut().unwrap().extend(other.as_array().unwrap().clone());
    assert_eq!(failure_cause(&pod(json!({ "containerStatuses": both })), &[]).unwrap().tolerance, Window::None.into());
}

fn unschedulable(message: &str) -> Pod {
    let condition = json!({ "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message });
    pod(json!({ "phase": "Pending", "conditions": [condition] }))
}

#[test]
fn quotes_the_scheduler() {
    let message = "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: 1 No victims.";
    let found = failure_cause(&unschedulable(message), &[]).unwrap();
    let first = "pod web-1: unschedulable: 0/1 nodes are available: 1 Insufficient cpu";
    assert_eq!(found.to_string(), format!("{first}\n  {message}"));
    assert_eq!(found.tolerance, Window::Room.into());
}

#[test]
fn a_claim_without_a_volume_is_named_before_the_scheduler() {
    let event = warning("ProvisioningFailed", "PersistentVolumeClaim", "data", "storageclass \"no\" not found");
    let found = failure_cause(&unschedulable("pod has unbound immediate PersistentVolumeClaims"), &[&event]).unwrap();
    assert_eq!(found.first_line(), "pod web-1: its volume claim data gets no volume: storageclass \"no\" not found");
    assert_eq!(found.tolerance, Window::Retried.into());
}

/// Events know a claim by its name: an hour ago there may have been another one of that name.
#[rstest]
#[case::of_before_the_pod("2026-01-01T00:00:00Z", "not found", Window::Room)]
#[case::of_now("2026-01-01T01:00:00Z", "not found", Window::Retried)]
#[case::that_another_try_may_heal("2026-01-01T01:00:10Z", "DeadlineExceeded", Window::Mount)]
fn a_claims_warning_counts_if_it_is_of_now(#[case] time: &str, #[case] message: &str, #[case] window: Window) {
    let mut event = warning("ProvisioningFailed", "PersistentVolumeClaim", "data", message);
    event.last_timestamp = serde_json::from_value(json!(time)).unwrap();
    let mut pod = unschedulable("pod has unbound immediate PersistentVolumeClaims");
    pod.metadata.creation_timestamp = serde_json::from_value(json!("2026-01-01T01:00:02Z")).unwrap();
    assert_eq!(failure_cause(&pod, &[&event]).unwrap().tolerance, window.into());
}

#[test]
fn an_evicted_pod_says_why() {
    let found =
        failure_cause(&pod(json!({ "phase": "Failed", "reason": "Evicted", "message": "low on disk" })), &[]).unwrap();
    assert_eq!(found.to_string(), "pod web-1: Evicted: low on disk");
}

/// The words of a container that was ended with its pod are not the reason; they are shown where there is no other.
#[rstest]
#[case::the_kubelet_says_why("low on disk", "pod web-1: Evicted: low on disk")]
#[case::nobody_else_says_why("", "pod web-1: Evicted: no database")]
fn who_ended_a_pod_is_asked_before_its_containers(#[case] message: &str, #[case] says: &str) {
    let mut status = ended(&crashed("Error"), &json!({}), 0);
    for (name, value) in [("phase", "Failed"), ("reason", "Evicted"), ("message", message)] {
        status[name] = json!(value);
    }
    assert_eq!(failure_cause(&pod(status), &[]).unwrap().first_line(), says);
}

#[rstest]
#[case::mount("FailedMount", "timed out", "False", Some(Window::Mount))]
#[case::missing_secret("FailedMount", "secret \"x\" not found", "False", Some(Window::Retried))]
#[case::driver_not_there_yet(
    "FailedMount",
    "driver name x not found in the list of registered CSI drivers",
    "False",
    Some(Window::Mount)
)]
#[case::sandbox("FailedCreatePodSandBox", "no IP", "False", Some(Window::Room))]
#[case::before_the_kubelet_heard_of_it("FailedMount", "failed to sync configmap cache: timed out", "False", None)]
#[case::mounted_since("FailedMount", "timed out", "True", None)]
#[case::of_no_weight("Unhealthy", "probe failed", "False", None)]
fn believes_warnings_until_containers_can_start(
    #[case] reason: &str,
    #[case] message: &str,
    #[case] started: &str,
    #[case] window: Option<Window>,
) {
    let conditions = json!([{ "type": "PodReadyToStartContainers", "status": started }]);
    let pod = pod(json!({ "phase": "Pending", "conditions": conditions }));
    let event: Event =
        serde_json::from_value(json!({ "metadata": {}, "involvedObject": {}, "reason": reason, "message": message }))
            .unwrap();
    assert_eq!(of_warnings(&pod, &[&event]).map(|found| found.tolerance.window), window);
}

/// A pod with a native sidecar, and its main container in the given state.
fn with_sidecar(sidecar: &Value, last: &Value, restarts: i32, main: &Value) -> Pod {
    let status = |name: &str, state: &Value, last: &Value, restarts: i32| {
        json!([{ "name": name, "image": "img:1", "imageID": "", "ready": false, "restartCount": restarts, "state": state,
                 "lastState": last }])
    };
    let mut pod = pod(json!({
        "phase": "Running",
        "initContainerStatuses": status("proxy", sidecar, last, restarts),
        "containerStatuses": status("app", main, &json!({}), 0),
    }));
    let spec = json!({
        "restartPolicy": "OnFailure",
        "initContainers": [{ "name": "proxy", "restartPolicy": "Always" }],
        "containers": [{ "name": "app" }],
    });
    pod.spec = Some(serde_json::from_value(spec).unwrap());
    pod
}

#[rstest]
#[case::ended_with_what_it_served(json!({ "terminated": { "exitCode": 0 } }), None)]
#[case::ended_while_that_runs(json!({ "running": {} }), Some("pod web-1, sidecar proxy: crashes: exit code 143"))]
fn a_sidecar_ends_when_the_others_have(#[case] main: Value, #[case] says: Option<&str>) {
    let ended = json!({ "terminated": { "exitCode": 143 } });
    let found = failure_cause(&with_sidecar(&ended, &json!({}), 0, &main), &[]);
    assert_eq!(found.map(|cause| cause.first_line()).as_deref(), says);
}

#[test]
fn a_sidecar_that_served_for_an_hour_may_end_again() {
    let ended = |start: &str| json!({ "terminated": { "exitCode": 3, "reason": "Error", "startedAt": start, "finishedAt": "2026-01-01T02:00:00Z" } });
    let running = json!({ "running": {} });
    let of = |start: &str| failure_cause(&with_sidecar(&ended(start), &ended(start), 1, &running), &[]).unwrap();
    assert_eq!(of("2026-01-01T01:00:00Z").tolerance, Window::Restarted.into());
    assert_eq!(of("2026-01-01T01:59:59Z").tolerance, Window::None.into());
}
