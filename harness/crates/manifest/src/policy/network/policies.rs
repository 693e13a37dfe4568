//! Evaluation of NetworkPolicies by Kubernetes' rules (kubernetes.io, "Network Policies"). Pure.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use k8s_openapi::api::networking::v1::{
    IPBlock, NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::core::{Selector, SelectorExt};

use crate::object::Object;

/// The labels of a pod or a namespace.
pub type Labels = BTreeMap<String, String>;

/// An end of a connection.
#[derive(Debug, Clone)]
pub enum End {
    /// A pod, by its labels, and the labels of its namespace; `None` for the policies' own namespace.
    Pod(Labels, Option<Labels>),
    /// An address outside the cluster.
    Address(IpAddr),
}

/// A port of a connection.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Port {
    /// The protocol: TCP, UDP or SCTP.
    pub protocol: String,
    /// The port's number at the server.
    pub number: i32,
    /// The port's name in its pod; may be empty.
    pub name: String,
}

/// The policies of one namespace.
pub struct Policies<'a>(Vec<Policy<'a>>);

struct Policy<'a> {
    object: &'a Object,
    pods: Selector,
    ingress: Option<Vec<PolicyRule>>,
    egress: Option<Vec<PolicyRule>>,
}

/// The direction of a connection, as seen from the pod that a policy is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// To the pod.
    Ingress,
    /// From the pod.
    Egress,
}

/// A rule of a policy: the peers and ports that it allows; `None` allows all.
struct PolicyRule {
    peers: Option<Vec<PolicyPeer>>,
    ports: Option<Vec<NetworkPolicyPort>>,
}

enum PolicyPeer {
    Pods {
        namespaces: Option<Selector>,
        pods: Option<Selector>,
    },
    Block {
        cidr: IpNet,
        except: Vec<IpNet>,
    },
    /// A peer that Kubernetes refuses, which matches nothing.
    Nobody,
}

impl<'a> Policies<'a> {
    /// The NetworkPolicies among the objects; one that does not parse is left out, since the types check reports it.
    pub fn of(objects: &'a [Object]) -> Self {
        let policies = objects.iter().filter(|object| object.kind() == "NetworkPolicy");
        Self(policies.filter_map(Policy::of).collect())
    }

    /// The ports that the policies name by number.
    pub fn ports(&self) -> Vec<Port> {
        let rules = self.0.iter().flat_map(|policy| policy.ingress.iter().chain(&policy.egress).flatten());
        let named = rules.flat_map(|rule| rule.ports.iter().flatten()).filter_map(|port| {
            let Some(IntOrString::Int(number)) = port.port else { return None };
            let protocol = port.protocol.clone().unwrap_or_else(|| "TCP".to_owned());
            Some(Port { protocol, number, name: String::new() })
        });
        let mut ports: Vec<Port> = named.collect();
        ports.sort();
        ports.dedup();
        ports
    }

    /// The policies that are about a pod.
    pub fn about(&self, pod: &Labels) -> impl Iterator<Item = &'a Object> {
        self.0.iter().filter(|policy| policy.pods.matches(pod)).map(|policy| policy.object)
    }

    /// Whether the policies about a pod allow a connection at the pod's end; without a policy in that direction all are
    /// allowed.
    pub fn allow(&self, direction: Direction, pod: &Labels, other: &End, port: &Port) -> bool {
        let rules = |policy: &'_ Policy<'a>| policy.pods.matches(pod) && policy.rules(direction).is_some();
        let mut about = self.0.iter().filter(|policy| rules(policy)).peekable();
        about.peek().is_none()
            || about.flat_map(|policy| policy.rules(direction).unwrap_or_default()).any(|rule| rule.allows(other, port))
    }

    /// Whether a pod may reach some block of addresses at a port.
    pub fn leave_to_a_block(&self, pod: &Labels, port: &Port) -> bool {
        self.to_a_block(Direction::Egress, pod, port)
    }

    /// Whether some block of addresses may reach a pod's port.
    pub fn let_in_a_block(&self, pod: &Labels, port: &Port) -> bool {
        self.to_a_block(Direction::Ingress, pod, port)
    }

    fn to_a_block(&self, direction: Direction, pod: &Labels, port: &Port) -> bool {
        let about = self.0.iter().filter(|policy| policy.pods.matches(pod));
        about.flat_map(|policy| policy.rules(direction).unwrap_or_default()).any(|rule| {
            let blocks = rule.peers.iter().flatten().any(|peer| matches!(peer, PolicyPeer::Block { .. }));
            blocks && rule.is_at(port)
        })
    }
}

impl<'a> Policy<'a> {
    fn of(object: &'a Object) -> Option<Self> {
        let policy: NetworkPolicy = serde::Deserialize::deserialize(&object.value).ok()?;
        let spec = policy.spec?;
        let types = spec.policy_types.unwrap_or_else(|| {
            let egress = spec.egress.is_some().then(|| "Egress".to_owned());
            ["Ingress".to_owned()].into_iter().chain(egress).collect()
        });
        let limits = |direction: &str| types.iter().any(|one| one == direction);
        let ingress = spec.ingress.unwrap_or_default().into_iter();
        let egress = spec.egress.unwrap_or_default().into_iter();
        Some(Self {
            object,
            pods: selector(spec.pod_selector.unwrap_or_default())?,
            ingress: limits("Ingress").then(|| {
                ingress.map(|NetworkPolicyIngressRule { from, ports }| PolicyRule::new(from, ports)).collect()
            }),
            egress: limits("Egress")
                .then(|| egress.map(|NetworkPolicyEgressRule { to, ports }| PolicyRule::new(to, ports)).collect()),
        })
    }

    /// The policy's rules in a direction; `None` where it is not about that direction.
    fn rules(&self, direction: Direction) -> Option<&[PolicyRule]> {
        match direction {
            Direction::Ingress => self.ingress.as_deref(),
            Direction::Egress => self.egress.as_deref(),
        }
    }
}

impl PolicyRule {
    fn new(peers: Option<Vec<NetworkPolicyPeer>>, ports: Option<Vec<NetworkPolicyPort>>) -> Self {
        let peers = peers.filter(|list| !list.is_empty());
        Self {
            peers: peers.map(|peers| peers.into_iter().map(PolicyPeer::of).collect()),
            ports: ports.filter(|list| !list.is_empty()),
        }
    }

    fn allows(&self, other: &End, port: &Port) -> bool {
        self.is_at(port) && self.peers.as_ref().is_none_or(|peers| peers.iter().any(|peer| peer.is(other)))
    }

    fn is_at(&self, port: &Port) -> bool {
        let is = |one: &NetworkPolicyPort| {
            let protocol = one.protocol.as_deref().unwrap_or("TCP") == port.protocol;
            protocol
                && match &one.port {
                    None => true,
                    Some(IntOrString::String(name)) => *name == port.name,
                    Some(IntOrString::Int(first)) => (*first..=one.end_port.unwrap_or(*first)).contains(&port.number),
                }
        };
        self.ports.as_ref().is_none_or(|ports| ports.iter().any(is))
    }
}

impl PolicyPeer {
    fn of(peer: NetworkPolicyPeer) -> Self {
        let NetworkPolicyPeer { ip_block, namespace_selector, pod_selector } = peer;
        match (ip_block, namespace_selector, pod_selector) {
            (Some(block), None, None) => Self::block(&block).unwrap_or(Self::Nobody),
            (Some(_), ..) | (None, None, None) => Self::Nobody,
            (None, namespaces, pods) => {
                let (namespaces, pods) = (namespaces.map(selector), pods.map(selector));
                match (namespaces, pods) {
                    (Some(None), _) | (_, Some(None)) => Self::Nobody,
                    (namespaces, pods) => Self::Pods { namespaces: namespaces.flatten(), pods: pods.flatten() },
                }
            }
        }
    }

    fn block(block: &IPBlock) -> Option<Self> {
        let except = block.except.iter().flatten().map(|one| one.parse().ok());
        Some(Self::Block { cidr: block.cidr.parse().ok()?, except: except.collect::<Option<_>>()? })
    }

    fn is(&self, other: &End) -> bool {
        match (self, other) {
            (Self::Block { cidr, except }, End::Address(address)) => {
                cidr.contains(address) && !except.iter().any(|net| net.contains(address))
            }
            (Self::Pods { namespaces, pods }, End::Pod(labels, namespace)) => {
                let here = Labels::new();
                let in_namespace = match (namespaces, namespace) {
                    (None, namespace) => namespace.is_none(),
                    (Some(selector), namespace) => selector.matches(namespace.as_ref().unwrap_or(&here)),
                };
                in_namespace && pods.as_ref().is_none_or(|pods| pods.matches(labels))
            }
            _ => false,
        }
    }
}

/// The selector; `None` for one that does not parse, which the types check reports.
fn selector(selector: LabelSelector) -> Option<Selector> {
    selector.try_into().ok()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    fn pod(labels: &[(&str, &str)]) -> Labels {
        labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn tcp(number: i32) -> Port {
        Port { protocol: "TCP".to_owned(), number, name: "http".to_owned() }
    }

    /// Whether a rule of a policy about `app: db` lets in a web pod of this namespace, one of another, and an address.
    #[rstest]
    #[case::no_rules(json!([]), [false, false, false])]
    #[case::everybody(json!([{}]), [true, true, true])]
    #[case::no_peer_is_everybody(json!([{"from": []}]), [true, true, true])]
    #[case::by_pod(json!([{"from": [{"podSelector": {"matchLabels": {"app": "web"}}}]}]), [true, false, false])]
    #[case::other_pod(json!([{"from": [{"podSelector": {"matchLabels": {"app": "x"}}}]}]), [false, false, false])]
    #[case::namespace(json!([{"from": [{"podSelector": {}}]}]), [true, false, false])]
    #[case::every_namespace(json!([{"from": [{"namespaceSelector": {}}]}]), [true, true, false])]
    #[case::both(json!([{"from": [{"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "x"}}}]}]), [false, false, false])]
    #[case::block(json!([{"from": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}]), [false, false, true])]
    #[case::except(json!([{"from": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.0.0.0/24"]}}]}]), [false, false, false])]
    #[case::port(json!([{"ports": [{"port": 80}]}]), [true, true, true])]
    #[case::named_port(json!([{"ports": [{"port": "http"}]}]), [true, true, true])]
    #[case::range(json!([{"ports": [{"port": 70, "endPort": 90}]}]), [true, true, true])]
    #[case::other_port(json!([{"ports": [{"port": 81}]}]), [false, false, false])]
    #[case::other_protocol(json!([{"ports": [{"port": 80, "protocol": "UDP"}]}]), [false, false, false])]
    fn ingress(#[case] rules: Value, #[case] wanted: [bool; 3]) {
        let spec = json!({"podSelector": {"matchLabels": {"app": "db"}}, "ingress": rules});
        let object = Object {
            value: json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "p"}, "spec": spec}),
            template: String::new(),
        };
        let objects = [object];
        let policies = Policies::of(&objects);
        let web = pod(&[("app", "web")]);
        let ends = [
            End::Pod(web.clone(), None),
            End::Pod(web.clone(), Some(pod(&[("name", "other")]))),
            End::Address([10, 0, 0, 1].into()),
        ];
        let db = pod(&[("app", "db")]);
        let found = ends.clone().map(|end| policies.allow(Direction::Ingress, &db, &end, &tcp(80)));
        assert_eq!(found, wanted);
        // The policy is about neither another pod nor the other direction.
        assert!(ends.iter().all(|end| policies.allow(Direction::Ingress, &web, end, &tcp(80))));
        assert!(ends.iter().all(|end| policies.allow(Direction::Egress, &db, end, &tcp(80))));
    }

    #[rstest]
    #[case(json!({"policyTypes": ["Ingress"]}), [false, true])]
    #[case(json!({"policyTypes": ["Egress"]}), [true, false])]
    #[case(json!({"egress": []}), [false, false])]
    #[case(json!({}), [false, true])]
    fn directions(#[case] mut spec: Value, #[case] wanted: [bool; 2]) {
        spec["podSelector"] = json!({});
        let objects =
            [Object { value: json!({"kind": "NetworkPolicy", "metadata": {}, "spec": spec}), template: String::new() }];
        let policies = Policies::of(&objects);
        let (any, end) = (pod(&[]), End::Address([10, 0, 0, 1].into()));
        let found =
            [Direction::Ingress, Direction::Egress].map(|direction| policies.allow(direction, &any, &end, &tcp(80)));
        assert_eq!(found, wanted);
    }
}
