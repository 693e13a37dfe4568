//! The kinds of objects that a chart may render, and how an object differs from its kind.
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

/// A kind of object.
#[derive(Debug, Clone, Copy)]
pub struct ObjectKind {
    /// Its group and version, as in `apiVersion`.
    pub api_version: &'static str,
    /// Its name, as in `kind`.
    pub name: &'static str,
    /// Whether its objects are in no namespace.
    pub cluster_scoped: bool,
    compare: fn(&Value) -> Vec<Mismatch>,
}

/// A step to a field of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldStep {
    /// A key of a map.
    Key(String),
    /// An index of a list, from 0.
    Index(usize),
}

/// A difference between an object and its kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mismatch {
    /// The kind has no such field.
    UnknownField(Vec<FieldStep>),
    /// The kind cannot have this value there, and why; what comes after it was not read.
    WrongValue(Vec<FieldStep>, String),
}

impl ObjectKind {
    /// The kind of this `apiVersion` and `kind`; `None` if it is not among those that a chart may render.
    pub fn find(api_version: &str, name: &str) -> Option<&'static Self> {
        KINDS.iter().find(|kind| kind.name == name && kind.api_version == api_version)
    }

    /// The fields of an object that the kind lacks, and the first value that it cannot have.
    pub fn mismatches(&self, object: &Value) -> Vec<Mismatch> {
        (self.compare)(object)
    }
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
    ObjectKind { api_version: T::API_VERSION, name: T::KIND, cluster_scoped: T::Scope::CLUSTER, compare: compare::<T> }
}

fn compare<T: DeserializeOwned>(value: &Value) -> Vec<Mismatch> {
    let mut found = Vec::new();
    // One type of callback for all kinds: with each closure's own type the compiler would make the code for a pod's template
    // anew for each kind that has one.
    let unknown: &mut dyn FnMut(serde_ignored::Path<'_>) = &mut |path| found.push(Mismatch::UnknownField(steps(&path)));
    let mut track = serde_path_to_error::Track::new();
    let read =
        serde_ignored::deserialize::<_, _, T>(serde_path_to_error::Deserializer::new(value, &mut track), unknown);
    if let Err(error) = read {
        found.push(Mismatch::WrongValue(segments(&track.path()), error.to_string()));
    }
    found
}

fn steps(path: &serde_ignored::Path<'_>) -> Vec<FieldStep> {
    use serde_ignored::Path;
    let (parent, step) = match path {
        Path::Root => return Vec::new(),
        Path::Seq { parent, index } => (parent, Some(FieldStep::Index(*index))),
        Path::Map { parent, key } => (parent, Some(FieldStep::Key(key.clone()))),
        Path::Some { parent } | Path::NewtypeStruct { parent } | Path::NewtypeVariant { parent } => (parent, None),
    };
    let mut all = steps(parent);
    all.extend(step);
    all
}

fn segments(path: &serde_path_to_error::Path) -> Vec<FieldStep> {
    use serde_path_to_error::Segment;
    let step = |segment: &Segment| match segment {
        Segment::Seq { index } => Some(FieldStep::Index(*index)),
        Segment::Map { key } => Some(FieldStep::Key(key.clone())),
        Segment::Enum { .. } | Segment::Unknown => None,
    };
    path.iter().filter_map(step).collect()
}
