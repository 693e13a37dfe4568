//! `OwnStack`: a namespace and a release of a scenario's own.

use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;

use super::shared::Stack;
use crate::descriptor::Component;
use crate::error::Result;
use crate::fixture::{Fixtures, Own};
use crate::k8s;
use crate::k8s::workload::{Kind, Workload};
use crate::release::Plan;
use crate::scenario::{Aftercare, Argument, Made, Needs};
use crate::services::ROLLOUT;

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
