//! Whether a deployed release has converged, judged from a snapshot.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{ContainerPort, Pod, PodTemplateSpec, Service};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::ResourceExt;

use super::failure_cause::{self, FailureCause, failure_cause};
use super::pod::{is_over, is_ready, is_terminating, summary};
use super::snapshot::Snapshot;
use super::wait::State;
use super::window::{SAME_DEPLOY_SECS, Window};

/// A release's objects, by the label that they share; shown as a selector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    label: String,
    name: String,
}

impl Instance {
    /// The objects whose label `label` is `name`.
    pub fn new(label: impl Into<String>, name: impl Into<String>) -> Self {
        Self { label: label.into(), name: name.into() }
    }

    fn has(&self, labels: &BTreeMap<String, String>) -> bool {
        labels.get(&self.label).is_some_and(|value| *value == self.name)
    }
}

impl std::fmt::Display for Instance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}={}", self.label, self.name)
    }
}

/// Whether every workload and Service of a release has converged.
///
/// [`State::Ready`] means: the instance has at least one Deployment or StatefulSet, all of them are rolled out on their
/// current generation with no old replica left, and each Service of the instance whose workload wants replicas has a ready
/// endpoint. Pods of former revisions are never blamed.
pub fn converged(snapshot: &Snapshot, instance: &Instance) -> State {
    let is_ours = |labels: &BTreeMap<String, String>| instance.has(labels);
    let rollouts = rollouts(snapshot, instance);
    if rollouts.is_empty() {
        return State::Pending(format!("there is no Deployment or StatefulSet with {instance}"));
    }
    let services = snapshot.services.iter().map(AsRef::as_ref).filter(|it: &&Service| is_ours(it.labels()));
    judge(snapshot, &rollouts, services)
}

/// The names of an instance's workloads that are rolled out, whatever the state of its Services.
pub fn rolled_out(snapshot: &Snapshot, instance: &Instance) -> Vec<String> {
    rollouts(snapshot, instance).into_iter().filter(|it| it.lag.is_none()).map(|it| it.name).collect()
}

fn rollouts<'a>(snapshot: &'a Snapshot, instance: &Instance) -> Vec<Rollout<'a>> {
    let deployments = snapshot.deployments.iter().filter(|it| instance.has(it.labels()));
    let stateful_sets = snapshot.stateful_sets.iter().filter(|it| instance.has(it.labels()));
    deployments
        .map(|it| Rollout::of_deployment(snapshot, it))
        .chain(stateful_sets.map(|it| Rollout::of_stateful_set(snapshot, it)))
        .collect()
}

/// Whether an instance has [`converged`], and each of its Services leads to pods of the current revision alone.
///
/// Replaced pods may still exist, and may get requests for a moment: the nodes' routes follow the Services.
pub fn handed_over(snapshot: &Snapshot, instance: &Instance) -> State {
    match converged(snapshot, instance) {
        State::Ready => {}
        other => return other,
    }
    let former: BTreeSet<String> = former_pods(snapshot, instance).iter().map(|pod| pod.name_any()).collect();
    let services = snapshot.services.iter().filter(|it| instance.has(it.labels()));
    let behind = services.filter_map(|service| {
        let name = service.name_any();
        let old = snapshot.pods_behind(&name).find(|pod| former.contains(*pod))?;
        Some(format!("service/{name}: still leads to {old}"))
    });
    let behind: Vec<String> = behind.collect();
    if behind.is_empty() { State::Ready } else { State::Pending(behind.join("; ")) }
}

/// The pods of an instance that are terminating, or belong to a former revision of their workload.
pub fn former_pods<'a>(snapshot: &'a Snapshot, instance: &Instance) -> Vec<&'a Pod> {
    let sets = snapshot.deployments.iter().filter(|it| instance.has(it.labels()));
    let sets = sets.filter_map(|deployment| snapshot.current_replica_set(deployment)?.uid());
    let stateful = snapshot.stateful_sets.iter().filter(|it| instance.has(it.labels()));
    // With updates on delete alone, the existing pods count as current.
    let stateful = stateful.filter(|set| rolls(set));
    let stateful = stateful.filter_map(|set| Some((set.uid()?, set.status.as_ref()?.update_revision.clone())));
    let (sets, stateful): (BTreeSet<String>, BTreeMap<String, Option<String>>) = (sets.collect(), stateful.collect());
    let is_former = |pod: &Pod| {
        let owner = pod.owner_references().iter().find(|owner| owner.controller == Some(true));
        match owner {
            _ if is_terminating(pod) => true,
            // A pod that has ended serves nobody, and stays as long as its set.
            _ if is_over(pod) => false,
            Some(owner) if owner.kind == "ReplicaSet" => !sets.contains(&owner.uid),
            Some(owner) if owner.kind == "StatefulSet" => {
                let revision = pod.labels().get("controller-revision-hash").cloned();
                stateful.get(&owner.uid).is_some_and(|current| *current != revision)
            }
            _ => false,
        }
    };
    let ours = snapshot.pods.iter().map(AsRef::as_ref).filter(|pod: &&Pod| instance.has(pod.labels()));
    ours.filter(|pod| is_former(pod)).collect()
}

/// The pods of an instance's StatefulSets that are of a former revision and not ready. A set replaces none of its pods before
/// that pod is ready, so a pod that cannot become ready blocks it for ever
/// (kubernetes.io/docs/concepts/workloads/controllers/statefulset, "Forced rollback").
pub fn stuck_pods<'a>(snapshot: &'a Snapshot, instance: &Instance) -> Vec<&'a Pod> {
    let of_a_set = |pod: &&Pod| pod.owner_references().iter().any(|owner| owner.kind == "StatefulSet");
    let stuck = |pod: &&Pod| of_a_set(pod) && !is_terminating(pod) && !is_ready(pod);
    former_pods(snapshot, instance).into_iter().filter(stuck).collect()
}

/// Whether the controller has observed the current generation of every StatefulSet of an instance.
pub fn stateful_sets_observed(snapshot: &Snapshot, instance: &Instance) -> State {
    let behind = snapshot.stateful_sets.iter().filter(|it| instance.has(it.labels())).find(|set| {
        let observed = set.status.as_ref().and_then(|status| status.observed_generation);
        observed < set.metadata.generation
    });
    behind.map_or(State::Ready, |set| State::Pending(format!("statefulset/{} has not seen its change", set.name_any())))
}

/// Whether a Deployment has converged, and each Service that selects its pods has a ready endpoint.
pub fn deployment_converged(snapshot: &Snapshot, name: &str) -> State {
    match snapshot.deployment(name) {
        Some(found) => {
            judge(snapshot, &[Rollout::of_deployment(snapshot, found)], snapshot.services.iter().map(AsRef::as_ref))
        }
        None => State::Pending(format!("there is no deployment/{name}")),
    }
}

/// Whether a StatefulSet has converged, and each Service that selects its pods has a ready endpoint.
pub fn stateful_set_converged(snapshot: &Snapshot, name: &str) -> State {
    match snapshot.stateful_set(name) {
        Some(found) => {
            judge(snapshot, &[Rollout::of_stateful_set(snapshot, found)], snapshot.services.iter().map(AsRef::as_ref))
        }
        None => State::Pending(format!("there is no statefulset/{name}")),
    }
}

fn judge<'a>(snapshot: &Snapshot, rollouts: &[Rollout<'_>], services: impl Iterator<Item = &'a Service>) -> State {
    let services: Vec<&Service> = services.collect();
    let causes = rollouts.iter().filter_map(|rollout| rollout.failure_cause.clone());
    let misled = services.iter().filter_map(|service| leads_nowhere(rollouts, service));
    if let Some(worst) = causes.chain(misled).min_by_key(|failure_cause| failure_cause.tolerance.rank()) {
        return worst.into();
    }
    if let Some(unready) = unready(rollouts) {
        return unready.into();
    }
    let lags = rollouts.iter().filter_map(|rollout| rollout.lag.clone());
    let without = services.into_iter().filter_map(|service| lacks_endpoint(snapshot, rollouts, service));
    let missing: Vec<String> = lags.chain(without).collect();
    if missing.is_empty() { State::Ready } else { State::Pending(missing.join("; ")) }
}

/// The cause of a workload that runs and is not ready; `None` while another one is starting, which it may wait for. Stateful
/// sets come first, since the others wait for them.
fn unready(rollouts: &[Rollout<'_>]) -> Option<FailureCause> {
    if rollouts.iter().any(|rollout| rollout.starting) {
        return None;
    }
    let found = rollouts.iter().filter(|rollout| rollout.unready.is_some());
    found.min_by_key(|rollout| !rollout.is_store).and_then(|rollout| rollout.unready.clone())
}

/// The progress of one workload.
struct Rollout<'a> {
    /// The workload's kind and name.
    name: String,
    is_store: bool,
    template: Option<&'a PodTemplateSpec>,
    desired: i32,
    /// The missing part, with numbers; `None` when it has converged.
    lag: Option<String>,
    /// Why it will not converge by itself; looked for only while it lags.
    failure_cause: Option<FailureCause>,
    /// The cause of a pod of it that runs and is not ready.
    unready: Option<FailureCause>,
    /// Whether a pod of it is missing, or not far enough to be ready or not.
    starting: bool,
}

impl<'a> Rollout<'a> {
    fn new(name: &str, is_store: bool, template: Option<&'a PodTemplateSpec>, desired: i32) -> Self {
        let name = name.to_owned();
        Self { name, is_store, template, desired, lag: None, failure_cause: None, unready: None, starting: false }
    }

    fn is_not_observed(&mut self) {
        self.lag = Some(format!("{}: its controller has not seen the current generation", self.name));
        self.starting = true;
    }

    /// Looks for causes in the pods of the current revision.
    fn look_at(&mut self, snapshot: &Snapshot, pods: &[&Pod]) {
        // A pod that ended stays when its controller has replaced it.
        let mut alive: Vec<&Pod> = pods.iter().copied().filter(|pod| !is_over(pod)).collect();
        let replaced = i32::try_from(alive.len()).is_ok_and(|alive| alive >= self.desired);
        let again = evicted_again(snapshot, pods, self.desired);
        alive.extend(again);
        // The first evicted pod stays the blamed one while its successors come and go.
        let pods = if replaced || again.is_some() { alive.as_slice() } else { pods };
        let mut found: Vec<Option<FailureCause>> =
            pods.iter().map(|pod| failure_cause(pod, &snapshot.warnings_of(pod))).collect();
        if let (Some(_), Some(Some(evicted))) = (again, found.last_mut()) {
            // The next pod may be starting already, on another node.
            evicted.tolerance = evicted.tolerance.or_longer(Window::Ready);
        }
        let waits = |(pod, found): (&&Pod, &Option<FailureCause>)| found.is_none() && !is_ready(pod);
        let there = i32::try_from(pods.len()).unwrap_or(i32::MAX);
        // An update of several replicas makes one new pod at a time: the others are created once it is ready.
        let to_come = there < self.desired && found.iter().all(Option::is_none);
        self.starting = to_come || pods.iter().zip(&found).any(waits);
        let (unready, broken): (Vec<FailureCause>, Vec<FailureCause>) =
            found.into_iter().flatten().partition(|found| found.asked.is_some());
        self.failure_cause = broken.into_iter().min_by_key(|failure_cause| failure_cause.tolerance.rank());
        self.unready = unready.into_iter().next();
    }

    fn labels(&self) -> Option<&'a BTreeMap<String, String>> {
        self.template?.metadata.as_ref()?.labels.as_ref()
    }

    /// The ports that its containers declare.
    fn ports(&self) -> impl Iterator<Item = &'a ContainerPort> {
        let containers = self
            .template
            .and_then(|template| template.spec.as_ref())
            .map(|spec| spec.containers.iter().chain(spec.init_containers.iter().flatten()));
        containers.into_iter().flatten().flat_map(|container| container.ports.iter().flatten())
    }

    fn of_deployment(snapshot: &'a Snapshot, deployment: &'a Deployment) -> Self {
        let name = format!("deployment/{}", deployment.name_any());
        let spec = deployment.spec.as_ref();
        let status = deployment.status.clone().unwrap_or_default();
        let desired = spec.and_then(|spec| spec.replicas).unwrap_or(1);
        let (updated, all) = (status.updated_replicas.unwrap_or(0), status.replicas.unwrap_or(0));
        let (ready, available) = (status.ready_replicas.unwrap_or(0), status.available_replicas.unwrap_or(0));
        let observed = is_observed(deployment.metadata.generation, status.observed_generation);
        let old = all - updated;
        let mut rollout = Self::new(&name, false, spec.map(|spec| &spec.template), desired);
        if !observed {
            rollout.is_not_observed();
            return rollout;
        }
        if updated == desired && ready == desired && available == desired && old == 0 {
            return rollout;
        }
        let uid = snapshot.current_replica_set(deployment).and_then(|set| set.uid());
        let pods = current(uid.map(|uid| snapshot.pods_of(&uid)).unwrap_or_default());
        let paused = if spec.and_then(|spec| spec.paused) == Some(true) { " (paused)" } else { "" };
        let numbers = format!("{updated} of {desired} updated, {ready} ready, {available} available, {old} old");
        rollout.lag = Some(lag(&format!("{name}{paused}"), &numbers, &pods));
        let said = |kind: &str, value: &str, reason: Option<&str>| {
            let conditions = status.conditions.as_deref().unwrap_or_default();
            let found = conditions.iter().find(|it| it.type_ == kind && it.status == value)?;
            let fits = reason.is_none_or(|reason| found.reason.as_deref() == Some(reason));
            fits.then(|| found.message.clone().unwrap_or_default())
        };
        rollout.look_at(snapshot, &pods);
        rollout.failure_cause = rollout
            .failure_cause
            .take()
            .or_else(|| Some(failure_cause::cannot_create_pods(&name, &said("ReplicaFailure", "True", None)?)))
            .or_else(|| {
                Some(failure_cause::no_progress(
                    &name,
                    &said("Progressing", "False", Some("ProgressDeadlineExceeded"))?,
                ))
            });
        rollout
    }

    fn of_stateful_set(snapshot: &'a Snapshot, set: &'a StatefulSet) -> Self {
        let name = format!("statefulset/{}", set.name_any());
        let spec = set.spec.as_ref();
        let status = set.status.clone().unwrap_or_default();
        let desired = spec.and_then(|spec| spec.replicas).unwrap_or(1);
        let rolls = rolls(set);
        let same_revision = !rolls || status.current_revision == status.update_revision;
        let updated = if rolls { status.updated_replicas.unwrap_or(0) } else { status.replicas };
        let (ready, available) = (status.ready_replicas.unwrap_or(0), status.available_replicas.unwrap_or(0));
        let observed = is_observed(set.metadata.generation, status.observed_generation);
        let mut rollout = Self::new(&name, true, spec.map(|spec| &spec.template), desired);
        if !observed {
            rollout.is_not_observed();
            return rollout;
        }
        let all_there = [status.replicas, updated, ready, available].iter().all(|count| *count == desired);
        if all_there && same_revision {
            return rollout;
        }
        let uid = set.uid().unwrap_or_default();
        let (pods, old): (Vec<&Pod>, Vec<&Pod>) = current(snapshot.pods_of(&uid))
            .into_iter()
            .partition(|pod| pod.labels().get("controller-revision-hash") == status.update_revision.as_ref());
        let revision = if same_revision { "" } else { ", the old revision is still the current one" };
        let numbers = format!("{updated} of {desired} updated, {ready} ready, {available} available{revision}");
        rollout.lag = Some(lag(&name, &numbers, &pods));
        let refused = || {
            let warnings = snapshot.warnings_about(&uid);
            let event = warnings.iter().rev().find(|event| event.reason.as_deref() == Some("FailedCreate"))?;
            let message = event.message.as_deref().unwrap_or_default();
            (status.replicas < desired).then(|| failure_cause::cannot_create_pods(&name, message))
        };
        rollout.look_at(snapshot, &pods);
        rollout.failure_cause = rollout
            .failure_cause
            .take()
            .or_else(|| Some(failure_cause::blocked_by_old(&name, worst(snapshot, &old)?)))
            .or_else(refused);
        rollout
    }

    fn serves(&self, service: &Service) -> bool {
        let selector = service.spec.as_ref().and_then(|spec| spec.selector.as_ref());
        match (selector, self.labels()) {
            (Some(selector), Some(labels)) if !selector.is_empty() => {
                selector.iter().all(|(key, value)| labels.get(key) == Some(value))
            }
            _ => false,
        }
    }
}

/// Whether a StatefulSet replaces the pods of an old revision by itself.
fn rolls(set: &StatefulSet) -> bool {
    set.spec.as_ref().and_then(|spec| spec.update_strategy.as_ref()?.type_.as_deref()) != Some("OnDelete")
}

fn is_observed(generation: Option<i64>, observed: Option<i64>) -> bool {
    observed.unwrap_or(0) >= generation.unwrap_or(0)
}

fn current(mut pods: Vec<&Pod>) -> Vec<&Pod> {
    pods.retain(|pod| !is_terminating(pod));
    pods
}

/// The first evicted pod of this deploy, where its successors were evicted too.
fn evicted_again<'a>(snapshot: &Snapshot, pods: &[&'a Pod], desired: i32) -> Option<&'a Pod> {
    let made = |pod: &Pod| pod.metadata.creation_timestamp.as_ref().map(|time| time.0.as_second());
    let newest = pods.iter().filter_map(|pod| made(pod)).max()?;
    let of_now = |pod: &Pod| made(pod).is_some_and(|made| newest - made <= SAME_DEPLOY_SECS);
    let is_evicted = |pod: &Pod| failure_cause::eviction(pod, &snapshot.warnings_of(pod)).is_some();
    let evicted: Vec<&Pod> = pods.iter().copied().filter(|pod| is_evicted(pod) && of_now(pod)).collect();
    let again = i32::try_from(evicted.len()).is_ok_and(|count| count > desired);
    evicted.into_iter().filter(|_| again).min_by_key(|pod| made(pod))
}

fn lag(name: &str, numbers: &str, pods: &[&Pod]) -> String {
    let waiting: Vec<String> = pods.iter().filter(|pod| !is_ready(pod)).map(|pod| summary(pod)).collect();
    if waiting.is_empty() {
        format!("{name}: {numbers}")
    } else {
        format!("{name}: {numbers} ({})", waiting.join(", "))
    }
}

fn worst(snapshot: &Snapshot, pods: &[&Pod]) -> Option<FailureCause> {
    let found = pods.iter().filter_map(|pod| failure_cause(pod, &snapshot.warnings_of(pod)));
    found.min_by_key(|failure_cause| failure_cause.tolerance.rank())
}

/// The cause of a Service with a target port that its workloads do not declare; `None` where one of them declares no ports.
fn leads_nowhere(rollouts: &[Rollout<'_>], service: &Service) -> Option<FailureCause> {
    let behind: Vec<&Rollout<'_>> = rollouts.iter().filter(|rollout| rollout.serves(service)).collect();
    let first = behind.first()?;
    if behind.iter().any(|rollout| rollout.ports().next().is_none()) {
        return None;
    }
    let has = |target: &IntOrString| {
        behind.iter().flat_map(|rollout| rollout.ports()).any(|port| match target {
            IntOrString::Int(number) => port.container_port == *number,
            IntOrString::String(name) => port.name.as_ref() == Some(name),
        })
    };
    let ports = service.spec.iter().flat_map(|spec| spec.ports.iter().flatten());
    let mut targets = ports.map(|port| (port, port.target_port.clone().unwrap_or(IntOrString::Int(port.port))));
    let (port, target) = targets.find(|(_, target)| !has(target))?;
    let open = first.ports().map(|port| match &port.name {
        Some(name) => format!("{name} ({})", port.container_port),
        None => port.container_port.to_string(),
    });
    let target = match target {
        IntOrString::Int(number) => number.to_string(),
        IntOrString::String(name) => name,
    };
    let number = port.port.to_string();
    Some(failure_cause::wrong_target_port(
        &service.name_any(),
        &number,
        &target,
        &first.name,
        &open.collect::<Vec<_>>(),
    ))
}

/// What a Service lacks for its workload that wants replicas: a ready endpoint.
fn lacks_endpoint(snapshot: &Snapshot, rollouts: &[Rollout<'_>], service: &Service) -> Option<String> {
    if !rollouts.iter().any(|rollout| rollout.desired > 0 && rollout.serves(service)) {
        return None;
    }
    let name = service.name_any();
    (!snapshot.has_ready_endpoint(&name)).then(|| format!("service/{name}: no ready endpoint"))
}

#[cfg(test)]
mod tests;
