//! What keeps previews apart from each other and from the cluster, and that nothing of one remains.

use std::time::Duration;

use harness::expect;
use harness::k8s::job::{CONNECT, JobSpec};
use kube::api::{Patch, PatchParams};
use serde_json::json;

use super::cluster::{self, UNTIL_CLOSED};
use super::place::{Place, namespace_of};
use super::stores;

impl Place {
    /// The pods of one preview reach none of the other's, and their own.
    pub async fn are_apart(&self, one: &str, two: &str) {
        let target = |number: &str, what: &str, port: u16| format!("jetscale-{what}.jetscale-pr-{number}.svc:{port}");
        let own = target(one, "backend", 8000);
        let others = [target(two, "backend", 8000), target(two, "frontend", 80), target(two, "websocket", 8001)];
        let args = [&[own.as_str(), "--"], &others.each_ref().map(String::as_str)[..]].concat();
        let answer = self.job(&namespace_of(one), "apart", CONNECT, &args, "jetscale.ai/client").await;
        expect!(answer.contains(&format!("{own} open")), "{answer}").unwrap();
        for target in others {
            expect!(answer.contains(&format!("{target} closed")), "{answer}").unwrap();
        }
    }

    /// Whether a policy that shuts a pod in does so here: two pods ask the same, and one of them is shut in.
    pub async fn enforces_policies(&self) -> bool {
        const NAMESPACE: &str = "rehearsal-policies";
        const TARGET: &str = "kubernetes.default.svc:443";
        self.namespace(NAMESPACE, false, "111").await;
        let policy = json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
            "metadata": {"name": "shut", "namespace": NAMESPACE},
            "spec": {"podSelector": {"matchLabels": {"rehearsal/shut": "true"}}, "policyTypes": ["Egress"]},
        });
        harness::k8s::apply(self.client(), &policy).await.unwrap();
        let free = self.job(NAMESPACE, "free", CONNECT, &[TARGET, "--"], "rehearsal/free").await;
        assert!(free.contains(&format!("{TARGET} open")), "the pods' own network does not work: {free}");
        let shut = self.job(NAMESPACE, "shut", UNTIL_CLOSED, &[TARGET], "rehearsal/shut").await;
        assert!(shut.contains("closed") || shut.contains("open"), "{shut}");
        self.remove_namespace(NAMESPACE).await;
        shut.contains("closed")
    }

    /// What a script says that runs in a namespace, in a pod with a label.
    async fn job(&self, namespace: &str, name: &str, script: &str, args: &[&str], label: &str) -> String {
        let command = [&["python", "-c", script], args].concat();
        let mut spec = JobSpec::new(name, self.backend_image(), command);
        spec.labels = [(label.to_owned(), "true".to_owned())].into();
        spec.pull_secrets = vec!["jetscale-pull".to_owned()];
        let job = harness::k8s::job::start(self.client(), namespace, &spec).await.unwrap();
        job.finish().await.unwrap().logs
    }

    /// With all that one preview's api has, it does its own work, and nothing of the other's: no database, no key, no
    /// object, no identity.
    pub async fn share_no_store(&self, one: &str, two: &str) {
        let names = [one, two].map(stores::name_of);
        for name in &names {
            let held = stores::holds(self.client(), name).await;
            for kind in ["database", "login", "user", "role"] {
                assert!(held.contains(&format!("{kind} {name}")), "{name} has no {kind}: {held:?}");
            }
        }
        // So that there is something to be read.
        self.tries(two, one).await;
        let answer = self.tries(one, two).await;
        let says = |name: &str, result: &str| answer.lines().any(|line| line.starts_with(&format!("{name} {result}")));
        for name in ["own-database", "own-key", "own-object", "own-object-read"] {
            assert!(says(name, "allowed"), "{name}:\n{answer}");
        }
        let of_the_other = ["database", "role", "key", "object", "object-written"].map(|what| format!("others-{what}"));
        let of_all = ["all-keys", "all-objects", "a-stranger"].map(str::to_owned);
        for name in of_the_other.iter().chain(&of_all) {
            assert!(says(name, "refused"), "{name}:\n{answer}");
        }
        assert!(says("others-identity", "refused: Refused"), "{answer}");
        assert!(answer.contains("sts:AssumeRoleWithWebIdentity"), "a wrong role is not said:\n{answer}");
    }

    /// In a preview's api: what it may do of its own, and of another's.
    async fn tries(&self, own: &str, other: &str) -> String {
        let namespace = namespace_of(own);
        let (own, other) = (stores::name_of(own), stores::name_of(other));
        let script = include_str!("stores/stranger.py");
        let role = format!("arn:aws:iam::{}:role/jetscale-previews/{other}", stores::ACCOUNT);
        let command = ["python", "-c", script, &own, &other, &role];
        cluster::exec(self.client(), &namespace, "app.kubernetes.io/component=api", &command).await
    }

    /// Takes a preview down, of which nothing remains.
    pub async fn takes_down(&self, number: &str) {
        let down = self.stack(number, &["down"]).run().await;
        assert!(down.passed, "{}", down.text);
        self.is_gone(number).await;
    }

    /// Nothing of a preview remains, in the cluster or in the stores.
    pub async fn is_gone(&self, number: &str) {
        assert!(!self.exists(number).await, "the namespace of pr-{number} remains");
        let left = stores::holds(self.client(), &stores::name_of(number)).await;
        assert!(left.is_empty(), "of pr-{number} there remains {left:?}");
    }

    /// A pod that may do more than `restricted` allows is refused.
    pub async fn is_restricted(&self, number: &str) {
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "strong", "namespace": namespace_of(number)},
            "spec": {"hostNetwork": true, "containers": [{"name": "it", "image": "it", "securityContext": {"privileged": true}}]},
        });
        let error = harness::k8s::apply(self.client(), &pod).await.unwrap_err().report();
        assert!(error.contains("restricted"), "{error}");
    }

    /// A pod that wants more than a preview has is refused.
    pub async fn is_limited(&self, number: &str) {
        let memory = json!({"memory": "64Gi"});
        let security = json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}});
        let container = json!({
            "name": "it", "image": self.backend_image(), "securityContext": security,
            "resources": {"requests": memory, "limits": memory},
        });
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "large", "namespace": namespace_of(number)},
            "spec": {
                "automountServiceAccountToken": false,
                "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
                "containers": [container],
            },
        });
        let error = harness::k8s::apply(self.client(), &pod).await.unwrap_err().report();
        assert!(error.contains("exceeded quota"), "{error}");
    }

    /// Sets or removes a label of a preview's namespace.
    pub async fn label(&self, number: &str, label: &str, value: Option<&str>) {
        let patch = json!({"metadata": {"labels": {label: value}}});
        let api: kube::Api<k8s_openapi::api::core::v1::Namespace> = kube::Api::all(self.client().clone());
        let name = namespace_of(number);
        let (params, patch) = (PatchParams::default(), Patch::Merge(&patch));
        let patched = api.patch(&name, &params, &patch);
        tokio::time::timeout(Duration::from_secs(10), patched).await.unwrap().unwrap();
    }
}
