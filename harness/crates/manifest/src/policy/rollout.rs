//! Rules about updates and outages: users do not notice an update, the loss of a node, or a changed configuration.

use harness_base::hash;

use super::selectors::selected;
use super::{pod, promise};
use crate::finding::Finding;
use crate::object::{Node, Object, Rendered};

/// The least time that an ending pod serves on, in seconds: a busy node's proxy is seconds late to leave it out.
const SERVES_ON_SECS: u64 = 5;
/// The least time that a pod has after that for requests in progress, in seconds (the service contract).
const GRACE_SECS: u64 = 10;
/// The longest grace period, in seconds: a node's drain waits for it.
const GRACE_MOST_SECS: u64 = 120;
/// How many old revisions are kept: enough to go back to, and no heap.
const REVISIONS: std::ops::RangeInclusive<u64> = 2..=10;

/// Rule: an update replaces a pod only once the new one serves, reports when that fails, and leaves a revision to go back to.
pub fn update(rendered: &Rendered) -> Vec<Finding> {
    rendered
        .objects
        .iter()
        .flat_map(|object| match object.kind() {
            "Deployment" => deployment(object),
            "StatefulSet" => stateful_set(object),
            _ => Vec::new(),
        })
        .collect()
}

fn deployment(object: &Object) -> Vec<Finding> {
    let spec = object.root().get("spec");
    let strategy = spec.get("strategy");
    let rolling = strategy.get("rollingUpdate");
    let deadline = spec.get("progressDeadlineSeconds");
    let (surge, away) = (rolling.get("maxSurge"), rolling.get("maxUnavailable"));
    let replicas = spec.get("replicas").value.as_u64().unwrap_or(1);
    let started = spec.at(&["template", "spec", "containers"]).items().map(|container| {
        let probe = container.get("startupProbe");
        probe.get("periodSeconds").value.as_u64().unwrap_or(10)
            * probe.get("failureThreshold").value.as_u64().unwrap_or(3)
    });
    let longest = started.max().unwrap_or(0);
    let progresses = deadline.value.as_u64().unwrap_or(600);
    let checks = [
        (
            matches!(strategy.get("type").text(), "RollingUpdate" | ""),
            strategy.get("type"),
            "every pod ends before a new one starts".to_owned(),
        ),
        (
            away.value.as_u64() == Some(0),
            away,
            "maxUnavailable is not 0: a pod goes before its successor serves".to_owned(),
        ),
        (
            surge.value.as_u64().is_some_and(|surge| (1..=replicas.max(2)).contains(&surge)),
            surge,
            "maxSurge is not 1, or at most as many as there are: nothing can be added, or everything is at once"
                .to_owned(),
        ),
        (
            (longest + 60..=900).contains(&progresses),
            deadline,
            format!(
                "progressDeadlineSeconds is {progresses}: not a minute more than a start may take ({longest} s), or above 900"
            ),
        ),
    ];
    told(checks).chain(revisions(&spec)).collect()
}

fn stateful_set(object: &Object) -> Vec<Finding> {
    let spec = object.root().get("spec");
    let policy = spec.get("podManagementPolicy");
    let (claims, kept) = (spec.get("volumeClaimTemplates").is_set(), spec.get("persistentVolumeClaimRetentionPolicy"));
    let replicas = spec.get("replicas").value.as_u64().unwrap_or(1);
    let is_store = promise(&spec.get("template")).is_some_and(|promise| promise.is_store);
    let goes = |key: &str| !claims || kept.get(key).text() == "Delete";
    let checks = [
        (
            policy.text() == "Parallel",
            policy,
            "with OrderedReady a pod that cannot start blocks the update that would cure it",
        ),
        (
            !is_store || replicas == 1,
            spec.get("replicas"),
            "a store that nothing replicates has exactly one pod: two would be two stores",
        ),
        (
            goes("whenDeleted"),
            kept.get("whenDeleted"),
            "the volume outlives the release, with a password that the next one does not have",
        ),
        (
            goes("whenScaled"),
            kept.get("whenScaled"),
            "a volume outlives its pod, with a password that the next release does not have",
        ),
    ];
    told(checks.map(|(holds, node, what)| (holds, node, what.to_owned()))).chain(revisions(&spec)).collect()
}

fn revisions(spec: &Node<'_>) -> Option<Finding> {
    let limit = spec.get("revisionHistoryLimit");
    let kept = limit.value.as_u64().unwrap_or(10);
    (!REVISIONS.contains(&kept) || !limit.is_set()).then(|| {
        let (least, most) = (REVISIONS.start(), REVISIONS.end());
        limit.finding(format!(
            "revisionHistoryLimit is {}, not {least} to {most} and written out: nothing to go back to, or a heap",
            limit.value
        ))
    })
}

fn told<const N: usize>(checks: [(bool, Node<'_>, String); N]) -> impl Iterator<Item = Finding> {
    checks.into_iter().filter(|(holds, ..)| !holds).map(|(_, node, what)| node.finding(what))
}

/// Rule: an ending pod serves on for a while, and has time to finish requests in progress.
pub fn end(rendered: &Rendered) -> Vec<Finding> {
    let mut findings = Vec::new();
    for pod in rendered.objects.iter().filter_map(pod).filter(|pod| promise(pod).is_some()) {
        let grace = pod.at(&["spec", "terminationGracePeriodSeconds"]);
        let mut longest = 0;
        let is_store = promise(&pod).is_some_and(|promise| promise.is_store);
        for container in pod.at(&["spec", "containers"]).items().filter(|_| !is_store) {
            let sleep = container.at(&["lifecycle", "preStop", "sleep", "seconds"]);
            let seconds = sleep.value.as_u64().unwrap_or(0);
            longest = longest.max(seconds);
            if !(SERVES_ON_SECS..=30).contains(&seconds) {
                findings.push(sleep.finding(format!(
                    "preStop sleeps {seconds} s, not {SERVES_ON_SECS} to 30: requests still come to a pod that goes"
                )));
            }
        }
        let (given, least) = (grace.value.as_u64(), longest + GRACE_SECS);
        if !given.is_some_and(|given| (least..=GRACE_MOST_SECS).contains(&given)) {
            findings.push(grace.finding(format!(
                "terminationGracePeriodSeconds is {}, not {least} to {GRACE_MOST_SECS} and written out: what was begun is cut, or a node waits",
                grace.value
            )));
        }
    }
    findings
}

/// Rule: a component with several pods has a budget by which one may go at a time; one with a single pod has none.
pub fn disruption(rendered: &Rendered) -> Vec<Finding> {
    let budgets: Vec<&Object> =
        rendered.objects.iter().filter(|object| object.kind() == "PodDisruptionBudget").collect();
    let mut findings = Vec::new();
    for workload in rendered.objects.iter().filter(|object| object.kind() == "Deployment") {
        let replicas = workload.root().at(&["spec", "replicas"]);
        let several = replicas.value.as_u64().unwrap_or(1) >= 2;
        let of = |budget: &&&Object| {
            selected(&budget.root().at(&["spec", "selector"]), rendered).iter().any(|one| std::ptr::eq(*one, workload))
        };
        let mine: Vec<_> = budgets.iter().filter(of).collect();
        if mine.len() != usize::from(several) {
            findings.push(replicas.finding(format!(
                "{} pods have {} budgets: one, where there are several pods",
                replicas.value,
                mine.len()
            )));
        }
    }
    for budget in budgets {
        let spec = budget.root().get("spec");
        let (most, policy) = (spec.get("maxUnavailable"), spec.get("unhealthyPodEvictionPolicy"));
        let workloads = selected(&spec.get("selector"), rendered);
        let replicas: u64 =
            workloads.iter().map(|one| one.root().at(&["spec", "replicas"]).value.as_u64().unwrap_or(1)).sum();
        if workloads.len() != 1 {
            findings.push(spec.get("selector").finding("it is not about the pods of one workload"));
        }
        if !most.value.as_u64().is_some_and(|most| most >= 1 && most < replicas.max(2)) {
            findings
                .push(most.finding("maxUnavailable is 0, or all: a node can never be drained, or all pods go with it"));
        }
        if policy.text() != "AlwaysAllow" {
            findings.push(policy.finding("a pod that cannot start keeps its node from being drained: AlwaysAllow"));
        }
    }
    findings
}

/// Rule: a changed configuration replaces the pods that read it, since an annotation of theirs has its hash.
pub fn configuration(rendered: &Rendered) -> Vec<Finding> {
    let maps = rendered.objects.iter().filter(|object| object.kind() == "ConfigMap");
    let mut findings = Vec::new();
    for map in maps {
        let hashes: Vec<String> = map.root().get("data").entries().map(|(_, value)| hash::text(value.text())).collect();
        for pod in rendered.objects.iter().filter_map(pod) {
            let mut volumes = pod.at(&["spec", "volumes"]).items();
            if !volumes.any(|volume| volume.at(&["configMap", "name"]).text() == map.name()) {
                continue;
            }
            let annotations = pod.at(&["metadata", "annotations"]);
            let said: Vec<&str> = annotations.entries().map(|(_, value)| value.text()).collect();
            if !hashes.iter().all(|hash| said.contains(&hash.as_str())) {
                let what = format!(
                    "no annotation is the sha256 of what ConfigMap {} holds: pods go on with the old one",
                    map.name()
                );
                findings.push(annotations.finding(what));
            }
        }
    }
    findings
}

/// Rule: in stage live each Deployment has two pods or more, spread over nodes and zones where possible.
pub fn spread(rendered: &Rendered) -> Vec<Finding> {
    let mut findings = Vec::new();
    for object in rendered.objects.iter().filter(|object| object.kind() == "Deployment") {
        let root = object.root();
        let replicas = root.at(&["spec", "replicas"]);
        if rendered.live && replicas.value.as_u64().is_none_or(|count| !(2..=10).contains(&count)) {
            findings.push(
                replicas.finding("not 2 to 10 replicas: the loss of a node is an outage, or the cluster is full"),
            );
        }
        if replicas.value.as_u64().unwrap_or(1) == 0 {
            findings.push(replicas.finding("no replica: nobody answers"));
        }
        let constraints = root.at(&["spec", "template", "spec", "topologySpreadConstraints"]);
        for over in ["kubernetes.io/hostname", "topology.kubernetes.io/zone"] {
            let found = constraints.items().find(|one| one.get("topologyKey").text() == over);
            match found {
                None if rendered.live => {
                    findings.push(constraints.finding(format!("its pods are not spread over {over}")))
                }
                None => {}
                Some(one) => findings.extend(constraint(&one)),
            }
        }
    }
    findings
}

fn constraint(one: &Node<'_>) -> Vec<Finding> {
    let (skew, when, keys) = (one.get("maxSkew"), one.get("whenUnsatisfiable"), one.get("matchLabelKeys"));
    let by_revision = keys.items().any(|key| key.text() == "pod-template-hash");
    let checks = [
        (skew.value.as_u64() == Some(1), skew, "maxSkew is not 1: all may be on one node".to_owned()),
        (when.text() == "ScheduleAnyway", when, "DoNotSchedule: where a zone is full, a pod does not start".to_owned()),
        (
            by_revision,
            keys,
            "the old revision's pods count, and the new ones end up together (pod-template-hash)".to_owned(),
        ),
    ];
    told(checks).collect()
}
