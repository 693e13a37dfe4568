//! Waits until a release serves: its workloads have converged, and only its new pods answer requests.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use harness_base::events;
use harness_http::{HttpOptions, Reader, Reply};
use harness_settings::spec::{Component, spec};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

use super::plan::Plan;
use crate::cluster::Cluster;
use crate::error::Result;
use crate::k8s::verdict::{self, Instance};
use crate::k8s::{self, Forward, Snapshot, State};

/// The deadline for a service to be reached once its pods are ready: 30 s.
pub const REACH: Duration = Duration::from_secs(30);
/// The time that the result of a probe may take from the kubelet to the harness.
const HEARD: Duration = Duration::from_secs(1);
/// The accepted chance, one in a million, of missing a route that still leads to a former pod.
const CHANCE: f64 = 1e-6;
/// How many requests are sent at once to see which pod answers. Few, over kept connections: a forwarded connection costs more
/// than ten requests, and the router opens another one to the Service for each request.
const AT_ONCE: usize = 5;
/// The time between two rounds of such requests.
const BETWEEN: Duration = Duration::from_millis(50);

/// Waits until a release has converged, nothing of what it replaced is left, and its router reaches every service.
///
/// # Errors
/// [`crate::Error::Failed`] or [`harness_base::Error::Deadline`].
pub async fn converged(cluster: &Cluster, plan: &Plan, limit: Duration) -> Result<()> {
    gone(cluster, plan, limit).await.map(drop)
}

/// [`converged`], and stays so: for after a component was away that others depend on, and outlived.
///
/// A readiness probe that began while the component was away may fail up to its `timeoutSeconds` later, and take a pod out of its
/// Service when the component is long back. This waits that long.
///
/// # Errors
/// As [`converged`].
pub async fn steady(cluster: &Cluster, plan: &Plan, limit: Duration) -> Result<()> {
    let (namespace, release) = (&plan.namespace, &plan.instance());
    let end = Instant::now() + limit;
    loop {
        let seen = gone(cluster, plan, end.saturating_duration_since(Instant::now())).await?;
        let lapse = |seen: &Snapshot| match settled(seen, release) {
            State::Ready => State::Pending("it is as it was".to_owned()),
            _ => State::Ready,
        };
        let lapsed = k8s::wait(&cluster.client, namespace, "a late probe", late(&seen.pods), lapse).await;
        match lapsed {
            Err(harness_kube::Error::Base(harness_base::Error::Deadline { .. })) => return Ok(()),
            Err(other) => return Err(other.into()),
            Ok(_) => tracing::debug!("{release} lost a part to a late probe: waiting again"),
        }
    }
}

/// How late a probe's result can come: the longest `timeoutSeconds`, and a second until the harness sees it.
fn late(pods: &[Arc<Pod>]) -> Duration {
    // A sidecar's readiness counts too.
    let containers = pods.iter().flat_map(|pod| k8s::pod::containers(pod));
    let probes = containers.filter_map(|container| container.readiness_probe.as_ref());
    let longest = probes.filter_map(|probe| probe.timeout_seconds).max().unwrap_or(1);
    Duration::from_secs(u64::try_from(longest).unwrap_or(1)) + HEARD
}

/// Waits until a release has converged and only its new pods answer requests by its router. Former pods may still be terminating:
/// this returns seconds before [`converged`].
///
/// The node's routes follow the Services by up to a second, and nothing can be watched for that. So for each component with a
/// former pod left, requests by the router show which pod answers ([`Component::instance`]), until enough in a row are by new
/// pods. Where a component does not tell, and for previews, which another's edge leads to, this is [`converged`].
///
/// # Errors
/// As [`converged`].
pub(super) async fn reached(cluster: &Cluster, plan: &Plan, limit: Duration) -> Result<()> {
    let (namespace, release) = (&plan.namespace, &plan.instance());
    if plan.pull_request.is_some() {
        return converged(cluster, plan, limit).await;
    }
    let end = Instant::now() + limit;
    let (started, mut arrived) = (Instant::now(), BTreeMap::new());
    let judge = |seen: &Snapshot| {
        for name in verdict::rolled_out(seen, release) {
            arrived.entry(name).or_insert_with(|| started.elapsed().as_secs_f64());
        }
        verdict::handed_over(seen, release)
    };
    let seen = k8s::wait(&cluster.client, namespace, &awaited(plan), limit, judge).await;
    for (name, seconds) in arrived {
        events::took(&format!("until {name} was rolled out"), started, seconds);
    }
    let seen = seen?;
    let reader = router(cluster, plan).await?;
    let former = verdict::former_pods(&seen, release);
    let reader = &reader;
    let asking = plan.components().filter_map(|component| {
        let is_of = |pod: &Pod| pod.labels().get(spec().charts.component_label).is_some_and(|it| it == component.label);
        let names = |is_former: bool| -> BTreeSet<String> {
            let known = |pod: &Pod| former.iter().any(|old| old.metadata.uid == pod.metadata.uid) == is_former;
            let pods = seen.pods.iter().filter(|pod| is_of(pod) && known(pod));
            pods.map(|pod| host_name(&pod.name_any()).to_owned()).collect()
        };
        let (new, old) = (names(false), names(true));
        former
            .iter()
            .any(|pod| is_of(pod))
            .then_some(async move { (component, answers_as(reader, component, &new, &old).await) })
    });
    let Some((unsure, _)) = join_all(asking).await.into_iter().find(|(_, is_sure)| !is_sure) else { return Ok(()) };
    tracing::debug!("{} does not say which pod answers: waiting until its former pods are gone", unsure.suffix);
    converged(cluster, plan, end.saturating_duration_since(Instant::now())).await
}

/// Waits until no former pod of a component answers any more; `false` where its answers do not tell which pod they are from.
async fn answers_as(
    reader: &Reader,
    component: &Component,
    current: &BTreeSet<String>,
    former: &BTreeSet<String>,
) -> bool {
    // The forward leads to a pod of the router that is not terminating.
    if component.label == spec().router.label {
        return true;
    }
    let Some(asked) = component.instance else { return false };
    let needed = asks(current.len());
    let asking = async {
        let mut beat = tokio::time::interval(BETWEEN);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut in_a_row = 0;
        while in_a_row < needed {
            for reply in join_all((0..AT_ONCE).map(|_| reader.first_answer(asked.path))).await {
                // No answer, or another status than 200, does not tell which pod it is from.
                match reply.ok().filter(|reply| reply.status == 200).map(|reply| told(&reply, asked.pointer)) {
                    Some(Some(pod)) if current.contains(&pod) => in_a_row += 1,
                    Some(Some(pod)) if former.contains(&pod) => in_a_row = 0,
                    Some(_) => return false,
                    None => in_a_row = 0,
                }
            }
            if in_a_row == 0 {
                beat.tick().await;
            }
        }
        true
    };
    let what = format!("asking whose the answers of {} are", component.suffix);
    events::step(what, tokio::time::timeout(REACH, asking)).await.unwrap_or(false)
}

/// The text at a JSON pointer (RFC 6901) in an answer.
fn told(reply: &Reply, pointer: &str) -> Option<String> {
    Some(reply.at(pointer).ok()?.as_str()?.to_owned())
}

/// How many answers in a row by `new` pods are enough: each request goes to a random pod, so with one former pod left, so many
/// requests all miss it with a probability of [`CHANCE`] at most.
fn asks(new: usize) -> usize {
    let new = new.max(1) as f64;
    (CHANCE.ln() / (new / (new + 1.0)).ln()).ceil() as usize
}

/// The host name of a pod: its name, cut at 63 characters as the kubelet cuts it (RFC 1123).
fn host_name(pod: &str) -> &str {
    pod.get(..63).map_or(pod, |cut| cut.trim_end_matches(['-', '.']))
}

async fn gone(cluster: &Cluster, plan: &Plan, limit: Duration) -> Result<Snapshot> {
    let judge = |seen: &Snapshot| settled(seen, &plan.instance());
    let seen = k8s::wait(&cluster.client, &plan.namespace, &awaited(plan), limit, judge).await?;
    router(cluster, plan).await?;
    Ok(seen)
}

fn awaited(plan: &Plan) -> String {
    format!("release {} in namespace {}", plan.release, plan.namespace)
}

/// An HTTP client of the release's router, once the router reaches every service: the node's routes and policies follow ready
/// pods a moment later.
async fn router(cluster: &Cluster, plan: &Plan) -> Result<Reader> {
    let router = Forward::open(
        cluster.client.clone(),
        &plan.namespace,
        &plan.selector(spec().router),
        spec().router.container_port,
    )
    .await?;
    let reader = Reader::with(HttpOptions { keep_alive: true, ..router.options() })?;
    for path in spec().reached {
        reader.answers(path, REACH).await?;
    }
    Ok(reader)
}

/// Whether the release has converged and no replaced pod is left: until it is gone it may still get requests.
fn settled(seen: &Snapshot, release: &Instance) -> State {
    match verdict::converged(seen, release) {
        State::Ready => {
            let former = verdict::former_pods(seen, release);
            let mut leaving = former.iter().map(|pod| State::Pending(format!("{} is still leaving", pod.name_any())));
            leaving.next().unwrap_or(State::Ready)
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::one(1, 20)]
    #[case::two(2, 35)]
    #[case::three(3, 49)]
    #[case::none_is_as_one(0, 20)]
    fn more_pods_hide_a_former_one_better(#[case] new: usize, #[case] needed: usize) {
        assert_eq!(asks(new), needed);
    }

    #[rstest]
    #[case::short("shop-backend-6c4d475bc4-jgwlg", "shop-backend-6c4d475bc4-jgwlg")]
    #[case::cut(
        "a-name-of-a-release-that-is-rather-long-backend-6c4d475bc4-jgwlg-more",
        "a-name-of-a-release-that-is-rather-long-backend-6c4d475bc4-jgwl"
    )]
    #[case::cut_at_a_dash(
        "a-name-of-a-release-that-is-rather-long-backend-6c4d475bc4-jgw-lg",
        "a-name-of-a-release-that-is-rather-long-backend-6c4d475bc4-jgw"
    )]
    fn a_host_name_is_as_the_kubelet_cuts_it(#[case] pod: &str, #[case] host: &str) {
        assert_eq!(host_name(pod), host);
    }
}
