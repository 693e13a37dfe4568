//! What a person would look at first in a namespace where something failed, as text.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use futures::future::join_all;
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{ContainerStatus, Event, PersistentVolumeClaim, Pod};
use k8s_openapi::jiff::Timestamp;
use kube::api::{ListParams, LogParams};
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;

use super::ailment::ailment;
use super::brief;
use super::pod::{doing, init_statuses, is_ready, phase, ready_count, restarts, status, statuses};
use super::secret;
use super::snapshot::event_time;
use crate::secrets;

/// How long the whole look may take.
const LIMIT: Duration = Duration::from_secs(10);
/// How long one part of it may take, so that one silent part leaves time for the others.
const PART: Duration = Duration::from_secs(4);
const EVENTS: usize = 15;
const LINES: i64 = 20;

/// Doomed pods first, then pods, conditions, container states, warnings and last log lines.
///
/// Takes at most 10 s and never fails: its own problems are lines of the text. Values of the
/// namespace's Secrets are taken out, also where a log repeats them.
pub async fn diagnose(client: &Client, namespace: &str) -> String {
    match tokio::time::timeout(LIMIT, look(client, namespace)).await {
        Ok(text) => text,
        Err(_) => format!("namespace {namespace}: the diagnosis itself was not done within {LIMIT:?}\n"),
    }
}

async fn look(client: &Client, namespace: &str) -> String {
    let (pods, events, deployments, sets, claims, unknown) = tokio::join!(
        list::<Pod>(client, namespace, "pods"),
        list::<Event>(client, namespace, "events"),
        list::<Deployment>(client, namespace, "deployments"),
        list::<StatefulSet>(client, namespace, "stateful sets"),
        list::<PersistentVolumeClaim>(client, namespace, "volume claims"),
        secret::know_all(client, namespace),
    );
    let mut text = format!("namespace {namespace}\n");
    let mut pods = or_note(pods, &mut text);
    pods.sort_by_key(|pod| (is_ready(pod), pod.name_any()));
    ailments(&mut text, &pods);
    table(&mut text, &pods);
    for deployment in or_note(deployments, &mut text) {
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
    let events = or_note(events, &mut text);
    warnings(&mut text, events);
    for part in join_all(logs_wanted(&pods).into_iter().map(|wanted| log(client, namespace, wanted))).await {
        text.push_str(&part);
    }
    if let Some(problem) = unknown {
        let _ = writeln!(text, "(the Secrets cannot be read, so that their values are not known: {problem})");
    }
    // Here too, and not in the report alone: who asks for a diagnosis may show it.
    secrets::redact(&text).into_owned()
}

async fn list<K>(client: &Client, namespace: &str, what: &str) -> Result<Vec<K>, String>
where
    K: Resource<Scope = kube::core::NamespaceResourceScope> + Clone + DeserializeOwned + std::fmt::Debug,
    K::DynamicType: Default,
{
    let api: Api<K> = Api::namespaced(client.clone(), namespace);
    match tokio::time::timeout(PART, api.list(&ListParams::default())).await {
        Ok(Ok(list)) => Ok(list.items),
        Ok(Err(error)) => Err(format!("cannot list {what}: {}", brief(&error))),
        Err(_) => Err(format!("cannot list {what}: no answer within {PART:?}")),
    }
}

fn or_note<T>(part: Result<Vec<T>, String>, text: &mut String) -> Vec<T> {
    part.unwrap_or_else(|problem| {
        let _ = writeln!(text, "({problem})");
        Vec::new()
    })
}

fn ailments(text: &mut String, pods: &[Pod]) {
    for found in pods.iter().filter_map(ailment) {
        let _ = writeln!(text, "! {}", found.cause);
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

/// The image's name and the first digits of the digest that really runs.
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
        // `Ready` says the same in one line less.
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
    for event in events.into_iter().filter(|event| event.type_.as_deref() == Some("Warning")) {
        *times.entry(about(&event)).or_default() +=
            event.series.as_ref().and_then(|it| it.count).or(event.count).unwrap_or(1);
        warnings.push(event);
    }
    // Of one reason about one object the newest speaks for all: its text differs in names alone.
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

/// One log worth reading: of a container that is not ready, or of its crashed predecessor.
struct Wanted {
    pod: String,
    container: String,
    previous: bool,
}

fn logs_wanted(pods: &[Pod]) -> Vec<Wanted> {
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
            wanted.push(Wanted { pod, container, previous: crashed && state.terminated.is_none() });
        }
    }
    wanted
}

async fn log(client: &Client, namespace: &str, wanted: Wanted) -> String {
    let Wanted { pod, container, previous } = wanted;
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
            let _ = writeln!(text, "  (cannot be read: {})", brief(&error));
        }
        Err(_) => {
            let _ = writeln!(text, "  (cannot be read: no answer within {PART:?})");
        }
    }
    text
}
