//! Facts about a pod, as `kubectl get pods` shows them.

use k8s_openapi::api::core::v1::{Container, ContainerStatus, Pod};
use kube::ResourceExt;

/// Whether the pod is being deleted; it may still serve, but does not count.
pub fn is_terminating(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_some()
}

/// Whether the pod's condition `Ready` holds and it is not terminating.
pub fn is_ready(pod: &Pod) -> bool {
    !is_terminating(pod) && condition(pod, "Ready") == Some("True")
}

/// The status of a condition of the pod, such as `True`; `None` when absent.
pub fn condition<'a>(pod: &'a Pod, kind: &str) -> Option<&'a str> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|condition| condition.type_ == kind).map(|condition| condition.status.as_str())
}

/// `Pending`, `Running`, `Succeeded`, `Failed` or `Unknown`.
pub fn phase(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or("Unknown")
}

/// Whether the pod has ended: no container of it runs, or will.
pub fn is_over(pod: &Pod) -> bool {
    matches!(phase(pod), "Failed" | "Succeeded")
}

/// The pod's containers, then its init containers.
pub fn containers(pod: &Pod) -> Vec<&Container> {
    let spec = pod.spec.as_ref();
    let init = spec.and_then(|spec| spec.init_containers.as_ref()).into_iter().flatten();
    spec.into_iter().flat_map(|spec| &spec.containers).chain(init).collect()
}

/// The statuses of the init containers, in order.
pub fn init_statuses(pod: &Pod) -> &[ContainerStatus] {
    pod.status.as_ref().and_then(|status| status.init_container_statuses.as_deref()).unwrap_or_default()
}

/// The statuses of the main containers, in the API's order.
pub fn statuses(pod: &Pod) -> &[ContainerStatus] {
    pod.status.as_ref().and_then(|status| status.container_statuses.as_deref()).unwrap_or_default()
}

/// How many of the main containers are ready, and how many there are.
pub fn ready_count(pod: &Pod) -> (usize, usize) {
    let total = pod.spec.as_ref().map_or(0, |spec| spec.containers.len());
    (statuses(pod).iter().filter(|status| status.ready).count(), total)
}

/// The restarts of all containers, init containers included.
pub fn restarts(pod: &Pod) -> i32 {
    statuses(pod).iter().chain(init_statuses(pod)).map(|status| status.restart_count).sum()
}

/// A container's state in a word or two: its reason where there is one.
pub fn doing(status: &ContainerStatus) -> String {
    let Some(state) = &status.state else { return "unknown".to_owned() };
    if let Some(waiting) = &state.waiting {
        return waiting.reason.clone().unwrap_or_else(|| "waiting".to_owned());
    }
    if let Some(ended) = &state.terminated {
        return match (&ended.reason, ended.signal) {
            (Some(reason), _) => format!("{reason} (exit code {})", ended.exit_code),
            (None, Some(signal)) => format!("ended by signal {signal}"),
            (None, None) => format!("exit code {}", ended.exit_code),
        };
    }
    if status.ready { "running".to_owned() } else { "running, not ready".to_owned() }
}

/// The text of the column STATUS of `kubectl get pods`.
pub fn status(pod: &Pod) -> String {
    if is_terminating(pod) {
        return "Terminating".to_owned();
    }
    let reason = pod.status.as_ref().and_then(|status| status.reason.clone());
    for (index, init) in init_statuses(pod).iter().enumerate() {
        let state = init.state.as_ref();
        let done = state.and_then(|state| state.terminated.as_ref()).is_some_and(|ended| ended.exit_code == 0);
        // A sidecar is an init container that stays: it gets no further than started.
        if done || init.started == Some(true) {
            continue;
        }
        let starting = state.and_then(|state| state.waiting.as_ref()).and_then(|waiting| waiting.reason.as_deref());
        return match starting {
            Some("PodInitializing") | None if state.and_then(|state| state.terminated.as_ref()).is_none() => {
                format!("Init:{index}/{}", init_statuses(pod).len())
            }
            _ => format!("Init:{}", doing(init)),
        };
    }
    let stuck = statuses(pod).iter().find(|status| {
        status
            .state
            .as_ref()
            .is_some_and(|state| state.waiting.is_some() || (state.terminated.is_some() && !status.ready))
    });
    match (reason, stuck) {
        (Some(reason), _) => reason,
        (None, Some(status)) if phase(pod) != "Succeeded" => doing(status),
        _ => phase(pod).to_owned(),
    }
}

/// One line about a pod that is not ready: name, status, and what each container lacks.
pub fn summary(pod: &Pod) -> String {
    let (ready, total) = ready_count(pod);
    let mut text = format!("{} {ready}/{total} {}", pod.name_any(), status(pod));
    for container in statuses(pod) {
        let running = container.state.as_ref().is_some_and(|state| state.running.is_some());
        if running && !container.ready {
            text = format!("{text}, {} is running but not ready", container.name);
        }
    }
    text
}
