//! `OwnStack`: a namespace and a release of a scenario's own.

use std::ops::Deref;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures::future::BoxFuture;

use super::ROLLOUT;
use super::shared::Stack;
use crate::artifacts::{self, RegistryCredentials};
use crate::error::Result;
use crate::k8s;
use crate::k8s::State;
use crate::k8s::snapshot::Watched;
use crate::k8s::workload::{Kind, Workload};
use crate::release::{self, Plan};
use crate::scenario::{Argument, Fixture, Needs, Teardown};
use crate::session::{Database, Own, Session};
use crate::settings::Login;
use crate::spec::Component;

/// How long a pod may go on being asked after it is not ready: five readiness probes, each with its time limit.
const LEFT_OUT: Duration = Duration::from_secs(60);

/// A release of the scenario's own: it may restart, break and upgrade what it likes. Its database is gone with its pod.
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
    /// Replaces the pods of a component; returns once the new ones serve and the old ones are gone, and the parts that
    /// depend on it serve again.
    ///
    /// # Errors
    /// [`harness_base::Error::Deadline`] or [`crate::Error::Failed`].
    pub async fn restart(&self, component: &Component) -> Result<()> {
        let until = Instant::now() + ROLLOUT;
        self.workload(component).restart(ROLLOUT).await?;
        let left = until.saturating_duration_since(Instant::now());
        // The rest of the release outlives a store, and its probes saw it go.
        if component.stateful {
            Ok(release::steady(&self.own.cluster, self.plan(), left).await?)
        } else {
            Ok(release::converged(&self.own.cluster, self.plan(), left).await?)
        }
    }

    /// Sets a component's replicas; returns once that took effect.
    ///
    /// # Errors
    /// [`harness_base::Error::Deadline`] or [`crate::Error::Failed`].
    pub async fn scale(&self, component: &Component, replicas: u16) -> Result<()> {
        Ok(self.workload(component).scale(replicas, ROLLOUT).await?)
    }

    /// Waits until the Service of a component leads to no pod: each still runs, and says that it is not ready.
    ///
    /// # Errors
    /// [`harness_base::Error::Deadline`] when one is asked all the same.
    pub async fn is_left_out(&self, component: &Component) -> Result<()> {
        let service = self.name_of(component);
        let awaited = format!("service/{service} leading nowhere");
        let judge = |snapshot: &k8s::Snapshot| match snapshot.has_ready_endpoint(&service) {
            true => State::Pending("it leads to a pod that says it is ready".to_owned()),
            false => State::Ready,
        };
        let kinds = [Watched::Pods, Watched::EndpointSlices];
        k8s::wait::wait_on(self.kube(), self.namespace(), &kinds, &awaited, LEFT_OUT, judge).await?;
        Ok(())
    }

    /// Deploys a changed plan over this release, waits, and rolls back on failure: the harness's own way.
    ///
    /// # Errors
    /// The first error, with its diagnosis.
    pub async fn upgrade(&self, plan: &Plan) -> Result<()> {
        self.upgrade_as(plan, &self.own.credentials).await
    }

    /// The same, with other accounts to pull the images by.
    ///
    /// # Errors
    /// As [`OwnStack::upgrade`].
    pub async fn upgrade_as(&self, plan: &Plan, credentials: &RegistryCredentials) -> Result<()> {
        self.own.deploy(plan, credentials).await
    }

    /// Starts a registry that wants credentials, with all images of the release in it, and the plan that names them there.
    ///
    /// # Errors
    /// As [`artifacts::PrivateRegistry::start`], or when an image cannot be copied.
    pub async fn private_plan(&self) -> Result<(Plan, Login)> {
        let login = self.own.private_registry(self.stack.session()).await?.login;
        let engine = self.stack.session().engine().await?;
        let credentials = self.own.credentials.clone().with(login.clone());
        let mut plan = self.plan().clone();
        for artifact in &mut plan.artifacts.builds {
            let from = self.stack.session().from_here(&engine, &artifact.tag).await?;
            artifact.tag = artifact.tag.at_registry(&login.server);
            artifacts::copy(&from, &artifact.tag, &credentials).await?;
        }
        Ok((plan, login))
    }

    /// Has the cluster's node find the registry of [`OwnStack::private_plan`], or nothing at its address: one that is away for
    /// a while. Whoever is on this host finds it as before.
    ///
    /// # Errors
    /// [`crate::Error::Command`] when the engine refuses.
    pub async fn lead_to_registry(&self, login: &Login, reached: bool) -> Result<()> {
        self.own.lead_to_registry(self.stack.session(), login, reached).await
    }

    /// Who we are at image registries, with one more account.
    pub fn credentials_with(&self, login: Login) -> RegistryCredentials {
        self.own.credentials.clone().with(login)
    }

    /// What `docker login` with an account leaves in a folder: who a user is who has set nothing else.
    ///
    /// # Errors
    /// As [`crate::engine::Engine::login`].
    pub async fn docker_login(&self, login: &Login, folder: &Path) -> Result<RegistryCredentials> {
        let session = self.stack.session();
        session.engine().await?.login(login, folder, &session.settings).await?;
        Ok(RegistryCredentials::of_client(folder, &session.settings.environment))
    }

    fn workload(&self, component: &Component) -> Workload {
        let kind = if component.stateful { Kind::StatefulSet } else { Kind::Deployment };
        Workload::new(self.kube().clone(), self.namespace(), kind, self.name_of(component))
    }
}

impl Argument for OwnStack {
    const NEEDS: Needs = Needs::OwnStack;

    fn make(session: Arc<Session>, scenario: &str) -> BoxFuture<'_, Result<Fixture<Self>>> {
        Box::pin(async move { make(session, scenario, Database::InItsPod).await })
    }
}

/// An [`OwnStack`] whose database has its data on a volume: for scenarios that replace its pod.
#[derive(Debug)]
pub struct DurableStack(OwnStack);

impl Deref for DurableStack {
    type Target = OwnStack;

    fn deref(&self) -> &OwnStack {
        &self.0
    }
}

impl Argument for DurableStack {
    const NEEDS: Needs = Needs::OwnStack;

    fn make(session: Arc<Session>, scenario: &str) -> BoxFuture<'_, Result<Fixture<Self>>> {
        Box::pin(async move {
            let Fixture { argument, aftercare } = make(session, scenario, Database::OnAVolume).await?;
            Ok(Fixture { argument: Self(argument), aftercare })
        })
    }
}

async fn make(session: Arc<Session>, scenario: &str, database: Database) -> Result<Fixture<OwnStack>> {
    let own = Arc::new(session.own(database).await?);
    let stack = Stack::of(session, &own.cluster, &own.plan, scenario).await;
    let care = Box::new(OwnCare { own: Arc::clone(&own), failed: AtomicBool::new(false) });
    match stack {
        Ok(stack) => Ok(Fixture { argument: OwnStack { stack, own }, aftercare: care }),
        Err(error) => {
            drop(own);
            if let Err(second) = care.remove().await {
                tracing::warn!("{}", second.report());
            }
            Err(error)
        }
    }
}

/// Evidence of a release of a scenario's own, and its end, or the scenario that takes it over.
struct OwnCare {
    own: Arc<Own>,
    failed: AtomicBool,
}

impl Teardown for OwnCare {
    fn diagnose(&self) -> Pin<Box<dyn Future<Output = Option<String>> + Send + '_>> {
        self.failed.store(true, Ordering::Relaxed);
        Box::pin(async { Some(self.own.diagnosis().await) })
    }

    fn remove(self: Box<Self>) -> Pin<Box<dyn Future<Output = Result<()>> + Send>> {
        Box::pin(async move {
            let own = match Arc::try_unwrap(self.own) {
                // After a failure nobody knows what it is like.
                Ok(own) if !self.failed.into_inner() => match own.hand_over().await {
                    Ok(()) => return Ok(()),
                    Err(own) => *own,
                },
                Ok(own) => own,
                Err(shared) => return shared.remove().await,
            };
            own.remove().await
        })
    }
}
