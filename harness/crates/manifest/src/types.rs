//! Checks rendered objects against Kubernetes' own types: unknown fields and kinds are findings.
//!
//! The Kubernetes version is the one of k8s-openapi's types (Cargo.toml).

use harness_kinds::kind::{FieldStep, Mismatch, ObjectKind};

use crate::finding::Finding;
use crate::object::{Object, Rendered};
use crate::path::{Path, PathStep};

/// Rule: every object is of a known kind of Kubernetes, and its values have the types that Kubernetes reads.
pub const TYPES: &str = "kubernetes-types";
/// Rule: no object has a field that Kubernetes does not know.
pub const FIELDS: &str = "kubernetes-fields";

/// A fault in an object: the rule, the place, and the fault in words.
type Wrong = (&'static str, Path, String);

fn wrong(mismatch: Mismatch) -> Wrong {
    let path = |steps: Vec<FieldStep>| {
        let step = |step| match step {
            FieldStep::Key(key) => PathStep::Key(key),
            FieldStep::Index(index) => PathStep::Item(index, None),
        };
        Path(steps.into_iter().map(step).collect())
    };
    match mismatch {
        Mismatch::UnknownField(steps) => {
            let path = path(steps);
            let field = path.0.last().map(|step| Path(vec![step.clone()]).to_string()).unwrap_or_default();
            (FIELDS, path, format!("Kubernetes does not know the field {field}"))
        }
        Mismatch::WrongValue(steps, why) => (TYPES, path(steps), why),
    }
}

fn find(object: &Object) -> Option<&'static ObjectKind> {
    let api_version = object.value["apiVersion"].as_str().unwrap_or_default();
    ObjectKind::find(api_version, object.kind())
}

/// Whether objects of this kind are cluster-scoped; `false` for an unknown kind.
pub fn is_cluster_scoped(object: &Object) -> bool {
    find(object).is_some_and(|kind| kind.cluster_scoped)
}

/// The findings about objects that do not fit Kubernetes' types.
pub fn check(rendered: &Rendered) -> Vec<Finding> {
    let object = |object: &Object| {
        let wrong = match find(object) {
            Some(kind) => kind.mismatches(&object.value).into_iter().map(wrong).collect(),
            None => {
                let (api_version, kind) = (&object.value["apiVersion"], &object.value["kind"]);
                let what = format!(
                    "nobody checks apiVersion {api_version}, kind {kind}: correct it, or add it to KINDS in harness/crates/kinds/src/kind.rs"
                );
                vec![(TYPES, Path::default().key("kind"), what)]
            }
        };
        let finding = |(rule, path, what): Wrong| Finding { rule, ..object.finding(&path, what) };
        wrong.into_iter().map(finding).collect::<Vec<_>>()
    };
    rendered.objects.iter().flat_map(object).collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    #[rstest]
    #[case::field_of_a_list_item(
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {"ports": [{"prt": 1, "port": 1}]}}),
        "spec.ports[0].prt", "not know the field "
    )]
    #[case::field_of_metadata(
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "label": {}}}), "metadata.label", "not know the field "
    )]
    #[case::field_at_the_top(json!({"apiVersion": "v1", "kind": "ConfigMap", "dat": {}}), "dat", "not know the field ")]
    #[case::value(
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"replicas": "two", "selector": {}, "template": {}}}),
        "spec.replicas", "invalid type"
    )]
    #[case::environment_that_is_no_text(
        json!({"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [{"name": "a", "env": [{"name": "A", "value": true}]}]}}),
        "spec.containers[0].env[0].value", "invalid type"
    )]
    #[case::kind(json!({"apiVersion": "v1", "kind": "Deployment"}), "kind", "nobody checks")]
    #[case::custom(json!({"apiVersion": "monitoring.coreos.com/v1", "kind": "ServiceMonitor"}), "kind", "nobody checks")]
    #[case::no_kind(json!({"spec": {}}), "", "nobody checks")]
    fn is_found(#[case] value: Value, #[case] path: &str, #[case] says: &str) {
        let rendered = Rendered { objects: vec![Object { value, template: String::new() }], ..Default::default() };
        let findings = check(&rendered);
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert_eq!(findings[0].path.to_string(), path);
        assert!(findings[0].message.contains(says), "{}", findings[0]);
    }

    #[test]
    fn the_types_are_of_the_clusters_version() {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../..");
        let text = |path: &str| std::fs::read_to_string(format!("{root}/{path}")).unwrap();
        let (kind, cargo) = (text("kind/kind-config.yaml"), text("Cargo.toml"));
        let image = kind.lines().find_map(|line| line.split_once("image: kindest/node:v")).unwrap().1;
        let minor = image.split('.').take(2).collect::<Vec<_>>().join("_");
        let types = cargo.lines().find(|line| line.starts_with("k8s-openapi = ")).unwrap();
        assert!(types.contains(&format!("\"v{minor}\"")), "the cluster has {image}; {types}");
    }

    #[test]
    fn what_fits_passes() {
        let value = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a", "labels": {"any": "label"}},
            "spec": {"type": "ClusterIP", "selector": {"a": "b"}, "ports": [{"port": 80, "targetPort": "http"}]}});
        let rendered = Rendered { objects: vec![Object { value, template: String::new() }], ..Default::default() };
        assert_eq!(check(&rendered), []);
    }
}
