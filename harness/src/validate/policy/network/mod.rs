//! The rule about NetworkPolicies: what they let through is what the contract promises, for each pair of a component and
//! somebody else, both ways.

mod policies;

use std::collections::BTreeMap;

use policies::{Direction, End, Labels, Policies, Port};

use super::{COMPONENT, INSTANCE, all_containers, pod};
use crate::contract::{self, AskedBy, Promise};
use crate::descriptor::{CLIENT_LABEL, EDGE_LABEL};
use crate::validate::finding::Finding;
use crate::validate::object::{Node, Object, Rendered};

/// Somebody who may ask or be asked.
struct Peer {
    /// As a finding calls it.
    name: String,
    is: Who,
    end: End,
    /// Where it is asked.
    ports: Vec<Port>,
}

/// What somebody is to the release.
#[derive(Clone, Copy)]
enum Who {
    /// A component of it.
    Part(&'static Promise),
    /// A pod of its namespace that is marked as a client.
    Client,
    /// Any other pod of its namespace.
    Neighbour,
    /// A pod of the edge's namespace.
    Edge,
    /// A pod of another namespace.
    Stranger,
    /// The cluster's DNS.
    Dns,
    /// An address outside the cluster.
    Outside,
    /// The node's metadata, which gives its role away.
    Metadata,
}

/// A component of the release.
struct Part<'a> {
    workload: &'a Object,
    promise: &'static Promise,
    labels: Labels,
    peer: Peer,
}

/// Everybody is asked by those alone who are promised to.
pub fn reach(rendered: &Rendered) -> Vec<Finding> {
    let policies = Policies::of(&rendered.objects);
    let parts: Vec<Part<'_>> = rendered.objects.iter().filter_map(part).collect();
    let others = others(&parts);
    let site = Site::of(rendered, &parts);
    let mut findings = Vec::new();
    for part in &parts {
        let mut judge = |from: &Peer, to: &Peer| {
            for port in &to.ports {
                let open = is_open(&policies, from, to, port);
                if promised(&site, from, to, port).is_some_and(|promised| open != promised) {
                    let what = if open { "reaches, and is not promised to," } else { "does not reach" };
                    let message = format!("{} {what} {} at {} {}", from.name, to.name, port.protocol, port.number);
                    findings.push(place(&policies, part).finding(message));
                }
            }
        };
        // Of two components, the one that is asked looks at the pair.
        parts.iter().for_each(|other| judge(&other.peer, &part.peer));
        for other in &others {
            judge(other, &part.peer);
            judge(&part.peer, other);
        }
        findings.extend(foreign(&policies, part));
        findings.extend(unbalanced(&policies, part, &site));
    }
    findings.extend(parts.first().and_then(|part| open_to_all(&policies, part)));
    findings
}

/// What the release is reached by, and what it has.
struct Site {
    dev: bool,
    /// Whether an Ingress leads to it, and whether that is a load balancer outside the cluster.
    ingress: Option<bool>,
    stores_outside: bool,
}

impl Site {
    fn of(rendered: &Rendered, parts: &[Part<'_>]) -> Self {
        let ingress = rendered.objects.iter().find(|object| object.kind() == "Ingress");
        let class = ingress.map(|ingress| ingress.root().at(&["spec", "ingressClassName"]).text() == "alb");
        let stores = contract::PROMISES.iter().filter(|promise| promise.is_store).count();
        let own = parts.iter().filter(|part| part.promise.is_store).count();
        Self { dev: rendered.dev, ingress: class, stores_outside: own < stores }
    }
}

/// What the contract says of a connection; none, where that is the values' to say.
fn promised(site: &Site, from: &Peer, to: &Peer, port: &Port) -> Option<bool> {
    let tcp = port.protocol == "TCP";
    Some(match (from.is, to.is) {
        (Who::Part(from), Who::Part(to)) => tcp && from.asks.iter().any(|asked| asked.label == to.component.label),
        (Who::Client, Who::Part(to)) => tcp && to.asked_by != AskedBy::Nobody,
        (Who::Neighbour, Who::Part(to)) => tcp && to.asked_by == AskedBy::Everybody,
        (Who::Edge, Who::Part(to)) => tcp && to.asked_by == AskedBy::Everybody && site.ingress == Some(false),
        // In stage dev an address of the host leads to these.
        (Who::Outside, Who::Part(to)) => tcp && site.dev && to.asked_by != AskedBy::Nobody,
        (Who::Metadata, Who::Part(_)) if site.dev => return None,
        (Who::Part(from), Who::Dns) => from.resolves_names,
        // Managed stores may be anywhere, but a database is not on the internet.
        (Who::Part(_), Who::Outside) if port.number != 5432 && site.stores_outside => return None,
        _ => false,
    })
}

/// Whether the policies let a connection through, at both of its ends.
fn is_open(policies: &Policies<'_>, from: &Peer, to: &Peer, port: &Port) -> bool {
    let side = |direction, of: &Peer, other: &Peer| match (&of.is, &of.end) {
        (Who::Part(_), End::Pod(labels, _)) => policies.allow(direction, labels, &other.end, port),
        // Others' policies are theirs.
        _ => true,
    };
    side(Direction::Egress, from, to) && side(Direction::Ingress, to, from)
}

fn part(object: &Object) -> Option<Part<'_>> {
    let pod = pod(object)?;
    let labels: Labels = labels(&pod.at(&["metadata", "labels"]));
    let promise = contract::of(labels.get(COMPONENT)?)?;
    let opened = all_containers(&pod).flat_map(|container| container.get("ports").items());
    let port = |port: Node<'_>| {
        let protocol = port.get("protocol").value.as_str().unwrap_or("TCP").to_owned();
        let number = i32::try_from(port.get("containerPort").value.as_i64()?).ok()?;
        Some(Port { protocol, number, name: port.get("name").text().to_owned() })
    };
    let end = End::Pod(labels.clone(), None);
    let peer = Peer { name: object.name().to_owned(), is: Who::Part(promise), end, ports: opened.filter_map(port).collect() };
    Some(Part { workload: object, promise, labels, peer })
}

fn labels(node: &Node<'_>) -> Labels {
    node.entries().map(|(key, value)| (key.to_owned(), value.text().to_owned())).collect()
}

/// Who else there is: of this namespace, of others, outside.
fn others(parts: &[Part<'_>]) -> Vec<Peer> {
    let map = |pairs: &[(&str, &str)]| -> Labels { pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect() };
    let ports = |ports: &[(&str, i32)]| -> Vec<Port> {
        let port = |(protocol, number): &(&str, i32)| Port { protocol: (*protocol).to_owned(), number: *number, name: String::new() };
        ports.iter().map(port).collect()
    };
    let peer = |name: &str, is, end, at: &[(&str, i32)]| Peer { name: name.to_owned(), is, end, ports: ports(at) };
    let pod = |labels: &[(&str, &str)], namespace: Option<&[(&str, &str)]>| End::Pod(map(labels), namespace.map(map));
    let namespace = |name| [("kubernetes.io/metadata.name", name)];
    let any = [("TCP", 443), ("TCP", 5432)];
    let dns = [("UDP", 53), ("TCP", 53)];
    let mut all = vec![
        peer("a client in the namespace", Who::Client, pod(&[(CLIENT_LABEL, "true")], None), &[]),
        peer("any pod of the namespace", Who::Neighbour, pod(&[], None), &[]),
        peer("a pod of another namespace", Who::Stranger, pod(&[(CLIENT_LABEL, "true")], Some(&namespace("another"))), &any),
        peer("the cluster's DNS", Who::Dns, pod(&[("k8s-app", "kube-dns")], Some(&namespace("kube-system"))), &dns),
        peer("another pod of kube-system", Who::Stranger, pod(&[("k8s-app", "another")], Some(&namespace("kube-system"))), &dns),
        peer("a DNS of another namespace", Who::Stranger, pod(&[("k8s-app", "kube-dns")], Some(&namespace("another"))), &dns),
        peer("the edge", Who::Edge, pod(&[], Some(&[(EDGE_LABEL, "true")])), &[]),
        peer("the internet", Who::Outside, End::Address([203, 0, 113, 7].into()), &[("TCP", 443), ("TCP", 5432), ("UDP", 53)]),
        peer("the node's metadata", Who::Metadata, End::Address([169, 254, 169, 254].into()), &[("TCP", 80), ("TCP", 443), ("TCP", 6380)]),
    ];
    // Namesakes: of another release beside ours, and of another namespace.
    for part in parts {
        let name = &part.peer.name;
        let mut beside = part.labels.clone();
        beside.insert(INSTANCE.to_owned(), "another-release".to_owned());
        all.push(peer(&format!("{name} of another release"), Who::Neighbour, End::Pod(beside, None), &any));
        let elsewhere = End::Pod(part.labels.clone(), Some(map(&namespace("another"))));
        all.push(peer(&format!("{name} of another namespace"), Who::Stranger, elsewhere, &any));
    }
    all
}

/// The first policy about a component, else its workload.
fn place<'a>(policies: &Policies<'a>, part: &Part<'a>) -> Node<'a> {
    policies.about(&part.labels).next().map_or_else(|| part.workload.root(), |policy| policy.root().get("spec"))
}

/// A policy of ours limits no other release of the namespace.
fn foreign(policies: &Policies<'_>, part: &Part<'_>) -> Option<Finding> {
    let mut another = part.labels.clone();
    another.insert(INSTANCE.to_owned(), "another-release".to_owned());
    let policy = policies.about(&another).next()?;
    Some(policy.root().at(&["spec", "podSelector"]).finding("it limits the pods of other releases in the namespace too"))
}

/// Behind an Ingress whose controller is a load balancer outside, some block of addresses reaches the router.
fn unbalanced(policies: &Policies<'_>, part: &Part<'_>, site: &Site) -> Option<Finding> {
    let is_router = part.promise.asked_by == AskedBy::Everybody && site.ingress == Some(true);
    let open = part.peer.ports.iter().all(|port| policies.let_in_a_block(&part.labels, port));
    let what = "the Ingress's load balancer is outside, and no block of addresses reaches the router";
    (is_router && !open).then(|| place(policies, part).finding(what))
}

/// What a chart added later makes, with no policy of its own, is closed until somebody opens it.
fn open_to_all(policies: &Policies<'_>, part: &Part<'_>) -> Option<Finding> {
    let release = part.labels.get(INSTANCE).cloned().unwrap_or_default();
    let new: Labels = BTreeMap::from([(INSTANCE.to_owned(), release)]);
    let (any, port) = (End::Pod(Labels::new(), None), Port { protocol: "TCP".to_owned(), number: 443, name: String::new() });
    let open = [Direction::Ingress, Direction::Egress].iter().any(|way| policies.allow(*way, &new, &any, &port));
    open.then(|| place(policies, part).finding("no policy closes the release's pods, in both directions, until another opens them"))
}

/// Whether a workload's pods may go to some address outside the cluster at a port.
pub fn goes_outside(rendered: &Rendered, workload: &Object, number: u16) -> bool {
    let of = labels(&workload.root().at(&["spec", "template", "metadata", "labels"]));
    let port = Port { protocol: "TCP".to_owned(), number: number.into(), name: String::new() };
    Policies::of(&rendered.objects).leave_to_a_block(&of, &port)
}
