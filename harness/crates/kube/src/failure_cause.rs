//! Classifies why a pod does not start, and how long each cause may heal by itself.

use std::fmt::{self, Write as _};
use std::time::Duration;

use k8s_openapi::api::core::v1::{ContainerStateTerminated, ContainerStatus, Event, Pod};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;

use super::last_words::{brief, telling_line, whole_lines};
use super::pod::{condition, containers, init_statuses, phase, statuses};
use super::snapshot::event_time;
use super::wait::State;
use super::window::{self, Tolerance, Window};

/// A cause that keeps something from coming about. As text its first line names it; further lines are evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailureCause {
    /// The identity of the cause, in one line: the object and what is wrong. It stays the same while the cause lasts.
    pub key: String,
    /// A short quote of another program about it, in one line; it may change from one look to the next. Empty where there is
    /// none.
    pub gist: String,
    /// Further observations, one line each.
    pub evidence: Vec<String>,
    /// How long it may last before it is final.
    pub tolerance: Tolerance,
    /// The container whose probe can be asked for more, if any.
    pub asked: Option<AskedProbe>,
    /// When the cluster first saw it, in whole seconds of the cluster's clock, where it says so.
    pub since: Option<Timestamp>,
}

/// A running container that is not ready, and whose probe can be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskedProbe {
    /// The pod's name.
    pub pod: String,
    /// The container's name.
    pub container: String,
}

impl FailureCause {
    /// A cause without a quote.
    pub fn new(key: impl Into<String>, tolerance: impl Into<Tolerance>) -> Self {
        let (key, tolerance) = (key.into(), tolerance.into());
        Self { key, gist: String::new(), evidence: Vec::new(), tolerance, asked: None, since: None }
    }

    /// A cause in the words of another program, whose first line names it; the other lines are its evidence.
    pub fn quoted(text: &str, tolerance: impl Into<Tolerance>) -> Self {
        let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
        let mut quoted = Self::new(first, tolerance);
        quoted.add_evidence(rest);
        quoted
    }

    /// A cause with a quote: its gist in the first line, and all of it as evidence where that is more.
    fn said(key: String, gist: &str, all: &str, tolerance: impl Into<Tolerance>) -> Self {
        let gist = brief(gist);
        let mut said = Self::new(key, tolerance);
        if all.trim() != gist {
            said.add_evidence(all);
        }
        Self { gist, ..said }
    }

    fn add_evidence(&mut self, text: &str) {
        self.evidence.extend(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned));
    }

    /// The line that names the cause: its key, and its gist if there is one.
    pub fn first_line(&self) -> String {
        let Self { key, gist, .. } = self;
        if gist.is_empty() { key.clone() } else { format!("{key}: {gist}") }
    }
}

impl fmt::Display for FailureCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.first_line())?;
        self.evidence.iter().try_for_each(|line| write!(f, "\n  {line}"))
    }
}

impl From<FailureCause> for State {
    fn from(failure_cause: FailureCause) -> Self {
        Self::Degraded(failure_cause)
    }
}

/// The role of a container in its pod.
#[derive(Clone, Copy, PartialEq, Eq)]
enum CauseKind {
    /// A main container.
    Container,
    /// An init container, which ends before the main ones begin.
    Init,
    /// An init container that runs beside the main ones, and is ended after them (Kubernetes' documentation, "Sidecar
    /// containers").
    Sidecar,
}

impl fmt::Display for CauseKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Container => "container",
            Self::Init => "init container",
            Self::Sidecar => "sidecar",
        })
    }
}
/// The reason in the status and the event of a pod that its node evicted.
const EVICTED: &str = "Evicted";

/// Why a pod does not start, the least tolerable cause first; `None` for a pod that starts, runs or ends.
///
/// `warnings` are the warnings about the pod and its volume claims, oldest first.
pub fn failure_cause(pod: &Pod, warnings: &[&Event]) -> Option<FailureCause> {
    // The ends of its containers are evidence of the pod's own end.
    if let Some(found) = of_ended_pod(pod, warnings) {
        return Some(found);
    }
    let of_containers = init_statuses(pod)
        .iter()
        .map(|status| (if is_sidecar(pod, &status.name) { CauseKind::Sidecar } else { CauseKind::Init }, status))
        .chain(statuses(pod).iter().map(|status| (CauseKind::Container, status)))
        .filter_map(|(kind, status)| of_container(pod, kind, status, warnings));
    let found = of_containers
        .chain(of_unscheduled_pod(pod, warnings))
        .min_by_key(|failure_cause| failure_cause.tolerance.rank());
    found.or_else(|| of_warnings(pod, warnings))
}

/// The message of a pod's eviction, if it was evicted. Where its containers ended with 0 when asked to, the kubelet writes
/// `Succeeded`, and the event alone tells (seen with Kubernetes 1.34).
pub(super) fn eviction<'a>(pod: &'a Pod, warnings: &[&'a Event]) -> Option<&'a str> {
    let status = pod.status.as_ref()?;
    match phase(pod) {
        "Failed" if status.reason.as_deref() == Some(EVICTED) => Some(status.message.as_deref().unwrap_or_default()),
        "Succeeded" => {
            let event = warnings.iter().rev().find(|event| event.reason.as_deref() == Some(EVICTED))?;
            Some(event.message.as_deref().unwrap_or_default())
        }
        _ => None,
    }
}

/// The cause of a pod that failed or was evicted as a whole.
fn of_ended_pod(pod: &Pod, warnings: &[&Event]) -> Option<FailureCause> {
    let status = pod.status.as_ref()?;
    let evicted = eviction(pod, warnings);
    if phase(pod) != "Failed" && evicted.is_none() {
        return None;
    }
    let reason = evicted.map_or(status.reason.as_deref().unwrap_or("Failed"), |_| EVICTED);
    let ended: Vec<_> = statuses(pod).iter().chain(init_statuses(pod)).filter_map(ended_badly).collect();
    let words = ended.iter().find_map(|(_, ended)| telling_line(ended.message.as_deref()?));
    let message = evicted.or(status.message.as_deref()).unwrap_or_default();
    // The pod's own message says why it ended; the words of a container that was ended with it are about something else.
    let gist = if message.is_empty() { words.as_deref().unwrap_or_default() } else { message };
    let mut found = FailureCause::said(format!("pod {}: {reason}", pod.name_any()), gist, message, Window::Replaced);
    for (container, ended) in ended {
        found.add_evidence(&format!("container {}: {}", container.name, ending(ended)));
    }
    Some(found)
}

fn of_unscheduled_pod(pod: &Pod, warnings: &[&Event]) -> Option<FailureCause> {
    let status = pod.status.as_ref()?;
    let name = pod.name_any();
    let conditions = status.conditions.as_deref().unwrap_or_default();
    let scheduled = conditions.iter().find(|condition| condition.type_ == "PodScheduled")?;
    if scheduled.status != "False" || scheduled.reason.as_deref() != Some("Unschedulable") {
        return None;
    }
    let message = scheduled.message.as_deref().unwrap_or("the scheduler gives no message");
    let created = pod.metadata.creation_timestamp.as_ref().map(|time| time.0);
    let mut found = of_claims(&name, created, message, warnings).unwrap_or_else(|| {
        FailureCause::said(format!("pod {name}: unschedulable"), of_scheduler(message), message, Window::Room)
    });
    found.since = found.since.or(scheduled.last_transition_time.as_ref().map(|time| time.0));
    Some(found)
}

/// The cause of an unbound volume claim: the provisioner fails to make its volume.
fn of_claims(pod: &str, created: Option<Timestamp>, scheduler: &str, warnings: &[&Event]) -> Option<FailureCause> {
    // A claim's event has its name alone and lives for an hour: one from before the pod is about an earlier claim of that
    // name.
    let now = |event: &Event| {
        let made = created.map(|made| made.as_second() - window::AHEAD_SECS);
        made.is_none_or(|made| event_time(event).is_some_and(|time| time.as_second() >= made))
    };
    let failed =
        |event: &&&Event| event.reason.as_deref() == Some("ProvisioningFailed") && is_about_claim(event) && now(event);
    let event = warnings.iter().rev().find(failed)?;
    let claim = event.involved_object.name.as_deref().unwrap_or_default();
    let message = event.message.as_deref().unwrap_or_default();
    let key = format!("pod {pod}: its volume claim {claim} gets no volume");
    let window = if message.contains("not found") { Window::Retried } else { Window::Mount };
    let mut found = FailureCause::said(key, message, message, window);
    found.add_evidence(scheduler);
    found.since = event.first_timestamp.as_ref().map(|time| time.0);
    Some(found)
}

pub(super) fn is_about_claim(event: &Event) -> bool {
    event.involved_object.kind.as_deref() == Some("PersistentVolumeClaim")
}

/// The scheduler's message without what it tried after the nodes' own answers.
fn of_scheduler(message: &str) -> &str {
    let end = ["preemption:", "no new claims to deallocate"].iter().filter_map(|more| message.find(more)).min();
    message[..end.unwrap_or(message.len())].trim().trim_end_matches([',', '.'])
}

fn is_sidecar(pod: &Pod, name: &str) -> bool {
    let init = pod.spec.iter().flat_map(|spec| spec.init_containers.iter().flatten());
    init.into_iter().any(|one| one.name == name && one.restart_policy.as_deref() == Some("Always"))
}

/// Whether all main containers have ended with 0: sidecars are ended then, with whatever exit code.
fn is_done(pod: &Pod) -> bool {
    let ended = |status: &ContainerStatus| {
        status.state.as_ref().and_then(|state| state.terminated.as_ref()).is_some_and(|ended| ended.exit_code == 0)
    };
    !statuses(pod).is_empty() && statuses(pod).iter().all(ended)
}

fn of_container(pod: &Pod, kind: CauseKind, status: &ContainerStatus, warnings: &[&Event]) -> Option<FailureCause> {
    let state = status.state.as_ref()?;
    let who = format!("pod {}, {kind} {}", pod.name_any(), status.name);
    if let Some(waiting) = &state.waiting {
        let reason = waiting.reason.as_deref()?;
        let message = waiting.message.as_deref().unwrap_or_default();
        if reason == "CrashLoopBackOff" {
            return Some(match status.last_state.as_ref().and_then(|last| last.terminated.as_ref()) {
                Some(ended) => crash(pod, (kind, &who), status, ended, warnings),
                None => FailureCause::new(format!("{who}: crashes again and again"), Window::Retried),
            });
        }
        return of_waiting(&who, status, reason, message);
    }
    if state.running.is_some() {
        return if status.ready { None } else { unready(pod, &who, status, warnings) };
    }
    let ended = state.terminated.as_ref()?;
    if kind == CauseKind::Sidecar && is_done(pod) {
        return None;
    }
    // Without restarts, the container's end is the pod's own.
    let restarts = pod.spec.as_ref().and_then(|spec| spec.restart_policy.as_deref()) != Some("Never");
    let counts = restarts && ended.exit_code != 0 || is_oom(ended);
    counts.then(|| crash(pod, (kind, &who), status, ended, warnings))
}

fn of_waiting(who: &str, status: &ContainerStatus, reason: &str, message: &str) -> Option<FailureCause> {
    let image = &status.image;
    let (what, gist, window) = match reason {
        "InvalidImageName" => (format!("the image name {image:?} is invalid"), message, Window::None),
        "ErrImageNeverPull" => {
            (format!("the image {image} is not on the node, and may not be pulled"), "", Window::None)
        }
        // The kubelet alternates between these reasons: one cause.
        "ErrImagePull" | "ImagePullBackOff" | "RegistryUnavailable" | "ImageInspectError" => {
            let window = if is_final_answer(message) { Window::Answered } else { Window::Pulled };
            (format!("cannot pull the image {image}"), of_registry(message, image), window)
        }
        "CreateContainerConfigError" => ("its configuration is incomplete".to_owned(), message, Window::Retried),
        "CreateContainerError" | "RunContainerError" | "StartError" | "PreStartHookError" | "PostStartHookError" => {
            (format!("cannot be started ({reason})"), of_runtime(message), Window::Retried)
        }
        _ => return None,
    };
    Some(FailureCause::said(format!("{who}: {what}"), gist, message, window))
}

/// The registry's answer without its prefix, which repeats the image's name.
fn of_registry<'a>(message: &'a str, image: &str) -> &'a str {
    let answer = message.rsplit_once("\": ").map_or(message, |(_, answer)| answer);
    let answer = answer.strip_prefix(image).map_or(answer, |rest| rest.trim_start_matches([':', ' ']));
    // A back-off that names the image alone adds nothing.
    if answer.starts_with("Back-off pulling image") { "" } else { answer }
}

/// The last part of the runtime's message, without the layers before it.
fn of_runtime(message: &str) -> &str {
    message.find("exec: ").or_else(|| message.find("error mounting")).map_or(message, |start| &message[start..])
}

/// The cause of a container that ended. It is final by restarts, not by seconds: a second end like the first one.
fn crash(
    pod: &Pod,
    (kind, who): (CauseKind, &str),
    status: &ContainerStatus,
    ended: &ContainerStateTerminated,
    warnings: &[&Event],
) -> FailureCause {
    let message = ended.message.as_deref().map(whole_lines).unwrap_or_default();
    let words = telling_line(message);
    let by_probe = killed_by_probe(pod, status, ended, warnings);
    let (what, gist) = if is_oom(ended) {
        let limit = limit_of_memory(pod, &status.name).map(|limit| format!(" of {limit}")).unwrap_or_default();
        (format!("killed for using more memory than its limit{limit} (OOMKilled)"), String::new())
    } else if let Some(probe) = by_probe {
        ("killed by the kubelet".to_owned(), probe.to_owned())
    } else {
        ("crashes".to_owned(), words.unwrap_or_else(|| ending(ended)))
    };
    let mut found = FailureCause::said(format!("{who}: {what}"), &gist, &gist, Window::Restarted);
    found.add_evidence(&format!("{} after {} restarts", ending(ended), status.restart_count));
    if !message.trim().is_empty() {
        found.add_evidence(&format!("its last words: {}", message.trim()));
    }
    found.since = ended.finished_at.as_ref().map(|time| time.0);
    let served = kind != CauseKind::Init && by_probe.is_none() && ran_for_long(ended);
    if !served && is_final_crash(status, ended) {
        found.tolerance = Window::None.into();
    }
    found
}

/// Whether this end is one too many: the second of the same kind, or the third of any kind.
fn is_final_crash(status: &ContainerStatus, ended: &ContainerStateTerminated) -> bool {
    // In the back-off the status shows the last end alone; between an end and the back-off also the one before.
    let shows_both = status.state.as_ref().is_some_and(|state| state.terminated.is_some());
    let before = status.last_state.as_ref().and_then(|last| last.terminated.as_ref()).filter(|_| shows_both);
    match status.restart_count {
        ..1 => false,
        1 => before.is_some_and(|before| kind_of_end(before) == kind_of_end(ended)),
        _ => true,
    }
}

/// Whether an instance ran long enough (60 s) that its end counts as a first one again. It does not where a probe killed it,
/// nor for an init container, which gives up after a time of its own.
fn ran_for_long(ended: &ContainerStateTerminated) -> bool {
    ran_secs(ended).is_some_and(|ran| ran >= window::SERVED_SECS)
}

fn ran_secs(ended: &ContainerStateTerminated) -> Option<i64> {
    let (start, end) = ended.started_at.as_ref().zip(ended.finished_at.as_ref())?;
    Some(end.0.duration_since(start.0).as_secs())
}

/// The kind of an end, by which two ends are compared.
fn kind_of_end(ended: &ContainerStateTerminated) -> (i32, Option<&str>, Option<String>) {
    (ended.exit_code, ended.reason.as_deref(), ended.message.as_deref().and_then(telling_line))
}

fn is_oom(ended: &ContainerStateTerminated) -> bool {
    ended.reason.as_deref() == Some("OOMKilled")
}

fn limit_of_memory(pod: &Pod, container: &str) -> Option<String> {
    let found = containers(pod).into_iter().find(|one| one.name == container)?;
    Some(found.resources.as_ref()?.limits.as_ref()?.get("memory")?.0.clone())
}

/// The message of the probe for which the kubelet ended the container: one that failed while this instance ran.
fn killed_by_probe<'a>(
    pod: &Pod,
    status: &ContainerStatus,
    ended: &ContainerStateTerminated,
    warnings: &[&'a Event],
) -> Option<&'a str> {
    const BY_SIGNAL: [i32; 3] = [0, 137, 143];
    let event = probe_failure(&status.name, &["Liveness", "Startup"], warnings)?;
    let started = ended.started_at.as_ref().map(|time| time.0.as_second());
    let while_it_ran = started.is_none_or(|start| event_time(event).is_some_and(|time| time.as_second() >= start));
    // The first failures during a start kill nothing: a startup probe kills once its budget is spent.
    let at_start = event.message.as_deref().is_some_and(|said| said.starts_with("Startup"));
    let patient = at_start && !spent_its_budget(pod, &status.name, ended);
    (while_it_ran && !patient && BY_SIGNAL.contains(&ended.exit_code)).then_some(event.message.as_deref()?)
}

/// The newest failure event of a container's probe of one of these kinds.
fn probe_failure<'a>(container: &str, kinds: &[&str], warnings: &[&'a Event]) -> Option<&'a Event> {
    let field = format!("{{{container}}}");
    let fits = |event: &&&Event| {
        let place = event.involved_object.field_path.as_deref();
        let said = event.message.as_deref().unwrap_or_default();
        event.reason.as_deref() == Some("Unhealthy")
            && place.is_none_or(|place| place.ends_with(&field))
            && kinds.iter().any(|kind| said.starts_with(kind))
    };
    warnings.iter().rev().find(fits).copied()
}

/// The cause of a running container whose probe says that it is not ready; `None` while a start may just take its time.
fn unready(pod: &Pod, who: &str, status: &ContainerStatus, warnings: &[&Event]) -> Option<FailureCause> {
    let started = status.started == Some(true);
    // The event of the probe that counts now: liveness may fail beside it.
    let event = probe_failure(&status.name, &[if started { "Readiness" } else { "Startup" }], warnings)?;
    let (kind, said) = event.message.as_deref()?.split_once(" probe failed: ")?;
    let budget = startup_budget(pod, &status.name);
    let tolerance = match started {
        // Without a startup probe nothing says how long a start may take.
        true if budget.is_none() => Window::Unbounded.into(),
        true => Window::Ready.into(),
        // A failed connection is no cause during a start, since nothing listens yet; an HTTP status is one.
        false if said.contains("statuscode") => {
            Tolerance { window: Window::Ready, at_least: budget.unwrap_or_default() }
        }
        false => return None,
    };
    let key = format!("{who}: runs and is not ready");
    let gist =
        format!("{} probe: {}", kind.to_lowercase(), said.replace("HTTP probe failed with statuscode: ", "HTTP "));
    let mut found = FailureCause::said(key, &gist, &gist, tolerance);
    found.asked = Some(AskedProbe { pod: pod.name_any(), container: status.name.clone() });
    found.since = event.first_timestamp.as_ref().map(|time| time.0);
    Some(found)
}

/// How long the startup probe lets a start take: period times failure threshold; `None` without one.
fn startup_budget(pod: &Pod, container: &str) -> Option<Duration> {
    let (period, failures) = startup_probe(pod, container)?;
    Some(Duration::from_secs(u64::try_from(period.saturating_mul(failures)).unwrap_or_default()))
}

/// Whether an instance ran until its startup probe had failed as often as it may: the first time at its start, then once in
/// each period.
fn spent_its_budget(pod: &Pod, container: &str, ended: &ContainerStateTerminated) -> bool {
    let last = startup_probe(pod, container).map_or(0, |(period, failures)| period.saturating_mul(failures - 1));
    ran_secs(ended).is_some_and(|ran| ran >= i64::from(last))
}

/// The startup probe's period in seconds and its failure threshold; the API's defaults are 10 and 3.
fn startup_probe(pod: &Pod, container: &str) -> Option<(i32, i32)> {
    let found = containers(pod).into_iter().find(|one| one.name == container)?;
    let probe = found.startup_probe.as_ref()?;
    Some((probe.period_seconds.unwrap_or(10), probe.failure_threshold.unwrap_or(3)))
}

fn ended_badly(status: &ContainerStatus) -> Option<(&ContainerStatus, &ContainerStateTerminated)> {
    let ended = status.state.as_ref()?.terminated.as_ref()?;
    (ended.exit_code != 0).then_some((status, ended))
}

fn ending(ended: &ContainerStateTerminated) -> String {
    let mut text = format!("exit code {}", ended.exit_code);
    if let Some(signal) = ended.signal {
        let _ = write!(text, ", signal {signal}");
    }
    match ended.reason.as_deref() {
        Some("Error") | None => text,
        Some(reason) => format!("{text} ({reason})"),
    }
}

/// Whether the next try will get the same answer from the registry.
fn is_final_answer(message: &str) -> bool {
    const FINAL: [&str; 7] = [
        "not found",
        "manifest unknown",
        "name unknown",
        "unauthorized",
        "authentication required",
        "access denied",
        "authorization failed",
    ];
    let message = message.to_lowercase();
    FINAL.iter().any(|answer| message.contains(answer))
}

/// The cause in the warnings about a pod whose sandbox or volumes cannot be made; its status shows nothing but
/// `ContainerCreating` then.
fn of_warnings(pod: &Pod, warnings: &[&Event]) -> Option<FailureCause> {
    // The volumes are mounted from here on, and older warnings are history.
    if condition(pod, "PodReadyToStartContainers") == Some("True") || phase(pod) != "Pending" {
        return None;
    }
    // The kubelet may not know the pod's new ConfigMaps and Secrets yet: its next try finds them a moment later.
    let is_early = |event: &Event| event.message.as_deref().is_some_and(|said| said.contains("failed to sync"));
    let newest = warnings.iter().rev().filter(|event| !is_early(event)).find_map(|event| {
        let window = match event.reason.as_deref()? {
            "FailedMount" | "FailedAttachVolume" => Window::Mount,
            "FailedCreatePodSandBox" => Window::Room,
            _ => return None,
        };
        Some((event, window))
    });
    let (event, window) = newest?;
    let message = event.message.as_deref().unwrap_or_default();
    // A CSI driver registers itself some seconds after its node has joined.
    let is_missing = message.contains("not found") && !message.contains("registered CSI drivers");
    let window = if is_missing { Window::Retried } else { window };
    let key = format!("pod {}: {}", pod.name_any(), event.reason.as_deref().unwrap_or_default());
    Some(FailureCause::said(key, message, message, window))
}

/// The cause of a controller that may not create its pods (quota, admission, ServiceAccount).
pub(super) fn cannot_create_pods(workload: &str, message: &str) -> FailureCause {
    // The part before it repeats a pod's name, which changes with every try.
    let gist = message.split_once(" is forbidden: ").map_or(message, |(_, gist)| gist);
    FailureCause::said(format!("{workload}: its pods cannot be created"), gist, message, Window::Retried)
}

/// The cause of a rollout whose own progress deadline passed.
pub(super) fn no_progress(workload: &str, message: &str) -> FailureCause {
    FailureCause::said(format!("{workload}: its progress deadline passed"), message, message, Window::Retried)
}

/// The cause of a Service whose target port no container of its workload opens: no answer can come.
pub(super) fn wrong_target_port(
    service: &str,
    port: &str,
    target: &str,
    workload: &str,
    open: &[String],
) -> FailureCause {
    let cause = format!(
        "service/{service}: its port {port} leads to the target port {target}, which no container of {workload} has: they \
         have {}",
        open.join(", ")
    );
    FailureCause::new(cause, Window::Answered)
}

/// The cause of a broken pod of an old revision, which its StatefulSet neither repairs nor replaces.
pub(super) fn blocked_by_old(workload: &str, old: FailureCause) -> FailureCause {
    let key = format!("{workload}: a broken pod of the old revision blocks the rollout; delete that pod");
    let mut blocked = FailureCause::new(key, old.tolerance.or_longer(Window::Replaced));
    blocked.add_evidence(&old.to_string());
    blocked
}

#[cfg(test)]
mod tests;
