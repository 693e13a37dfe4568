//! Rules about names: length, characters, and no name twice.

use std::collections::BTreeMap;

use super::{all_containers, pods};
use crate::finding::Finding;
use crate::object::{Node, Rendered};

/// The longest label value, Service name or container name, in characters.
const LABEL: usize = 63;
/// The longest name of a container's port, in characters.
const PORT: usize = 15;
/// How many characters controllers append to names of these kinds, in a label or in names that become labels.
const SUFFIXED: [(&str, usize); 2] = [("StatefulSet", 11), ("CronJob", 11)];

/// Rule: names and label values have a length that Kubernetes takes, with what controllers append, and allowed characters.
pub fn fit(rendered: &Rendered) -> Vec<Finding> {
    let mut findings = Vec::new();
    for object in &rendered.objects {
        let added = SUFFIXED.iter().find(|(kind, _)| *kind == object.kind()).map_or(0, |(_, added)| *added);
        findings.extend(unfit(&object.root().at(&["metadata", "name"]), LABEL - added, false));
        labels(&object.root(), &mut findings);
    }
    for pod in pods(rendered) {
        for container in all_containers(&pod) {
            findings.extend(unfit(&container.get("name"), LABEL, false));
            let names = container.get("ports").items().map(|port| port.get("name")).filter(Node::is_set);
            findings.extend(names.filter_map(|name| unfit(&name, PORT, false)));
        }
    }
    findings
}

/// Collects the findings about every map of labels below a node.
fn labels(node: &Node<'_>, findings: &mut Vec<Finding>) {
    for (key, below) in node.entries() {
        if matches!(key, "labels" | "matchLabels") && below.value.is_object() {
            findings.extend(below.entries().filter_map(|(_, value)| unfit(&value, LABEL, true)));
        } else {
            labels(&below, findings);
        }
    }
    node.items().for_each(|item| labels(&item, findings));
}

/// The finding about a name or label value that is too long, or has characters that Kubernetes refuses.
fn unfit(node: &Node<'_>, most: usize, label: bool) -> Option<Finding> {
    let text = node.text();
    let length = text.chars().count();
    if length > most {
        return Some(node.finding(format!("{text:?} has {length} characters: at most {most} fit here")));
    }
    let end = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.' || (label && byte == b'_');
    let lower = label || !text.bytes().any(|byte| byte.is_ascii_uppercase());
    let bytes = text.as_bytes();
    let shaped = lower && end(bytes.first()) && end(bytes.last()) && bytes.iter().copied().all(known);
    let fits = shaped || (label && bytes.is_empty());
    (!fits).then(|| node.finding(format!("{} has letters that Kubernetes refuses here", node.value)))
}

/// Rule: no object is rendered twice, and no container has a variable twice: one of the two would win silently.
pub fn unique(rendered: &Rendered) -> Vec<Finding> {
    let mut seen: BTreeMap<_, &str> = BTreeMap::new();
    let mut findings = Vec::new();
    for object in &rendered.objects {
        let group = object.value["apiVersion"].as_str().unwrap_or_default();
        let group = group.split_once('/').map_or("", |(group, _)| group);
        let namespace = object.value["metadata"]["namespace"].as_str().unwrap_or(&rendered.namespace);
        if let Some(first) = seen.insert((group, object.kind(), namespace, object.name()), &object.template) {
            let message = format!("{} {} is in {first} as well", object.kind(), object.name());
            findings.push(object.root().at(&["metadata", "name"]).finding(message));
        }
    }
    for container in pods(rendered).flat_map(|pod| all_containers(&pod)) {
        let mut names: Vec<&str> = Vec::new();
        for variable in container.get("env").items() {
            let name = variable.get("name").text();
            if names.contains(&name) {
                findings.push(variable.finding(format!("variable {name} is set twice")));
            }
            names.push(name);
        }
    }
    findings
}
