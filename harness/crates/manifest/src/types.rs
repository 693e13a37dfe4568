//! Checks rendered objects against Kubernetes' own types: unknown fields and kinds are findings.
//!
//! The Kubernetes version is the one of k8s-openapi's types (Cargo.toml).

use k8s_openapi::api::admissionregistration::v1::{ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding};
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::{
    ConfigMap, LimitRange, Namespace, PersistentVolume, PersistentVolumeClaim, Pod, ResourceQuota, Secret, Service,
    ServiceAccount,
};
use k8s_openapi::api::networking::v1::{Ingress, IngressClass, NetworkPolicy};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use k8s_openapi::api::scheduling::v1::PriorityClass;
use k8s_openapi::api::storage::v1::StorageClass;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::{ClusterResourceScope, NamespaceResourceScope, Resource};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::finding::Finding;
use crate::object::{Object, Rendered};
use crate::path::{Path, PathStep};

/// Rule: every object is of a known kind of Kubernetes, and its values have the types that Kubernetes reads.
pub const TYPES: &str = "kubernetes-types";
/// Rule: no object has a field that Kubernetes does not know.
pub const FIELDS: &str = "kubernetes-fields";

/// A fault in an object: the rule, the place, and the fault in words.
type Wrong = (&'static str, Path, String);

/// The kinds that a chart may render.
const KINDS: &[ObjectKind] = &[
    kind::<ConfigMap>(),
    kind::<CronJob>(),
    kind::<DaemonSet>(),
    kind::<Deployment>(),
    kind::<HorizontalPodAutoscaler>(),
    kind::<Ingress>(),
    kind::<Job>(),
    kind::<LimitRange>(),
    kind::<NetworkPolicy>(),
    kind::<PersistentVolumeClaim>(),
    kind::<Pod>(),
    kind::<PodDisruptionBudget>(),
    kind::<ReplicaSet>(),
    kind::<ResourceQuota>(),
    kind::<Role>(),
    kind::<RoleBinding>(),
    kind::<Secret>(),
    kind::<Service>(),
    kind::<ServiceAccount>(),
    kind::<StatefulSet>(),
    // Known, but refused by the rule that a release stays in its namespace.
    kind::<ClusterRole>(),
    kind::<ClusterRoleBinding>(),
    kind::<CustomResourceDefinition>(),
    kind::<IngressClass>(),
    kind::<Namespace>(),
    kind::<PersistentVolume>(),
    kind::<PriorityClass>(),
    kind::<StorageClass>(),
    kind::<ValidatingAdmissionPolicy>(),
    kind::<ValidatingAdmissionPolicyBinding>(),
];

/// A kind, and the function that reads an object as one.
struct ObjectKind {
    api_version: &'static str,
    name: &'static str,
    cluster_scoped: bool,
    read: fn(&Value) -> Vec<Wrong>,
}

trait Scope {
    const CLUSTER: bool;
}

impl Scope for NamespaceResourceScope {
    const CLUSTER: bool = false;
}

impl Scope for ClusterResourceScope {
    const CLUSTER: bool = true;
}

const fn kind<T>() -> ObjectKind
where
    T: Resource + DeserializeOwned,
    T::Scope: Scope,
{
    ObjectKind { api_version: T::API_VERSION, name: T::KIND, cluster_scoped: T::Scope::CLUSTER, read: read::<T> }
}

/// The faults of a value as a type: fields that the type lacks, and the first value that it cannot read.
fn read<T: DeserializeOwned>(value: &Value) -> Vec<Wrong> {
    let mut wrong = Vec::new();
    // One type of callback for all kinds: with each closure's own type the compiler would make the code for a pod's template
    // anew for each kind that has one.
    let unknown: &mut dyn FnMut(serde_ignored::Path<'_>) = &mut |path| {
        let path = steps(&path);
        let field = path.0.last().map(|step| Path(vec![step.clone()]).to_string()).unwrap_or_default();
        wrong.push((FIELDS, path, format!("Kubernetes does not know the field {field}")));
    };
    let mut track = serde_path_to_error::Track::new();
    let read =
        serde_ignored::deserialize::<_, _, T>(serde_path_to_error::Deserializer::new(value, &mut track), unknown);
    if let Err(error) = read {
        wrong.push((TYPES, segments(&track.path()), error.to_string()));
    }
    wrong
}

fn steps(path: &serde_ignored::Path<'_>) -> Path {
    use serde_ignored::Path as Ignored;
    match path {
        Ignored::Root => Path::default(),
        Ignored::Seq { parent, index } => steps(parent).item(*index, None),
        Ignored::Map { parent, key } => steps(parent).key(key),
        Ignored::Some { parent } | Ignored::NewtypeStruct { parent } | Ignored::NewtypeVariant { parent } => {
            steps(parent)
        }
    }
}

fn segments(path: &serde_path_to_error::Path) -> Path {
    use serde_path_to_error::Segment;
    let step = |segment: &Segment| match segment {
        Segment::Seq { index } => Some(PathStep::Item(*index, None)),
        Segment::Map { key } => Some(PathStep::Key(key.clone())),
        Segment::Enum { .. } | Segment::Unknown => None,
    };
    Path(path.iter().filter_map(step).collect())
}

fn find(object: &Object) -> Option<&'static ObjectKind> {
    let api_version = object.value["apiVersion"].as_str().unwrap_or_default();
    KINDS.iter().find(|kind| kind.name == object.kind() && kind.api_version == api_version)
}

/// Whether objects of this kind are cluster-scoped; `false` for an unknown kind.
pub fn is_cluster_scoped(object: &Object) -> bool {
    find(object).is_some_and(|kind| kind.cluster_scoped)
}

/// The findings about objects that do not fit Kubernetes' types.
pub fn check(rendered: &Rendered) -> Vec<Finding> {
    let object = |object: &Object| {
        let wrong = match find(object) {
            Some(kind) => (kind.read)(&object.value),
            None => {
                let (api_version, kind) = (&object.value["apiVersion"], &object.value["kind"]);
                let what = format!(
                    "nobody checks apiVersion {api_version}, kind {kind}: correct it, or add it to KINDS in harness/crates/manifest/src/types.rs"
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
    use serde_json::json;

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
