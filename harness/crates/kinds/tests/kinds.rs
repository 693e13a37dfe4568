//! What the crate says of objects, and how long a watch pauses.

use std::time::Duration;

use harness_kinds::kind::{FieldStep, Mismatch, ObjectKind};
use harness_kinds::watch::Pauses;
use kube::runtime::utils::Backoff;
use rstest::rstest;
use serde_json::{Value, json};

fn key(name: &str) -> FieldStep {
    FieldStep::Key(name.to_owned())
}

#[rstest]
#[case::fits("v1", "Service", json!({"spec": {"ports": [{"port": 80, "targetPort": "http"}]}}), &[])]
#[case::field_of_a_list_item(
    "v1", "Service", json!({"spec": {"ports": [{"prt": 1, "port": 1}]}}),
    &[Mismatch::UnknownField(vec![key("spec"), key("ports"), FieldStep::Index(0), key("prt")])]
)]
#[case::two_fields(
    "v1", "ConfigMap", json!({"dat": {}, "metadata": {"label": {}}}),
    &[Mismatch::UnknownField(vec![key("dat")]), Mismatch::UnknownField(vec![key("metadata"), key("label")])]
)]
#[case::value(
    "apps/v1", "Deployment", json!({"spec": {"replicas": "two", "selector": {}, "template": {}}}),
    &[Mismatch::WrongValue(vec![key("spec"), key("replicas")], "invalid type: string \"two\", expected i32".to_owned())]
)]
fn an_object_differs(#[case] version: &str, #[case] name: &str, #[case] object: Value, #[case] expected: &[Mismatch]) {
    assert_eq!(ObjectKind::find(version, name).map(|kind| kind.mismatches(&object)).as_deref(), Some(expected));
}

#[rstest]
#[case::namespaced("v1", "Pod", Some(false))]
#[case::cluster_scoped("v1", "Namespace", Some(true))]
#[case::other_version("v1", "Deployment", None)]
#[case::custom("monitoring.coreos.com/v1", "ServiceMonitor", None)]
fn a_kind_is_found(#[case] version: &str, #[case] name: &str, #[case] cluster_scoped: Option<bool>) {
    assert_eq!(ObjectKind::find(version, name).map(|kind| kind.cluster_scoped), cluster_scoped);
}

#[test]
fn pauses_grow_up_to_two_seconds_and_start_anew() {
    let mut pauses = Pauses::default();
    let first: Vec<u128> = pauses.by_ref().take(8).map(|pause| pause.as_millis()).collect();
    assert_eq!(first, [50, 100, 200, 400, 800, 1600, 2000, 2000]);
    pauses.reset();
    assert_eq!(pauses.next(), Some(Duration::from_millis(50)));
}
