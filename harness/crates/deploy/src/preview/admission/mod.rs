//! Admission of the objects that a pull request's charts render, before anything is applied: the charts are not trusted, and are
//! deployed with the deployer's credentials.
//!
//! Allowed are listed kinds, listed fields, and some values; everything else is refused until it is added to a list.

mod network;
mod pods;

use std::collections::{BTreeMap, BTreeSet};

use harness_settings::spec::spec;
use serde_json::Value;

use super::PullRequest;
use crate::artifacts::ArtifactSet;
use crate::error::{Error, Result};

/// The allowed kinds, all namespaced, each with the members that it may have beside `apiVersion`, `kind` and `metadata`.
const KINDS: [(&str, &str, &[&str]); 11] = [
    ("apps/v1", "Deployment", &["spec"]),
    ("apps/v1", "StatefulSet", &["spec"]),
    ("autoscaling/v2", "HorizontalPodAutoscaler", &["spec"]),
    ("batch/v1", "CronJob", &["spec"]),
    ("batch/v1", "Job", &["spec"]),
    ("networking.k8s.io/v1", "Ingress", &["spec"]),
    ("networking.k8s.io/v1", "NetworkPolicy", &["spec"]),
    ("policy/v1", "PodDisruptionBudget", &["spec"]),
    ("v1", "ConfigMap", &["binaryData", "data", "immutable"]),
    ("v1", "Service", &["spec"]),
    ("v1", "ServiceAccount", &["automountServiceAccountToken", "imagePullSecrets"]),
];

/// The domains of labels that only the preview itself reads.
const LABELS: [&str; 2] = ["app.kubernetes.io", "helm.sh"];
/// Annotations that only the preview itself reads.
const ANNOTATIONS: [&str; 1] = ["kubectl.kubernetes.io/default-container"];

/// The limits of one preview: what it may have beside what every preview may.
#[derive(Debug, Clone)]
pub struct Limits {
    /// The preview's pull request.
    pub of: PullRequest,
    /// The images of the artifact set, by their digests.
    pub images: BTreeSet<String>,
    /// The Secrets that pods may read.
    pub secrets: Vec<String>,
    /// The peers that the cluster's own values name.
    pub peers: Vec<Value>,
    /// The annotations that the cluster's own values name, with their values.
    pub annotations: BTreeMap<String, BTreeSet<String>>,
    /// The class of its Ingress; `None`: the cluster's default.
    pub ingress_class: Option<String>,
    /// The cluster's StorageClasses with the reclaim policy `Retain`.
    pub retaining: Vec<String>,
    /// Whether the default StorageClass is one of them.
    pub default_retains: bool,
}

impl Limits {
    /// The limits by the artifact set and the cluster's own values; the Secrets are the release's own and `secrets`.
    pub fn new(of: PullRequest, artifacts: &ArtifactSet, values: &Value, secrets: Vec<String>) -> Self {
        let mut limits = Self {
            of,
            images: artifacts.builds.iter().map(|artifact| artifact.tag.by_digest()).collect(),
            secrets: spec()
                .auth
                .iter()
                .map(|auth| format!("{}-{}", spec().release, auth.suffix))
                .chain(secrets)
                .collect(),
            peers: Vec::new(),
            annotations: BTreeMap::new(),
            ingress_class: values["ingress"]["className"].as_str().map(str::to_owned),
            retaining: Vec::new(),
            default_retains: false,
        };
        limits.collect(values);
        if let Some(role) = values["backend"]["storage"]["roleArn"].as_str() {
            limits.annotations.entry("eks.amazonaws.com/role-arn".to_owned()).or_default().insert(role.to_owned());
        }
        limits
    }

    fn collect(&mut self, values: &Value) {
        for (key, value) in values.as_object().into_iter().flatten() {
            match (key.as_str(), value) {
                ("peers" | "sources" | "to" | "from", Value::Array(peers)) => self.peers.extend(peers.iter().cloned()),
                ("annotations", Value::Object(annotations)) => {
                    for (name, value) in annotations {
                        let value = value.as_str().unwrap_or_default().to_owned();
                        self.annotations.entry(name.clone()).or_default().insert(value);
                    }
                }
                (_, Value::Array(list)) => list.iter().for_each(|one| self.collect(one)),
                _ => self.collect(value),
            }
        }
    }
}

/// Checks rendered objects against a preview's limits.
///
/// # Errors
/// [`harness_base::Error::Refused`], naming each object that is not allowed, and why.
pub fn objects(limits: &Limits, objects: &[Value]) -> Result<()> {
    let mut seen = BTreeSet::new();
    let problems: Vec<String> = objects
        .iter()
        .filter_map(|object| {
            let name = object["metadata"]["name"].as_str().unwrap_or("without a name");
            let kind = object["kind"].as_str().unwrap_or("object without a kind");
            let twice = !seen.insert((kind, name));
            let why = problem(limits, object).or_else(|| twice.then(|| "it stands twice".to_owned()))?;
            Some(format!("\n  {kind} {name}: {why}"))
        })
        .collect();
    if problems.is_empty() {
        return Ok(());
    }
    Err(Error::refused(
        format!("the charts render what a preview may not hold:{}", problems.concat()),
        "mend the charts; nothing was applied",
    ))
}

fn problem(limits: &Limits, object: &Value) -> Option<String> {
    let (version, kind) = (texts(&object["apiVersion"]), texts(&object["kind"]));
    let Some((.., members)) = KINDS.iter().find(|(of, name, _)| (*of, *name) == (version, kind)) else {
        return Some(format!("{version} {kind} is no kind of a preview (a namespace's own, and known)"));
    };
    let members: Vec<&str> = ["apiVersion", "kind", "metadata"].iter().chain(*members).copied().collect();
    let own = limits.of.namespace();
    let namespace = &object["metadata"]["namespace"];
    if !namespace.is_null() && namespace.as_str() != Some(own.as_str()) {
        return Some(format!("it is for the namespace {namespace}, not for {own}"));
    }
    if texts(&object["metadata"]["name"]).starts_with(spec().preview.reserved) {
        return Some(format!("names that begin with {} are the harness's own", spec().preview.reserved));
    }
    let body = &object["spec"];
    fields("the object's", object, &members)
        .or_else(|| metadata(limits, &object["metadata"]))
        .or_else(|| match kind {
            "Ingress" => network::ingress(limits, body),
            "NetworkPolicy" => network::policy(limits, body),
            "Service" => network::service(body),
            "ServiceAccount" => pods::pulls(&object["imagePullSecrets"]),
            "Deployment" | "StatefulSet" | "Job" => template(limits, &body["template"]),
            "CronJob" => {
                let job = &body["jobTemplate"];
                metadata(limits, &job["metadata"]).or_else(|| template(limits, &job["spec"]["template"]))
            }
            _ => None,
        })
        .or_else(|| {
            body["volumeClaimTemplates"].as_array().into_iter().flatten().find_map(|claim| keeps(limits, claim))
        })
}

/// The problem of an object's metadata: a hook, an owner or finalizer, or a label or annotation that others read.
fn metadata(limits: &Limits, metadata: &Value) -> Option<String> {
    if metadata.is_null() {
        return None;
    }
    let entries = |name: &str| metadata[name].as_object().into_iter().flatten();
    let hook = entries("annotations").any(|(name, _)| name.starts_with("helm.sh/hook"));
    let strange = |(name, value): (&String, &Value)| {
        let given = limits.annotations.get(name).is_some_and(|values| values.contains(texts(value)));
        let known = ANNOTATIONS.contains(&name.as_str())
            || spec().preview.annotations.contains(&name.as_str())
            || name.starts_with("checksum/")
            || given;
        (!known).then(|| format!("its annotation {name}={value} is none that the cluster's values name"))
    };
    let label = entries("labels").map(|(name, _)| name).find(|name| {
        name.split_once('/').is_some_and(|(domain, _)| !LABELS.contains(&domain) && domain != spec().domain)
    });
    hook.then(|| "it is a hook, which nobody waits for".to_owned())
        .or_else(|| fields("the metadata's", metadata, &["annotations", "labels", "name", "namespace"]))
        .or_else(|| entries("annotations").find_map(strange))
        .or_else(|| label.map(|name| format!("its label {name} is somebody else's")))
}

fn template(limits: &Limits, template: &Value) -> Option<String> {
    fields("the pod template's", template, &["metadata", "spec"])
        .or_else(|| metadata(limits, &template["metadata"]))
        .or_else(|| pods::problem(limits, &template["spec"]))
}

/// The problem of a volume claim: an unknown field, or a StorageClass that keeps the volume.
fn keeps(limits: &Limits, claim: &Value) -> Option<String> {
    let spec = &claim["spec"];
    let class = spec["storageClassName"].as_str();
    let kept = match class {
        Some(class) => limits.retaining.iter().any(|one| one == class),
        None => limits.default_retains,
    };
    // `apiVersion` and `kind` are what `helm create` writes there.
    fields("a claim's", claim, &["apiVersion", "kind", "metadata", "spec"])
        .or_else(|| metadata(limits, &claim["metadata"]))
        .or_else(|| fields("a claim's", spec, &["accessModes", "resources", "storageClassName", "volumeMode"]))
        .or_else(|| {
            kept.then(|| format!("the class of storage {} keeps what a volume held", class.unwrap_or("by default")))
        })
}

/// The problem of the first field that is not among the known ones.
fn fields(whose: &str, value: &Value, known: &[&str]) -> Option<String> {
    let other = value.as_object()?.iter().find(|(name, value)| !value.is_null() && !known.contains(&name.as_str()))?.0;
    Some(format!("{whose} field {other} is none that a preview may set"))
}

fn texts(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests;
