//! Handles on a Deployment or StatefulSet, for scenarios that restart, scale or inspect one.

use std::time::Duration;

use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::jiff::Timestamp;
use kube::api::{AttachParams, DeleteParams, ListParams, Patch, PatchParams, Preconditions};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;

use super::pod::is_terminating;
use super::snapshot::{Snapshot, Watched};
use super::verdict::{Instance, deployment_converged, stateful_set_converged, stateful_sets_observed, stuck_pods};
use super::wait::{State, wait, wait_on};
use super::{FIELD_MANAGER, call, has_code, within};
use crate::{Error, Result};

/// The kinds of workload that a release is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each variant is the Kubernetes kind of its name")]
pub enum Kind {
    Deployment,
    StatefulSet,
}

/// Deletes the pods that keep an instance's StatefulSets from their current revision ([`stuck_pods`]). On cancel some may be
/// deleted.
///
/// # Errors
/// The API's error, or [`harness_base::Error::Deadline`] when the controller has not observed the sets' generation within
/// 30 s.
pub async fn free_stateful_sets(client: &Client, namespace: &str, instance: &Instance) -> Result<()> {
    let kinds = [Watched::StatefulSets, Watched::Deployments, Watched::ReplicaSets, Watched::Pods];
    let judge = |seen: &Snapshot| stateful_sets_observed(seen, instance);
    let seen = wait_on(client, namespace, &kinds, "the StatefulSets' notice", NOTICE, judge).await?;
    let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
    for pod in stuck_pods(&seen, instance) {
        let name = pod.name_any();
        tracing::info!("deleting {name}, which keeps its StatefulSet from going back");
        let preconditions = Preconditions { uid: pod.uid(), ..Preconditions::default() };
        let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
        match call(&format!("delete the pod {name}"), api.delete(&name, &params)).await {
            // The pod is gone, or another one has its name.
            Err(error) if has_code(&error, 404) || has_code(&error, 409) => {}
            outcome => drop(outcome?),
        }
    }
    Ok(())
}

/// The limit for a StatefulSet's controller to observe a change.
const NOTICE: Duration = Duration::from_secs(30);

/// A handle on one Deployment or StatefulSet.
#[derive(Clone)]
pub struct Workload {
    client: Client,
    namespace: String,
    kind: Kind,
    name: String,
}

impl Workload {
    /// A handle; nothing is asked, so an absent workload shows at its first use.
    pub fn new(client: Client, namespace: impl Into<String>, kind: Kind, name: impl Into<String>) -> Self {
        Self { client, namespace: namespace.into(), kind, name: name.into() }
    }

    /// Replaces every pod; returns once the new revision serves and the pods of the old one are gone. On cancel the
    /// rollout goes on.
    ///
    /// # Errors
    /// As [`wait`]; the API's error when there is no such workload.
    pub async fn restart(&self, limit: Duration) -> Result<()> {
        // The annotation is kubectl's own, so that both restarts are the same.
        let stamp = json!({ "kubectl.kubernetes.io/restartedAt": Timestamp::now().to_string() });
        self.patch("restart", json!({ "spec": { "template": { "metadata": { "annotations": stamp } } } })).await?;
        self.wait_for("the new revision", limit, |pods| match pods.iter().find(|pod| is_terminating(pod)) {
            Some(pod) => State::Pending(format!("{} still ends", pod.name_any())),
            None => State::Ready,
        })
        .await
    }

    /// Sets the number of replicas; returns once so many serve and the surplus pods are gone. On cancel the scaling goes on.
    ///
    /// # Errors
    /// As [`wait`]; the API's error when there is no such workload.
    pub async fn scale(&self, replicas: u16, limit: Duration) -> Result<()> {
        self.patch("scale", json!({ "spec": { "replicas": replicas } })).await?;
        // A terminating pod may still serve earlier requests.
        self.wait_for(&format!("{replicas} replicas"), limit, |pods| match pods.len() {
            count if count == usize::from(replicas) => State::Ready,
            count => State::Pending(format!("{count} pods are still there")),
        })
        .await
    }

    /// Waits until the workload has converged, and `wanted` calls its pods ready.
    async fn wait_for(
        &self,
        what: &str,
        limit: Duration,
        wanted: impl Fn(&[&Pod]) -> State + Send + Sync,
    ) -> Result<()> {
        let awaited = format!("{what} of {self}");
        let judge = |snapshot: &Snapshot| match self.judge(snapshot) {
            State::Ready => wanted(&self.pods_in(snapshot)),
            other => other,
        };
        wait(&self.client, &self.namespace, &awaited, limit, judge).await.map(|_| ())
    }

    fn judge(&self, snapshot: &Snapshot) -> State {
        match self.kind {
            Kind::Deployment => deployment_converged(snapshot, &self.name),
            Kind::StatefulSet => stateful_set_converged(snapshot, &self.name),
        }
    }

    /// The workload's pods, terminating ones and those of former revisions included.
    fn pods_in<'a>(&self, snapshot: &'a Snapshot) -> Vec<&'a Pod> {
        let owners: Vec<String> = match self.kind {
            Kind::StatefulSet => snapshot.stateful_set(&self.name).and_then(ResourceExt::uid).into_iter().collect(),
            Kind::Deployment => {
                let uid = snapshot.deployment(&self.name).and_then(ResourceExt::uid).unwrap_or_default();
                let sets = snapshot.replica_sets.iter();
                let ours = sets.filter(|set| super::snapshot::is_controlled_by(set.as_ref(), &uid));
                ours.filter_map(|set| set.uid()).collect()
            }
        };
        owners.iter().flat_map(|owner| snapshot.pods_of(owner)).collect()
    }

    async fn patch(&self, verb: &str, patch: Value) -> Result<()> {
        let what = format!("{verb} {self}");
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let patch = Patch::Merge(patch);
        match self.kind {
            Kind::Deployment => {
                let api: Api<Deployment> = Api::namespaced(self.client.clone(), &self.namespace);
                call(&what, api.patch(&self.name, &params, &patch)).await.map(|_| ())
            }
            Kind::StatefulSet => {
                let api: Api<StatefulSet> = Api::namespaced(self.client.clone(), &self.namespace);
                call(&what, api.patch(&self.name, &params, &patch)).await.map(|_| ())
            }
        }
    }
}

impl std::fmt::Display for Workload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = match self.kind {
            Kind::Deployment => "deployment",
            Kind::StatefulSet => "statefulset",
        };
        write!(f, "{kind}/{} in the namespace {}", self.name, self.namespace)
    }
}

/// The pods that match a label selector, terminating ones too, sorted by name.
///
/// # Errors
/// The API's error, or [`harness_base::Error::Deadline`] after 10 s.
pub async fn pods(client: &Client, namespace: &str, selector: &str) -> Result<Vec<Pod>> {
    let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let what = format!("list the pods with {selector} in the namespace {namespace}");
    let mut pods = call(&what, api.list(&ListParams::default().labels(selector))).await?.items;
    pods.sort_by_key(|pod| pod.name_any());
    Ok(pods)
}

/// The outcome of a command in a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecOutcome {
    /// Whether the command's exit code is 0.
    pub succeeded: bool,
    /// The API's message about a failed end; empty otherwise.
    pub reason: String,
    /// The command's standard output.
    pub stdout: String,
    /// The command's standard error.
    pub stderr: String,
}

/// Runs a command in a container of a pod: the one that is named, else the pod's first. On cancel the command may run on there.
///
/// # Errors
/// The API's error when the command cannot be started, [`harness_base::Error::Deadline`] after `limit`; a failed command is
/// an outcome.
pub async fn exec(
    client: &Client,
    namespace: &str,
    (pod, container): (&str, Option<&str>),
    command: &[&str],
    limit: Duration,
) -> Result<ExecOutcome> {
    let what = format!("run {} in the pod {pod} of the namespace {namespace}", command.join(" "));
    let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let params =
        AttachParams { container: container.map(str::to_owned), ..AttachParams::default().stdout(true).stderr(true) };
    within(&what, limit, async {
        let mut process = api.exec(pod, command.iter().copied(), &params).await.map_err(Error::kube(what.as_str()))?;
        let status = process.take_status();
        let (mut stdout, mut stderr) = (String::new(), String::new());
        let (out, err) = (process.stdout(), process.stderr());
        let read_out = async {
            if let Some(mut stream) = out {
                stream.read_to_string(&mut stdout).await?;
            }
            std::io::Result::Ok(())
        };
        let read_err = async {
            if let Some(mut stream) = err {
                stream.read_to_string(&mut stderr).await?;
            }
            std::io::Result::Ok(())
        };
        tokio::try_join!(read_out, read_err).map_err(Error::io(what.as_str()))?;
        let ended = match status {
            Some(status) => status.await,
            None => None,
        };
        let succeeded = ended.as_ref().is_some_and(|ended| ended.status.as_deref() == Some("Success"));
        let reason = ended.and_then(|ended| ended.message).unwrap_or_default();
        Ok(ExecOutcome { succeeded, reason, stdout, stderr })
    })
    .await
}
