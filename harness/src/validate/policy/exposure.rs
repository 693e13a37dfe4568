//! Rules about what a release touches outside of itself: hosts, ports of nodes, hooks, namespaces.

use super::{all_containers, pods};
use crate::validate::finding::Finding;
use crate::validate::object::{Node, Rendered};
use crate::validate::types::is_cluster_scoped;

/// Each rule of an Ingress is for one host: without, it takes every host's requests.
pub fn ingress_host(rendered: &Rendered) -> Vec<Finding> {
    let ingresses = rendered.objects.iter().filter(|object| object.kind() == "Ingress");
    ingresses
        .flat_map(|object| {
            let spec = object.root().get("spec");
            let rules: Vec<_> = spec.get("rules").items().collect();
            let hostless = rules.iter().filter(|rule| rule.get("host").text().is_empty());
            let mut findings: Vec<_> = hostless.map(|rule| rule.get("host").finding("a rule has no host")).collect();
            findings.extend(rules.is_empty().then(|| spec.finding("the Ingress has no rule, and so no host")));
            let named: Vec<_> = rules.iter().map(|rule| rule.get("host").text()).collect();
            let tls = spec.get("tls").items().flat_map(|tls| tls.get("hosts").items());
            findings.extend(
                tls.filter(|host| !named.contains(&host.text()))
                    .map(|host| host.finding(format!("tls names the host {:?}, and no rule does", host.text()))),
            );
            findings
        })
        .collect()
}

/// Nothing listens on a node, or at a load balancer of its own, beside the Ingress.
pub fn node_port(rendered: &Rendered) -> Vec<Finding> {
    let services = rendered.objects.iter().filter(|object| object.kind() == "Service").flat_map(|object| {
        let spec = object.root().get("spec");
        let outward = matches!(spec.get("type").text(), "NodePort" | "LoadBalancer");
        let kind =
            outward.then(|| spec.get("type").finding("the Service is reached past the Ingress: make it a ClusterIP"));
        let ports = spec.get("ports").items().map(|port| port.get("nodePort")).filter(Node::is_set);
        kind.into_iter().chain(ports.map(|port| port.finding("nodePort is set"))).collect::<Vec<_>>()
    });
    let pods = pods(rendered).flat_map(|pod| {
        let network = pod.at(&["spec", "hostNetwork"]);
        let ports = all_containers(&pod).flat_map(|container| container.get("ports").items());
        let ports = ports.map(|port| port.get("hostPort")).filter(Node::is_set);
        let network = (network.value == true).then(|| network.finding("the pod has its node's network"));
        network.into_iter().chain(ports.map(|port| port.finding("hostPort is set"))).collect::<Vec<_>>()
    });
    services.chain(pods).collect()
}

/// Nothing runs by itself when a release is deployed or removed.
pub fn hook(rendered: &Rendered) -> Vec<Finding> {
    rendered
        .objects
        .iter()
        .map(|object| object.root().at(&["metadata", "annotations", "helm.sh/hook"]))
        .filter(Node::is_set)
        .map(|hook| hook.finding("it is a Helm hook: Skaffold, Helm and a rollback treat hooks differently"))
        .collect()
}

/// Several releases share a cluster: each is in its own namespace, all of it.
pub fn own_namespace(rendered: &Rendered) -> Vec<Finding> {
    let foreign = |namespace: &Node<'_>| namespace.is_set() && namespace.text() != rendered.namespace;
    rendered
        .objects
        .iter()
        .filter_map(|object| {
            let namespace = object.root().at(&["metadata", "namespace"]);
            if is_cluster_scoped(object) {
                Some(object.root().get("kind").finding(format!("{} belongs to the whole cluster", object.kind())))
            } else {
                foreign(&namespace)
                    .then(|| namespace.finding(format!("it goes into the namespace {}", namespace.value)))
            }
        })
        .collect()
}
