//! Where it is rehearsed: stage local's cluster and artifacts, an edge for previews, a deployer by an exec plugin, and
//! the chart that an administrator installs.

use std::future::Future;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, PoisonError, RwLock};
use std::time::Duration;

use harness::cluster::edge::previews::PreviewsEdge;
use harness::files::write_json;
use harness::k8s::{self, Forward, State, job};
use harness::preview::PullRequest;
use harness::session::{Session, Shared};
use harness::settings::Settings;
use harness::stage::Stage;
use harness::tools::Tool;
use k8s_openapi::api::batch::v1::CronJob;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, PersistentVolume, Pod, Secret};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::config::Kubeconfig;
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Mutex, OnceCell};

use super::cluster::{bind, delete, token};
use super::command::Call;
use super::github::GitHub;
use super::{stores, suite};

const CONTEXT: &str = "rehearsal-preview";
pub const PREVIEWS: &str = "jetscale-previews";
pub const LIMIT: Duration = Duration::from_secs(120);

/// Provisioning, unoptimised, is deeper than a thread's usual stack.
const STACK: usize = 32 << 20;

/// Clients are bound to the runtime that made them: one for all tests.
static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_multi_thread().thread_stack_size(STACK).enable_all().build().unwrap());
/// Who stops what all use has nobody beside him.
static BESIDE_OTHERS: RwLock<()> = RwLock::new(());
static PLACE: OnceCell<Place> = OnceCell::const_new();

/// The namespace of a pull request's preview.
pub fn namespace_of(number: &str) -> String {
    PullRequest::parse(number).unwrap().namespace()
}

/// What a cluster's rehearsal writes; apart from the suites' runs, which a report looks for.
pub fn folder_of(cluster: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("preview-{cluster}"))
}

/// Runs a trial, alone if that is wanted, and panics as it did: what a trial's own thread panics with is its failure's text.
pub fn rehearse<T: Send + 'static>(trial: impl Future<Output = T> + Send + 'static, alone: bool) -> T {
    let (_others, _alone) = match alone {
        true => (None, Some(BESIDE_OTHERS.write().unwrap_or_else(PoisonError::into_inner))),
        false => (Some(BESIDE_OTHERS.read().unwrap_or_else(PoisonError::into_inner)), None),
    };
    RUNTIME.block_on(RUNTIME.spawn(trial)).unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}

/// A session of stage local's with its release, on a cluster of these variables.
pub async fn session_on(cluster: &str, variables: &[(&str, &str)]) -> (Arc<Session>, Arc<Shared>) {
    let own = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let mut settings = Settings::parse(&std::env::vars().chain(own).collect());
    let folder = folder_of(cluster);
    std::fs::create_dir_all(&folder).unwrap();
    settings.run_dir = Some(folder.join("runs")).into();
    // What is deployed is built, and so are the doubles: stage local alone may.
    let session = Arc::new(Session::new(settings, Stage::Local).unwrap());
    let shared = Box::pin(session.release()).await.unwrap_or_else(|error| panic!("{}", error.report()));
    (session, shared)
}

pub struct Place {
    /// What the cluster calls itself.
    pub cluster: &'static str,
    pub session: Arc<Session>,
    pub shared: Arc<Shared>,
    pub folder: PathBuf,
    way: Forward,
    /// One at a time sweeps, or has what a sweep would remove: a sweep is of the whole cluster.
    pub sweeps: Mutex<()>,
}

impl Place {
    pub async fn get() -> &'static Self {
        PLACE.get_or_init(|| Box::pin(Self::make())).await
    }

    async fn make() -> Self {
        let place = Self::on(stores::CLUSTER, &[]).await;
        let stores = stores::make(&place).await;
        place.open_to_previews(stores).await;
        place
    }

    /// A second cluster, whose previews are on the Postgres and the Redis of this one's; it goes once this process has ended.
    pub async fn second(&self, name: &'static str) -> Self {
        // As on another machine.
        let state = folder_of(name).join("state").to_string_lossy().into_owned();
        let second = Self::on(name, &[("XDG_STATE_HOME", &state), ("JETSCALE_KEEP", "never")]).await;
        let stores = stores::share(self, &second).await;
        second.open_to_previews(stores).await;
        second
    }

    /// A cluster with an edge, and a namespace for what an administrator installs.
    async fn on(cluster: &'static str, variables: &[(&str, &str)]) -> Self {
        let folder = folder_of(cluster);
        let (session, shared) = session_on(cluster, variables).await;
        let edge = Box::pin(session.previews_edge(&shared)).await.unwrap_or_else(|error| panic!("{}", error.report()));
        let way = edge.forward().await.unwrap();
        std::fs::write(folder.join("ca.pem"), &edge.ca).unwrap();
        std::fs::write(folder.join("values.yaml"), PreviewsEdge::values()).unwrap();
        write_json(&folder.join("artifacts.json"), &shared.plan.artifacts).unwrap();
        let place = Self { cluster, session, shared, folder, way, sweeps: Mutex::new(()) };
        // Before the chart: the passwords of the stores' administrators are there as the keeper starts.
        k8s::namespace::create(place.client(), PREVIEWS, Default::default(), Default::default()).await.unwrap();
        place.write_kubeconfig().await;
        place
    }

    pub fn client(&self) -> &Client {
        &self.shared.cluster.client
    }

    pub fn checkout(&self) -> &Path {
        &self.session.project.root
    }

    pub fn backend_image(&self) -> String {
        self.shared.plan.artifacts.get("backend").unwrap().tag.by_digest()
    }

    /// The artifact set, as its file says.
    pub fn artifacts(&self) -> Value {
        serde_json::to_value(&self.shared.plan.artifacts).unwrap()
    }

    pub fn path(&self, name: &str) -> String {
        self.folder.join(name).to_string_lossy().into_owned()
    }

    /// What an administrator does once.
    async fn open_to_previews(&self, stores: Value) {
        let chart = self.checkout().join("charts/preview-sweeper");
        let image = "jetscale.internal/preview-sweeper:rehearsal";
        // Beside cargo-stack, which cargo made with this test.
        let keeper = suite::program(self, "bin", &["build", "--package", "keeper"]);
        let made =
            Command::new(chart.join("image/make")).arg(keeper.parent().unwrap()).arg(image).output().await.unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let pushed = self.session.push(image, "preview-sweeper").await.unwrap();
        // What the cluster's own values say of the Ingress, its policies allow.
        let given = harness::yaml::value(&PreviewsEdge::values()).unwrap();
        let own = json!({
            "previews": {"ingress": {"annotations": given["ingress"]["annotations"]}},
            "cluster": self.cluster,
            "deployers": [{"kind": "ServiceAccount", "name": "deployer", "namespace": PREVIEWS}],
            "image": {"repository": pushed.repository, "digest": pushed.digest},
        });
        let values = harness::preview::stores::merged(own, stores);
        self.install(&values).await;
        write_json(&self.folder.join("sweeper.json"), &values).unwrap();
        self.policies_hold().await;
    }

    /// The values with which the chart was installed at first.
    pub fn installed(&self) -> Value {
        serde_json::from_str(&std::fs::read_to_string(self.folder.join("sweeper.json")).unwrap()).unwrap()
    }

    /// Installs the chart, or brings it to these values, and waits until the keepers have them.
    pub async fn install(&self, values: &Value) {
        let chart = self.checkout().join("charts/preview-sweeper");
        write_json(&self.folder.join("values.json"), values).unwrap();
        let helm = self.shared.cluster.tools.command(Tool::Helm).await.unwrap();
        let helm = helm.args(["upgrade", "--install", PREVIEWS]).arg(chart);
        let helm =
            helm.args(["--namespace", PREVIEWS, "--create-namespace", "--values", &self.path("values.json"), "--wait"]);
        let helm = helm.args(["--kube-context", &self.shared.cluster.context]);
        let helm = helm.env("KUBECONFIG", self.shared.cluster.kubeconfig.to_string());
        helm.run().await.unwrap_or_else(|error| panic!("{}", error.report()));
    }

    /// The API server hears of an admission policy up to some seconds after it was made, and tells nobody.
    async fn policies_hold(&self) {
        let deployer = self.as_account("deployer").await;
        let held = async {
            while delete(&deployer, "default", true).await.is_ok() || bind(&deployer, "default").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        };
        tokio::time::timeout(LIMIT, held).await.expect("the policies let a deployer delete any namespace");
    }

    /// A second user, whose credentials an exec plugin gives, as on EKS; each has expired when it is used again.
    async fn write_kubeconfig(&self) {
        let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "deployer", "namespace": PREVIEWS}});
        k8s::apply(self.client(), &account).await.unwrap();
        let token = token(self.client(), PREVIEWS, "deployer", &[]).await;
        std::fs::write(self.folder.join("token"), token).unwrap();
        std::fs::write(self.folder.join("calls"), "").unwrap();
        let plugin = self.folder.join("plugin");
        let script = format!(
            "#!/bin/sh\necho asked >>{calls}\nexpires=$(date -u -d '+1 second' +%Y-%m-%dT%H:%M:%SZ)\n\
             printf '{{\"apiVersion\":\"client.authentication.k8s.io/v1\",\"kind\":\"ExecCredential\",\"status\":\
             {{\"token\":\"%s\",\"expirationTimestamp\":\"%s\"}}}}' \"$(cat {token})\" \"$expires\"\n",
            calls = self.path("calls"),
            token = self.path("token"),
        );
        std::fs::write(&plugin, script).unwrap();
        std::fs::set_permissions(&plugin, std::fs::Permissions::from_mode(0o700)).unwrap();
        let exec = json!({
            "apiVersion": "client.authentication.k8s.io/v1", "command": plugin, "interactiveMode": "Never",
        });
        let config = self.config(&[(CONTEXT, json!({"exec": exec})), ("rehearsal-prod", json!({"token": "none"}))]);
        write_json(&self.folder.join("kubeconfig"), &config).unwrap();
    }

    fn config(&self, users: &[(&str, Value)]) -> Value {
        let cluster = serde_json::to_value(self.admin().clusters[0].cluster.clone().unwrap()).unwrap();
        let user = |(name, user): &(&str, Value)| json!({"name": name, "user": user});
        let context =
            |(name, _): &(&str, Value)| json!({"name": name, "context": {"cluster": "rehearsal", "user": name}});
        json!({
            "apiVersion": "v1", "kind": "Config",
            "clusters": [{"name": "rehearsal", "cluster": cluster}],
            "users": users.iter().map(user).collect::<Vec<_>>(),
            "contexts": users.iter().map(context).collect::<Vec<_>>(),
        })
    }

    /// A client of one of the accounts.
    pub async fn as_account(&self, account: &str) -> Client {
        let config = self.config(&[(account, json!({"token": token(self.client(), PREVIEWS, account, &[]).await}))]);
        let path = self.folder.join(format!("kubeconfig-{account}"));
        write_json(&path, &config).unwrap();
        k8s::connect(&path, account).await.unwrap()
    }

    /// The container that is the cluster's node.
    pub fn node(&self) -> String {
        harness::cluster::node_name(&self.shared.cluster.name)
    }

    /// The deployer's kubeconfig, and that of an account without credentials.
    pub fn kubeconfig(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.path("kubeconfig")).unwrap()).unwrap()
    }

    /// The administrator's.
    pub fn admin(&self) -> Kubeconfig {
        self.shared.cluster.kubeconfig.read().unwrap()
    }

    /// Writes down another one; its path.
    pub fn keep(&self, name: &str, config: &Value) -> String {
        let path = self.path(&format!("kubeconfig-{name}"));
        write_json(path.as_ref(), config).unwrap();
        path
    }

    /// The context of the administrator, which no preview may use.
    pub fn admin_context(&self) -> String {
        self.shared.cluster.context.clone()
    }

    /// How often the exec plugin was asked.
    pub fn plugin_calls(&self) -> usize {
        std::fs::read_to_string(self.folder.join("calls")).unwrap().lines().count()
    }

    /// `cargo stack preview` by the deployer, about a pull request.
    pub fn stack(&self, number: &str, args: &[&str]) -> Call {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_cargo-stack"));
        command.arg("preview").args(args).current_dir(self.checkout()).kill_on_drop(true);
        for name in ["JETSCALE_STAGE", "NEXTEST_RUN_ID", "JETSCALE_CHARTS_DIR", "GITHUB_TOKEN", "GITHUB_REPOSITORY"] {
            command.env_remove(name);
        }
        let revision = &self.shared.plan.artifacts.revision;
        command
            .env("XDG_STATE_HOME", folder.path().join("state"))
            .env("JETSCALE_RUN_DIR", folder.path().join("runs"))
            .env("PR_NUMBER", number)
            .env("GIT_SHA", revision.strip_suffix("-dirty").unwrap_or(revision))
            .env("KUBECONFIG", self.path("kubeconfig"))
            .env("JETSCALE_KUBE_CONTEXT", CONTEXT)
            .env("JETSCALE_KUBE_CONTEXT_ALLOW", "rehearsal-*")
            .env("JETSCALE_PREVIEW_CLUSTER", self.cluster)
            .env("JETSCALE_ARTIFACTS", self.path("artifacts.json"))
            .env("JETSCALE_PREVIEW_VALUES", self.path("values.yaml"))
            .env("JETSCALE_PREVIEW_URL", format!("https://{}", self.way.address()))
            .env("JETSCALE_CA_BUNDLE", self.path("ca.pem"));
        Call { command, folder }
    }

    /// [`Place::stack`], by somebody who asks what plays GitHub.
    pub fn asking(&self, github: &GitHub, number: &str, args: &[&str]) -> Call {
        let call = self.stack(number, args).with("GITHUB_API_URL", &github.address);
        call.with("GITHUB_REPOSITORY", "jetscale/stack").with("GITHUB_TOKEN", "hunter2")
    }

    /// [`Place::stack`], by way of another server.
    pub async fn by_way_of(&self, server: &str, number: &str, args: &[&str]) -> Call {
        let mut config = self.kubeconfig();
        config["clusters"][0]["cluster"] = json!({"server": server});
        let call = self.stack(number, args);
        let path = call.folder.path().join("kubeconfig");
        write_json(&path, &config).unwrap();
        call.with("KUBECONFIG", &path.to_string_lossy())
    }

    pub fn up(&self, number: &str) -> Call {
        self.stack(number, &["up"])
    }

    fn namespaces(&self) -> Api<Namespace> {
        Api::all(self.client().clone())
    }

    pub async fn has_namespace(&self, name: &str) -> bool {
        self.namespaces().get_opt(name).await.unwrap().is_some()
    }

    pub async fn exists(&self, number: &str) -> bool {
        self.has_namespace(&namespace_of(number)).await
    }

    /// Makes a namespace, with the labels of a preview of that number if it is to look like one.
    pub async fn namespace(&self, name: &str, labelled: bool, number: &str) {
        let of = PullRequest::parse(number).unwrap();
        let labels = harness::preview::labels(of, "abcdef0", 1, harness::preview::now() + 3600);
        let labels = if labelled { labels } else { Default::default() };
        k8s::namespace::create(self.client(), name, labels, Default::default()).await.unwrap();
    }

    pub async fn remove_namespace(&self, name: &str) {
        k8s::namespace::delete(self.client(), name, LIMIT).await.unwrap();
    }

    pub async fn gone(&self, name: &str) {
        k8s::namespace::gone_by(self.client(), name, LIMIT).await.unwrap();
    }

    pub async fn created(&self, number: &str) -> Option<String> {
        let name = namespace_of(number);
        self.namespaces().get(&name).await.unwrap().labels().get("jetscale.ai/created").cloned()
    }

    /// What an annotation of a preview's namespace says.
    pub async fn annotation(&self, number: &str, name: &str) -> String {
        let found = self.namespaces().get(&namespace_of(number)).await.unwrap();
        found.annotations().get(name).cloned().unwrap_or_default()
    }

    /// The names of a preview's pods.
    pub async fn pods(&self, number: &str) -> Vec<String> {
        let api: Api<Pod> = Api::namespaced(self.client().clone(), &namespace_of(number));
        let of_release = ListParams::default().labels("app.kubernetes.io/instance=jetscale");
        let mut names: Vec<_> = api.list(&of_release).await.unwrap().iter().map(ResourceExt::name_any).collect();
        names.sort();
        names
    }

    /// A preview's own secret.
    pub async fn auth(&self, number: &str) -> Vec<u8> {
        let api: Api<Secret> = Api::namespaced(self.client().clone(), &namespace_of(number));
        api.get("jetscale-auth").await.unwrap().data.unwrap()["db-password"].0.clone()
    }

    /// What one preview has of the cluster, as that says.
    pub async fn quota(&self) -> Value {
        let api: Api<ConfigMap> = Api::namespaced(self.client().clone(), PREVIEWS);
        serde_json::from_str(&api.get("preview-cluster").await.unwrap().data.unwrap()["quota.json"]).unwrap()
    }

    /// What a ConfigMap of a preview holds.
    pub async fn data_of(&self, number: &str, name: &str) -> Vec<(String, String)> {
        let api: Api<ConfigMap> = Api::namespaced(self.client().clone(), &namespace_of(number));
        api.get(name).await.unwrap().data.unwrap().into_iter().collect()
    }

    /// Gives the deployer its role in a namespace, as `up` does.
    pub async fn bind_deployer(&self, number: &str) {
        let binding = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": {"name": "jetscale-preview", "namespace": namespace_of(number)},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "jetscale-preview-namespace"},
            "subjects": [{"kind": "ServiceAccount", "name": "deployer", "namespace": PREVIEWS}],
        });
        k8s::apply(self.client(), &binding).await.unwrap();
    }

    /// Waits until Helm has written down that it installs.
    pub async fn has_begun(&self, number: &str) {
        let api: Api<Secret> = Api::namespaced(self.client().clone(), &namespace_of(number));
        let name = "sh.helm.release.v1.jetscale.v1";
        k8s::wait::object(api, name, "the beginning of a release", LIMIT, |found| match found {
            Some(_) => State::Ready,
            None => State::Pending("Helm has not begun".to_owned()),
        })
        .await
        .unwrap();
    }

    pub async fn is_terminating(&self, number: &str) {
        let name = namespace_of(number);
        k8s::wait::object(self.namespaces(), &name, "the beginning of its end", LIMIT, |found| {
            match found.is_none_or(|found| found.metadata.deletion_timestamp.is_some()) {
                true => State::Ready,
                false => State::Pending("it is not being deleted".to_owned()),
            }
        })
        .await
        .unwrap();
    }

    /// Puts something into a preview's namespace that no deletion ends, or lets it end.
    pub async fn hold(&self, number: &str, held: bool) {
        let api: Api<ConfigMap> = Api::namespaced(self.client().clone(), &namespace_of(number));
        let finalizers = if held { vec!["jetscale.ai/hold"] } else { vec![] };
        if held {
            let object =
                serde_json::from_value(json!({"metadata": {"name": "held", "finalizers": finalizers}})).unwrap();
            api.create(&PostParams::default(), &object).await.unwrap();
        } else {
            let patch = json!({"metadata": {"finalizers": finalizers}});
            api.patch("held", &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
        }
    }

    /// A volume of a preview that is there, although its namespace is gone.
    pub async fn leave_volume(&self, number: &str) -> String {
        let name = format!("{}-left", namespace_of(number));
        let volume = json!({
            "apiVersion": "v1", "kind": "PersistentVolume",
            // Of a driver that is not there, so that nobody deletes it.
            "metadata": {"name": name, "annotations": {"pv.kubernetes.io/provisioned-by": "rehearsal.invalid"}},
            "spec": {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Mi"}, "persistentVolumeReclaimPolicy": "Delete",
                "csi": {"driver": "rehearsal.invalid", "volumeHandle": "left"},
                "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "name": "left",
                    "namespace": namespace_of(number), "uid": "00000000-0000-0000-0000-000000000000"}},
        });
        k8s::apply(self.client(), &volume).await.unwrap();
        name
    }

    pub async fn remove_volume(&self, name: &str) {
        let api: Api<PersistentVolume> = Api::all(self.client().clone());
        api.delete(name, &DeleteParams::default()).await.unwrap();
    }

    /// Runs the CronJob's Job now, and gives what it wrote.
    pub async fn sweep_in_the_cluster(&self) -> String {
        let api: Api<CronJob> = Api::namespaced(self.client().clone(), PREVIEWS);
        let template = api.get("preview-sweeper").await.unwrap().spec.unwrap().job_template.spec.unwrap();
        let job = json!({
            "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "sweep-now", "namespace": PREVIEWS},
            "spec": template,
        });
        let jobs: Api<k8s_openapi::api::batch::v1::Job> = Api::namespaced(self.client().clone(), PREVIEWS);
        // With its pod, whose log would be taken for the new one's.
        let foreground = kube::api::DeleteParams::foreground();
        let _ = jobs.delete("sweep-now", &foreground).await;
        k8s::wait::gone(jobs, "sweep-now", "the end of an earlier Job", LIMIT, |_| String::new()).await.unwrap();
        k8s::apply(self.client(), &job).await.unwrap();
        let outcome = job::ended(self.client(), PREVIEWS, "sweep-now", "sweep", LIMIT).await;
        let outcome = outcome.unwrap_or_else(|error| panic!("{}", error.report()));
        assert!(outcome.succeeded, "{}", outcome.logs);
        outcome.logs
    }
}
