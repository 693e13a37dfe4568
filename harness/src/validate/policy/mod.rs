//! What must hold of rendered objects beyond their types: pure rules.

mod containers;
mod exposure;
mod names;
mod secrets;
mod selectors;
#[cfg(test)]
mod tests;

use super::finding::Finding;
use super::object::{Node, Object, Rendered};

/// One rule.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// Its name, as findings print it.
    pub name: &'static str,
    /// Whether stage dev is exempt.
    dev_exempt: bool,
    check: fn(&Rendered) -> Vec<Finding>,
}

const fn rule(name: &'static str, check: fn(&Rendered) -> Vec<Finding>) -> Rule {
    Rule { name, dev_exempt: false, check }
}

const fn outside_dev(name: &'static str, check: fn(&Rendered) -> Vec<Finding>) -> Rule {
    Rule { name, dev_exempt: true, check }
}

/// Rule: the chart leaves a container's command to its image.
pub const COMMAND: Rule = outside_dev("container-command", containers::command);
/// Rule: names, label values and port names fit where Kubernetes puts them.
pub const NAMES: Rule = rule("name-length", names::fit);

/// All of them.
pub const RULES: &[Rule] = &[
    outside_dev("image-digest", containers::digest),
    rule("image-latest", containers::latest),
    rule("probes", containers::probes),
    rule("resources", containers::resources),
    rule("security-context", containers::security_context),
    outside_dev("read-only-root", containers::read_only_root),
    COMMAND,
    rule("literal-secret", secrets::literal),
    NAMES,
    rule("unique", names::unique),
    rule("ingress-host", exposure::ingress_host),
    outside_dev("node-port", exposure::node_port),
    rule("hook", exposure::hook),
    rule("own-namespace", exposure::own_namespace),
    rule("selectors-match", selectors::matching),
    rule("references-resolve", selectors::resolving),
];

impl Rule {
    /// What breaks it.
    pub fn check(&self, rendered: &Rendered) -> Vec<Finding> {
        if rendered.dev && self.dev_exempt {
            return Vec::new();
        }
        (self.check)(rendered).into_iter().map(|finding| Finding { rule: self.name, ..finding }).collect()
    }
}

/// What breaks any rule.
pub fn check(rendered: &Rendered) -> Vec<Finding> {
    RULES.iter().flat_map(|rule| rule.check(rendered)).collect()
}

/// The pod that an object makes: labels and spec are below it.
fn pod(object: &Object) -> Option<Node<'_>> {
    let root = object.root();
    match object.kind() {
        "Pod" => Some(root),
        "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet" | "Job" => Some(root.at(&["spec", "template"])),
        "CronJob" => Some(root.at(&["spec", "jobTemplate", "spec", "template"])),
        _ => None,
    }
}

/// Whether its containers run for ever, so that somebody must know how they are.
fn runs_for_ever(object: &Object) -> bool {
    !matches!(object.kind(), "Job" | "CronJob")
}

/// Init containers and containers of a pod.
fn all_containers<'a>(pod: &Node<'a>) -> impl Iterator<Item = Node<'a>> + use<'a> {
    let spec = pod.get("spec");
    ["initContainers", "containers"].into_iter().flat_map(move |list| spec.get(list).items())
}

/// All pods of a render.
fn pods(rendered: &Rendered) -> impl Iterator<Item = Node<'_>> {
    rendered.objects.iter().filter_map(pod)
}
