//! Admission of a preview's NetworkPolicies, Services and Ingresses: which peers and hosts are allowed, mostly by the cluster's
//! own values.

use std::net::IpAddr;

use harness_settings::spec::spec;
use ipnet::IpNet;
use serde_json::{Value, json};

use super::{Limits, fields};

/// The addresses at which clouds hand out the node's credentials: link-local ones, and AWS's IPv6 address.
const CREDENTIALS: [&str; 3] = ["169.254.0.0/16", "fe80::/10", "fd00:ec2::/32"];
/// The addresses of EKS Pod Identity, which gives a pod its own credentials.
const POD_IDENTITY: [&str; 2] = ["169.254.170.23/32", "fd00:ec2::23/128"];

/// The first problem of a NetworkPolicy.
pub(super) fn policy(limits: &Limits, spec: &Value) -> Option<String> {
    fields("the policy's", spec, &["egress", "ingress", "podSelector", "policyTypes"])
        .or_else(|| rules(limits, &spec["ingress"], "from", "lets everybody in"))
        .or_else(|| rules(limits, &spec["egress"], "to", "lets pods reach every address"))
}

fn rules(limits: &Limits, rules: &Value, way: &str, everybody: &str) -> Option<String> {
    rules.as_array().into_iter().flatten().find_map(|rule| {
        let peers = rule[way].as_array().filter(|peers| !peers.is_empty());
        let Some(peers) = peers else { return Some(format!("it {everybody}")) };
        peers.iter().find_map(|peer| stranger(limits, way, peer))
    })
}

fn stranger(limits: &Limits, way: &str, peer: &Value) -> Option<String> {
    fields("a peer's", peer, &["ipBlock", "namespaceSelector", "podSelector"]).or_else(|| {
        let of_own_namespace = peer["namespaceSelector"].is_null() && peer["ipBlock"].is_null();
        let edge = json!({"namespaceSelector": {"matchLabels": {spec().edge.label: "true"}}});
        let dns = json!({
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
            "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
        });
        let cidr = peer["ipBlock"]["cidr"].as_str();
        let pod_identity = way == "to" && cidr.is_some_and(|cidr| POD_IDENTITY.contains(&cidr));
        let known = of_own_namespace || pod_identity || way == "from" && *peer == edge || way == "to" && *peer == dns;
        if known {
            return None;
        }
        let given = limits.peers.iter().any(|given| is_within(peer, given));
        match given {
            false => Some(format!("it opens the preview to {peer}, which is no peer that the cluster's values name")),
            true => (way == "to").then(|| reaches_credentials(&peer["ipBlock"])).flatten(),
        }
    })
}

/// Whether a peer is a given one, or the same block with more exceptions.
fn is_within(peer: &Value, given: &Value) -> bool {
    let excepted =
        |peer: &Value, one: &Value| peer["ipBlock"]["except"].as_array().is_some_and(|except| except.contains(one));
    let block = |peer: &Value| peer["ipBlock"]["cidr"].as_str().map(str::to_owned);
    let all = || given["ipBlock"]["except"].as_array().into_iter().flatten().all(|one| excepted(peer, one));
    peer == given
        || block(peer).is_some()
            && block(peer) == block(given)
            && peer.as_object().map(|it| it.len()) == Some(1)
            && all()
}

/// The problem of an allowed block that includes the addresses of the node's credentials: the chart has to except them.
fn reaches_credentials(block: &Value) -> Option<String> {
    let cidr = block["cidr"].as_str()?;
    let Ok(net) = cidr.parse::<IpNet>() else { return Some(format!("{cidr} is no block of addresses")) };
    let except: Vec<IpNet> =
        block["except"].as_array().into_iter().flatten().filter_map(|it| it.as_str()?.parse().ok()).collect();
    let reached = CREDENTIALS.iter().filter_map(|it| it.parse::<IpNet>().ok()).find(|secret| {
        let meets = net.contains(secret) || secret.contains(&net);
        meets && !except.iter().any(|hole| hole.contains(secret))
    })?;
    Some(format!("it lets pods reach {cidr}, and so {reached}"))
}

/// The problem of a Service that is reached past the Ingress, or leads out of the namespace.
pub(super) fn service(spec: &Value) -> Option<String> {
    const FIELDS: [&str; 8] = [
        "clusterIP",
        "internalTrafficPolicy",
        "ipFamilyPolicy",
        "ports",
        "publishNotReadyAddresses",
        "selector",
        "sessionAffinity",
        "type",
    ];
    let kind = spec["type"].as_str().unwrap_or("ClusterIP");
    if kind != "ClusterIP" {
        return Some(format!("its type is {kind}, not ClusterIP"));
    }
    let address = &spec["clusterIP"];
    let chosen = address.as_str().is_some_and(|address| address.parse::<IpAddr>().is_ok());
    fields("the Service's", spec, &FIELDS).or_else(|| chosen.then(|| format!("it takes the address {address}")))
}

/// The problem of an Ingress that takes another host's requests, or is for another controller.
pub(super) fn ingress(limits: &Limits, spec: &Value) -> Option<String> {
    if !spec["defaultBackend"].is_null() {
        return Some("it takes the requests of every host (defaultBackend)".to_owned());
    }
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let rules = list(&spec["rules"]);
    let hosts = rules.iter().map(|rule| rule["host"].clone());
    let certificates = list(&spec["tls"]).into_iter().flat_map(|tls| list(&tls["hosts"]));
    let host = Value::from(limits.of.host());
    let other = hosts.chain(certificates).find(|found| *found != host);
    let paths = rules.iter().flat_map(|rule| list(&rule["http"]["paths"]));
    let leads =
        paths.map(|path| path["backend"].clone()).find_map(|to| fields("a path's backend's", &to, &["service"]));
    fields("the Ingress'", spec, &["ingressClassName", "rules", "tls"])
        .or_else(|| other.map(|other| format!("its host is {other}, not {host}")))
        .or(leads)
        .or_else(|| {
            let class = &spec["ingressClassName"];
            let own = class.as_str() == limits.ingress_class.as_deref();
            (!own).then(|| {
                format!("its class is {class}, not {:?}", limits.ingress_class.as_deref().unwrap_or("the default"))
            })
        })
}
