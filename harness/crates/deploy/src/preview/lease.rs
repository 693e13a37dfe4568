//! Leases, in a namespace that stays: one for each pull request, so that deploys and teardowns of its preview take turns, and one
//! for the keeper of stores, so that one at a time leads.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use harness_settings::spec;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use kube::Api;
use kube::api::{DeleteParams, PostParams, Preconditions};
use tokio::time::Instant;

use super::PullRequest;
use crate::cluster::Cluster;
use crate::error::{Error, Result};
use crate::k8s::{self, State};

/// How long a holder that no longer renews is believed to live.
const DURATION: Duration = Duration::from_secs(30);
/// The interval in which a holder renews.
const RENEW: Duration = Duration::from_secs(8);
/// The longest duration of a Lease that is respected, in seconds.
const LONGEST: i32 = 120;

/// Runs `work` while holding a preview's Lease, which is renewed meanwhile and deleted afterwards.
///
/// The Lease of a dead holder is taken over once it was not renewed for its duration (30 s), measured here: clocks are not
/// compared. What remains on a kill: the Lease, for that long.
///
/// # Errors
/// [`harness_base::Error::Deadline`], naming the holder, when the Lease is not free within `limit`;
/// [`harness_base::Error::Refused`] when it is lost meanwhile, which cancels the work; else the work's own error.
pub async fn under<T>(
    cluster: &Cluster,
    of: PullRequest,
    purpose: &str,
    limit: Duration,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    holding(&cluster.client, &format!("pr-{of}"), purpose, limit, work).await
}

/// Runs `work` while holding a Lease of any name, which is renewed meanwhile and deleted afterwards.
///
/// # Errors
/// [`harness_base::Error::Deadline`], naming the holder, when the Lease is not free within `limit`;
/// [`harness_base::Error::Refused`] when it is lost meanwhile, which cancels the work; else the work's own error.
pub async fn holding<T, E: From<Error>>(
    client: &kube::Client,
    name: &str,
    purpose: &str,
    limit: Duration,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let api: Api<Lease> = Api::namespaced(client.clone(), spec::spec().preview.namespace);
    // With a random part, so that two holders of the same purpose are told apart.
    let holder = format!("{purpose} ({})", &harness_base::random::hex().map_err(Error::from)?[..8]);
    let mut held = acquire(&api, name, &holder, limit).await?;
    let outcome = tokio::select! {
        outcome = work => outcome,
        lost = keep(&api, name, &mut held) => Err(lost.into()),
    };
    if let Err(error) = give_back(&api, name, &held).await {
        tracing::warn!("the Lease {name} goes by itself in {DURATION:.0?}: {}", error.report());
    }
    outcome
}

/// The holder of a preview's Lease, as text for people; `None` if it is free.
///
/// # Errors
/// [`Error::Kube`] when it cannot be read.
pub async fn holder(cluster: &Cluster, of: PullRequest) -> Result<Option<String>> {
    let api: Api<Lease> = Api::namespaced(cluster.client.clone(), spec::spec().preview.namespace);
    let found = k8s::call(&format!("read the Lease pr-{of}"), api.get_opt(&format!("pr-{of}"))).await?;
    Ok(found.map(|lease| spec(&lease).holder_identity.unwrap_or_default()))
}

async fn acquire(api: &Api<Lease>, name: &str, holder: &str, limit: Duration) -> Result<Lease> {
    let end = Instant::now() + limit;
    let what = format!("take the Lease {name} in {}", spec::spec().preview.namespace);
    let mut dead: Option<Lease> = None;
    loop {
        let wanted = lease(name, holder, dead.as_ref());
        // With the resource version that was seen, so that only one of two takeovers succeeds.
        let taken = match &dead {
            Some(_) => k8s::call(&what, api.replace(name, &PostParams::default(), &wanted)).await,
            None => k8s::call(&what, api.create(&PostParams::default(), &wanted)).await,
        };
        match taken {
            Ok(lease) => return Ok(lease),
            Err(error) if k8s::has_code(&error, 409) || (dead.is_some() && k8s::has_code(&error, 404)) => {}
            Err(error) => return Err(error.into()),
        }
        dead = free(api, name, end.saturating_duration_since(Instant::now())).await?;
        if let Some(dead) = &dead {
            tracing::warn!("{} renewed the Lease {name} no more: taken over", held_by(dead));
        }
    }
}

/// Waits until a Lease is free: returns `None` once it is absent, or the Lease whose holder died.
async fn free(api: &Api<Lease>, name: &str, limit: Duration) -> Result<Option<Lease>> {
    let end = Instant::now() + limit;
    let mut seen: Option<Lease> = None;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let patience = seen.as_ref().map_or(left, duration);
        let judge = |found: Option<&Lease>| match (found, &seen) {
            (Some(found), Some(before)) if renewal(found) == renewal(before) => {
                State::Pending(format!("{} holds it, renewed at {}", held_by(found), renewal(found).1))
            }
            _ => State::Ready,
        };
        let awaited = format!("the Lease {name}");
        match k8s::wait::object(api.clone(), name, &awaited, left.min(patience), judge).await {
            Ok(None) => return Ok(None),
            Ok(Some(lease)) => {
                if seen.as_ref().map(held_by) != Some(held_by(&lease)) {
                    tracing::info!("waiting for {}, which has the Lease {name}", held_by(&lease));
                }
                seen = Some(Arc::unwrap_or_clone(lease));
            }
            // Not renewed for the Lease's whole duration: its holder died.
            Err(harness_kube::Error::Base(harness_base::Error::Deadline { .. })) if patience < left => return Ok(seen),
            Err(harness_kube::Error::Base(harness_base::Error::Deadline { awaited, last, .. })) => {
                return Err(harness_base::Error::Deadline { awaited, after: limit, last }.into());
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// The holder of a Lease and the time of its last renewal.
fn renewal(lease: &Lease) -> (String, String) {
    (held_by(lease), spec(lease).renew_time.map(|time| time.0.to_string()).unwrap_or_default())
}

/// The duration of a Lease, at most [`LONGEST`].
fn duration(lease: &Lease) -> Duration {
    let secs = spec(lease).lease_duration_seconds.unwrap_or_default().clamp(1, LONGEST);
    Duration::from_secs(u64::from(secs.unsigned_abs()))
}

/// Renews the Lease until that is no longer possible, and returns why.
async fn keep(api: &Api<Lease>, name: &str, held: &mut Lease) -> Error {
    let mut beat = tokio::time::interval(RENEW);
    beat.tick().await;
    let mut renewed = Instant::now();
    loop {
        beat.tick().await;
        let mut wanted = held.clone();
        wanted.spec.get_or_insert_default().renew_time = Some(MicroTime(Timestamp::now()));
        let what = format!("renew the Lease {name}");
        // Counts as lost here before others may take it over, whatever the API server does meanwhile.
        let params = PostParams::default();
        let renewal = k8s::call(&what, api.replace(name, &params, &wanted));
        let answer = tokio::time::timeout_at(renewed + DURATION - RENEW, renewal).await;
        let answer = answer.unwrap_or_else(|_| {
            let last = "the API server does not answer".to_owned();
            Err(harness_base::Error::Deadline { awaited: what, after: DURATION - RENEW, last }.into())
        });
        match answer {
            Ok(lease) => (*held, renewed) = (lease, Instant::now()),
            Err(error) if k8s::has_code(&error, 409) || k8s::has_code(&error, 404) => return lost(name, &error.into()),
            Err(error) if renewed.elapsed() >= DURATION - RENEW => return lost(name, &error.into()),
            Err(error) => tracing::warn!("{}", error.report()),
        }
    }
}

fn lost(name: &str, error: &Error) -> Error {
    Error::refused(
        format!("the Lease {name} was lost while it was in use: {}", error.report()),
        "run the same command again: it goes on from what is there",
    )
}

async fn give_back(api: &Api<Lease>, name: &str, held: &Lease) -> Result<()> {
    // With preconditions, so that a Lease that another has taken over is not deleted.
    let metadata = held.metadata.clone();
    let preconditions = Preconditions { uid: metadata.uid, resource_version: metadata.resource_version };
    let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
    match k8s::call(&format!("give the Lease {name} back"), api.delete(name, &params)).await {
        Err(error) if k8s::has_code(&error, 404) || k8s::has_code(&error, 409) => Ok(()),
        other => Ok(other.map(drop)?),
    }
}

fn lease(name: &str, holder: &str, before: Option<&Lease>) -> Lease {
    let now = Some(MicroTime(Timestamp::now()));
    Lease {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            resource_version: before.and_then(|lease| lease.metadata.resource_version.clone()),
            ..ObjectMeta::default()
        },
        spec: Some(LeaseSpec {
            holder_identity: Some(holder.to_owned()),
            lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
            acquire_time: now.clone(),
            renew_time: now,
            lease_transitions: before.map(|lease| spec(lease).lease_transitions.unwrap_or_default() + 1),
            ..LeaseSpec::default()
        }),
    }
}

fn spec(lease: &Lease) -> LeaseSpec {
    lease.spec.clone().unwrap_or_default()
}

fn held_by(lease: &Lease) -> String {
    spec(lease).holder_identity.filter(|holder| !holder.is_empty()).unwrap_or_else(|| "somebody".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holder_is_believed_for_its_own_duration_and_no_longer_than_two_minutes() {
        let mut held = lease("pr-1", "up of abcdef0 (1234)", None);
        assert_eq!(duration(&held), DURATION);
        held.spec.as_mut().unwrap().lease_duration_seconds = Some(i32::MAX);
        assert_eq!(duration(&held), Duration::from_secs(120));
    }

    #[test]
    fn each_renewal_is_another() {
        let mut held = lease("pr-1", "x", None);
        let before = renewal(&held);
        held.spec.as_mut().unwrap().renew_time = Some(MicroTime(Timestamp::UNIX_EPOCH));
        assert_ne!(renewal(&held), before);
    }

    #[test]
    fn a_takeover_names_the_version_that_it_saw() {
        let mut dead = lease("pr-1", "x", None);
        dead.metadata.resource_version = Some("17".to_owned());
        let taken = lease("pr-1", "y", Some(&dead));
        assert_eq!(taken.metadata.resource_version.as_deref(), Some("17"));
        assert_eq!(spec(&taken).lease_transitions, Some(1));
    }
}
