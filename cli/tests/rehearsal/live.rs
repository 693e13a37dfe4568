//! A release to stage live, as docs/release.md says it: `skaffold deploy --profile live` by somebody who has a cluster with
//! managed stores and no harness. On a Kind cluster of its own, with a Postgres and a Redis in the stores' place.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use harness::files::write_json;
use harness::http::HttpOptions;
use harness::k8s::job::JobSpec;
use harness::k8s::{self, Forward};
use harness::release::Plan;
use harness::session::{Session, Shared};
use harness::sign_in::UserCredentials;
use harness::tools::Tool;
use jetscale::services::{Backend, User};
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};
use tokio::process::Command;

use super::cluster::{UNTIL_CLOSED, converge};
use super::command::Ran;
use super::place::{folder_of, session_on};

const CLUSTER: &str = "rehearsal-live";
/// What kubectl of a release engineer calls the cluster.
const CONTEXT: &str = "live";
/// Where the stand-ins listen: an address of the VPC that values.live.yaml names, which here the node alone has.
const ADDRESS: &str = "10.0.200.1";
/// Where their pods are.
const STORES: &str = "managed-stores";
/// How long Skaffold may take; it waits for the pods.
const DEPLOY: Duration = Duration::from_secs(700);
/// A server's block in CoreDNS' configuration, before which the private zone's names go.
const BEFORE: &str = "    ready\n";

/// The command works, a second time without a change, and what it deployed serves from stores that are elsewhere.
pub async fn is_released() {
    // As on another machine; gone once this process has ended.
    let state = folder_of(CLUSTER).join("state").to_string_lossy().into_owned();
    let (session, shared) = session_on(CLUSTER, &[("XDG_STATE_HOME", &state), ("JETSCALE_KEEP", "never")]).await;
    let (client, plan) = (&shared.cluster.client, &shared.plan);
    empty(&shared).await;
    make_stores(&shared).await;

    let checkout = tempfile::tempdir().unwrap();
    let engineer = Engineer { session: &session, shared: &shared, checkout: checkout.path() };
    engineer.clones().await;
    engineer.deploys().await;

    let api: Api<Deployment> = Api::namespaced(client.clone(), &plan.namespace);
    for (name, replicas) in [("jetscale-backend", 3), ("jetscale-websocket", 2), ("jetscale-frontend", 2)] {
        let status = api.get(name).await.unwrap().status.unwrap();
        assert_eq!(status.available_replicas, Some(replicas), "{name}");
    }
    let sets: Api<StatefulSet> = Api::namespaced(client.clone(), &plan.namespace);
    assert!(
        sets.list(&ListParams::default()).await.unwrap().items.is_empty(),
        "a release to live has stores of its own"
    );
    serves(&shared).await;
    nobody_else_reaches_the_stores(&shared).await;

    let before = pods(client, plan).await;
    engineer.deploys().await;
    assert_eq!(pods(client, plan).await, before, "the same artifacts restarted pods");
}

/// Takes away what the harness deployed. Its Secrets stay, which an administrator makes.
async fn empty(shared: &Shared) {
    let helm = shared.cluster.tools.command(Tool::Helm).await.unwrap();
    let helm = helm.args(["uninstall", &shared.plan.release, "--namespace", &shared.plan.namespace, "--wait"]);
    let helm = helm.args(["--kube-context", &shared.cluster.context]);
    let ended = helm.env("KUBECONFIG", shared.cluster.kubeconfig.to_string()).run().await;
    ended.unwrap_or_else(|error| panic!("{}", error.report()));
}

/// The stores, where values.live.yaml finds them: by the names of a private zone, in the VPC.
async fn make_stores(shared: &Shared) {
    let client = &shared.cluster.client;
    let node = harness::cluster::node_name(&shared.cluster.name);
    let mut add = Command::new("docker");
    add.args(["exec", &node, "ip", "address", "replace"]).arg(format!("{ADDRESS}/32")).args(["dev", "lo"]);
    let added = add.output().await.unwrap();
    assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));

    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": STORES}});
    k8s::apply(client, &namespace).await.unwrap();
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &shared.plan.namespace);
    let password = secrets.get("jetscale-auth").await.unwrap().data.unwrap()["db-password"].clone();
    let metadata = json!({"name": "postgres", "namespace": STORES});
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": {"password": password}});
    k8s::apply(client, &secret).await.unwrap();
    let image = |name: &str| shared.plan.artifacts.get(name).unwrap().tag.by_digest();
    let password = json!({"secretKeyRef": {"name": "postgres", "key": "password"}});
    let postgres = json!({
        "name": "postgres", "image": image("postgres"), "args": ["-c", format!("listen_addresses={ADDRESS}"), "-c", "fsync=off"],
        "env": [
            {"name": "POSTGRES_USER", "value": "jetscale"}, {"name": "POSTGRES_DB", "value": "jetscale"},
            {"name": "POSTGRES_PASSWORD", "valueFrom": password},
        ],
        "readinessProbe": {"tcpSocket": {"host": ADDRESS, "port": 5432}, "periodSeconds": 2},
    });
    let redis = json!({
        "name": "redis", "image": image("redis"),
        "args": ["redis-server", "--bind", ADDRESS, "--protected-mode", "no", "--save", ""],
        "readinessProbe": {"tcpSocket": {"host": ADDRESS, "port": 6379}, "periodSeconds": 2},
    });
    for container in [postgres, redis] {
        k8s::apply(client, &store(&container)).await.unwrap();
    }
    by_name(client).await;
    converge(client, STORES, &["postgres", "redis"]).await;
}

/// A Deployment of one container in the node's own network.
fn store(container: &Value) -> Value {
    let labels = json!({"app": container["name"]});
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": container["name"], "namespace": STORES},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"hostNetwork": true, "containers": [container]}},
        },
    })
}

/// Makes the private zone's names known to the cluster's name server, and one of that.
async fn by_name(client: &Client) {
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), "kube-system");
    let text = maps.get("coredns").await.unwrap().data.unwrap()["Corefile"].clone();
    assert!(text.contains(BEFORE), "{text}");
    if text.contains(ADDRESS) {
        return;
    }
    let names = ["postgres", "redis"].map(|name| format!("        {ADDRESS} {name}.live.jetscale.internal\n")).concat();
    let text = text.replacen(BEFORE, &format!("{BEFORE}    hosts {{\n{names}        fallthrough\n    }}\n"), 1);
    let patch = json!({"data": {"Corefile": text}});
    maps.patch("coredns", &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
    // A new pod, or it would be read in half a minute. A release to live asks for half of what a node of two processors has, and
    // the cluster's own for the rest: one name server of few requests is enough here, and nothing asks for a volume.
    let container = json!({"name": "coredns", "resources": {"requests": {"cpu": "10m"}}});
    let template = json!({"metadata": {"annotations": {"rehearsal": "live"}}, "spec": {"containers": [container]}});
    let servers = ("kube-system", "coredns", json!({"spec": {"replicas": 1, "template": template}}));
    let volumes = ("local-path-storage", "local-path-provisioner", json!({"spec": {"replicas": 0}}));
    for (namespace, name, patch) in [servers, volumes] {
        let deployments: Api<Deployment> = Api::namespaced(client.clone(), namespace);
        deployments.patch(name, &PatchParams::default(), &Patch::Strategic(&patch)).await.unwrap();
        converge(client, namespace, &[name]).await;
    }
}

/// Who releases: with a clone, an artifact set and a kubeconfig, and nothing of the harness.
struct Engineer<'a> {
    session: &'a Arc<Session>,
    shared: &'a Shared,
    checkout: &'a Path,
}

impl Engineer<'_> {
    /// What docs/release.md asks for beforehand.
    async fn clones(&self) {
        let root = &self.session.project.root;
        let cloned =
            Command::new("git").args(["clone", "--quiet"]).arg(root).arg(self.checkout).output().await.unwrap();
        assert!(cloned.status.success(), "{}", String::from_utf8_lossy(&cloned.stderr));
        write_json(&self.checkout.join("artifacts.json"), &self.shared.plan.artifacts).unwrap();
        let mut config = serde_json::to_value(self.shared.cluster.kubeconfig.read().unwrap()).unwrap();
        config["contexts"][0]["name"] = json!(CONTEXT);
        config["current-context"] = json!("");
        write_json(&self.checkout.join("kubeconfig"), &config).unwrap();
    }

    /// The lines of docs/release.md, in a shell.
    async fn deploys(&self) {
        let text = std::fs::read_to_string(self.checkout.join("docs/release.md")).unwrap();
        let lines: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("    ")).collect();
        let lines =
            lines.into_iter().filter(|line| line.contains("helm dependency") || line.contains("skaffold deploy"));
        let script = lines.map(|line| line.replace("$CONTEXT", CONTEXT)).collect::<Vec<_>>();
        assert_eq!(script.len(), 2, "docs/release.md has other lines: {script:?}");
        let path = self.session.tools.path_of_skaffold().await.unwrap();
        let mut shell = Command::new("sh");
        shell.args(["-ec", &script.join("\n")]).current_dir(self.checkout).env("PATH", path).kill_on_drop(true);
        shell.env("KUBECONFIG", self.checkout.join("kubeconfig")).env("HOME", self.checkout);
        let output = tokio::time::timeout(DEPLOY, shell.output()).await.expect("it did not end").unwrap();
        let ran = Ran::of(output);
        assert!(ran.passed, "{}", ran.text);
    }
}

/// Through the router, as whoever comes in by the load balancer: every part is well, it is what was released, and an item is
/// stored.
async fn serves(shared: &Shared) {
    let plan = &shared.plan;
    let selector = plan.selector(&jetscale::components::FRONTEND);
    let forward = Forward::open(shared.cluster.client.clone(), &plan.namespace, &selector, 8080).await.unwrap();
    let options: HttpOptions = forward.options();
    let backend = Backend::new(harness::http::Reader::with(options.clone()).unwrap());
    let readiness = backend.becomes_ready().await.unwrap_or_else(|error| panic!("{}", error.report()));
    for part in ["database", "redis"] {
        assert_eq!(readiness.components.get(part).map(String::as_str), Some("ok"), "{part}");
    }
    assert!(backend.version().await.unwrap().is(plan.revision()), "another revision serves");
    let secrets: Api<Secret> = Api::namespaced(shared.cluster.client.clone(), &plan.namespace);
    let data = secrets.get("jetscale-auth").await.unwrap().data.unwrap();
    let text = |key: &str| String::from_utf8(data[key].0.clone()).unwrap();
    let credentials = UserCredentials { login: text("admin-email"), password: text("admin-password") };
    let user = User::sign_in(harness_http::writer(options).unwrap(), &credentials).await.unwrap();
    let item = user.create_item("released").await.unwrap();
    assert_eq!(user.item(&item.id).await.unwrap(), item);
}

/// That the backend reaches its stores is a policy's doing: a pod of the release that none lets out does not.
async fn nobody_else_reaches_the_stores(shared: &Shared) {
    let (client, namespace) = (&shared.cluster.client, &shared.plan.namespace);
    let image = shared.plan.artifacts.get("backend").unwrap().tag.by_digest();
    let asks = async |name: &str, target: &str| {
        let mut spec = JobSpec::new(name, &image, ["python", "-c", UNTIL_CLOSED, target]);
        spec.labels = [("app.kubernetes.io/instance".to_owned(), shared.plan.release.clone())].into();
        k8s::job::start(client, namespace, &spec).await.unwrap().finish().await.unwrap().logs
    };
    // Where not even the API server is out of reach, the cluster's network enforces no policy.
    if asks("policies", "kubernetes.default.svc:443").await.contains("closed") {
        let answer = asks("stranger", &format!("{ADDRESS}:5432")).await;
        assert!(answer.contains("closed"), "a pod without a policy of its own reaches the database: {answer}");
    }
}

/// The names of the release's pods, and not of those that only asked.
async fn pods(client: &Client, plan: &Plan) -> Vec<String> {
    let api: Api<Pod> = Api::namespaced(client.clone(), &plan.namespace);
    let serving = ListParams::default().labels("app.kubernetes.io/component");
    let mut names: Vec<_> = api.list(&serving).await.unwrap().iter().map(ResourceExt::name_any).collect();
    names.sort();
    names
}
