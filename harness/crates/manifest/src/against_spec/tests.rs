use harness_settings::spec::spec;
use rstest::rstest;
use serde_json::json;

use super::*;

const SOURCE: &str = r#"
/// Not this one: "backend".
pub const API: Component = Component {
    suffix: "backend",
    label: "api",
    artifact: "backend",
};
const AUTH: &str = "auth";
    container_port: 8000,
    service_port: 8000,
    dev_port: Some(DevPort { node: 30800, host: 8000 }),
"#;

fn text() -> SpecText {
    SpecText(vec![("stack/src/lib.rs".to_owned(), SOURCE.to_owned())])
}

/// A render of a stack's charts that agrees with its spec.
fn rendered(dev: bool) -> Rendered {
    let release = "shop".to_owned();
    let mut objects = Vec::new();
    for one in spec().components {
        let name = format!("{release}-{}", one.suffix);
        let image = ArtifactSet::placeholder().get(one.artifact).unwrap().tag.by_digest();
        let keys = ["db-password", "redis-password", "jwt-secret-key", "admin-password", "admin-email"];
        let env = |key: &str| json!({"valueFrom": {"secretKeyRef": {"name": "shop-auth", "key": key}}});
        objects.push(json!({
            "kind": if one.stateful { "StatefulSet" } else { "Deployment" },
            "metadata": {"name": name, "labels": {spec().charts.release_label: release}},
            "spec": {"template": {
                "metadata": {"labels": {spec().charts.component_label: one.label}},
                "spec": {
                    "imagePullSecrets": [{"name": "shop-pull"}],
                    "containers": [{
                        "image": image,
                        "ports": [{"containerPort": one.container_port}],
                        "env": keys.map(env),
                    }],
                },
            }},
        }));
        objects.push(json!({
            "kind": "Service",
            "metadata": {"name": name},
            "spec": {"ports": [{"port": one.service_port, "nodePort": one.dev_port.map(|port| port.node)}]},
        }));
    }
    objects.push(json!({"kind": "NetworkPolicy", "spec": {"ingress": [{"from": [
        {"podSelector": {"matchLabels": {spec().client_label: "true"}}},
        {"namespaceSelector": {"matchExpressions": [{"key": spec().edge.label, "operator": "Exists"}]}},
    ]}]}}));
    let object = |value| Object { value, template: String::new() };
    Rendered { dev, release, objects: objects.into_iter().map(object).collect(), ..Rendered::default() }
}

fn found(shared: &Rendered, dev: &Rendered) -> Vec<String> {
    let files = [(&spec().values.shared, shared), (spec().values.dev.as_ref().unwrap(), dev)];
    check(spec(), &files, &text()).iter().map(ToString::to_string).collect()
}

/// The same text with one word replaced.
fn with(rendered: &Rendered, from: &str, to: &str) -> Rendered {
    let change = |object: &Object| {
        let text = object.value.to_string();
        Object { value: serde_json::from_str(&text.replace(from, to)).unwrap(), ..object.clone() }
    };
    Rendered { objects: rendered.objects.iter().map(change).collect(), ..rendered.clone() }
}

#[test]
fn charts_that_bear_it_out_are_no_finding() {
    assert_eq!(found(&rendered(false), &rendered(true)), [""; 0]);
}

#[rstest]
#[case::a_renamed_workload("shop-backend", "shop-api", &["stack/src/lib.rs:4: spec: the charts render no Deployment shop-backend, which the spec names; their Deployments: shop-api, shop-websocket, shop-frontend"])]
#[case::another_label("\"app.kubernetes.io/component\":\"api\"", "\"app.kubernetes.io/component\":\"web\"", &["stack/src/lib.rs:5: spec: the pods of shop-backend have the label app.kubernetes.io/component web, and not api"])]
#[case::another_port("\"containerPort\":8000", "\"containerPort\":8002", &["stack/src/lib.rs:9: spec: no container of shop-backend opens 8000: [8002]"])]
#[case::another_service_port("\"port\":8000", "\"port\":8002", &["stack/src/lib.rs:10: spec: the Service shop-backend has no port 8000: [8002]"])]
#[case::a_renamed_key("\"jwt-secret-key\"", "\"jwt-key\"", &["stack/src/lib.rs: spec: nothing is rendered that asks for the key jwt-secret-key of the Secret RELEASE-auth"])]
#[case::a_renamed_secret("\"shop-auth\"", "\"shop-accounts\"", &["stack/src/lib.rs:8: spec: nothing is rendered that asks for the Secret RELEASE-auth"])]
#[case::another_pull_secret("shop-pull", "pull", &["stack/src/lib.rs: spec: nothing pulls its images by the Secret shop-pull"])]
#[case::another_client_label("shop.ai/client", "shop.ai/test", &["stack/src/lib.rs: spec: no NetworkPolicy lets a test's pods in by the label shop.ai/client"])]
#[case::another_edge_label("shop.ai/edge", "shop.ai/lb", &["stack/src/lib.rs: spec: no NetworkPolicy lets the edge in by the label shop.ai/edge"])]
fn what_the_charts_do_not_bear_out_is_a_finding(#[case] from: &str, #[case] to: &str, #[case] wanted: &[&str]) {
    let dev = if from == "shop-backend" { rendered(true) } else { with(&rendered(true), from, to) };
    assert_eq!(found(&with(&rendered(false), from, to), &dev), wanted);
}

#[test]
fn values_that_name_no_image_are_a_finding_of_each_image_and_workload() {
    let digest = ArtifactSet::placeholder().get("redis").unwrap().tag.digest.clone();
    let found = found(&with(&rendered(false), &digest, "sha256:0"), &rendered(true));
    assert!(found[0].contains("shop-redis does not run the image redis by its digest: "), "{found:?}");
    assert!(found[1].contains("nothing is rendered with the image redis: the charts do not use redis.image.repository and redis.image.digest"), "{found:?}");
    assert_eq!(found.len(), 2);
}

#[test]
fn a_port_of_the_node_that_stage_dev_does_not_open_is_a_finding() {
    let found = found(&rendered(false), &with(&rendered(true), "30800", "30801"));
    assert_eq!(
        found,
        ["stack/src/lib.rs:11: spec: in stage dev the Service shop-backend has no port 30800 on its node: [30801]"]
    );
}

#[test]
fn a_secret_that_is_used_whole_has_all_its_keys() {
    let mut shared = rendered(false);
    shared.objects.truncate(2);
    shared.objects[0].value = json!({"envFrom": [{"secretRef": {"name": "shop-auth"}}]});
    assert_eq!(auth(spec().auth.as_ref().unwrap(), &[&shared], &text()), []);
}

#[test]
fn a_spec_that_is_not_in_the_checkout_has_no_place() {
    let folder = tempfile::tempdir().unwrap();
    let none = SpecText::read(folder.path(), "elsewhere/src/lib.rs").unwrap();
    assert_eq!(in_its_pod("a=b", &none).place, None);
}
