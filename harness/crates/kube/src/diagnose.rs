//! A text about a namespace in which something failed, with what a person would look at first.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use harness_base::secrets;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::core::v1::{ContainerStatus, Event, PersistentVolumeClaim, Pod};
use k8s_openapi::jiff::Timestamp;
use kube::api::{ListParams, LogParams};
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;

use super::failure_cause::failure_cause;
use super::pod::{doing, init_statuses, is_ready, phase, ready_count, restarts, status, statuses};
use super::secret;
use super::snapshot::{Snapshot, event_time, is_controlled_by, warnings_of};
use crate::in_one_line;

/// The limit for the whole diagnosis.
const LIMIT: Duration = Duration::from_secs(10);
/// The limit for one part of it, so that one silent part leaves time for the others.
const PART: Duration = Duration::from_secs(4);
const EVENTS: usize = 15;
const LINES: i64 = 20;

/// A diagnosis of a namespace: failing pods first, then all pods, conditions, container states, warnings and last log lines.
///
/// Takes at most 10 s and never fails: its own problems are lines of the text. Values of the namespace's Secrets are
/// redacted, also where a log repeats them.
pub async fn diagnose(client: &Client, namespace: &str) -> String {
    within_limit(client, namespace, None).await
}

/// [`diagnose`] for a deploy that failed: warnings from before `begin`, and about pods of former revisions, are left out, so
/// that old problems do not bury the present one.
pub async fn diagnose_deploy(client: &Client, namespace: &str, begin: Begin) -> String {
    within_limit(client, namespace, Some(begin)).await
}

/// A moment of a namespace by the API server's own resource version, so that no clocks need to agree.
///
/// Resource versions are compared as numbers, which Kubernetes promises (KEP-5504) and etcd has always given.
#[derive(Debug, Clone, Copy)]
pub struct Begin(Option<u64>);

impl Begin {
    /// The present moment. Where the API does not tell it within 4 s, every warning counts as a later one.
    pub async fn now(client: &Client, namespace: &str) -> Self {
        let api: Api<Event> = Api::namespaced(client.clone(), namespace);
        let found = tokio::time::timeout(PART, api.list_metadata(&ListParams::default().limit(1))).await;
        Self(found.ok().and_then(Result::ok).and_then(|list| list.metadata.resource_version?.parse().ok()))
    }

    fn is_before(self, event: &Event) -> bool {
        let version = event.metadata.resource_version.as_ref().and_then(|version| version.parse::<u64>().ok());
        self.0.zip(version).is_none_or(|(begin, version)| version > begin)
    }
}

async fn within_limit(client: &Client, namespace: &str, begin: Option<Begin>) -> String {
    match tokio::time::timeout(LIMIT, look(client, namespace, begin)).await {
        Ok(text) => text,
        Err(_) => format!("namespace {namespace}: the diagnosis itself was not done within {LIMIT:?}\n"),
    }
}

async fn look(client: &Client, namespace: &str, begin: Option<Begin>) -> String {
    let (pods, events, deployments, revisions, sets, claims, unknown) = tokio::join!(
        list::<Pod>(client, namespace, "pods"),
        list::<Event>(client, namespace, "events"),
        list::<Deployment>(client, namespace, "deployments"),
        list::<ReplicaSet>(client, namespace, "replica sets"),
        list::<StatefulSet>(client, namespace, "stateful sets"),
        list::<PersistentVolumeClaim>(client, namespace, "volume claims"),
        secret::know_all(client, namespace),
    );
    let mut text = format!("namespace {namespace}\n");
    let mut pods = or_note(pods, &mut text);
    pods.sort_by_key(|pod| (is_ready(pod), pod.name_any()));
    let events = or_note(events, &mut text);
    let deployments = or_note(deployments, &mut text);
    let seen = Snapshot {
        pods: pods.iter().cloned().map(Arc::new).collect(),
        deployments: deployments.iter().cloned().map(Arc::new).collect(),
        replica_sets: or_note(revisions, &mut text).into_iter().map(Arc::new).collect(),
        ..Snapshot::default()
    };
    let all = events.into_iter().filter(|event| event.type_.as_deref() == Some("Warning"));
    let (events, others): (Vec<Event>, Vec<Event>) =
        all.partition(|event| begin.is_none_or(|begin| is_of_deploy(event, begin, &seen)));
    failure_causes(&mut text, &pods, &events);
    table(&mut text, &pods);
    for deployment in deployments {
        let status = deployment.status.clone().unwrap_or_default();
        for condition in status.conditions.unwrap_or_default() {
            let bad = (condition.type_ == "ReplicaFailure") == (condition.status == "True");
            let name = deployment.name_any();
            unmet(&mut text, bad, &format!("deployment/{name}"), &condition.type_, condition.message.as_deref());
        }
    }
    for set in or_note(sets, &mut text) {
        let status = set.status.clone().unwrap_or_default();
        let desired = set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
        let ready = status.ready_replicas.unwrap_or(0);
        if ready != desired {
            let _ = writeln!(text, "statefulset/{}: {ready} of {desired} ready", set.name_any());
        }
    }
    for claim in or_note(claims, &mut text) {
        let phase = claim.status.as_ref().and_then(|status| status.phase.clone()).unwrap_or_default();
        if phase != "Bound" {
            let _ = writeln!(text, "volume claim {}: {phase}", claim.name_any());
        }
    }
    for pod in &pods {
        details(&mut text, pod);
    }
    warnings(&mut text, events);
    if !others.is_empty() {
        let count = others.len();
        let _ = writeln!(
            text,
            "({count} warnings from before this deploy, or about pods of former revisions, are left out)"
        );
    }
    for part in join_all(logs_wanted(&pods).into_iter().map(|wanted| log(client, namespace, wanted))).await {
        text.push_str(&part);
    }
    if let Some(problem) = unknown {
        let _ = writeln!(text, "(the Secrets cannot be read, so that their values are not known: {problem})");
    }
    // Redacted here too: a caller may show a diagnosis without a report.
    secrets::redact(&text).into_owned()
}

/// Whether a warning belongs to a deploy: later than its begin, and not about a pod that it replaces or that is gone.
fn is_of_deploy(event: &Event, begin: Begin, seen: &Snapshot) -> bool {
    let object = &event.involved_object;
    let name = object.name.as_deref().unwrap_or_default();
    let current: Vec<String> = seen.deployments.iter().filter_map(|it| seen.current_replica_set(it)?.uid()).collect();
    let is_former = |set: &&Arc<ReplicaSet>| {
        let of_deployment =
            seen.deployments.iter().any(|it| it.uid().is_some_and(|uid| is_controlled_by(set.as_ref(), &uid)));
        of_deployment && set.uid().is_none_or(|uid| !current.contains(&uid))
    };
    let of_former = seen.replica_sets.iter().filter(is_former).any(|set| {
        let of_pod = name.strip_prefix(&set.name_any()).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'));
        of_pod && matches!(object.kind.as_deref(), Some("Pod" | "ReplicaSet"))
    });
    // A stateful set's pods have the same name in every revision.
    let replaced = object.kind.as_deref() == Some("Pod")
        && seen.pod(name).is_some_and(|pod| object.uid.is_some() && pod.uid() != object.uid);
    begin.is_before(event) && !of_former && !replaced
}

async fn list<K>(client: &Client, namespace: &str, what: &str) -> Result<Vec<K>, String>
where
    K: Resource<Scope = kube::core::NamespaceResourceScope> + Clone + DeserializeOwned + std::fmt::Debug,
    K::DynamicType: Default,
{
    let api: Api<K> = Api::namespaced(client.clone(), namespace);
    match tokio::time::timeout(PART, api.list(&ListParams::default())).await {
        Ok(Ok(list)) => Ok(list.items),
        Ok(Err(error)) => Err(format!("cannot list {what}: {}", in_one_line(&error))),
        Err(_) => Err(format!("cannot list {what}: no answer within {PART:?}")),
    }
}

fn or_note<T>(part: Result<Vec<T>, String>, text: &mut String) -> Vec<T> {
    part.unwrap_or_else(|problem| {
        let _ = writeln!(text, "({problem})");
        Vec::new()
    })
}

fn failure_causes(text: &mut String, pods: &[Pod], events: &[Event]) {
    for found in pods.iter().filter_map(|pod| failure_cause(pod, &warnings_of(events.iter(), pod))) {
        let _ = writeln!(text, "! {found}");
    }
}

fn table(text: &mut String, pods: &[Pod]) {
    if pods.is_empty() {
        text.push_str("no pods\n");
        return;
    }
    let mut rows = vec![["POD", "READY", "STATUS", "RESTARTS", "AGE", "IMAGES"].map(str::to_owned)];
    for pod in pods {
        let (ready, total) = ready_count(pod);
        rows.push([
            pod.name_any(),
            format!("{ready}/{total}"),
            status(pod),
            restarts(pod).to_string(),
            pod.metadata.creation_timestamp.as_ref().map(|time| age(time.0)).unwrap_or_default(),
            statuses(pod).iter().map(short_image).collect::<Vec<_>>().join(", "),
        ]);
    }
    for row in &rows {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let width = rows.iter().filter_map(|row| row.get(column)).map(String::len).max().unwrap_or_default();
            let _ = write!(line, "{cell:width$}  ");
        }
        let _ = writeln!(text, "{}", line.trim_end());
    }
}

/// An image's name, and the first 12 digits of the digest that really runs.
fn short_image(status: &ContainerStatus) -> String {
    let name = status.image.split('@').next().unwrap_or_default().rsplit('/').next().unwrap_or_default();
    match status.image_id.split_once("sha256:") {
        Some((_, digest)) => format!("{name}@{}", digest.get(..12).unwrap_or(digest)),
        None => name.to_owned(),
    }
}

fn age(since: Timestamp) -> String {
    let seconds = Timestamp::now().duration_since(since).as_secs();
    match seconds {
        ..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds / 60),
        _ => format!("{}h", seconds / 3600),
    }
}

fn unmet(text: &mut String, bad: bool, who: &str, condition: &str, message: Option<&str>) {
    if bad {
        let _ = writeln!(text, "{who}: {condition}: {}", message.unwrap_or("(no message)"));
    }
}

fn details(text: &mut String, pod: &Pod) {
    if is_ready(pod) || phase(pod) == "Succeeded" {
        return;
    }
    let name = pod.name_any();
    for condition in pod.status.iter().flat_map(|status| status.conditions.iter().flatten()) {
        // `Ready` says the same as `ContainersReady`.
        if condition.status != "True" && condition.type_ != "ContainersReady" {
            let reason = condition.reason.as_deref().unwrap_or("no reason");
            let message = condition.message.as_deref().unwrap_or_default();
            let _ = writeln!(text, "pod {name}: not {} ({reason}) {message}", condition.type_);
        }
    }
    for status in init_statuses(pod).iter().chain(statuses(pod)).filter(|status| !status.ready) {
        let _ = write!(text, "pod {name}, container {}: {}", status.name, doing(status));
        let message = status.state.as_ref().and_then(|state| state.waiting.as_ref()?.message.as_deref());
        if let Some(message) = message {
            let _ = write!(text, ": {message}");
        }
        if let Some(last) = status.last_state.as_ref().and_then(|state| state.terminated.as_ref()) {
            let reason = last.reason.as_deref().unwrap_or("no reason");
            let _ = write!(text, "; before: {reason}, exit code {}", last.exit_code);
        }
        text.push('\n');
    }
}

fn warnings(text: &mut String, events: Vec<Event>) {
    let mut warnings: Vec<Event> = Vec::new();
    let mut times: BTreeMap<String, i32> = BTreeMap::new();
    for event in events {
        *times.entry(about(&event)).or_default() +=
            event.series.as_ref().and_then(|it| it.count).or(event.count).unwrap_or(1);
        warnings.push(event);
    }
    // Of the warnings with one reason about one object only the newest is shown: the texts differ in names alone.
    warnings.sort_by_key(|event| Reverse(event_time(event)));
    let mut seen = BTreeSet::new();
    warnings.retain(|event| seen.insert(about(event)));
    if warnings.is_empty() {
        return;
    }
    let more =
        if warnings.len() > EVENTS { format!(" (the last {EVENTS} of {})", warnings.len()) } else { String::new() };
    let _ = writeln!(text, "warnings{more}:");
    warnings.truncate(EVENTS);
    for event in warnings.iter().rev() {
        let when = event_time(event).map(|time| format!("{} ago", age(time))).unwrap_or_default();
        let (about, message) = (about(event), event.message.as_deref().unwrap_or_default().trim());
        let times = times.get(&about).copied().unwrap_or(1);
        let _ = writeln!(text, "  {when:>8} {about} (x{times}): {message}");
    }
}

fn about(event: &Event) -> String {
    let object = &event.involved_object;
    let kind = object.kind.as_deref().unwrap_or_default().to_lowercase();
    let reason = event.reason.as_deref().unwrap_or_default();
    format!("{kind}/{} {reason}", object.name.as_deref().unwrap_or_default())
}

/// A log to read: of a container that is not ready, or of its crashed predecessor.
struct LogRequest {
    pod: String,
    container: String,
    previous: bool,
}

fn logs_wanted(pods: &[Pod]) -> Vec<LogRequest> {
    let mut wanted = Vec::new();
    for pod in pods.iter().filter(|pod| phase(pod) != "Succeeded") {
        for status in init_statuses(pod).iter().chain(statuses(pod)).filter(|status| !status.ready) {
            let state = status.state.clone().unwrap_or_default();
            let ended_well = state.terminated.as_ref().is_some_and(|ended| ended.exit_code == 0);
            let crashed = status.last_state.as_ref().is_some_and(|state| state.terminated.is_some());
            let never_ran = state.running.is_none() && state.terminated.is_none() && !crashed;
            if ended_well || never_ran {
                continue;
            }
            let (pod, container) = (pod.name_any(), status.name.clone());
            wanted.push(LogRequest { pod, container, previous: crashed && state.terminated.is_none() });
        }
    }
    wanted
}

async fn log(client: &Client, namespace: &str, wanted: LogRequest) -> String {
    let LogRequest { pod, container, previous } = wanted;
    let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let params = LogParams {
        container: Some(container.clone()),
        previous,
        tail_lines: Some(LINES),
        limit_bytes: Some(16 * 1024),
        ..LogParams::default()
    };
    let which = if previous { ", the instance before" } else { "" };
    let mut text = format!("last lines of pod {pod}, container {container}{which}:\n");
    match tokio::time::timeout(PART, api.logs(&pod, &params)).await {
        Ok(Ok(log)) if log.trim().is_empty() => text.push_str("  (it wrote nothing)\n"),
        Ok(Ok(log)) => log.lines().for_each(|line| {
            let _ = writeln!(text, "  | {line}");
        }),
        Ok(Err(error)) => {
            let _ = writeln!(text, "  (cannot be read: {})", in_one_line(&error));
        }
        Err(_) => {
            let _ = writeln!(text, "  (cannot be read: no answer within {PART:?})");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    fn object<K: DeserializeOwned>(value: Value) -> Arc<K> {
        Arc::new(serde_json::from_value(value).unwrap())
    }

    /// A deployment at its second revision with one pod of each revision, and a database.
    fn seen() -> Snapshot {
        let revision = |name: &str, number: &str| {
            let owner = json!([{ "apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": "web", "controller": true }]);
            object(json!({ "metadata": { "name": name, "uid": name, "ownerReferences": owner,
                "annotations": { "deployment.kubernetes.io/revision": number } } }))
        };
        let pod = |name: &str| object(json!({ "metadata": { "name": name, "uid": format!("{name} now") } }));
        Snapshot {
            deployments: vec![object(json!({ "metadata": { "name": "web", "uid": "web",
                "annotations": { "deployment.kubernetes.io/revision": "2" } } }))],
            replica_sets: vec![revision("web-a", "1"), revision("web-b", "2")],
            pods: vec![pod("web-a-x"), pod("web-b-x"), pod("db-0")],
            ..Snapshot::default()
        }
    }

    #[rstest]
    #[case::before_its_begin("7", "Pod", "web-b-x", "web-b-x now", false)]
    #[case::after_it("8", "Pod", "web-b-x", "web-b-x now", true)]
    #[case::of_a_former_pod("8", "Pod", "web-a-x", "web-a-x now", false)]
    #[case::of_a_former_pod_that_is_gone("8", "Pod", "web-a-y", "y", false)]
    #[case::of_a_present_revision_s_pod_that_is_gone("8", "Pod", "web-b-y", "y", true)]
    #[case::of_the_former_revision("8", "ReplicaSet", "web-a", "web-a", false)]
    #[case::of_the_present_one("8", "ReplicaSet", "web-b", "web-b", true)]
    #[case::of_the_database("8", "Pod", "db-0", "db-0 now", true)]
    #[case::of_the_database_before_its_restart("8", "Pod", "db-0", "db-0 before", false)]
    #[case::of_a_claim("8", "PersistentVolumeClaim", "web-a-data", "z", true)]
    #[case::of_no_version("", "Pod", "web-b-x", "web-b-x now", true)]
    fn warnings_are_the_deploys_own(
        #[case] version: &str,
        #[case] kind: &str,
        #[case] name: &str,
        #[case] uid: &str,
        #[case] own: bool,
    ) {
        let event: Event = serde_json::from_value(json!({ "metadata": { "resourceVersion": version },
            "involvedObject": { "kind": kind, "name": name, "uid": uid } }))
        .unwrap();
        assert_eq!(is_of_deploy(&event, Begin(Some(7)), &seen()), own);
        // Where the begin is unknown, former revisions are still left out.
        assert_eq!(is_of_deploy(&event, Begin(None), &seen()), own || version == "7");
    }
}
