//! The rules about NetworkPolicies: they allow exactly the connections of the contract, for each component with every other
//! peer, in both directions.

mod policies;

use std::collections::BTreeMap;

use harness_settings::spec::contract::{self, AskedBy, Promise};
use harness_settings::spec::spec;
use policies::{Direction, End, Labels, Policies, Port};

use super::{all_containers, pod};
use crate::finding::Finding;
use crate::object::{Node, Object, Rendered};

/// One end of a connection that the rule tries.
struct Party {
    /// The peer's name in findings.
    name: String,
    is: Who,
    end: End,
    /// The ports at which the peer is tried.
    ports: Vec<Port>,
}

/// The role of a peer towards the release.
#[derive(Clone, Copy)]
enum Who {
    /// A component of the release.
    Part(&'static Promise),
    /// A pod of the release's namespace with the client label.
    Client,
    /// Any other pod of the release's namespace.
    OtherPod,
    /// A pod of the edge's namespace.
    Edge,
    /// A pod of another namespace.
    Stranger,
    /// The cluster's DNS.
    Dns,
    /// An address outside the cluster.
    Outside,
    /// The node's metadata service, which gives away the node's cloud role.
    Metadata,
}

/// A component of the release.
struct Part<'a> {
    workload: &'a Object,
    promise: &'static Promise,
    labels: Labels,
    peer: Party,
}

/// Rule: each end's policies allow the connections that the contract promises, and no others.
pub fn reach(rendered: &Rendered) -> Vec<Finding> {
    let policies = Policies::of(&rendered.objects);
    let parts: Vec<Part<'_>> = rendered.objects.iter().filter_map(part).collect();
    let site = NetworkSite::of(rendered, &parts);
    let others = others(&parts, &policies.ports());
    let mut findings = Vec::new();
    for part in &parts {
        let mut judge = |direction, other: &Party| {
            let (from, to) = if direction == Direction::Egress { (&part.peer, other) } else { (other, &part.peer) };
            for port in &to.ports {
                let open = policies.allow(direction, &part.labels, &other.end, port);
                if promised(&site, direction, from, to, port).is_some_and(|promised| open != promised) {
                    let what = if open { "may ask, and is not promised to," } else { "may not ask" };
                    let message = format!("{} {what} {} at {} {}", from.name, to.name, port.protocol, port.number);
                    findings.push(place(&policies, part).finding(message));
                }
            }
        };
        for other in parts.iter().map(|part| &part.peer).chain(&others) {
            judge(Direction::Ingress, other);
            judge(Direction::Egress, other);
        }
        findings.extend(foreign(&policies, part));
        findings.extend(unbalanced(&policies, part, &site));
    }
    findings.extend(parts.first().and_then(|part| open_to_all(&policies, part)));
    findings
}

/// Rule: each rule of a NetworkPolicy names peers and ports; without them it allows every peer, and every port.
pub fn written_out(rendered: &Rendered) -> Vec<Finding> {
    let policies = rendered.objects.iter().filter(|object| object.kind() == "NetworkPolicy");
    let rules = policies.flat_map(|policy| {
        let spec = policy.root().get("spec");
        let of = |rules, peers| spec.get(rules).items().map(move |rule| (rule.clone(), rule.get(peers)));
        of("ingress", "from").chain(of("egress", "to")).collect::<Vec<_>>()
    });
    let mut findings = Vec::new();
    for (rule, peers) in rules {
        if peers.items().next().is_none() {
            findings.push(rule.finding("a rule without peers is about everybody"));
        }
        let ports = rule.get("ports");
        if ports.items().next().is_none() || ports.items().any(|port| !port.get("port").is_set()) {
            findings.push(rule.finding("a rule without ports is about all of them"));
        }
        // The API refuses other peers that say nothing.
        let nobody = peers.items().filter(|peer| peer.entries().next().is_none());
        findings.extend(nobody.map(|peer| peer.finding("a peer that says nothing")));
    }
    findings
}

/// The ways into the release, and what it reaches outside.
struct NetworkSite {
    dev: bool,
    /// Whether there is an Ingress, and whether that is a load balancer outside the cluster.
    ingress: Option<bool>,
    /// Whether the release uses stores on the internet: those whose certificate it verifies.
    asks_the_internet: bool,
}

impl NetworkSite {
    fn of(rendered: &Rendered, parts: &[Part<'_>]) -> Self {
        let ingress = rendered.objects.iter().find(|object| object.kind() == "Ingress");
        let class = ingress.map(|ingress| ingress.root().at(&["spec", "ingressClassName"]).text() == "alb");
        let verified = |part: &Part<'_>| {
            let pod = part.workload.root().at(&["spec", "template"]);
            let mut variables = all_containers(&pod).flat_map(|container| container.get("env").items());
            variables.any(|variable| spec().stores_verified_by == Some(variable.get("name").text()))
        };
        Self { dev: rendered.dev, ingress: class, asks_the_internet: parts.iter().any(verified) }
    }
}

/// What the contract says of a connection, at the end that the direction is about; `None` where that depends on the values.
fn promised(site: &NetworkSite, direction: Direction, from: &Party, to: &Party, port: &Port) -> Option<bool> {
    let tcp = port.protocol == "TCP";
    Some(match (from.is, to.is) {
        // A component that everybody may connect to lets everybody in, also those that never do.
        (Who::Part(_), Who::Part(to)) if direction == Direction::Ingress && to.asked_by == AskedBy::Everybody => tcp,
        (Who::Part(from), Who::Part(to)) => tcp && from.asks.iter().any(|asked| asked.label == to.component.label),
        (Who::Client, Who::Part(to)) => tcp && to.asked_by != AskedBy::Nobody,
        (Who::OtherPod, Who::Part(to)) => tcp && to.asked_by == AskedBy::Everybody,
        (Who::Edge, Who::Part(to)) => tcp && to.asked_by == AskedBy::Everybody && site.ingress == Some(false),
        // In stage dev an address of the host leads to these components.
        (Who::Outside, Who::Part(to)) => tcp && site.dev && to.asked_by != AskedBy::Nobody,
        (Who::Metadata, Who::Part(_)) if site.dev => return None,
        (Who::Part(from), Who::Dns) => from.resolves_names && port.number == 53,
        // Managed stores may be anywhere, but no database is on the internet.
        (Who::Part(_), Who::Outside) if port.number != 5432 && site.asks_the_internet => return None,
        _ => false,
    })
}

fn part(object: &Object) -> Option<Part<'_>> {
    let pod = pod(object)?;
    let labels: Labels = labels(&pod.at(&["metadata", "labels"]));
    let promise = contract::of(labels.get(spec().charts.component_label)?)?;
    let opened = all_containers(&pod).flat_map(|container| container.get("ports").items());
    let port = |port: Node<'_>| {
        let protocol = port.get("protocol").value.as_str().unwrap_or("TCP").to_owned();
        let number = i32::try_from(port.get("containerPort").value.as_i64()?).ok()?;
        Some(Port { protocol, number, name: port.get("name").text().to_owned() })
    };
    let end = End::Pod(labels.clone(), None);
    let peer =
        Party { name: object.name().to_owned(), is: Who::Part(promise), end, ports: opened.filter_map(port).collect() };
    Some(Part { workload: object, promise, labels, peer })
}

fn labels(node: &Node<'_>) -> Labels {
    node.entries().map(|(key, value)| (key.to_owned(), value.text().to_owned())).collect()
}

/// The peers beside the components: in this namespace, in others, outside; those that are connected to have every port that a
/// policy names.
fn others(parts: &[Part<'_>], named: &[Port]) -> Vec<Party> {
    let map = |pairs: &[(&str, &str)]| -> Labels {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    };
    let mut ports = named.to_vec();
    ports.extend([443, 80].map(|number| Port { protocol: "TCP".to_owned(), number, name: String::new() }));
    let peer = |name: &str, is, end| Party { name: name.to_owned(), is, end, ports: ports.clone() };
    let pod = |labels: &[(&str, &str)], namespace: Option<&[(&str, &str)]>| End::Pod(map(labels), namespace.map(map));
    let namespace = |name| [("kubernetes.io/metadata.name", name)];
    let asks = |name: &str, is, end| Party { ports: Vec::new(), ..peer(name, is, end) };
    let dns = [("k8s-app", "kube-dns")];
    let mut all = vec![
        asks("a client in the namespace", Who::Client, pod(&[(spec().client_label, "true")], None)),
        asks("any pod of the namespace", Who::OtherPod, pod(&[], None)),
        asks("the edge", Who::Edge, pod(&[], Some(&[(spec().edge.label, "true")]))),
        peer(
            "a pod of another namespace",
            Who::Stranger,
            pod(&[(spec().client_label, "true")], Some(&namespace("another"))),
        ),
        peer("the cluster's DNS", Who::Dns, pod(&dns, Some(&namespace("kube-system")))),
        peer(
            "another pod of kube-system",
            Who::Stranger,
            pod(&[("k8s-app", "another")], Some(&namespace("kube-system"))),
        ),
        peer("a DNS of another namespace", Who::Stranger, pod(&dns, Some(&namespace("another")))),
        peer("the internet", Who::Outside, End::Address([203, 0, 113, 7].into())),
        peer("the node's metadata", Who::Metadata, End::Address([169, 254, 169, 254].into())),
    ];
    // Pods like the component's own: of another release in the namespace, and of another namespace.
    for part in parts {
        let name = &part.peer.name;
        let mut beside = part.labels.clone();
        beside.insert(spec().charts.release_label.to_owned(), "another-release".to_owned());
        all.push(peer(&format!("{name} of another release"), Who::OtherPod, End::Pod(beside, None)));
        let elsewhere = End::Pod(part.labels.clone(), Some(map(&namespace("another"))));
        all.push(peer(&format!("{name} of another namespace"), Who::Stranger, elsewhere));
    }
    all
}

/// The place of a finding: the first policy about a component, else its workload.
fn place<'a>(policies: &Policies<'a>, part: &Part<'a>) -> Node<'a> {
    policies.about(&part.labels).next().map_or_else(|| part.workload.root(), |policy| policy.root().get("spec"))
}

/// The finding that a policy limits pods of other releases in the namespace too.
fn foreign(policies: &Policies<'_>, part: &Part<'_>) -> Option<Finding> {
    let mut another = part.labels.clone();
    another.insert(spec().charts.release_label.to_owned(), "another-release".to_owned());
    let policy = policies.about(&another).next()?;
    Some(
        policy.root().at(&["spec", "podSelector"]).finding("it limits the pods of other releases in the namespace too"),
    )
}

/// The finding that no block of addresses reaches the router, while the Ingress is a load balancer outside the cluster.
fn unbalanced(policies: &Policies<'_>, part: &Part<'_>, site: &NetworkSite) -> Option<Finding> {
    let is_router = part.promise.asked_by == AskedBy::Everybody && site.ingress == Some(true);
    let open = part.peer.ports.iter().all(|port| policies.let_in_a_block(&part.labels, port));
    let what = "the Ingress's load balancer is outside, and no block of addresses reaches the router";
    (is_router && !open).then(|| place(policies, part).finding(what))
}

/// The finding that a pod without a policy of its own, such as a later chart's, is not closed in both directions.
fn open_to_all(policies: &Policies<'_>, part: &Part<'_>) -> Option<Finding> {
    let release = part.labels.get(spec().charts.release_label).cloned().unwrap_or_default();
    let new: Labels = BTreeMap::from([(spec().charts.release_label.to_owned(), release)]);
    let others = others(&[], &policies.ports());
    let mut open = others.iter().flat_map(|other| {
        let dns = Port { protocol: "UDP".to_owned(), number: 53, name: String::new() };
        let ports = [dns].into_iter().chain(other.ports.clone());
        ports.map(move |port| (&other.end, port)).collect::<Vec<_>>()
    });
    let ways = [Direction::Ingress, Direction::Egress];
    let open = open.any(|(end, port)| ways.iter().any(|way| policies.allow(*way, &new, end, &port)));
    let what = "no policy closes a pod of the release in both directions until another opens it";
    open.then(|| place(policies, part).finding(what))
}

/// Whether a workload's pods may reach some block of addresses outside the cluster at a port.
pub fn goes_outside(rendered: &Rendered, workload: &Object, number: u16) -> bool {
    let of = labels(&workload.root().at(&["spec", "template", "metadata", "labels"]));
    let port = Port { protocol: "TCP".to_owned(), number: number.into(), name: String::new() };
    Policies::of(&rendered.objects).leave_to_a_block(&of, &port)
}
