//! What the cluster refuses by itself, asked by the deployer past the harness, with `dryRun=All`.

use harness::k8s;
use kube::api::{DeleteParams, DynamicObject, PostParams};
use kube::core::GroupVersionKind;
use kube::discovery::ApiResource;
use kube::{Api, Client};
use serde_json::{Value, json};

use super::place::{Place, namespace_of};

const IMAGE: &str = "registry.example/x@sha256:0000000000000000000000000000000000000000000000000000000000000000";

/// An object that is taken, but for what `change` puts at a place of it.
struct Object {
    kind: [&'static str; 2],
    value: Value,
}

fn restricted() -> Value {
    json!({"allowPrivilegeEscalation": false, "runAsNonRoot": true, "capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"}})
}

fn pod() -> Value {
    json!({"automountServiceAccountToken": false, "terminationGracePeriodSeconds": 20, "containers": [{"name": "c", "image": IMAGE, "securityContext": restricted()}]})
}

fn deployment() -> Object {
    let labels = json!({"app": "x"});
    let template = json!({"metadata": {"labels": labels}, "spec": pod()});
    Object {
        kind: ["apps/v1", "Deployment"],
        value: json!({"spec": {"selector": {"matchLabels": labels}, "template": template}}),
    }
}

fn cron_job() -> Object {
    let mut spec = pod();
    spec["restartPolicy"] = "Never".into();
    let value = json!({"spec": {"schedule": "* * * * *", "jobTemplate": {"spec": {"template": {"spec": spec}}}}});
    Object { kind: ["batch/v1", "CronJob"], value }
}

fn service() -> Object {
    Object { kind: ["v1", "Service"], value: json!({"spec": {"ports": [{"port": 80}]}}) }
}

fn ingress(number: &str) -> Object {
    let path =
        json!({"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "x", "port": {"number": 80}}}});
    let rule = json!({"host": format!("pr-{number}.app.jetscale.ai"), "http": {"paths": [path]}});
    Object { kind: ["networking.k8s.io/v1", "Ingress"], value: json!({"spec": {"rules": [rule]}}) }
}

fn policy() -> Object {
    let value = json!({"spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}});
    Object { kind: ["networking.k8s.io/v1", "NetworkPolicy"], value }
}

fn account() -> Object {
    Object { kind: ["v1", "ServiceAccount"], value: json!({}) }
}

fn map() -> Object {
    Object { kind: ["v1", "ConfigMap"], value: json!({}) }
}

impl Object {
    fn with(mut self, place: &str, value: Value) -> Self {
        let mut at = &mut self.value;
        for step in place.split('/') {
            at = match step.parse::<usize>() {
                Ok(index) => &mut at[index],
                Err(_) => &mut at[step],
            };
        }
        *at = value;
        self
    }

    async fn create(mut self, client: &Client, namespace: &str) -> Result<(), String> {
        let [version, kind] = self.kind;
        let (group, version) = version.split_once('/').unwrap_or(("", version));
        let of = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        self.value["apiVersion"] = self.kind[0].into();
        self.value["kind"] = kind.into();
        if self.value["metadata"]["name"].is_null() {
            self.value["metadata"]["name"] = "mine".into();
        }
        let object: DynamicObject = serde_json::from_value(self.value).unwrap();
        let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &of);
        let dry = PostParams { dry_run: true, ..PostParams::default() };
        api.create(&dry, &object).await.map(drop).map_err(|error| error.to_string())
    }
}

fn container(what: &str) -> String {
    format!("spec/template/spec/containers/0/{what}")
}

fn tries() -> Vec<(Object, &'static str)> {
    let token = |audience: Value| {
        let source = json!({"serviceAccountToken": {"audience": audience, "path": "t"}});
        json!([{"name": "v", "projected": {"sources": [source]}}])
    };
    let pull = json!({"secretKeyRef": {"name": "jetscale-pull", "key": "x"}});
    let (pods, peers) = ("spec/template/spec", json!([{"ipBlock": {"cidr": "10.0.0.0/8"}}]));
    let http = |host: &str| json!({"httpGet": {"host": host, "port": 80}});
    vec![
        (deployment().with(&container("image"), "nginx:latest".into()), "one by its digest"),
        (
            cron_job().with("spec/jobTemplate/spec/template/spec/containers/0/image", "nginx".into()),
            "one by its digest",
        ),
        (
            deployment().with(
                &format!("{pods}/initContainers"),
                json!([{"name": "i", "image": "nginx", "securityContext": restricted()}]),
            ),
            "one by its digest",
        ),
        (deployment().with(&container("env"), json!([{"name": "V", "valueFrom": pull}])), "does not read the Secret"),
        (
            deployment().with(&container("envFrom"), json!([{"secretRef": {"name": "jetscale-pull"}}])),
            "does not read the Secret",
        ),
        (
            deployment()
                .with(&format!("{pods}/volumes"), json!([{"name": "v", "secret": {"secretName": "jetscale-pull"}}])),
            "does not read the Secret",
        ),
        (
            deployment().with(
                &format!("{pods}/volumes"),
                json!([{"name": "v", "projected": {"sources": [{"secret": {"name": "jetscale-pull"}}]}}]),
            ),
            "does not read the Secret",
        ),
        (deployment().with(&format!("{pods}/automountServiceAccountToken"), true.into()), "has no token"),
        (deployment().with(&format!("{pods}/automountServiceAccountToken"), Value::Null), "has no token"),
        (deployment().with(&format!("{pods}/volumes"), token("vault".into())), "has no token"),
        (deployment().with(&format!("{pods}/volumes"), token(Value::Null)), "has no token"),
        (deployment().with(&container("livenessProbe"), http("169.254.169.254")), "ask the pod itself"),
        (
            deployment().with(&container("startupProbe"), json!({"tcpSocket": {"host": "10.0.0.1", "port": 80}})),
            "ask the pod itself",
        ),
        (deployment().with(&container("lifecycle"), json!({"preStop": http("10.0.0.1")})), "ask the pod itself"),
        (deployment().with(&format!("{pods}/priorityClassName"), "system-cluster-critical".into()), "has no priority"),
        (deployment().with(&format!("{pods}/nodeName"), "node".into()), "neither its node"),
        (deployment().with(&format!("{pods}/tolerations"), json!([{"operator": "Exists"}])), "neither its node"),
        (deployment().with(&format!("{pods}/schedulerName"), "mine".into()), "neither its node"),
        (deployment().with(&format!("{pods}/terminationGracePeriodSeconds"), 3600.into()), "ends within 60 s"),
        (deployment().with("metadata/finalizers", json!(["a.example/b"])), "no finalizer"),
        (map().with("metadata/finalizers", json!(["a.example/b"])), "no finalizer"),
        (service().with("spec/type", "NodePort".into()), "ClusterIP"),
        (service().with("spec/externalIPs", json!(["10.0.0.1"])), "ClusterIP"),
        (
            service().with("metadata/annotations", json!({"external-dns.alpha.kubernetes.io/hostname": "x"})),
            "have no annotations",
        ),
        (ingress("153"), "the preview's own host"),
        (ingress("152").with("spec/tls", json!([{"hosts": ["app.jetscale.ai"]}])), "the preview's own host"),
        (ingress("152").with("metadata/annotations", json!({"x.example/y": "z"})), "have no annotations"),
        (policy().with("spec/ingress", json!([{}])), "is reached from its own namespace"),
        (
            policy().with("spec/ingress", json!([{"from": [{"namespaceSelector": {}}]}])),
            "is reached from its own namespace",
        ),
        (policy().with("spec/egress", json!([{}])), "reaches its own namespace"),
        (policy().with("spec/egress", json!([{"to": [{"namespaceSelector": {}}]}])), "reaches its own namespace"),
        (policy().with("spec/egress", json!([{"to": peers}])), "reaches its own namespace"),
        (policy().with("spec/egress", json!([{"to": [{"ipBlock": {"cidr": "::/0"}}]}])), "reaches its own namespace"),
        (
            policy()
                .with("metadata/name", "jetscale-preview".into())
                .with("spec/ingress", json!([{"from": [{"podSelector": {}}]}])),
            "closes every pod",
        ),
        (
            account().with("metadata/annotations", json!({"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/admin"})),
            "own role at AWS",
        ),
    ]
}

/// Each of the objects is refused by its own policy, and those that are as they should be are taken.
pub async fn refuses(place: &Place, number: &str) {
    let (client, namespace) = (place.as_account("deployer").await, namespace_of(number));
    for object in [deployment(), cron_job(), service(), ingress(number), policy(), account(), map()] {
        let kind = object.kind[1];
        object
            .create(&client, &namespace)
            .await
            .unwrap_or_else(|error| panic!("{kind} that is as it should be: {error}"));
    }
    let tries = tries();
    assert!(tries.len() >= 20);
    let mut failures = Vec::new();
    for (object, says) in tries {
        let about = format!("{} {}", object.kind[1], object.value);
        match object.create(&client, &namespace).await {
            Err(error) if error.contains("ValidatingAdmissionPolicy 'jetscale-preview-") && error.contains(says) => {}
            other => failures.push(format!("{about}: there is no {says:?} in {other:?}")),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));

    let quota = |hard: Value| Object {
        kind: ["v1", "ResourceQuota"],
        value: json!({"metadata": {"name": "jetscale-preview"}, "spec": {"hard": hard}}),
    };
    let most = place.quota().await;
    quota(most.clone()).create(&client, &namespace).await.unwrap();
    let (mut more, mut fewer) = (most.clone(), most);
    more["requests.memory"] = "2049Mi".into();
    fewer.as_object_mut().unwrap().remove("count/secrets");
    for hard in [more, fewer, json!({})] {
        let error = quota(hard.clone()).create(&client, &namespace).await.unwrap_err();
        assert!(error.contains("what the cluster's quota gives"), "{hard}: {error}");
    }

    let closing = json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {"name": "jetscale-preview", "namespace": namespace},
        "spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]},
    });
    k8s::apply(&client, &closing).await.unwrap();
    let policies: Api<k8s_openapi::api::networking::v1::NetworkPolicy> = Api::namespaced(client, &namespace);
    let dry = DeleteParams { dry_run: true, ..DeleteParams::default() };
    let error = policies.delete("jetscale-preview", &dry).await.unwrap_err().to_string();
    assert!(error.contains("goes with its namespace"), "{error}");
}
