//! What ails a pod: the causes that keep it from starting, and how long each may heal by itself.

use std::fmt::Write as _;
use std::time::Duration;

use k8s_openapi::api::core::v1::{ContainerStateTerminated, ContainerStatus, Event, Pod};
use kube::ResourceExt;

use super::pod::{condition, init_statuses, phase, statuses};
use super::wait::State;

/// A cause that keeps a pod from starting; the first line names it, further lines are evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ailment {
    /// The cause; its first line stays the same while the cause does.
    pub cause: String,
    /// How long it may last before it counts as final.
    pub tolerance: Duration,
}

impl From<Ailment> for State {
    fn from(ailment: Ailment) -> Self {
        Self::Ailing { cause: ailment.cause, tolerance: ailment.tolerance }
    }
}

const NONE: Duration = Duration::ZERO;
/// For an answer that another try rarely changes, such as a tag that the registry does not know.
const SHORT: Duration = Duration::from_secs(1);
/// For what a later object, a slow registry or one more try may heal.
const SOME: Duration = Duration::from_secs(5);
/// For a pod that its controller replaces.
const REPLACED: Duration = Duration::from_secs(15);
/// For a volume: the kubelet tries again 10 to 15 s after a failure, and its first try may come before the API server
/// lets the node see the claim of a pod that was just bound (seen: "no relationship found between node and this object").
const MOUNT: Duration = Duration::from_secs(40);
/// For room on a node, which another pod's end may make.
const ROOM: Duration = Duration::from_secs(20);
/// As many restarts make a crash loop.
const LOOP: i32 = 2;

/// What ails this pod, the least tolerable cause first; `None` for one that starts, runs or ends.
pub fn ailment(pod: &Pod) -> Option<Ailment> {
    let of_containers = init_statuses(pod)
        .iter()
        .map(|status| ("init container", status))
        .chain(statuses(pod).iter().map(|status| ("container", status)))
        .filter_map(|(kind, status)| of_container(pod, kind, status));
    of_containers.chain(of_pod(pod)).min_by_key(|ailment| ailment.tolerance)
}

fn of_pod(pod: &Pod) -> Option<Ailment> {
    let status = pod.status.as_ref()?;
    let name = pod.name_any();
    if phase(pod) == "Failed" {
        let reason = status.reason.as_deref().unwrap_or("Failed");
        let mut cause = format!("pod {name}: {reason}");
        if let Some(message) = &status.message {
            evidence(&mut cause, message);
        }
        for (container, ended) in statuses(pod).iter().chain(init_statuses(pod)).filter_map(ended_badly) {
            evidence(&mut cause, &format!("container {}: {}", container.name, ending(ended)));
        }
        return Some(Ailment { cause, tolerance: REPLACED });
    }
    let conditions = status.conditions.as_deref().unwrap_or_default();
    let scheduled = conditions.iter().find(|condition| condition.type_ == "PodScheduled")?;
    if scheduled.status == "False" && scheduled.reason.as_deref() == Some("Unschedulable") {
        let mut cause = format!("pod {name}: unschedulable");
        evidence(&mut cause, scheduled.message.as_deref().unwrap_or("the scheduler gives no message"));
        return Some(Ailment { cause, tolerance: ROOM });
    }
    None
}

fn of_container(pod: &Pod, kind: &str, status: &ContainerStatus) -> Option<Ailment> {
    let state = status.state.as_ref()?;
    let who = format!("pod {}, {kind} {}", pod.name_any(), status.name);
    if let Some(waiting) = &state.waiting {
        let reason = waiting.reason.as_deref()?;
        let message = waiting.message.as_deref().unwrap_or_default();
        return of_waiting(&who, status, reason, message);
    }
    let ended = state.terminated.as_ref()?;
    // Between an end and the back-off that follows it; other ends are judged in the back-off.
    (ended.reason.as_deref() == Some("OOMKilled")).then(|| crash(&who, status, ended))
}

fn of_waiting(who: &str, status: &ContainerStatus, reason: &str, message: &str) -> Option<Ailment> {
    let image = &status.image;
    let (mut cause, tolerance) = match reason {
        "InvalidImageName" => (format!("{who}: the image name {image:?} is invalid"), NONE),
        "ErrImageNeverPull" => (format!("{who}: the image {image} is not on the node, and may not be pulled"), NONE),
        // The kubelet alternates between the two: one cause, one first line.
        "ErrImagePull" | "ImagePullBackOff" | "RegistryUnavailable" | "ImageInspectError" => {
            (format!("{who}: cannot pull the image {image}"), if is_final_answer(message) { SHORT } else { SOME })
        }
        "CreateContainerConfigError" => (format!("{who}: its configuration is incomplete"), SOME),
        "CreateContainerError" | "RunContainerError" | "StartError" | "PreStartHookError" | "PostStartHookError" => {
            (format!("{who}: cannot be started ({reason})"), SOME)
        }
        "CrashLoopBackOff" => {
            return Some(match status.last_state.as_ref().and_then(|last| last.terminated.as_ref()) {
                Some(ended) => crash(who, status, ended),
                None => Ailment { cause: format!("{who}: crashes again and again"), tolerance: SOME },
            });
        }
        _ => return None,
    };
    evidence(&mut cause, message);
    Some(Ailment { cause, tolerance })
}

fn crash(who: &str, status: &ContainerStatus, ended: &ContainerStateTerminated) -> Ailment {
    let memory = ended.reason.as_deref() == Some("OOMKilled");
    let mut cause = if memory {
        format!("{who}: killed for using more memory than its limit (OOMKilled)")
    } else {
        format!("{who}: crashes")
    };
    evidence(&mut cause, &format!("{} after {} restarts", ending(ended), status.restart_count));
    if let Some(message) = ended.message.as_deref().filter(|message| !message.trim().is_empty()) {
        evidence(&mut cause, &format!("its last words: {}", message.trim()));
    }
    Ailment { cause, tolerance: if status.restart_count >= LOOP { NONE } else { SOME } }
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

/// Whether a registry's answer is one that the next try will get as well.
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

/// What a warning says about a pod whose sandbox or volumes cannot be made; the pod's own status
/// shows nothing but `ContainerCreating` then.
pub fn of_warnings(pod: &Pod, warnings: &[&Event]) -> Option<Ailment> {
    // From here on the volumes are mounted and the warnings history.
    if condition(pod, "PodReadyToStartContainers") == Some("True") || phase(pod) != "Pending" {
        return None;
    }
    let newest = warnings.iter().rev().find_map(|event| {
        let tolerance = match event.reason.as_deref()? {
            "FailedMount" | "FailedAttachVolume" => MOUNT,
            "FailedCreatePodSandBox" => ROOM,
            _ => return None,
        };
        Some((event, tolerance))
    });
    let (event, tolerance) = newest?;
    let message = event.message.as_deref().unwrap_or_default();
    let tolerance = if message.contains("not found") { SOME } else { tolerance };
    let mut cause = format!("pod {}: {}", pod.name_any(), event.reason.as_deref().unwrap_or_default());
    evidence(&mut cause, message);
    Some(Ailment { cause, tolerance })
}

/// What a controller says that is not allowed to create its pods (quota, admission, account).
pub(super) fn cannot_create_pods(workload: &str, message: &str) -> Ailment {
    let mut cause = format!("{workload}: its pods cannot be created");
    evidence(&mut cause, message);
    Ailment { cause, tolerance: SOME }
}

/// A rollout whose own progress deadline passed.
pub(super) fn no_progress(workload: &str, message: &str) -> Ailment {
    let mut cause = format!("{workload}: its progress deadline passed");
    evidence(&mut cause, message);
    Ailment { cause, tolerance: SOME }
}

/// A broken pod of an old revision, which a stateful set neither mends nor replaces.
pub(super) fn blocked_by_old(workload: &str, old: Ailment) -> Ailment {
    let mut cause = format!("{workload}: a broken pod of the old revision blocks the rollout; delete that pod");
    evidence(&mut cause, &old.cause);
    Ailment { cause, tolerance: old.tolerance.max(REPLACED) }
}

fn evidence(cause: &mut String, text: &str) {
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let _ = write!(cause, "\n  {line}");
    }
}

#[cfg(test)]
mod tests;
