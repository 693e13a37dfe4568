//! What a pull request's charts may be, looked at before anything is applied: they are data beside our credentials.

use std::net::Ipv4Addr;
use std::path::Path;

use serde_json::Value;

use super::PullRequest;
use crate::descriptor::CHARTS;
use crate::error::{Error, Result};
use crate::hash;

/// The kinds that a preview is made of, all of a namespace; no other is applied, so none of the cluster's.
const KINDS: [(&str, &str); 11] = [
    ("apps/v1", "Deployment"),
    ("apps/v1", "StatefulSet"),
    ("autoscaling/v2", "HorizontalPodAutoscaler"),
    ("batch/v1", "CronJob"),
    ("batch/v1", "Job"),
    ("networking.k8s.io/v1", "Ingress"),
    ("networking.k8s.io/v1", "NetworkPolicy"),
    ("policy/v1", "PodDisruptionBudget"),
    ("v1", "ConfigMap"),
    ("v1", "Service"),
    ("v1", "ServiceAccount"),
];

/// The one use of `tpl` that the charts have: of a file that lies in the chart, and is read here too.
const TPL_OF_A_FILE: &str = "tpl (.Files.Get \"";

/// Checks rendered objects.
///
/// # Errors
/// [`Error::Refused`] naming each object that may not be, and why.
pub fn objects(of: PullRequest, objects: &[Value]) -> Result<()> {
    let problems: Vec<String> = objects
        .iter()
        .filter_map(|object| {
            let name = object["metadata"]["name"].as_str().unwrap_or("without a name");
            let kind = object["kind"].as_str().unwrap_or("object without a kind");
            problem(of, object).map(|why| format!("\n  {kind} {name}: {why}"))
        })
        .collect();
    if problems.is_empty() {
        return Ok(());
    }
    Err(Error::refused(
        format!("the charts render what a preview may not hold:{}", problems.concat()),
        "mend the charts; nothing was applied",
    ))
}

fn problem(of: PullRequest, object: &Value) -> Option<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (version, kind) = (text(&object["apiVersion"]), text(&object["kind"]));
    if !KINDS.contains(&(version.as_str(), kind.as_str())) {
        return Some(format!("{version} {kind} is no kind of a preview (a namespace's own, and known)"));
    }
    let namespace = &object["metadata"]["namespace"];
    if !namespace.is_null() && namespace.as_str() != Some(of.namespace().as_str()) {
        return Some(format!("it is for the namespace {namespace}, not for {}", of.namespace()));
    }
    let annotations = object["metadata"]["annotations"].as_object();
    if annotations.is_some_and(|all| all.keys().any(|name| name.starts_with("helm.sh/hook"))) {
        return Some("it is a hook, which nobody waits for".to_owned());
    }
    match kind.as_str() {
        "Ingress" => strange_host(of, &object["spec"]),
        "NetworkPolicy" => reaches_credentials(&object["spec"]),
        "Service" => exposed(&object["spec"]),
        _ => None,
    }
}

/// An Ingress that takes another host's requests.
fn strange_host(of: PullRequest, spec: &Value) -> Option<String> {
    if !spec["defaultBackend"].is_null() {
        return Some("it takes the requests of every host (defaultBackend)".to_owned());
    }
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let rules = list(&spec["rules"]).into_iter().map(|rule| rule["host"].clone());
    let certificates = list(&spec["tls"]).into_iter().flat_map(|tls| list(&tls["hosts"]));
    let host = Value::from(of.host());
    let other = rules.chain(certificates).find(|found| *found != host)?;
    Some(format!("its host is {other}, not {host}"))
}

/// A policy that lets pods reach the node's link-local addresses, where clouds hand out the node's own credentials; that
/// of EKS Pod Identity alone gives a pod its own.
fn reaches_credentials(spec: &Value) -> Option<String> {
    const POD_IDENTITY: &str = "169.254.170.23/32";
    for rule in spec["egress"].as_array().into_iter().flatten() {
        let peers = rule["to"].as_array().filter(|peers| !peers.is_empty());
        let Some(peers) = peers else { return Some("it lets pods reach every address".to_owned()) };
        for block in peers.iter().map(|peer| &peer["ipBlock"]).filter(|block| !block.is_null()) {
            let cidr = block["cidr"].as_str().unwrap_or_default();
            let except = block["except"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let covered = except.filter_map(Block::parse).any(|except| except.covers(&LINK_LOCAL));
            let harmless = cidr == POD_IDENTITY || cidr.contains(':') || covered;
            if !harmless && Block::parse(cidr).is_none_or(|block| block.meets(&LINK_LOCAL)) {
                return Some(format!("it lets pods reach {cidr}, and so 169.254.0.0/16"));
            }
        }
    }
    None
}

const LINK_LOCAL: Block = Block { address: 0xA9FE_0000, bits: 16 };

/// A block of IPv4 addresses.
#[derive(Debug, Clone, Copy)]
struct Block {
    address: u32,
    bits: u32,
}

impl Block {
    fn parse(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/')?;
        let bits = bits.parse().ok().filter(|bits| *bits <= 32)?;
        Some(Self { address: address.parse::<Ipv4Addr>().ok()?.to_bits(), bits })
    }

    fn covers(&self, other: &Self) -> bool {
        self.bits <= other.bits && self.meets(other)
    }

    fn meets(&self, other: &Self) -> bool {
        let mask = u32::MAX.checked_shl(32 - self.bits.min(other.bits)).unwrap_or(0);
        self.address & mask == other.address & mask
    }
}

/// A Service that is reached past the Ingress, or that leads out of the cluster.
fn exposed(spec: &Value) -> Option<String> {
    let kind = spec["type"].as_str().unwrap_or("ClusterIP");
    if kind != "ClusterIP" {
        return Some(format!("its type is {kind}, not ClusterIP"));
    }
    let outside = spec["externalIPs"].as_array().is_some_and(|addresses| !addresses.is_empty());
    outside.then(|| "it has externalIPs".to_owned())
}

/// Checks staged charts: Helm looks into the cluster with our credentials while it deploys, by `lookup`, which no render
/// shows.
///
/// # Errors
/// [`Error::Refused`] naming file and line.
pub fn sources(staged: &Path) -> Result<()> {
    for path in hash::files(&staged.join(CHARTS))? {
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        if let Some((line, word)) = forbidden(&text) {
            let file = path.strip_prefix(staged).unwrap_or(&path).display();
            return Err(Error::refused(
                format!("{file}:{line} calls {word}, by which a chart could read other namespaces"),
                "take it out of the chart; nothing was applied",
            ));
        }
    }
    Ok(())
}

/// The line of the first call of a function that no chart of a pull request may call.
fn forbidden(text: &str) -> Option<(usize, &'static str)> {
    text.lines().enumerate().find_map(|(index, line)| {
        let line = line.replace(TPL_OF_A_FILE, "");
        let word = ["lookup", "tpl"].into_iter().find(|word| calls(&line, word))?;
        Some((index + 1, word))
    })
}

/// Whether a word stands alone in a line: a field (`.word`) and a part of a longer word are others.
fn calls(line: &str, word: &str) -> bool {
    let of_word = |sign: char| sign.is_alphanumeric() || sign == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        !before.is_some_and(|sign| of_word(sign) || sign == '.') && !after.is_some_and(of_word)
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn of() -> PullRequest {
        PullRequest::parse("7").unwrap()
    }

    #[rstest]
    #[case::cluster_scoped(json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole"}), "ClusterRole is no kind")]
    #[case::a_role(json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding"}), "RoleBinding is no kind")]
    #[case::a_namespace(json!({"apiVersion": "v1", "kind": "Namespace"}), "Namespace is no kind")]
    #[case::a_definition(json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition"}), "no kind")]
    #[case::unknown(json!({"apiVersion": "example.org/v1", "kind": "Deployment"}), "no kind")]
    #[case::elsewhere(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "jetscale-pr-8"}}), "not for jetscale-pr-7")]
    #[case::hook(json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"annotations": {"helm.sh/hook": "pre-install"}}}), "a hook")]
    #[case::production_host(json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "spec": {"rules": [{"host": "app.jetscale.ai"}]}}), "its host is \"app.jetscale.ai\"")]
    #[case::another_pr(json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "spec": {"tls": [{"hosts": ["pr-8.app.jetscale.ai"]}]}}), "pr-8.app")]
    #[case::no_host(json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "spec": {"rules": [{"http": {}}]}}), "its host is null")]
    #[case::every_host(json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "spec": {"defaultBackend": {}}}), "every host")]
    #[case::node_port(json!({"apiVersion": "v1", "kind": "Service", "spec": {"type": "NodePort"}}), "its type is NodePort")]
    #[case::external_name(json!({"apiVersion": "v1", "kind": "Service", "spec": {"type": "ExternalName"}}), "its type is ExternalName")]
    #[case::external_address(json!({"apiVersion": "v1", "kind": "Service", "spec": {"externalIPs": ["10.0.0.1"]}}), "externalIPs")]
    fn an_object_is_refused(#[case] mut object: Value, #[case] says: &str) {
        object["metadata"]["name"] = "it".into();
        let error = objects(of(), &[object]).unwrap_err().report();
        assert!(error.contains(says) && error.contains("nothing was applied"), "{error}");
    }

    #[test]
    fn what_a_preview_is_made_of_is_taken() {
        let ingress = json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "spec": {
            "rules": [{"host": "pr-7.app.jetscale.ai"}], "tls": [{"hosts": ["pr-7.app.jetscale.ai"]}]}});
        let service = json!({"apiVersion": "v1", "kind": "Service", "spec": {"ports": []}});
        objects(of(), &[ingress, service]).unwrap();
    }

    #[rstest]
    #[case::nobody(json!([]), true)]
    #[case::everybody(json!([{}]), false)]
    #[case::whole_network(json!([{"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}]), false)]
    #[case::but_for_it(json!([{"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["169.254.0.0/16"]}}]}]), true)]
    #[case::but_for_a_part(json!([{"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["169.254.169.254/32"]}}]}]), false)]
    #[case::metadata(json!([{"to": [{"ipBlock": {"cidr": "169.254.169.254/32"}}]}]), false)]
    #[case::pod_identity(json!([{"to": [{"ipBlock": {"cidr": "169.254.170.23/32"}}]}]), true)]
    #[case::stores(json!([{"to": [{"ipBlock": {"cidr": "10.0.0.0/16"}}]}]), true)]
    #[case::unreadable(json!([{"to": [{"ipBlock": {"cidr": "metadata"}}]}]), false)]
    #[case::pods(json!([{"to": [{"podSelector": {}}]}]), true)]
    fn no_policy_reaches_the_nodes_credentials(#[case] egress: Value, #[case] taken: bool) {
        let policy = json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "spec": {"egress": egress}});
        assert_eq!(objects(of(), &[policy]).is_ok(), taken);
    }

    #[rstest]
    #[case::lookup("a\n{{ (lookup \"v1\" \"Secret\" \"kube-system\" \"\") }}", Some((2, "lookup")))]
    #[case::hidden("{{ tpl (printf \"{{ look%s }}\" \"up\") . }}", Some((1, "tpl")))]
    #[case::of_a_file("{{ tpl (.Files.Get \"files/nginx.conf\") . }}", None)]
    #[case::behind_it("{{ tpl (.Files.Get \"x\") . }}{{ tpl .Values.x . }}", Some((1, "tpl")))]
    #[case::file_name("# see _pod.tpl", None)]
    #[case::longer("lookups = outlook", None)]
    fn a_chart_looks_nowhere(#[case] text: &str, #[case] found: Option<(usize, &str)>) {
        assert_eq!(forbidden(text), found);
    }

    #[test]
    fn the_charts_here_look_nowhere() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        sources(root).unwrap();
    }
}
