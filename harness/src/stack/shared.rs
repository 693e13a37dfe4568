//! `Stack`: the stage's shared release, which no scenario may break.

use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::{Api, Client as Kube, ResourceExt};

use super::site::Site;
use crate::artifacts::ArtifactSet;
use crate::cluster::{Cluster, Lock, Mode};
use crate::error::{Error, Result};
use crate::http::{Client, HttpOptions, Reader};
use crate::k8s::job::{self, JobSpec, RunningJob};
use crate::k8s::{self, Forward, workload};
use crate::release::{self, Plan};
use crate::scenario::{Argument, Fixture, Needs, Teardown};
use crate::secrets;
use crate::session::Session;
use crate::sign_in::{self, UserCredentials};
use crate::spec::{Component, spec};
use crate::stage::Stage;

/// The deadline for a line that a container wrote to reach the harness: 60 s.
const WRITTEN: Duration = Duration::from_secs(60);

/// A deployed release: its site, its Kubernetes objects, its account. As a scenario's argument: the stage's shared one.
#[derive(Debug)]
pub struct Stack {
    site: Site,
    cluster: Cluster,
    plan: Plan,
    scenario: String,
    session: Arc<Session>,
}

impl Deref for Stack {
    type Target = Site;

    fn deref(&self) -> &Site {
        &self.site
    }
}

impl Stack {
    pub(super) async fn of(session: Arc<Session>, cluster: &Cluster, plan: &Plan, scenario: &str) -> Result<Self> {
        let site = match session.stage {
            Stage::Dev => Site::dev(scenario)?,
            Stage::Preview => Site::preview(&session, plan, scenario)?,
            _ => Site::of(cluster, plan, scenario).await?,
        };
        Ok(Self { site, cluster: cluster.clone(), plan: plan.clone(), scenario: scenario.to_owned(), session })
    }

    pub(super) fn session(&self) -> &Session {
        &self.session
    }

    /// A Kubernetes client of the release's cluster, meant for reading.
    pub fn kube(&self) -> &Kube {
        &self.cluster.client
    }

    /// The plan that is deployed.
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

    /// A name for this scenario's data that no other scenario or process uses: `<scenario>-<what>-<pid>`.
    pub fn own_name(&self, what: &str) -> String {
        format!("{}-{what}-{}", self.scenario.replace("::", "-"), std::process::id())
    }

    /// The pods of a component that are not terminating (those that a deploy replaced may be); at least one, since every claim
    /// about all of no pods would hold.
    ///
    /// # Errors
    /// [`Error::Kube`] when they cannot be listed, [`Error::Unmet`] when there is none.
    pub async fn pods(&self, component: &Component) -> Result<Vec<Pod>> {
        let pods = self.staying(&self.plan.selector(component)).await?;
        match pods.is_empty() {
            true => Err(Error::Unmet(format!("there is no pod of {}", component.suffix))),
            false => Ok(pods),
        }
    }

    /// All pods of the release that are not terminating, at least one of each component.
    ///
    /// # Errors
    /// [`Error::Kube`] when they cannot be listed, [`Error::Unmet`] when a component has none.
    pub async fn all_pods(&self) -> Result<Vec<Pod>> {
        let pods = self.staying(&self.plan.selector_of_all()).await?;
        let without = without_pods(&pods, self.plan.components());
        match without.is_empty() {
            true => Ok(pods),
            false => Err(Error::Unmet(format!("there is no pod of {}", without.join(", ")))),
        }
    }

    async fn staying(&self, selector: &str) -> Result<Vec<Pod>> {
        let mut pods = workload::pods(&self.cluster.client, &self.plan.namespace, selector).await?;
        pods.retain(|pod| !k8s::pod::is_terminating(pod));
        Ok(pods)
    }

    /// Waits until the pods of a component have written each of these texts, and returns what they wrote in the last two minutes.
    ///
    /// # Errors
    /// [`harness_base::Error::Deadline`] with the texts that were not written within 60 s.
    pub async fn log_with(&self, component: &Component, texts: &[String]) -> Result<String> {
        let names: Vec<String> = self.pods(component).await?.iter().map(ResourceExt::name_any).collect();
        Ok(k8s::log::holding(self.kube(), self.namespace(), (&names, component.label), texts, WRITTEN).await?)
    }

    /// The values of the release's Secret `<release>-auth`, at least one, by key. They are redacted in all output from here on,
    /// except for those whose key names something public, such as a login.
    ///
    /// # Errors
    /// [`Error::Kube`] when the Secret cannot be read, [`Error::Unmet`] when it or a value of it is empty,
    /// [`harness_base::Error::Refused`] when the stack has none.
    pub async fn auth_secret(&self) -> Result<std::collections::BTreeMap<String, Vec<u8>>> {
        let none =
            || Error::refused("the stack has no Secret beside its releases", "name one in its spec (StackSpec, auth)");
        let name = self.plan.name(spec().auth.as_ref().ok_or_else(none)?.suffix);
        let what = format!("read the Secret {name}");
        let api: Api<Secret> = Api::namespaced(self.cluster.client.clone(), &self.plan.namespace);
        let secret = k8s::within(&what, k8s::CALL, async { api.get(&name).await.map_err(Error::kube(&what)) }).await?;
        let values = secret.data.unwrap_or_default();
        if values.is_empty() || values.values().any(|value| value.0.is_empty()) {
            return Err(Error::Unmet(format!("the Secret {name} is empty, or a value of it is")));
        }
        values.iter().for_each(|(key, value)| secrets::know_unless_public(key, &value.0));
        Ok(values.into_iter().map(|(key, value)| (key, value.0)).collect())
    }

    /// Login and password of the release's first account.
    ///
    /// # Errors
    /// [`Error::Kube`] when the Secret cannot be read, [`Error::NotApplicable`] where nobody signs in.
    pub async fn credentials(&self) -> Result<UserCredentials> {
        let mut secret = self.auth_secret().await?;
        let mut take = |key: &str| String::from_utf8_lossy(&secret.remove(key).unwrap_or_default()).into_owned();
        let [login, password] = sign_in::of_the_stack()?.keys;
        Ok(UserCredentials { login: take(login), password: take(password) })
    }

    /// An HTTP client of the site without an account, for requests that write too.
    ///
    /// # Errors
    /// [`Error::Http`] when no client can be made.
    pub fn client(&self) -> Result<Client> {
        Ok(harness_http::writer(self.site.options().clone())?)
    }

    /// [`Stack::client`], with a time limit for a whole request.
    ///
    /// # Errors
    /// As [`Stack::client`].
    pub fn client_within(&self, whole: Duration) -> Result<Client> {
        Ok(harness_http::writer(HttpOptions { whole, ..self.site.options().clone() })?)
    }

    /// An HTTP client of one pod of a component, past the router and whether the pod is ready or not; by a forward that lasts as
    /// long as the client.
    ///
    /// # Errors
    /// [`Error::Unmet`] when there is no pod; [`Error::Kube`].
    pub async fn one_pod(&self, component: &Component) -> Result<Reader> {
        let pods = self.pods(component).await?;
        let pod = pods.first().and_then(|pod| pod.metadata.name.as_deref());
        let pod = pod.ok_or_else(|| Error::Unmet(format!("there is no pod of {}", component.suffix)))?;
        let forward = Forward::to_pod(self.kube().clone(), self.namespace(), pod, component.container_port).await?;
        Ok(Reader::with(forward.options())?)
    }

    /// Waits until the release has converged, and its router reaches every service.
    ///
    /// # Errors
    /// [`harness_base::Error::Deadline`] after 240 s, or [`Error::Failed`].
    pub async fn converged(&self) -> Result<()> {
        Ok(release::converged(&self.cluster, &self.plan, super::ROLLOUT).await?)
    }

    /// Deploys the same plan once more, by the stage's own deployer; expected to change nothing.
    ///
    /// # Errors
    /// As [`release::deploy`].
    pub async fn deploy_again(&self) -> Result<()> {
        self.session.deploy_again(&self.cluster, &self.plan).await
    }

    /// Starts a Job in the release's namespace that runs a command in the api's image, to ask Services from inside the cluster.
    ///
    /// Waits first until the pods that a deploy replaced are gone: a Service may still answer from one of them.
    ///
    /// # Errors
    /// [`Error::Kube`] when it cannot be created, or as [`Stack::converged`].
    pub async fn start_job(&self, name: &str, command: &[&str], limit: Duration) -> Result<RunningJob> {
        let pods = workload::pods(self.kube(), self.namespace(), &self.plan.selector_of_all()).await?;
        if pods.iter().any(k8s::pod::is_terminating) {
            self.converged().await?;
        }
        let labels = [(spec().client_label, "true")];
        let spec = self.job(name, command, limit, &labels)?;
        Ok(job::start(&self.cluster.client, &self.plan.namespace, &spec).await?)
    }

    /// The description of such a Job, to start in another namespace or with other labels. Its name ends with this process's id.
    ///
    /// # Errors
    /// [`harness_base::Error::Refused`] when the artifact set does not have the api's image.
    pub fn job(&self, name: &str, command: &[&str], limit: Duration, labels: &[(&str, &str)]) -> Result<JobSpec> {
        let image = self.artifacts().get(spec().api.artifact)?.tag.by_digest();
        // A Job's name is unique in its namespace, and two runs may start the same one at once.
        let mut job = JobSpec::new(format!("{name}-{}", std::process::id()), image, command.iter().copied());
        job.labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        job.limit = limit;
        // The Secret is in the release's namespace; where there is none of that name, the kubelet passes over it.
        job.pull_secrets = spec().pull_secret.into_iter().map(str::to_owned).collect();
        Ok(job)
    }

    /// The name of a component's Service and workload.
    pub fn name_of(&self, component: &Component) -> String {
        self.plan.name(component.suffix)
    }
}

/// The suffixes of the components to which none of these pods belongs.
fn without_pods(pods: &[Pod], components: impl Iterator<Item = &'static Component>) -> Vec<&'static str> {
    let has = |component: &&Component| {
        pods.iter()
            .any(|pod| pod.labels().get(spec().charts.component_label).is_some_and(|label| label == component.label))
    };
    components.filter(|component| !has(component)).map(|component| component.suffix).collect()
}

impl Argument for Stack {
    const NEEDS: Needs = Needs::Stack;

    fn make(session: Arc<Session>, scenario: &str) -> BoxFuture<'_, Result<Fixture<Self>>> {
        Box::pin(async move {
            let shared = session.release().await?;
            let care = SharedCare::of(&session, &shared.cluster, &shared.plan).await?;
            let argument = Self::of(session, &shared.cluster, &shared.plan, scenario).await?;
            Ok(Fixture { argument, teardown: Box::new(care) })
        })
    }
}

/// The teardown of a fixture on the shared release: gathers evidence, removes nothing.
pub(super) struct SharedCare {
    client: Kube,
    namespace: String,
    /// In stage dev, a shared turn: no scenario edits while it is held.
    _turn: Option<Lock>,
}

impl SharedCare {
    pub(super) async fn of(session: &Session, cluster: &Cluster, plan: &Plan) -> Result<Self> {
        let turn = match session.stage {
            Stage::Dev => Some(session.turn(Mode::Shared).await?),
            _ => None,
        };
        Ok(Self { client: cluster.client.clone(), namespace: plan.namespace.clone(), _turn: turn })
    }
}

impl Teardown for SharedCare {
    fn diagnose(&self) -> Pin<Box<dyn Future<Output = Option<String>> + Send + '_>> {
        Box::pin(async { Some(k8s::diagnose(&self.client, &self.namespace).await) })
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case::all(&["api", "redis"], &[])]
    #[case::one_of_two(&["api", "api"], &["redis"])]
    #[case::none(&[], &["backend", "redis"])]
    fn components_without_pods_are_named(#[case] labels: &[&str], #[case] without: &[&str]) {
        let pod = |label: &&str| {
            serde_json::from_value(json!({"metadata": {"labels": {spec().charts.component_label: label}}})).unwrap()
        };
        let pods: Vec<Pod> = labels.iter().map(pod).collect();
        assert_eq!(without_pods(&pods, [spec().api, &spec().components[4]].into_iter()), without);
    }
}
