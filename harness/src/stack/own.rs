//! `OwnStack` and `DurableStack`: an isolated release in a namespace of its own, for one scenario.

use std::ops::Deref;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
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

/// How long a Service may still lead to a pod that is not ready any more: five readiness probes, each with its time limit.
const LEFT_OUT: Duration = Duration::from_secs(60);

/// An isolated release, which its scenario may restart, break and upgrade. Its database's data is gone with the database's
/// pod; [`DurableStack`] keeps it. The namespace is removed after the scenario, or handed over, deployed again, to the next.
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
    /// Replaces the pods of a component; returns once the new ones serve and the old ones are gone, and the components that
    /// depend on it serve again.
    ///
    /// # Errors
    /// [`harness_base::Error::Deadline`] after 240 s, or [`crate::Error::Failed`].
    pub async fn restart(&self, component: &Component) -> Result<()> {
        let until = Instant::now() + ROLLOUT;
        self.workload(component).restart(ROLLOUT).await?;
        let left = until.saturating_duration_since(Instant::now());
        // The other pods outlive a store's pod, and their probes fail while it is away.
        if component.stateful {
            Ok(release::steady(&self.own.cluster, self.plan(), left).await?)
        } else {
            Ok(release::converged(&self.own.cluster, self.plan(), left).await?)
        }
    }

    /// Sets a component's replicas; returns once as many are available and the others are gone.
    ///
    /// # Errors
    /// [`harness_base::Error::Deadline`] after 240 s, or [`crate::Error::Failed`].
    pub async fn scale(&self, component: &Component, replicas: u16) -> Result<()> {
        Ok(self.workload(component).scale(replicas, ROLLOUT).await?)
    }

    /// Waits until the Service of a component has no ready endpoint: its pods run, and are not ready.
    ///
    /// # Errors
    /// [`harness_base::Error::Deadline`] when it still has one after 60 s.
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

    /// Deploys a changed plan over this release as the harness deploys: waits until it has converged, rolls back on failure.
    ///
    /// # Errors
    /// The first error, with its diagnosis.
    pub async fn upgrade(&self, plan: &Plan) -> Result<()> {
        self.upgrade_as(plan, &self.own.credentials).await
    }

    /// [`OwnStack::upgrade`] with other registry credentials to pull the images by.
    ///
    /// # Errors
    /// As [`OwnStack::upgrade`].
    pub async fn upgrade_as(&self, plan: &Plan, credentials: &RegistryCredentials) -> Result<()> {
        self.own.deploy(plan, credentials).await
    }

    /// Starts a registry that wants credentials, and copies all images of the release into it; returns the plan that names them
    /// there, and the login. The registry's container is removed with the release.
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

    /// Sets whether the cluster's node reaches the registry of [`OwnStack::private_plan`]; not reached, it stands for a registry
    /// that is down. This host reaches it in both cases.
    ///
    /// # Errors
    /// [`crate::Error::Command`] when the engine refuses.
    pub async fn lead_to_registry(&self, login: &Login, reached: bool) -> Result<()> {
        self.own.lead_to_registry(self.stack.session(), login, reached).await
    }

    /// The run's registry credentials, and one more login.
    pub fn credentials_with(&self, login: Login) -> RegistryCredentials {
        self.own.credentials.clone().with(login)
    }

    /// Runs `docker login` with a login into a folder, and reads the registry credentials from there, as for a user who has set
    /// nothing else.
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

/// An [`OwnStack`] whose database keeps its data on a volume, for scenarios that replace the database's pod.
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
            let Fixture { argument, teardown } = make(session, scenario, Database::OnAVolume).await?;
            Ok(Fixture { argument: Self(argument), teardown })
        })
    }
}

async fn make(session: Arc<Session>, scenario: &str, database: Database) -> Result<Fixture<OwnStack>> {
    let own = Arc::new(session.own(database).await?);
    let stack = Stack::of(session, &own.cluster, &own.plan, scenario).await;
    let care = Box::new(OwnCare { own: Arc::clone(&own) });
    match stack {
        Ok(stack) => Ok(Fixture { argument: OwnStack { stack, own }, teardown: care }),
        Err(error) => {
            drop(own);
            if let Err(second) = care.remove(false).await {
                tracing::warn!("{}", second.report());
            }
            Err(error)
        }
    }
}

/// The teardown of an isolated release: evidence, then removal, or its handover to a scenario that waits for one.
struct OwnCare {
    own: Arc<Own>,
}

impl Teardown for OwnCare {
    fn diagnose(&self) -> Pin<Box<dyn Future<Output = Option<String>> + Send + '_>> {
        Box::pin(async { Some(self.own.diagnosis().await) })
    }

    fn remove(self: Box<Self>, passed: bool) -> Pin<Box<dyn Future<Output = Result<()>> + Send>> {
        Box::pin(async move {
            let own = match Arc::try_unwrap(self.own) {
                // Else the release's state is not known, so that it is not handed over.
                Ok(own) if passed => match own.hand_over().await {
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
