//! Rules about references between objects: selectors, ports, names.

use serde_json::Value;

use super::{all_containers, pod};
use crate::finding::Finding;
use crate::object::{Node, Object, Rendered};

/// Rule: a workload's selector matches its own pods, a Service's the pods of one workload, a policy's or budget's those of
/// some.
pub fn matching(rendered: &Rendered) -> Vec<Finding> {
    rendered.objects.iter().flat_map(|object| unmatched(object, rendered)).collect()
}

fn unmatched(object: &Object, rendered: &Rendered) -> Vec<Finding> {
    let spec = object.root().get("spec");
    let of = |selector: &Node<'_>| selected(selector, rendered).len();
    match object.kind() {
        "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet" => own_pods(object),
        "Service" if spec.get("type").text() != "ExternalName" => {
            let selector = spec.get("selector");
            match selected(&selector, rendered).as_slice() {
                [_] if has_entries(&selector) => Vec::new(),
                _ if !has_entries(&selector) => vec![selector.finding("the Service has no selector: it leads nowhere")],
                [] => vec![selector.finding("no workload's pods have these labels")],
                many => vec![selector.finding(format!("the pods of {} have these labels", list(many)))],
            }
        }
        "PodDisruptionBudget" if of(&spec.get("selector")) == 0 => {
            vec![spec.get("selector").finding("no workload's pods have these labels")]
        }
        "NetworkPolicy" if of(&spec.get("podSelector")) == 0 => {
            vec![spec.get("podSelector").finding("no workload's pods have these labels")]
        }
        _ => Vec::new(),
    }
}

/// The findings about a workload's selector, and those by which its pods are spread.
fn own_pods(object: &Object) -> Vec<Finding> {
    let root = object.root();
    let labels = root.at(&["spec", "template", "metadata", "labels"]);
    let selector = root.at(&["spec", "selector"]);
    let spread = root.at(&["spec", "template", "spec", "topologySpreadConstraints"]).items();
    let others =
        spread.map(|constraint| constraint.get("labelSelector")).filter(|selector| !selects(selector, labels.value));
    let mut findings: Vec<_> = others.map(|other| other.finding("the pods that it spreads are not its own")).collect();
    if !has_entries(&selector) || !selects(&selector, labels.value) {
        findings.push(selector.finding("the selector does not find the pods of the template"));
    }
    findings
}

/// The workloads whose pods a selector matches.
pub(super) fn selected<'a>(selector: &Node<'_>, rendered: &'a Rendered) -> Vec<&'a Object> {
    let finds =
        |object: &&Object| pod(object).is_some_and(|pod| selects(selector, pod.at(&["metadata", "labels"]).value));
    rendered.objects.iter().filter(finds).collect()
}

fn has_entries(selector: &Node<'_>) -> bool {
    selector.entries().next().is_some()
}

/// Whether a selector, written as a map or as a LabelSelector, matches these labels.
fn selects(selector: &Node<'_>, labels: &Value) -> bool {
    let equal = |map: &Node<'_>| map.entries().all(|(key, value)| labels.get(key) == Some(value.value));
    let map_alone = !["matchLabels", "matchExpressions"].iter().any(|key| selector.get(key).is_set());
    if map_alone {
        return equal(selector);
    }
    equal(&selector.get("matchLabels")) && selector.get("matchExpressions").items().all(|one| holds(&one, labels))
}

fn holds(expression: &Node<'_>, labels: &Value) -> bool {
    let value = labels.get(expression.get("key").text());
    let listed = expression.get("values").items().any(|item| Some(item.value) == value);
    match expression.get("operator").text() {
        "In" => listed,
        "NotIn" => !listed,
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        _ => false,
    }
}

fn list(objects: &[&Object]) -> String {
    objects.iter().map(|object| format!("{} {}", object.kind(), object.name())).collect::<Vec<_>>().join(" and ")
}

/// Rule: the objects and ports that an object names exist in the release: Services with their ports, ServiceAccounts,
/// ConfigMaps. Secrets are made beside the release.
pub fn resolving(rendered: &Rendered) -> Vec<Finding> {
    let mut findings = Vec::new();
    for object in &rendered.objects {
        findings.extend(pod(object).iter().flat_map(|pod| pod_names(pod, rendered)));
        match object.kind() {
            "Service" => findings.extend(target_ports(object, rendered)),
            "Ingress" => {
                let rules = object.root().at(&["spec", "rules"]).items();
                let paths = rules.flat_map(|rule| rule.at(&["http", "paths"]).items());
                findings.extend(paths.filter_map(|path| backend(&path.at(&["backend", "service"]), rendered)));
            }
            "StatefulSet" => findings.extend(absent("Service", object.root().at(&["spec", "serviceName"]), rendered)),
            _ => {}
        }
    }
    findings
}

fn named<'a>(kind: &str, name: &str, rendered: &'a Rendered) -> Option<&'a Object> {
    rendered.objects.iter().find(|object| object.kind() == kind && object.name() == name)
}

fn absent(kind: &str, name: Node<'_>, rendered: &Rendered) -> Option<Finding> {
    let found = !name.is_set() || named(kind, name.text(), rendered).is_some();
    (!found).then(|| name.finding(format!("the release has no {kind} {}", name.text())))
}

fn pod_names(pod: &Node<'_>, rendered: &Rendered) -> Vec<Finding> {
    let spec = pod.get("spec");
    let account = absent("ServiceAccount", spec.get("serviceAccountName"), rendered);
    let volumes = spec.get("volumes").items().map(|volume| volume.at(&["configMap", "name"]));
    let variables = all_containers(pod).flat_map(|container| container.get("env").items());
    let variables = variables.map(|variable| variable.at(&["valueFrom", "configMapKeyRef", "name"]));
    let maps = volumes.chain(variables).filter_map(|name| absent("ConfigMap", name, rendered));
    account.into_iter().chain(maps).collect()
}

/// The findings about a Service's target ports that no container of its pods opens.
fn target_ports(service: &Object, rendered: &Rendered) -> Vec<Finding> {
    let spec = service.root().get("spec");
    let workloads = selected(&spec.get("selector"), rendered);
    let [workload] = workloads.as_slice() else { return Vec::new() };
    let open: Vec<Node<'_>> =
        pod(workload).iter().flat_map(all_containers).flat_map(|container| container.get("ports").items()).collect();
    let ports = spec
        .get("ports")
        .items()
        .map(|port| if port.get("targetPort").is_set() { port.get("targetPort") } else { port.get("port") });
    let closed = ports.filter(|target| {
        !open
            .iter()
            .any(|port| port.get("name").value == target.value || port.get("containerPort").value == target.value)
    });
    closed
        .map(|target| target.finding(format!("no container of {} has the port {}", list(&[workload]), target.value)))
        .collect()
}

/// The finding about an Ingress's backend that is no Service of the release, or no port of it.
fn backend(backend: &Node<'_>, rendered: &Rendered) -> Option<Finding> {
    let Some(service) = named("Service", backend.get("name").text(), rendered) else {
        return absent("Service", backend.get("name"), rendered);
    };
    let (name, number) = (backend.at(&["port", "name"]), backend.at(&["port", "number"]));
    let mut ports = service.root().at(&["spec", "ports"]).items();
    let known = ports.any(|port| {
        (name.is_set() && port.get("name").value == name.value)
            || (number.is_set() && port.get("port").value == number.value)
    });
    (!known).then(|| backend.get("port").finding(format!("Service {} has no such port", service.name())))
}
