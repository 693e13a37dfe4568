//! Policy: rules for rendered objects beyond their types. Pure.

mod containers;
mod environment;
mod exposure;
mod labels;
mod names;
mod network;
mod pods;
mod probes;
mod resources;
mod rollout;
mod router;
mod secrets;
mod selectors;
mod services;
#[cfg(test)]
mod tests;
mod volumes;

use harness_settings::spec::contract::{self, Promise};
use harness_settings::spec::spec;

use super::finding::Finding;
use super::object::{Node, Object, Rendered};

/// The label with the name of an object's chart (kubernetes.io, "Recommended Labels").
const NAME: &str = "app.kubernetes.io/name";

/// A policy rule.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// The rule's name in findings.
    pub name: &'static str,
    /// Whether stage dev is exempt.
    dev_exempt: bool,
    /// The kinds of objects that the rule compares with each other; empty when it checks each object by itself.
    compares: &'static [&'static str],
    check: fn(&Rendered) -> Vec<Finding>,
}

type RuleCheck = fn(&Rendered) -> Vec<Finding>;

/// A rule that checks each object by itself.
const fn rule(name: &'static str, check: RuleCheck) -> Rule {
    Rule { name, dev_exempt: false, compares: &[], check }
}

/// A rule as by [`rule`], from which stage dev is exempt.
const fn outside_dev(name: &'static str, check: RuleCheck) -> Rule {
    Rule { dev_exempt: true, ..rule(name, check) }
}

/// A rule that compares objects of these kinds.
const fn between(name: &'static str, kinds: &'static [&'static str], check: RuleCheck) -> Rule {
    Rule { compares: kinds, ..rule(name, check) }
}

/// The kinds whose pods run for ever.
const SERVING: &[&str] = &["Deployment", "StatefulSet"];
/// Every kind.
const ANY: &[&str] = &["*"];

/// Rule: containers run their image's own command.
pub const COMMAND: Rule = outside_dev("container-command", containers::command);
/// Rule: names, label values and port names have the length and characters that Kubernetes takes.
pub const NAMES: Rule = rule("name-length", names::fit);

/// All rules.
pub const RULES: &[Rule] = &[
    outside_dev("image-digest", containers::digest),
    outside_dev("own-image", containers::own_image),
    rule("image-latest", containers::latest),
    rule("probes", probes::present),
    rule("probe-timing", probes::timing),
    rule("probe-question", probes::questions),
    rule("resources", resources::present),
    rule("resource-proportion", resources::proportion),
    between("resources-fit", SERVING, resources::fit),
    rule("security-context", containers::security_context),
    rule("last-words", containers::last_words),
    outside_dev("read-only-root", containers::read_only_root),
    COMMAND,
    rule("no-token", pods::token),
    between("own-account", SERVING, pods::account),
    rule("no-service-links", pods::service_links),
    rule("one-user", pods::user),
    between("pull", &["Deployment", "StatefulSet", "ServiceAccount"], pods::pull),
    between("cloud-role", &["Deployment", "StatefulSet", "ServiceAccount"], pods::cloud_role),
    rule("literal-secret", secrets::literal),
    NAMES,
    between("unique", ANY, names::unique),
    between("names-and-ports", ANY, services::names_and_ports),
    between("labels", ANY, labels::recommended),
    rule("ingress-host", exposure::ingress_host),
    between("ingress-route", &["Ingress"], exposure::ingress_route),
    rule("ingress-tls", exposure::ingress_tls),
    outside_dev("node-port", exposure::node_port),
    rule("host-network", exposure::host_network),
    rule("hook", exposure::hook),
    rule("own-namespace", exposure::own_namespace),
    between("selectors-match", ANY, selectors::matching),
    between("one-selector", ANY, services::one_selector),
    between("references-resolve", ANY, selectors::resolving),
    between("network-reach", &["Deployment", "StatefulSet", "NetworkPolicy", "Ingress"], network::reach),
    rule("network-written-out", network::written_out),
    between("environment", &["Deployment", "StatefulSet", "Service", "NetworkPolicy"], environment::told),
    rule("mounts", volumes::mounts),
    rule("volume-size", volumes::sizes),
    rule("promised-volumes", volumes::promised),
    rule("update", rollout::update),
    rule("graceful-end", rollout::end),
    between("disruption", &["Deployment", "PodDisruptionBudget"], rollout::disruption),
    between("configuration-rolls", &["Deployment", "StatefulSet", "ConfigMap"], rollout::configuration),
    rule("spread", rollout::spread),
    between("router-routes", &["ConfigMap", "Service"], router::routes),
    rule("router-tells", router::tells),
    between("router-limits", &["ConfigMap", "Deployment"], router::limits),
];

impl Rule {
    /// Whether the rule checks each object by itself.
    pub fn is_alone(&self) -> bool {
        self.compares.is_empty()
    }

    /// Whether a change to an object of this kind may change the rule's findings.
    pub fn looks_at(&self, kind: &str) -> bool {
        self.is_alone() || self.compares == ANY || self.compares.contains(&kind)
    }

    /// The rule's findings in a render.
    pub fn check(&self, rendered: &Rendered) -> Vec<Finding> {
        if rendered.dev && self.dev_exempt {
            return Vec::new();
        }
        (self.check)(rendered).into_iter().map(|finding| Finding { rule: self.name, ..finding }).collect()
    }
}

/// The findings of all rules in a render.
pub fn check(rendered: &Rendered) -> Vec<Finding> {
    RULES.iter().flat_map(|rule| rule.check(rendered)).collect()
}

/// The node of the pod that an object makes, with `metadata` and `spec` below it.
fn pod(object: &Object) -> Option<Node<'_>> {
    let root = object.root();
    match object.kind() {
        "Pod" => Some(root),
        "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet" | "Job" => Some(root.at(&["spec", "template"])),
        "CronJob" => Some(root.at(&["spec", "jobTemplate", "spec", "template"])),
        _ => None,
    }
}

/// Whether an object's containers run for ever, and so need probes.
fn runs_for_ever(object: &Object) -> bool {
    !matches!(object.kind(), "Job" | "CronJob")
}

/// The contract of a pod's component.
fn promise(pod: &Node<'_>) -> Option<&'static Promise> {
    contract::of(pod.at(&["metadata", "labels", spec().charts.component_label]).text())
}

/// The init containers and containers of a pod.
fn all_containers<'a>(pod: &Node<'a>) -> impl Iterator<Item = Node<'a>> + use<'a> {
    let spec = pod.get("spec");
    ["initContainers", "containers"].into_iter().flat_map(move |list| spec.get(list).items())
}

/// The pods of a render.
fn pods(rendered: &Rendered) -> impl Iterator<Item = Node<'_>> {
    rendered.objects.iter().filter_map(pod)
}
