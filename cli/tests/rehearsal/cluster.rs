//! What the rehearsal asks of the cluster.

use harness::k8s::snapshot::Watched;
use harness::k8s::verdict::deployment_converged;
use harness::k8s::{self, Snapshot, State};
use k8s_openapi::api::authentication::v1::TokenRequest;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Namespace, Pod, Secret, ServiceAccount};
use kube::api::{AttachParams, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt};
use serde_json::json;
use tokio::io::AsyncReadExt;

use super::place::LIMIT;

/// Asks until it is refused: a policy is heard of a moment after its pod starts.
pub const UNTIL_CLOSED: &str = r#"
import socket, sys, time
host, port = sys.argv[1].rsplit(":", 1)
end = time.monotonic() + 15
while time.monotonic() < end:
    try:
        socket.create_connection((host, int(port)), timeout=4).close()
    except OSError:
        print("closed", flush=True)
        break
    time.sleep(0.2)
else:
    print("open", flush=True)
"#;

pub const NAMESPACE_TEMPLATE: &str = "apiVersion: v1\nkind: Namespace\nmetadata: {name: mine}\n";
pub const HOST_TEMPLATE: &str = "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: mine}\nspec: {rules: [{host: app.jetscale.ai}]}\n";
pub const LOOKUP_TEMPLATE: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: mine}\ndata:\n  found: {{ lookup \"v1\" \"ConfigMap\" .Release.Namespace \"mine\" | toJson | quote }}\n  upgrade: {{ .Release.IsUpgrade | quote }}\n";

/// Asks for a namespace's deletion, without waiting for it; where it is to be refused, only whether it would be done.
pub async fn delete(client: &Client, name: &str, dry_run: bool) -> kube::Result<()> {
    let params = DeleteParams { dry_run, ..DeleteParams::default() };
    Api::<Namespace>::all(client.clone()).delete(name, &params).await.map(drop)
}

/// Puts a preview's labels on a namespace.
pub async fn adopt(client: &Client, name: &str) -> kube::Result<()> {
    let number = harness::preview::PullRequest::of_namespace(name).unwrap();
    let labels = harness::preview::labels(number, "abcdef0", 1, harness::preview::now() + 60);
    let patch = json!({"metadata": {"labels": labels}});
    let api = Api::<Namespace>::all(client.clone());
    api.patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await.map(drop)
}

/// Whether the deployer's role could be bound in a namespace.
pub async fn bind(client: &Client, namespace: &str) -> kube::Result<()> {
    use k8s_openapi::api::rbac::v1::RoleBinding;
    let binding: RoleBinding = serde_json::from_value(json!({
        "metadata": {"name": "mine"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "jetscale-preview-namespace"},
        "subjects": [{"kind": "ServiceAccount", "name": "deployer", "namespace": "jetscale-previews"}],
    }))
    .unwrap();
    let params = PostParams { dry_run: true, ..PostParams::default() };
    Api::namespaced(client.clone(), namespace).create(&params, &binding).await.map(drop)
}

/// Whether a Lease of the previews' namespace could be deleted.
pub async fn delete_lease(client: &Client, name: &str) -> kube::Result<()> {
    let params = DeleteParams { dry_run: true, ..DeleteParams::default() };
    Api::<Lease>::namespaced(client.clone(), "jetscale-previews").delete(name, &params).await.map(drop)
}

/// Lists a namespace's Secrets.
pub async fn secrets(client: &Client, namespace: &str) -> kube::Result<usize> {
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    api.list_metadata(&ListParams::default()).await.map(|found| found.items.len())
}

/// A token of a ServiceAccount for an audience; without one, for the API server.
pub async fn token(client: &Client, namespace: &str, account: &str, audiences: &[&str]) -> String {
    let api: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace);
    let request = json!({"metadata": {}, "spec": {"audiences": audiences, "expirationSeconds": 7200}});
    let request: TokenRequest = serde_json::from_value(request).unwrap();
    let made = api.create_token_request(account, &PostParams::default(), &request).await.unwrap();
    made.status.unwrap().token
}

/// Runs a command in the one pod of a selector, and gives what it wrote; panics with it when it fails.
pub async fn exec(client: &Client, namespace: &str, selector: &str, command: &[&str]) -> String {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let found = pods.list(&ListParams::default().labels(selector)).await.unwrap();
    let name = found.items.first().unwrap_or_else(|| panic!("no pod {selector} in {namespace}")).name_any();
    let run = async {
        let mut process = pods.exec(&name, command.to_vec(), &AttachParams::default()).await.unwrap();
        let (mut out, mut err) = (process.stdout().unwrap(), process.stderr().unwrap());
        let (mut text, mut errors) = (String::new(), String::new());
        let (out, err) = tokio::join!(out.read_to_string(&mut text), err.read_to_string(&mut errors));
        out.and(err).unwrap();
        let status = process.take_status().unwrap().await;
        let succeeded = status.as_ref().is_some_and(|status| status.status.as_deref() == Some("Success"));
        assert!(succeeded, "{command:?} in {name}: {status:?}\n{text}{errors}");
        text
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), run).await.expect("it did not end")
}

/// Waits until these Deployments, which play what an administrator has elsewhere, serve.
pub async fn converge(client: &Client, namespace: &str, names: &[&str]) {
    let kinds = [Watched::Deployments, Watched::ReplicaSets, Watched::Pods, Watched::Warnings];
    let ready = |seen: &Snapshot| {
        let mut states = names.iter().map(|name| deployment_converged(seen, name));
        states.find(|state| *state != State::Ready).unwrap_or(State::Ready)
    };
    let waited = k8s::wait::wait_on(
        client,
        namespace,
        &kinds,
        &format!("what plays the managed stores in {namespace}"),
        LIMIT,
        ready,
    )
    .await;
    waited.unwrap_or_else(|error| panic!("{}", error.report()));
}
