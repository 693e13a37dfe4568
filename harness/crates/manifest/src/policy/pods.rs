//! Rules about pods: their accounts, users, tokens and pull secrets.

use super::{all_containers, pod, pods};
use crate::finding::Finding;
use crate::object::{Node, Rendered};

/// Rule: no pod gets a token for the API server; nor does a ServiceAccount give one, also to a pod that is started by hand.
pub fn token(rendered: &Rendered) -> Vec<Finding> {
    let accounts =
        rendered.objects.iter().filter(|object| object.kind() == "ServiceAccount").map(|object| object.root());
    let given =
        pods(rendered).map(|pod| pod.get("spec")).chain(accounts).map(|of| of.get("automountServiceAccountToken"));
    given
        .filter(|setting| setting.value != false)
        .map(|setting| {
            setting.finding("automountServiceAccountToken is not false: the pod gets a token for the API server")
        })
        .collect()
}

/// Rule: each workload has a ServiceAccount of its own.
pub fn account(rendered: &Rendered) -> Vec<Finding> {
    let of = |pod: &Node<'_>| pod.at(&["spec", "serviceAccountName"]).text().to_owned();
    let all: Vec<String> = pods(rendered).map(|pod| of(&pod)).collect();
    pods(rendered)
        .map(|pod| pod.at(&["spec", "serviceAccountName"]))
        .filter(|name| name.text().is_empty() || all.iter().filter(|other| *other == name.text()).count() > 1)
        .map(|name| name.finding(format!("the account is {}: none, or another workload's", name.value)))
        .collect()
}

/// Rule: a namespace's Services set no variables in pods: `<release>-redis` would set `<NAME>_REDIS_PORT` to an address.
pub fn service_links(rendered: &Rendered) -> Vec<Finding> {
    let links = pods(rendered).map(|pod| pod.at(&["spec", "enableServiceLinks"]));
    links
        .filter(|setting| setting.value != false)
        .map(|setting| {
            setting.finding("enableServiceLinks is not false: every Service of the namespace sets variables")
        })
        .collect()
}

/// Rule: a pod's user, group and volumes' group are the same number, which Kubernetes can tell from root.
pub fn user(rendered: &Rendered) -> Vec<Finding> {
    pods(rendered)
        .filter_map(|pod| {
            let context = pod.at(&["spec", "securityContext"]);
            let ids = ["runAsUser", "runAsGroup", "fsGroup"].map(|key| context.get(key).value.as_u64());
            let [user, group, volumes] = ids;
            let one = user.is_some_and(|user| user > 0) && user == group && user == volumes;
            (!one).then(|| {
                context.finding(format!(
                    "runAsUser, runAsGroup and fsGroup are {ids:?}, not one number: files of one are not the other's"
                ))
            })
        })
        .collect()
}

/// Rule: a restarted pod uses the image on its node instead of asking a registry, and all accounts have the same pull
/// secrets.
pub fn pull(rendered: &Rendered) -> Vec<Finding> {
    let containers = pods(rendered).flat_map(|pod| all_containers(&pod).collect::<Vec<_>>());
    let always = containers
        .map(|container| container.get("imagePullPolicy"))
        .filter(|policy| matches!(policy.text(), "Always" | "Never"));
    let always = always.map(|policy| {
        policy.finding(format!(
            "imagePullPolicy is {}: a registry's outage is one of every restart, or nothing is pulled",
            policy.value
        ))
    });
    let accounts: Vec<_> = rendered.objects.iter().filter(|object| object.kind() == "ServiceAccount").collect();
    let secrets = |node: &Node<'_>| {
        node.get("imagePullSecrets").items().map(|secret| secret.get("name").text().to_owned()).collect::<Vec<_>>()
    };
    let most = accounts
        .iter()
        .map(|account| secrets(&account.root()))
        .max_by_key(|names| accounts.iter().filter(|account| secrets(&account.root()) == *names).count());
    let odd = accounts.iter().filter(|account| Some(secrets(&account.root())) != most);
    let odd = odd.map(|account| {
        account.root().get("imagePullSecrets").finding("it pulls by other Secrets than the other accounts do")
    });
    always.chain(odd).collect()
}

/// Rule: a pod has the cloud role that it asks for and no other, and its token for that role is for STS alone.
pub fn cloud_role(rendered: &Rendered) -> Vec<Finding> {
    const ROLE: &str = "eks.amazonaws.com/role-arn";
    let account =
        |name: &str| rendered.objects.iter().find(|object| object.kind() == "ServiceAccount" && object.name() == name);
    let mut findings = Vec::new();
    for object in &rendered.objects {
        let Some(pod) = pod(object) else { continue };
        let role = account(pod.at(&["spec", "serviceAccountName"]).text())
            .map(|account| account.root().at(&["metadata", "annotations", ROLE]));
        let variables: Vec<_> = all_containers(&pod).flat_map(|container| container.get("env").items()).collect();
        let wanted = variables
            .iter()
            .find(|variable| variable.get("name").text() == "AWS_ROLE_ARN")
            .map(|variable| variable.get("value").text());
        let has = role.as_ref().map_or("", |role| role.text());
        if let Some(role) =
            role.as_ref().filter(|_| has != wanted.unwrap_or(has) || (wanted.is_none() && !has.is_empty()))
        {
            findings
                .push(role.finding(format!("the account's role is {}, and the pod asks for {wanted:?}", role.value)));
        }
        let sources =
            pod.at(&["spec", "volumes"]).items().flat_map(|volume| volume.at(&["projected", "sources"]).items());
        for token in sources.map(|source| source.get("serviceAccountToken")).filter(Node::is_set) {
            let (audience, lives) = (token.get("audience"), token.get("expirationSeconds"));
            if audience.text() != "sts.amazonaws.com" {
                findings.push(
                    audience.finding("the token is for another than sts.amazonaws.com: the API server may take it"),
                );
            }
            // Kubernetes gives no token for less than 600 s.
            if !lives.value.as_u64().is_some_and(|secs| (600..=7200).contains(&secs)) {
                findings.push(lives.finding("the token does not live 600 to 7200 s"));
            }
            if wanted.is_none() {
                findings.push(token.finding("a pod without a role has a token to get one"));
            }
        }
    }
    findings
}
