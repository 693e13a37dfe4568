//! The handles a scenario gets; each one's type says what it may touch.

use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::{Api, Client as Kube};

use crate::artifacts::{Artifact, ArtifactSet, Reference, Registry};
use crate::cluster::Cluster;
use crate::descriptor::{self, Component};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::fixture::{Fixtures, Own, Owner};
use crate::http::{Client, Reader, Reply};
use crate::k8s::job::{self, JobSpec, RunningJob};
use crate::k8s::workload::{self, Kind, Workload};
use crate::k8s::{self, Forward};
use crate::release::{self, Plan};
use crate::scenario::{Aftercare, Argument, Made, Needs, Nothing};
use crate::services::{self, Backend, Credentials, ROLLOUT, User};
use crate::settings::Deployer;
use crate::stage::Stage;
use crate::websocket::Handshake;

/// An address that answers: GET, HEAD, and a WebSocket handshake; nothing that writes.
#[derive(Debug, Clone)]
pub struct Site {
    reader: Reader,
    /// Keeps the way to the cluster open.
    _forward: Option<Arc<Forward>>,
}

impl Site {
    /// The live site.
    fn at(url: &str) -> Result<Self> {
        Ok(Self { reader: Reader::new(url)?, _forward: None })
    }

    /// The site of a release: its one router, the frontend, through a forward to a ready pod.
    async fn of(cluster: &Cluster, plan: &Plan) -> Result<Self> {
        let component = &descriptor::FRONTEND;
        let selector = plan.selector(component);
        let port = component.container_port;
        let forward = Forward::open(cluster.client.clone(), &plan.namespace, &selector, port).await?;
        Ok(Self { reader: Reader::new(&forward.url())?, _forward: Some(Arc::new(forward)) })
    }

    /// GET of a path of the page.
    ///
    /// # Errors
    /// [`Error::Http`] when there is no answer.
    pub async fn get(&self, path: &str) -> Result<Reply> {
        self.reader.get(path).await
    }

    /// GET of a path with one more header.
    ///
    /// # Errors
    /// [`Error::Http`] when there is no answer.
    pub async fn get_with(&self, path: &str, header: &str, value: &str) -> Result<Reply> {
        self.reader.clone().with_header(header, value)?.get(path).await
    }

    /// HEAD of a path.
    ///
    /// # Errors
    /// [`Error::Http`] when there is no answer.
    pub async fn head(&self, path: &str) -> Result<Reply> {
        self.reader.head(path).await
    }

    /// The api behind the same origin.
    pub fn backend(&self) -> Backend {
        Backend::new(self.reader.clone())
    }

    /// Tries to open the WebSocket on the same origin.
    ///
    /// # Errors
    /// [`Error::Http`] when there is no answer at all.
    pub async fn websocket(&self, token: Option<&str>) -> Result<Handshake> {
        services::open_websocket(self.reader.base(), token).await
    }
}

impl Argument for Site {
    const NEEDS: Needs = Needs::Site;

    async fn make(fixtures: Arc<Fixtures>, _: &str) -> Result<Made<Self>> {
        if fixtures.stage == Stage::Live {
            return Ok(Made { argument: Self::at(&fixtures.settings.live_url)?, aftercare: Box::new(Nothing) });
        }
        let shared = fixtures.release().await?;
        let argument = Self::of(&shared.cluster, &shared.plan).await?;
        Ok(Made { argument, aftercare: Box::new(SharedCare::of(&shared.cluster, &shared.plan)) })
    }
}

/// What a scenario knows of a release: its site, its Kubernetes objects, its account.
#[derive(Debug)]
pub struct Stack {
    site: Site,
    cluster: Cluster,
    plan: Plan,
    scenario: String,
    fixtures: Arc<Fixtures>,
}

impl Deref for Stack {
    type Target = Site;

    fn deref(&self) -> &Site {
        &self.site
    }
}

impl Stack {
    async fn of(fixtures: Arc<Fixtures>, cluster: &Cluster, plan: &Plan, scenario: &str) -> Result<Self> {
        let site = Site::of(cluster, plan).await?;
        Ok(Self { site, cluster: cluster.clone(), plan: plan.clone(), scenario: scenario.to_owned(), fixtures })
    }

    /// A client of the release's cluster; for reading.
    pub fn kube(&self) -> &Kube {
        &self.cluster.client
    }

    /// What is deployed.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The images that are deployed.
    pub fn artifacts(&self) -> &ArtifactSet {
        &self.plan.artifacts
    }

    /// The release's namespace.
    pub fn namespace(&self) -> &str {
        &self.plan.namespace
    }

    /// A name that no other scenario's data has.
    pub fn own_name(&self, what: &str) -> String {
        format!("{}-{what}-{}", self.scenario.replace("::", "-"), std::process::id())
    }

    /// The pods of a component, terminating ones too.
    ///
    /// # Errors
    /// [`Error::Kube`] when they cannot be listed.
    pub async fn pods(&self, component: &Component) -> Result<Vec<Pod>> {
        workload::pods(&self.cluster.client, &self.plan.namespace, &self.plan.selector(component)).await
    }

    /// All pods of the release.
    ///
    /// # Errors
    /// [`Error::Kube`] when they cannot be listed.
    pub async fn all_pods(&self) -> Result<Vec<Pod>> {
        let selector = format!("app.kubernetes.io/instance={}", self.plan.release);
        workload::pods(&self.cluster.client, &self.plan.namespace, &selector).await
    }

    /// The values of `<release>-auth`; never printed.
    ///
    /// # Errors
    /// [`Error::Kube`] when the Secret cannot be read.
    pub async fn auth_secret(&self) -> Result<std::collections::BTreeMap<String, Vec<u8>>> {
        let name = self.plan.name(descriptor::AUTH_SUFFIX);
        let what = format!("read the Secret {name}");
        let api: Api<Secret> = Api::namespaced(self.cluster.client.clone(), &self.plan.namespace);
        let secret = k8s::within(&what, k8s::CALL, async { api.get(&name).await.map_err(Error::kube(&what)) }).await?;
        Ok(secret.data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.0)).collect())
    }

    /// Login and password of the release's first account.
    ///
    /// # Errors
    /// [`Error::Kube`] when the Secret cannot be read.
    pub async fn credentials(&self) -> Result<Credentials> {
        let mut secret = self.auth_secret().await?;
        let mut take = |key: &str| String::from_utf8_lossy(&secret.remove(key).unwrap_or_default()).into_owned();
        Ok(Credentials { login: take("admin-email"), password: take("admin-password") })
    }

    /// The api without an account, for requests that write.
    ///
    /// # Errors
    /// [`Error::Http`] when no client can be made.
    pub fn client(&self) -> Result<Client> {
        Client::new(self.site.reader.base())
    }

    /// The api as the release's first account.
    ///
    /// # Errors
    /// [`Error::Unmet`] when signing in fails.
    pub async fn user(&self) -> Result<User> {
        User::sign_in(self.client()?, &self.credentials().await?).await
    }

    /// The api of one pod, without the router, whether the pod is ready or not.
    ///
    /// # Errors
    /// [`Error::Unmet`] when there is no pod.
    pub async fn api_of_one_pod(&self) -> Result<Backend> {
        let pods = self.pods(&descriptor::API).await?;
        let pod = pods.iter().find(|pod| !k8s::pod::is_terminating(pod)).and_then(|pod| pod.metadata.name.as_deref());
        let pod = pod.ok_or_else(|| Error::Unmet("there is no pod of the api".to_owned()))?;
        let port = descriptor::API.container_port;
        let forward = Forward::to_pod(self.kube().clone(), self.namespace(), pod, port).await?;
        Backend::through(forward)
    }

    /// Waits until the release has converged as it is, and its router reaches every service.
    ///
    /// # Errors
    /// [`Error::Deadline`] or [`Error::Doomed`].
    pub async fn converged(&self) -> Result<()> {
        release::converged(&self.cluster, &self.plan, ROLLOUT).await
    }

    /// Deploys what is deployed once more, by the stage's own deployer: nothing may come of it.
    ///
    /// # Errors
    /// As the first deploy.
    pub async fn deploy_again(&self) -> Result<()> {
        self.fixtures.deploy_again(&self.cluster, &self.plan).await
    }

    /// Starts a Job with the backend's image in the release's namespace, running this Python program with these
    /// arguments: what is claimed of a Service is asked from inside the cluster.
    ///
    /// # Errors
    /// [`Error::Kube`] when it cannot be created.
    pub async fn start_job(&self, name: &str, program: &str, args: &[&str], limit: Duration) -> Result<RunningJob> {
        let labels = [(descriptor::CLIENT_LABEL, "true")];
        let spec = self.job(name, program, args, limit, &labels)?;
        job::start(&self.cluster.client, &self.plan.namespace, &spec).await
    }

    /// The same as a description, for another namespace or with other labels.
    ///
    /// # Errors
    /// [`Error::Refused`] when the artifact set has no backend.
    pub fn job(
        &self,
        name: &str,
        program: &str,
        args: &[&str],
        limit: Duration,
        labels: &[(&str, &str)],
    ) -> Result<JobSpec> {
        let image = self.artifacts().get(descriptor::API.artifact)?.tag.by_digest();
        let command = ["python", "-c", program].into_iter().chain(args.iter().copied());
        // A Job's name is unique in its namespace, and two runs may ask the same at once.
        let mut spec = JobSpec::new(format!("{name}-{}", std::process::id()), image, command);
        spec.labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        spec.limit = limit;
        Ok(spec)
    }

    /// The name of a component's Service and workload.
    pub fn name_of(&self, component: &Component) -> String {
        self.plan.name(component.suffix)
    }
}

impl Argument for Stack {
    const NEEDS: Needs = Needs::Stack;

    async fn make(fixtures: Arc<Fixtures>, scenario: &str) -> Result<Made<Self>> {
        let shared = fixtures.release().await?;
        let argument = Self::of(fixtures, &shared.cluster, &shared.plan, scenario).await?;
        Ok(Made { argument, aftercare: Box::new(SharedCare::of(&shared.cluster, &shared.plan)) })
    }
}

/// Evidence of a shared release; nothing of it is removed after a scenario.
struct SharedCare {
    client: Kube,
    namespace: String,
}

impl SharedCare {
    fn of(cluster: &Cluster, plan: &Plan) -> Self {
        Self { client: cluster.client.clone(), namespace: plan.namespace.clone() }
    }
}

impl Aftercare for SharedCare {
    fn diagnose(&self) -> Pin<Box<dyn Future<Output = Option<String>> + Send + '_>> {
        Box::pin(async { Some(k8s::diagnose(&self.client, &self.namespace).await) })
    }
}

/// A release of the scenario's own: it may restart, break and upgrade what it likes.
#[derive(Debug)]
pub struct OwnStack {
    stack: Stack,
    own: Arc<Own>,
}

impl Deref for OwnStack {
    type Target = Stack;

    fn deref(&self) -> &Stack {
        &self.stack
    }
}

impl OwnStack {
    /// Replaces the pods of a component; returns once the new ones serve and the old ones are gone.
    ///
    /// # Errors
    /// [`Error::Deadline`] or [`Error::Doomed`].
    pub async fn restart(&self, component: &Component) -> Result<()> {
        self.workload(component).restart(ROLLOUT).await?;
        self.converged().await
    }

    /// Sets a component's replicas; returns once that took effect.
    ///
    /// # Errors
    /// [`Error::Deadline`] or [`Error::Doomed`].
    pub async fn scale(&self, component: &Component, replicas: u16) -> Result<()> {
        self.workload(component).scale(replicas, ROLLOUT).await
    }

    /// Deploys a changed plan over this release, waits, and rolls back on failure: the harness's own way.
    ///
    /// # Errors
    /// The first error, with its diagnosis.
    pub async fn upgrade(&self, plan: &Plan) -> Result<()> {
        self.own.deploy(plan).await
    }

    fn workload(&self, component: &Component) -> Workload {
        let kind = if component.stateful { Kind::StatefulSet } else { Kind::Deployment };
        Workload::new(self.kube().clone(), self.namespace(), kind, self.name_of(component))
    }
}

impl Argument for OwnStack {
    const NEEDS: Needs = Needs::OwnStack;

    async fn make(fixtures: Arc<Fixtures>, scenario: &str) -> Result<Made<Self>> {
        let own = Arc::new(fixtures.own().await?);
        let stack = Stack::of(fixtures, &own.cluster, &own.plan, scenario).await;
        let care = Box::new(OwnCare(Arc::clone(&own)));
        match stack {
            Ok(stack) => Ok(Made { argument: Self { stack, own }, aftercare: care }),
            Err(error) => {
                drop(own);
                if let Err(second) = care.remove().await {
                    tracing::warn!("{}", second.report());
                }
                Err(error)
            }
        }
    }
}

/// Evidence of a release of a scenario's own, and its end.
struct OwnCare(Arc<Own>);

impl Aftercare for OwnCare {
    fn diagnose(&self) -> Pin<Box<dyn Future<Output = Option<String>> + Send + '_>> {
        Box::pin(async { Some(k8s::diagnose(&self.0.cluster.client, &self.0.plan.namespace).await) })
    }

    fn remove(self: Box<Self>) -> Pin<Box<dyn Future<Output = Result<()>> + Send>> {
        Box::pin(async move { self.0.remove().await })
    }
}

/// Built images in the engine, with no cluster.
#[derive(Debug)]
pub struct Images {
    plan: Arc<Plan>,
    /// The engine that holds them.
    pub engine: Engine,
    /// The registry's address on this host.
    registry: String,
    owner: Arc<Owner>,
}

impl Images {
    /// Repository and digest by which the engine knows an artifact.
    ///
    /// # Errors
    /// [`Error::Refused`] when the set has none of that name.
    pub fn reference(&self, name: &str) -> Result<Reference> {
        Ok(self.plan.artifacts.get(name)?.tag.at_registry(&self.registry))
    }

    /// The label that containers of this scenario carry, so that they go even if this process is killed.
    pub fn owner_label(&self) -> (&str, &str) {
        (descriptor::OWNER_LABEL, &self.owner.name)
    }
}

impl Argument for Images {
    const NEEDS: Needs = Needs::Images;

    async fn make(fixtures: Arc<Fixtures>, _: &str) -> Result<Made<Self>> {
        let plan = fixtures.images().await?;
        let engine = fixtures.engine().await?;
        let registry = Registry::address(&engine, fixtures.cluster_name()).await?;
        let owner = Arc::new(fixtures.owner()?);
        let aftercare = Box::new(ContainerCare(engine.clone(), Arc::clone(&owner)));
        Ok(Made { argument: Self { plan, engine, registry, owner }, aftercare })
    }
}

/// The end of the containers that a scenario started.
struct ContainerCare(Engine, Arc<Owner>);

impl Aftercare for ContainerCare {
    fn remove(self: Box<Self>) -> Pin<Box<dyn Future<Output = Result<()>> + Send>> {
        Box::pin(async move { self.1.end(&self.0).await })
    }
}

/// The charts of the working tree, with images that do not exist.
#[derive(Debug)]
pub struct Charts {
    fixtures: Arc<Fixtures>,
    /// What is rendered: stage local's values; change what a scenario wants otherwise.
    pub plan: Plan,
}

impl Charts {
    /// The checkout.
    pub fn root(&self) -> &std::path::Path {
        &self.fixtures.project.root
    }

    /// The objects that a plan renders to.
    ///
    /// # Errors
    /// [`Error::Command`] when it does not render.
    pub async fn render(&self, plan: &Plan) -> Result<Vec<serde_json::Value>> {
        objects(&release::render(&self.fixtures.tools, plan).await?)
    }

    /// The bytes that a plan renders to.
    ///
    /// # Errors
    /// [`Error::Command`] when it does not render.
    pub async fn render_text(&self, plan: &Plan) -> Result<String> {
        release::render(&self.fixtures.tools, plan).await
    }

    /// What `helm lint --strict` finds.
    ///
    /// # Errors
    /// [`Error::Command`] with what it found.
    pub async fn lint(&self, plan: &Plan) -> Result<()> {
        release::lint(&self.fixtures.tools, plan).await
    }
}

/// The documents of a YAML text.
fn objects(text: &str) -> Result<Vec<serde_json::Value>> {
    use serde::Deserialize;
    serde_yaml::Deserializer::from_str(text)
        .map(|document| serde_json::Value::deserialize(document).map_err(Error::malformed("read rendered manifests")))
        .filter(|object| !matches!(object, Ok(serde_json::Value::Null)))
        .collect()
}

impl Argument for Charts {
    const NEEDS: Needs = Needs::Charts;

    async fn make(fixtures: Arc<Fixtures>, _: &str) -> Result<Made<Self>> {
        let names = descriptor::BUILT.iter().map(|image| image.name);
        let names = names.chain(descriptor::THIRD_PARTY.iter().map(|image| image.name));
        let builds = names
            .map(|name| {
                let tag = format!("{}/{name}@sha256:{}", descriptor::REGISTRY, crate::hash::text(name)).parse()?;
                Ok(Artifact { image_name: name.to_owned(), tag, stands_in_for: None })
            })
            .collect::<Result<_>>()?;
        let artifacts = ArtifactSet { builds, revision: "none".to_owned(), platform: "none".to_owned() };
        let plan = Plan::shared(fixtures.charts()?, artifacts, Deployer::Helm, Stage::Local.name());
        Ok(Made { argument: Self { fixtures, plan }, aftercare: Box::new(Nothing) })
    }
}
