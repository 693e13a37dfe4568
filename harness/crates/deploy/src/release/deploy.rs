//! Deploys a plan and waits until it has converged; a failure is rolled back, and the first error is the one reported.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

use harness_base::events;
use harness_settings::settings::Deployer;
use harness_settings::spec::spec;

use super::deployed_objects::DeployedObjects;
use super::helm::{self, History};
use super::plan::Plan;
use super::{reach, sealed, skaffold};
use crate::artifacts::RegistryCredentials;
use crate::cluster::{Cluster, Lock};
use crate::error::Result;
use crate::k8s;

/// The deadline for a release to converge, 240 s: images are pulled and a database is initialised on a small node.
const CONVERGE: Duration = Duration::from_secs(240);
/// The deadline for a release to converge again after a rollback.
const RECOVER: Duration = Duration::from_secs(120);

/// The arguments of a deploy.
#[derive(Debug, Clone, Copy)]
pub struct Deployment<'a> {
    /// The cluster to deploy to.
    pub cluster: &'a Cluster,
    /// The plan to deploy.
    pub plan: &'a Plan,
    /// A folder for the deployer's own files.
    pub scratch: &'a Path,
    /// The lock that the deployer and its children inherit, so that it lasts as long as the last of them.
    pub lock: Option<&'a Lock>,
    /// The labels of the namespace and of the Secrets beside the release: owner, stage.
    pub labels: &'a BTreeMap<String, String>,
    /// The accounts for the pull secret.
    pub pull: Pull<'a>,
    /// The admitted objects, where nothing else may be deployed; `None`: not checked.
    pub admitted: Option<&'a [serde_json::Value]>,
}

/// The accounts by which a release's pods pull their images.
#[derive(Debug, Clone, Copy)]
pub enum Pull<'a> {
    /// The harness's own credentials at the registries of the images; they are copied into the cluster.
    Ours(&'a RegistryCredentials),
    /// Given accounts, as `.dockerconfigjson`: none of the harness's credentials go to the cluster.
    Given(&'a str),
}

impl Deployment<'_> {
    fn descriptor(&self) -> Result<Option<OwnedFd>> {
        Ok(self.lock.map(Lock::descriptor).transpose()?)
    }

    async fn reached(&self, limit: Duration) -> Result<()> {
        reach::reached(self.cluster, self.plan, limit).await
    }

    /// Rolls the release back to its last good revision, or uninstalls it if there is none.
    async fn roll_back(&self, last_good: Option<u32>) -> Result<()> {
        match last_good {
            Some(revision) => {
                tracing::info!("rolling {} back to revision {revision}", self.plan.release);
                helm::rollback(self.cluster, self.plan, revision, self.descriptor()?).await?;
                let (client, plan) = (&self.cluster.client, self.plan);
                if let Err(error) = k8s::workload::free_stateful_sets(client, &plan.namespace, &plan.instance()).await {
                    // Only logged: where it matters, the wait below fails.
                    tracing::warn!("a StatefulSet may be kept from going back: {}", error.report());
                }
                self.reached(RECOVER).await
            }
            None => {
                tracing::info!("uninstalling {}, which never worked", self.plan.release);
                helm::uninstall(self.cluster, self.plan, self.descriptor()?).await
            }
        }
    }
}

/// Deploys a plan: first namespace, `<release>-auth` and pull secret, then by the plan's deployer; waits up to 240 s until the
/// release has converged. A failure is rolled back. Before the deployer runs, a release that a kill left pending is rolled back,
/// and one that was never deployed with success is uninstalled.
///
/// What remains on cancel or kill: a release that is half deployed; the next call heals it.
///
/// # Errors
/// The first error, with pods, conditions, events and last logs as they were before the rollback.
pub async fn deploy(deployment: Deployment<'_>) -> Result<()> {
    deploy_while(deployment, std::future::ready(())).await
}

/// [`deploy`], and the release's objects as the cluster holds them, which are read while the pods start.
///
/// # Errors
/// As [`deploy`]. A failure to read the objects is the inner error, since the release serves all the same.
pub async fn deploy_and_read(deployment: Deployment<'_>) -> Result<Result<DeployedObjects>> {
    let reading = events::step("what the cluster holds", DeployedObjects::read(deployment.cluster, deployment.plan));
    deploy_while(deployment, reading).await
}

/// Deploys, and runs `meanwhile` while the release converges.
async fn deploy_while<T>(deployment: Deployment<'_>, meanwhile: impl Future<Output = T>) -> Result<T> {
    let Deployment { cluster, plan, scratch, labels, pull, .. } = deployment;
    let started = Instant::now();
    k8s::namespace::create(&cluster.client, &plan.namespace, labels.clone(), BTreeMap::new()).await?;
    ensure_auth(cluster, plan, labels).await?;
    let registries: BTreeSet<&str> = plan.artifacts.builds.iter().map(|artifact| artifact.tag.registry()).collect();
    let accounts = match pull {
        Pull::Ours(credentials) => credentials.pull_secret(registries).await?,
        Pull::Given(accounts) => accounts.to_owned(),
    };
    if let Some(name) = spec().pull_secret {
        k8s::secret::apply_pull_secret(&cluster.client, &plan.namespace, name, labels.clone(), accounts).await?;
    }
    let mut before = History::read(cluster, &plan.namespace, &plan.release).await?;
    if before.is_pending() {
        tracing::info!("{} was left {}: mending that first", plan.release, pending(&before));
    }
    if before.is_pending() || before.last_good().is_none() && !before.0.is_empty() {
        deployment.roll_back(before.last_good()).await?;
        before = History::read(cluster, &plan.namespace, &plan.release).await?;
    }
    let last_good = before.last_good();
    let begin = k8s::Begin::now(&cluster.client, &plan.namespace).await;
    let work = async {
        match plan.deployer {
            Deployer::Skaffold => skaffold::deploy(cluster, plan, scratch, deployment.descriptor()?).await?,
            Deployer::Helm => helm::upgrade(cluster, plan, deployment.descriptor()?).await?,
        }
        if let Some(admitted) = deployment.admitted {
            sealed::is_deployed(admitted, &helm::deployed(cluster, plan).await?)?;
        }
        tracing::debug!("manifests of {} applied after {:.1?}", plan.release, started.elapsed());
        // A failure of the release does not wait for `meanwhile`.
        let done = async { Ok(meanwhile.await) };
        tokio::try_join!(deployment.reached(CONVERGE), done).map(|((), done)| done)
    };
    let error = match work.await {
        Ok(done) => {
            tracing::info!("release {} in {} converged after {:.1?}", plan.release, plan.namespace, started.elapsed());
            return Ok(done);
        }
        Err(error) => error,
    };
    // Evidence and rollback take a while: the cause is printed before.
    tracing::info!("{}", error.report());
    let mut diagnosis = k8s::diagnose_deploy(&cluster.client, &plan.namespace, begin).await;
    if let Err(second) = deployment.roll_back(last_good).await {
        diagnosis.push_str(&format!("\nthe rollback failed too: {}", second.report()));
    }
    Err(error.diagnosed(diagnosis))
}

fn pending(history: &History) -> &str {
    history.0.last().map_or("", |(_, status)| status)
}

/// Makes the Secret `<release>-auth`, which the charts name and do not make, unless it exists: random values stay the same as
/// long as the namespace. Does nothing for a stack without one.
///
/// # Errors
/// [`crate::Error::Kube`] when it cannot be made.
pub async fn ensure_auth(cluster: &Cluster, plan: &Plan, labels: &BTreeMap<String, String>) -> Result<()> {
    let Some(auth) = &spec().auth else { return Ok(()) };
    let fixed = auth.fixed.iter().map(|(key, value)| Ok(((*key).to_owned(), (*value).to_owned())));
    let random = auth.random.iter().map(|key| Ok(((*key).to_owned(), harness_base::random::hex()?)));
    let data = random.chain(fixed).collect::<Result<BTreeMap<_, _>>>()?;
    let name = plan.name(auth.suffix);
    k8s::secret::ensure_secret(&cluster.client, &plan.namespace, &name, labels.clone(), data).await?;
    Ok(())
}
