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
#[case::just_crashed(json!({ "phase": "Running", "containerStatuses": container(&crashed("Error"), &json!({}), 0) }))]
#[case::done(json!({ "phase": "Succeeded" }))]
#[case::gated(json!({ "conditions": [{ "type": "PodScheduled", "status": "False", "reason": "SchedulingGated" }] }))]
fn is_well(#[case] status: Value) {
    assert_eq!(ailment(&pod(status)), None);
}

#[rstest]
#[case::invalid_name(
    "InvalidImageName",
    "bad",
    "pod web-1, container app: the image name \"img:1\" is invalid\n  bad",
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
    "pod web-1, container app: cannot pull the image img:1\n  dial tcp: i/o timeout",
    5
)]
#[case::pull_not_found(
    "ErrImagePull",
    "img:1: not found",
    "pod web-1, container app: cannot pull the image img:1\n  img:1: not found",
    1
)]
#[case::pull_unauthorized(
    "ImagePullBackOff",
    "401 Unauthorized",
    "pod web-1, container app: cannot pull the image img:1\n  401 Unauthorized",
    1
)]
#[case::config(
    "CreateContainerConfigError",
    "secret \"x\" not found",
    "pod web-1, container app: its configuration is incomplete\n  secret \"x\" not found",
    5
)]
#[case::run("RunContainerError", "exec", "pod web-1, container app: cannot be started (RunContainerError)\n  exec", 5)]
fn names_what_a_container_waits_for(
    #[case] reason: &str,
    #[case] message: &str,
    #[case] cause: &str,
    #[case] tolerance: u64,
) {
    let found = ailment(&pod(
        json!({ "phase": "Pending", "containerStatuses": container(&waiting(reason, message), &json!({}), 0) }),
    ));
    assert_eq!(found, Some(Ailment { cause: cause.to_owned(), tolerance: Duration::from_secs(tolerance) }));
}

#[rstest]
#[case::first("Error", 1, "pod web-1, container app: crashes", 5)]
#[case::looping("Error", 2, "pod web-1, container app: crashes", 0)]
#[case::memory("OOMKilled", 1, "pod web-1, container app: killed for using more memory than its limit (OOMKilled)", 5)]
fn tells_a_crash_loop_from_a_crash(
    #[case] reason: &str,
    #[case] restarts: i32,
    #[case] first: &str,
    #[case] secs: u64,
) {
    let state = waiting("CrashLoopBackOff", "back-off 10s restarting failed container");
    let status = json!({ "phase": "Running", "containerStatuses": container(&state, &crashed(reason), restarts) });
    let found = ailment(&pod(status)).unwrap();
    assert_eq!(found.cause.lines().next(), Some(first));
    assert!(
        found.cause.contains("exit code 3") && found.cause.ends_with("its last words: no database"),
        "{}",
        found.cause
    );
    assert_eq!(found.tolerance, Duration::from_secs(secs));
}

#[test]
fn both_words_for_a_failed_pull_are_one_cause() {
    let first_line = |reason: &str, message: &str| {
        let status = json!({ "containerStatuses": container(&waiting(reason, message), &json!({}), 0) });
        ailment(&pod(status)).unwrap().cause.lines().next().unwrap().to_owned()
    };
    assert_eq!(first_line("ErrImagePull", "a"), first_line("ImagePullBackOff", "b"));
}

#[test]
fn an_init_container_counts() {
    let init = container(&waiting("CreateContainerConfigError", "no"), &json!({}), 0);
    let status = json!({ "initContainerStatuses": init, "containerStatuses": container(&waiting("PodInitializing", ""), &json!({}), 0) });
    assert!(ailment(&pod(status)).unwrap().cause.starts_with("pod web-1, init container app: "));
}

#[test]
fn the_least_tolerable_cause_comes_first() {
    let mut both = container(&waiting("CreateContainerConfigError", ""), &json!({}), 0);
    let other = container(&waiting("InvalidImageName", ""), &json!({}), 0);
    both.as_array_mut().unwrap().extend(other.as_array().unwrap().clone());
    assert_eq!(ailment(&pod(json!({ "containerStatuses": both }))).unwrap().tolerance, NONE);
}

#[test]
fn quotes_the_scheduler() {
    let unschedulable = json!({ "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes are available" });
    let found = ailment(&pod(json!({ "phase": "Pending", "conditions": [unschedulable] }))).unwrap();
    assert_eq!(found.cause, "pod web-1: unschedulable\n  0/1 nodes are available");
    assert_eq!(found.tolerance, ROOM);
}

#[test]
fn an_evicted_pod_says_why() {
    let found = ailment(&pod(json!({ "phase": "Failed", "reason": "Evicted", "message": "low on disk" }))).unwrap();
    assert_eq!(found.cause, "pod web-1: Evicted\n  low on disk");
}

#[rstest]
#[case::mount("FailedMount", "timed out", "False", Some(MOUNT))]
#[case::missing_secret("FailedMount", "secret \"x\" not found", "False", Some(SOME))]
#[case::sandbox("FailedCreatePodSandBox", "no IP", "False", Some(ROOM))]
#[case::mounted_since("FailedMount", "timed out", "True", None)]
#[case::of_no_weight("Unhealthy", "probe failed", "False", None)]
fn believes_warnings_until_containers_can_start(
    #[case] reason: &str,
    #[case] message: &str,
    #[case] started: &str,
    #[case] tolerance: Option<Duration>,
) {
    let conditions = json!([{ "type": "PodReadyToStartContainers", "status": started }]);
    let pod = pod(json!({ "phase": "Pending", "conditions": conditions }));
    let event: Event =
        serde_json::from_value(json!({ "metadata": {}, "involvedObject": {}, "reason": reason, "message": message }))
            .unwrap();
    assert_eq!(of_warnings(&pod, &[&event]).map(|found| found.tolerance), tolerance);
}
