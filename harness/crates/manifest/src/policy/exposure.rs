//! Rules about what a release touches outside itself: hosts, nodes' ports, hooks, namespaces.

use harness_settings::pull_request::PullRequest;
use harness_settings::spec::spec;

use super::{all_containers, pods};
use crate::finding::Finding;
use crate::object::{Node, Rendered};
use crate::types::is_cluster_scoped;

/// Rule: each rule of an Ingress has a host; without one it takes every host's requests.
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

/// Rule: an Ingress sends all paths of a host to the router, and none past it.
pub fn ingress_route(rendered: &Rendered) -> Vec<Finding> {
    let router = format!("{}-{}", rendered.release, spec().router.suffix);
    let mut findings = Vec::new();
    for object in rendered.objects.iter().filter(|object| object.kind() == "Ingress") {
        for rule in object.root().at(&["spec", "rules"]).items() {
            let paths: Vec<_> = rule.at(&["http", "paths"]).items().collect();
            let whole =
                paths.iter().any(|path| path.get("path").text() == "/" && path.get("pathType").text() == "Prefix");
            if !whole {
                findings.push(rule.get("http").finding("no path is / of type Prefix: a part of the site is not there"));
            }
            let past =
                paths.iter().map(|path| path.at(&["backend", "service", "name"])).filter(|name| name.text() != router);
            findings.extend(past.map(|name| {
                name.finding(format!("{} is past the router, {router}: without its headers and limits", name.value))
            }));
        }
        if object.root().at(&["spec", "defaultBackend"]).is_set() {
            findings.push(object.root().get("spec").finding("a default backend answers for every host"));
        }
    }
    findings
}

/// Rule: each host of an Ingress is the stage's and has TLS; an AWS load balancer also redirects to TLS, and sends to the
/// pods directly.
pub fn ingress_tls(rendered: &Rendered) -> Vec<Finding> {
    let mut findings = Vec::new();
    for object in rendered.objects.iter().filter(|object| object.kind() == "Ingress") {
        let root = object.root();
        let ingress = root.get("spec");
        let tls: Vec<_> =
            ingress.get("tls").items().flat_map(|tls| tls.get("hosts").items()).map(|host| host.text()).collect();
        for host in ingress.get("rules").items().map(|rule| rule.get("host")) {
            let ours = match rendered.live {
                true => host.text() == spec().preview.domain,
                false => PullRequest::of_host(host.text()).is_some(),
            };
            if !ours {
                findings.push(host.finding(format!("{} is not the host of this stage", host.value)));
            }
            if !tls.contains(&host.text()) {
                findings.push(ingress.get("tls").finding(format!("{} is not asked by TLS", host.value)));
            }
        }
        let class = ingress.get("ingressClassName");
        if rendered.live && class.text() != "alb" {
            findings.push(
                class.finding(format!("the class is {}: no controller of the live cluster serves that", class.value)),
            );
        }
        if class.text() == "alb" {
            let annotations = root.at(&["metadata", "annotations"]);
            // The annotations of kubernetes-sigs/aws-load-balancer-controller, "Ingress annotations".
            let needed = [
                ("alb.ingress.kubernetes.io/scheme", "internet-facing", "nobody outside reaches it"),
                ("alb.ingress.kubernetes.io/target-type", "ip", "a ClusterIP has no port of a node to send to"),
                (
                    "alb.ingress.kubernetes.io/listen-ports",
                    r#"[{"HTTP": 80}, {"HTTPS": 443}]"#,
                    "who types the name, or asks by TLS, gets no answer",
                ),
                ("alb.ingress.kubernetes.io/ssl-redirect", "443", "the site is served in the clear"),
            ];
            for (name, wanted, why) in needed {
                let set = annotations.get(name);
                if set.text() != wanted {
                    findings.push(set.finding(format!("{name} is {}, not {wanted}: {why}", set.value)));
                }
            }
        }
    }
    findings
}

/// Rule: no Service opens a node's port or has a load balancer of its own, past the Ingress.
pub fn node_port(rendered: &Rendered) -> Vec<Finding> {
    let services = rendered.objects.iter().filter(|object| object.kind() == "Service");
    services
        .flat_map(|object| {
            let spec = object.root().get("spec");
            let kind = spec.get("type");
            let outward = matches!(kind.text(), "NodePort" | "LoadBalancer");
            let past = outward.then(|| kind.finding("the Service is reached past the Ingress: make it a ClusterIP"));
            let ports = spec.get("ports").items().map(|port| port.get("nodePort")).filter(Node::is_set);
            past.into_iter().chain(ports.map(|port| port.finding("nodePort is set"))).collect::<Vec<_>>()
        })
        .collect()
}

/// Rule: no pod uses its node's network or ports.
pub fn host_network(rendered: &Rendered) -> Vec<Finding> {
    pods(rendered)
        .flat_map(|pod| {
            let network = pod.at(&["spec", "hostNetwork"]);
            let ports = all_containers(&pod).flat_map(|container| container.get("ports").items());
            let ports = ports.map(|port| port.get("hostPort")).filter(Node::is_set);
            let network = (network.value == true).then(|| network.finding("the pod has its node's network"));
            network.into_iter().chain(ports.map(|port| port.finding("hostPort is set"))).collect::<Vec<_>>()
        })
        .collect()
}

/// Rule: no object is a Helm hook.
pub fn hook(rendered: &Rendered) -> Vec<Finding> {
    rendered
        .objects
        .iter()
        .map(|object| object.root().at(&["metadata", "annotations", "helm.sh/hook"]))
        .filter(Node::is_set)
        .map(|hook| hook.finding("it is a Helm hook: Skaffold, Helm and a rollback treat hooks differently"))
        .collect()
}

/// Rule: every object is in the release's own namespace, since several releases share a cluster.
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
