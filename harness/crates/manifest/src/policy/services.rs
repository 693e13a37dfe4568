//! The rules about names, ports and selectors of components: each is found under the contract's name and port.

use harness_settings::spec::{contract, spec};

use super::selectors::selected;
use super::{NAME, pod};
use crate::finding::Finding;
use crate::object::{Node, Object, Rendered};

/// Rule: objects of a component have its name, every name begins with the release's, so that two releases do not collide, and
/// ports are the contract's.
pub fn names_and_ports(rendered: &Rendered) -> Vec<Finding> {
    let mut findings = Vec::new();
    for object in &rendered.objects {
        let root = object.root();
        let name = root.at(&["metadata", "name"]);
        let release = &rendered.release;
        let begins =
            name.text().strip_prefix(release.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'));
        if !begins {
            findings.push(name.finding(format!("{} does not begin with the release's name, {release}", name.value)));
        }
        let label = root.at(&["metadata", "labels", spec().charts.component_label]);
        let Some(promise) = contract::of(label.text()) else { continue };
        let component = promise.component;
        if name.text() != format!("{release}-{}", component.suffix) {
            findings.push(name.finding(format!(
                "{} is of {}, and others look for {release}-{}",
                name.value, component.label, component.suffix
            )));
        }
        if object.kind() == "Service" {
            findings.extend(service(object, component.service_port, rendered));
            findings.extend(node_port(object, component.dev_port.filter(|_| rendered.dev).map(|port| port.node)));
        }
        if object.kind() == "StatefulSet" {
            let governing = root.at(&["spec", "serviceName"]);
            if governing.text() != name.text() {
                findings
                    .push(governing.finding(format!("its pods' names are in {}, another's Service", governing.value)));
            }
        }
        if let Some(pod) = pod(object) {
            let ports = pod.at(&["spec", "containers"]).items().flat_map(|container| container.get("ports").items());
            let ports: Vec<_> = ports.map(|port| port.get("containerPort")).collect();
            if !ports.iter().any(|port| port.value.as_u64() == Some(u64::from(component.container_port))) {
                let what =
                    format!("no container opens {}, where {} listens", component.container_port, component.label);
                findings.push(
                    ports
                        .first()
                        .map_or_else(|| pod.get("spec").finding(what.clone()), |port| port.finding(what.clone())),
                );
            }
            if component.stateful != (object.kind() == "StatefulSet") {
                findings.push(root.get("kind").finding(format!("{} is a {}", component.label, object.kind())));
            }
        }
    }
    findings
}

fn service(object: &Object, port: u16, rendered: &Rendered) -> Vec<Finding> {
    let spec = object.root().get("spec");
    let ports: Vec<Node<'_>> = spec.get("ports").items().collect();
    let mut findings = Vec::new();
    let [one] = ports.as_slice() else {
        return vec![spec.get("ports").finding(format!("{} ports instead of {port} alone", ports.len()))];
    };
    if one.get("port").value.as_u64() != Some(u64::from(port)) {
        findings.push(one.get("port").finding(format!("the port is {}, and others ask {port}", one.get("port").value)));
    }
    if !matches!(one.get("protocol").text(), "" | "TCP") {
        findings.push(one.get("protocol").finding("every service of ours speaks TCP"));
    }
    let workloads = selected(&spec.get("selector"), rendered);
    let opened = workloads.iter().filter_map(|workload| pod(workload)).flat_map(|pod| {
        pod.at(&["spec", "containers"]).items().flat_map(|container| container.get("ports").items()).collect::<Vec<_>>()
    });
    let named = opened
        .map(|port| port.get("name").text())
        .any(|name| name == one.get("name").text() && name == one.get("targetPort").text());
    if !named {
        findings.push(one.finding("the port's name is not the one of the container's port that it leads to: an Ingress, and people, look for it"));
    }
    findings
}

/// The finding about a Service's type: stage dev's host reaches some by the port that Kind maps (kind/kind-config.yaml), no
/// other has one.
fn node_port(object: &Object, mapped: Option<u16>) -> Option<Finding> {
    let spec = object.root().get("spec");
    let first = spec.get("ports").items().next()?.get("nodePort");
    let (kind, port) = (spec.get("type"), first.value.as_u64());
    let holds = match mapped {
        Some(mapped) => kind.text() == "NodePort" && port == Some(u64::from(mapped)),
        None => matches!(kind.text(), "" | "ClusterIP"),
    };
    (!holds).then(|| {
        kind.finding(format!("the type is {} and the node's port {port:?}, and Kind maps {mapped:?}", kind.value))
    })
}

/// Rule: all selectors of a component's pods are by name, instance and component: a workload's own cannot be changed later,
/// and without the instance another release's pods would match too.
pub fn one_selector(rendered: &Rendered) -> Vec<Finding> {
    let mut findings = Vec::new();
    for object in &rendered.objects {
        let body = object.root().get("spec");
        let selector = match object.kind() {
            "Service" => body.get("selector"),
            "PodDisruptionBudget" | "Deployment" | "StatefulSet" => body.at(&["selector", "matchLabels"]),
            // A policy about one component; one about all is about the release.
            "NetworkPolicy"
                if selected(&body.get("podSelector"), rendered).len() == 1
                    && !body.at(&["podSelector", "matchExpressions"]).is_set() =>
            {
                body.at(&["podSelector", "matchLabels"])
            }
            _ => continue,
        };
        let of_component =
            contract::of(object.root().at(&["metadata", "labels", spec().charts.component_label]).text()).is_some();
        let keys: Vec<&str> = selector.entries().map(|(key, _)| key).collect();
        if of_component
            && (keys.len() != 3
                || [NAME, spec().charts.release_label, spec().charts.component_label]
                    .iter()
                    .any(|key| !keys.contains(key)))
        {
            findings.push(
                selector
                    .finding(format!("the selector is by {}, not by name, instance and component", keys.join(", "))),
            );
        }
        let spread = body
            .at(&["template", "spec", "topologySpreadConstraints"])
            .items()
            .map(|one| one.at(&["labelSelector", "matchLabels"]));
        findings.extend(
            spread
                .filter(|other| other.value != selector.value)
                .map(|other| other.finding("its pods are spread by another selector than its own")),
        );
    }
    findings
}
