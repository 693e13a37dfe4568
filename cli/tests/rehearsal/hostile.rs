//! A pull request whose author may write everything in it: the charts, and the artifact set.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use futures::StreamExt;
use serde_json::{Value, json};

use super::command::{Call, copy};
use super::place::Place;

/// Its number, which never gets a namespace.
const NUMBER: &str = "150";
/// How many are tried at once.
const AT_ONCE: usize = 3;

/// Something hostile, and what is said of it.
pub struct Try {
    name: &'static str,
    says: &'static str,
    plant: Plant,
}

enum Plant {
    /// A change of the charts' tree.
    Charts(Box<dyn Fn(&Path) + Send + Sync>),
    /// A template more.
    Template(String),
    /// A change of the artifact set.
    Artifacts(fn(&mut Value)),
}

fn charts(name: &'static str, says: &'static str, plant: impl Fn(&Path) + Send + Sync + 'static) -> Try {
    Try { name, says, plant: Plant::Charts(Box::new(plant)) }
}

/// The umbrella's one dependency is called so.
fn dependency(name: &'static str, called: &'static str, says: &'static str) -> Try {
    charts(name, says, move |charts| {
        let text = format!(
            "apiVersion: v2\nname: app\nversion: 0.1.0\ndependencies:\n- {{name: {called}, version: 0.1.0, repository: file://../backend}}\n"
        );
        std::fs::write(charts.join("app/Chart.yaml"), text).unwrap();
    })
}

fn template(name: &'static str, says: &'static str, object: Value) -> Try {
    text(name, says, &object.to_string())
}

fn text(name: &'static str, says: &'static str, text: &str) -> Try {
    Try { name, says, plant: Plant::Template(text.to_owned()) }
}

fn artifacts(name: &'static str, says: &'static str, plant: fn(&mut Value)) -> Try {
    Try { name, says, plant: Plant::Artifacts(plant) }
}

/// A Deployment with this in its pod's specification.
fn pod(name: &'static str, says: &'static str, more: Value) -> Try {
    let mut spec = json!({"automountServiceAccountToken": false, "containers": [{"name": "c", "image": "IMAGE"}]});
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let object = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "mine"}, "spec": {"template": {"spec": spec}}});
    template(name, says, object)
}

/// A container of it with this.
fn container(name: &'static str, says: &'static str, more: Value) -> Try {
    let mut container = json!({"name": "c", "image": "IMAGE"});
    container.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    pod(name, says, json!({"containers": [container]}))
}

fn object(kind: [&str; 2], metadata: Value, spec: Value) -> Value {
    let mut metadata = metadata;
    metadata["name"] = "mine".into();
    json!({"apiVersion": kind[0], "kind": kind[1], "metadata": metadata, "spec": spec})
}

fn policy(name: &'static str, says: &'static str, spec: Value) -> Try {
    template(name, says, object(["networking.k8s.io/v1", "NetworkPolicy"], json!({}), spec))
}

fn odd(name: &'static str, says: &'static str, make: fn(&Path) -> std::io::Result<()>) -> Try {
    charts(name, says, move |charts| make(&charts.join("backend")).unwrap())
}

const SERVICE: [&str; 2] = ["v1", "Service"];
const MAP: [&str; 2] = ["v1", "ConfigMap"];

fn tries() -> Vec<Try> {
    let annotated = |name: &str, value: &str| json!({"annotations": {name: value}});
    let secret = json!({"secretKeyRef": {"name": "jetscale-pull", "key": ".dockerconfigjson"}});
    let bomb = (1..9).fold("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned(), |mut text, at| {
        let _ = writeln!(text, "a{at}: &a{at} [{}]", vec![format!("*a{}", at - 1); 10].join(","));
        text
    });
    vec![
        dependency("an absolute name", "/jetscale-hostile", "\"/jetscale-hostile\" is no name"),
        dependency("a name that leads up", "../x", "\"../x\" is no name"),
        dependency("a name of two parts", "a/b", "\"a/b\" is no name"),
        dependency("a name that is a dot", "'.'", "\".\" is no name"),
        dependency("an empty name", "''", "\"\" is no name"),
        dependency("a name with NUL", "\"a\\0b\"", "\"a\\0b\" is no name"),
        dependency("a name's case twin", "Backend", "\"Backend\" is no name"),
        charts("a dependency elsewhere", "names the dependency backend at file:///etc", |charts| {
            let file = charts.join("app/Chart.yaml");
            let text = std::fs::read_to_string(&file).unwrap();
            std::fs::write(file, text.replace("file://../backend", "file:///etc")).unwrap();
        }),
        charts("a dependency twice", "names the dependency backend twice", |charts| {
            let file = charts.join("app/Chart.yaml");
            let text = std::fs::read_to_string(&file).unwrap();
            std::fs::write(file, text.replace("name: frontend", "name: backend")).unwrap();
        }),
        odd("a link", "files is a symbolic link", |chart| std::os::unix::fs::symlink("/etc", chart.join("files"))),
        charts("a link for a chart", "backend is no folder", |charts| {
            std::fs::rename(charts.join("backend"), charts.join("other")).unwrap();
            std::os::unix::fs::symlink("other", charts.join("backend")).unwrap();
        }),
        odd("a file's case twin", "but for upper and lower case", |chart| std::fs::write(chart.join("chart.YAML"), "")),
        odd("a pipe", "is no plain file", |chart| {
            let made = std::process::Command::new("mkfifo").arg(chart.join("pipe")).status()?;
            made.success().then_some(()).ok_or_else(|| std::io::Error::other("mkfifo failed"))
        }),
        odd("a file without end", "is too large", |chart| std::fs::File::create(chart.join("large"))?.set_len(1 << 40)),
        artifacts("an image's name that leads up", "\"..\" is no name", |set| set["builds"][0]["imageName"] = "../x".into()),
        artifacts("an image's name that is arguments", "is no name", |set| {
            set["builds"][0]["imageName"] = "ingress.host=app.jetscale.ai,x".into();
        }),
        artifacts("one image more", "has miner too", |set| {
            let mut more = set["builds"][0].clone();
            more["imageName"] = "miner".into();
            set["builds"].as_array_mut().unwrap().push(more);
        }),
        artifacts("an image by its tag", "it has no digest", |set| set["builds"][0]["tag"] = "r.example/x:latest".into()),
        template("a namespace", "Namespace is no kind", object(["v1", "Namespace"], json!({}), json!({}))),
        template("a role", "ClusterRole is no kind", object(["rbac.authorization.k8s.io/v1", "ClusterRole"], json!({}), json!({}))),
        template("a pod of its own", "Pod is no kind", object(["v1", "Pod"], json!({}), json!({}))),
        template("another namespace", "not for jetscale-pr-150", object(MAP, json!({"namespace": "kube-system"}), Value::Null)),
        template("a finalizer", "field finalizers", object(MAP, json!({"finalizers": ["a.example/b"]}), Value::Null)),
        template("a hook", "it is a hook", object(MAP, annotated("helm.sh/hook", "pre-install"), Value::Null)),
        template("what stays", "helm.sh/resource-policy", object(MAP, annotated("helm.sh/resource-policy", "keep"), Value::Null)),
        text("a reserved name", "the harness's own", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: jetscale-preview}\n"),
        text("a key that stands twice", "the key \"kind\" stands twice", "apiVersion: v1\nkind: ConfigMap\nkind: Namespace\nmetadata: {name: mine}\n"),
        text("a bomb", "excessive aliasing", &format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: mine}}\ndata:\n  x: &x y\n{bomb}")),
        text("a page too long", "350 are the most", &json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "mine"}, "data": {"x": "y".repeat(400 << 10)}}).to_string()),
        template("production's host", "its host is \"app.jetscale.ai\"", object(["networking.k8s.io/v1", "Ingress"], json!({}), json!({"rules": [{"host": "app.jetscale.ai"}]}))),
        template("a load balancer", "its type is LoadBalancer", object(SERVICE, json!({}), json!({"type": "LoadBalancer"}))),
        template("a way out", "its type is ExternalName", object(SERVICE, json!({}), json!({"type": "ExternalName", "externalName": "x"}))),
        template("a DNS record", "external-dns", object(SERVICE, annotated("external-dns.alpha.kubernetes.io/hostname", "app.jetscale.ai"), json!({}))),
        template("a role at AWS", "role/admin", json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "mine", "annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/admin"}}})),
        policy("all namespaces", "opens the preview to", json!({"ingress": [{"from": [{"namespaceSelector": {}}]}]})),
        policy("the nodes' network", "opens the preview to", json!({"egress": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}]})),
        policy("everywhere", "reach every address", json!({"egress": [{}]})),
        policy("everywhere by IPv6", "opens the preview to", json!({"egress": [{"to": [{"ipBlock": {"cidr": "::/0"}}]}]})),
        pod("a priority", "field priorityClassName", json!({"priorityClassName": "system-cluster-critical"})),
        pod("a long end", "3600 s to end", json!({"terminationGracePeriodSeconds": 3600})),
        pod("the node's files", "field hostPath", json!({"volumes": [{"name": "v", "hostPath": {"path": "/"}}]})),
        pod("a token for another", "the audience \"vault\"", json!({"volumes": [{"name": "v", "projected": {"sources": [{"serviceAccountToken": {"audience": "vault", "path": "t"}}]}}]})),
        pod("the pull secret as a file", "\"jetscale-pull\"", json!({"volumes": [{"name": "v", "secret": {"secretName": "jetscale-pull"}}]})),
        container("the pull secret as a variable", "\"jetscale-pull\"", json!({"env": [{"name": "V", "valueFrom": secret}]})),
        container("another image", "its image is", json!({"image": "evil.example/x@sha256:0"})),
        container("a probe of the node's own", "lets the node ask", json!({"livenessProbe": {"httpGet": {"host": "169.254.169.254", "port": 80}}})),
    ]
}

/// Each is refused by its own error before anything is applied, and no file outside of what the command stages is another.
pub async fn is_refused(place: &Place) {
    let tries = tries();
    assert!(tries.len() >= 30);
    let before = outside(place);
    // Made first: a closure in the stream would have to hold for every lifetime.
    let refusals: Vec<_> = tries.iter().map(|attempt| refused(place, attempt)).collect();
    let failures: Vec<Option<String>> = futures::stream::iter(refusals).buffer_unordered(AT_ONCE).collect().await;
    let failures: Vec<String> = failures.into_iter().flatten().collect();
    assert!(failures.is_empty(), "{} of {}:\n{}", failures.len(), tries.len(), failures.join("\n"));
    assert!(!place.exists(NUMBER).await, "something was applied");
    assert_eq!(before, outside(place), "files outside of what is staged were changed");
}

async fn refused(place: &Place, attempt: &Try) -> Option<String> {
    let call = plant(place, attempt);
    let before = given(call.folder.path());
    let (ran, folder) = call.run_and_keep().await;
    let Try { name, says, .. } = attempt;
    if ran.passed || !ran.text.contains(says) {
        return Some(format!("{name}: there is no {says:?} in:\n{}", ran.text));
    }
    (before != given(folder.path())).then(|| format!("{name}: what was given is another now"))
}

fn plant(place: &Place, attempt: &Try) -> Call {
    let call = place.up(NUMBER);
    let folder = call.folder.path().to_owned();
    let image = place.backend_image();
    match &attempt.plant {
        Plant::Template(text) => call.with_charts(place, &text.replace("IMAGE", &image)),
        Plant::Charts(change) => {
            let charts = folder.join("charts");
            copy(&place.checkout().join("charts"), &charts);
            change(&charts);
            call.with("JETSCALE_CHARTS_DIR", &charts.to_string_lossy())
        }
        Plant::Artifacts(change) => {
            let mut set = place.artifacts();
            change(&mut set);
            let file = folder.join("artifacts.json");
            std::fs::write(&file, set.to_string()).unwrap();
            call.with("JETSCALE_ARTIFACTS", &file.to_string_lossy())
        }
    }
}

/// The content of every file that the pull request gave.
fn given(folder: &Path) -> BTreeMap<PathBuf, String> {
    contents(&folder.join("charts")).into_iter().chain(contents(&folder.join("artifacts.json"))).collect()
}

/// The content of every file that a path could have led to: the checkout's own, and the names that were tried.
fn outside(place: &Place) -> BTreeMap<PathBuf, String> {
    let root = place.checkout();
    let own = ["apps", "charts", "cli", "deploy", "docs", "e2e", "harness", "kind", "skaffold.yaml", "Cargo.toml"];
    let tried = ["/jetscale-hostile", "/x"].map(PathBuf::from);
    own.iter().map(|name| root.join(name)).chain(tried).flat_map(|path| contents(&path)).collect()
}

fn contents(path: &Path) -> BTreeMap<PathBuf, String> {
    let Ok(found) = std::fs::symlink_metadata(path) else { return BTreeMap::new() };
    if found.is_dir() {
        let entries = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
        return entries.flat_map(|entry| contents(&entry)).collect();
    }
    let content = match found.is_file() && found.len() < 1 << 30 {
        true => harness::hash::file(path).unwrap(),
        false => format!("{:?} of {} bytes", found.file_type(), found.len()),
    };
    BTreeMap::from([(path.to_owned(), content)])
}
