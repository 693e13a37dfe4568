//! Takes a preview down, and waits until nothing of it remains.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Namespace, PersistentVolume};
use kube::{Api, ResourceExt};
use tokio::time::Instant;

use super::up::foreign;
use super::{Preview, PullRequest, lease};
use crate::cluster::Cluster;
use crate::error::Result;
use crate::k8s::{self, State};

/// The default deadline for a preview's namespace to be gone: 300 s.
pub const WITHIN: Duration = Duration::from_secs(300);

/// The outcome of taking a preview down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gone {
    /// The preview was removed.
    Removed,
    /// There was no preview, or no more: an earlier call removed it, and its volumes are gone by now.
    Absent,
    /// The preview was kept, since the caller's condition no longer held.
    Kept,
}

/// Takes a preview down, and waits until nothing of it remains. Waits up to `turn` for its Lease; `still` is asked once that is
/// held, since what was known before may have changed, and `false` keeps the preview.
///
/// What remains on cancel or kill: the deletion goes on in the cluster; calling again waits for its end.
///
/// # Errors
/// [`harness_base::Error::Refused`] for a namespace that is not ours; [`harness_base::Error::Deadline`] after `within`, naming
/// what holds the namespace, or a volume, or who holds the Lease; [`Error::Failed`](crate::Error::Failed) for a volume that is not
/// deleted with its namespace.
pub async fn down(
    cluster: &Cluster,
    of: PullRequest,
    turn: Duration,
    within: Duration,
    still: impl AsyncFnOnce(&Preview) -> bool,
) -> Result<Gone> {
    lease::under(cluster, of, "down", turn, remove(cluster, of, within, still)).await
}

async fn remove(
    cluster: &Cluster,
    of: PullRequest,
    within: Duration,
    still: impl AsyncFnOnce(&Preview) -> bool,
) -> Result<Gone> {
    let end = Instant::now() + within;
    let name = of.namespace();
    let api: Api<Namespace> = Api::all(cluster.client.clone());
    let Some(found) = k8s::call(&format!("read the namespace {name}"), api.get_opt(&name)).await? else {
        // A call that was killed after the namespace's end leaves volumes that are still being removed.
        volumes_gone(cluster, &name, end, removed_earlier).await?;
        return Ok(Gone::Absent);
    };
    let preview = Preview::of(&found).map_err(|why| foreign(&name, &why))?;
    if !still(&preview).await {
        return Ok(Gone::Kept);
    }
    // By its UID: another namespace of that name may have taken its place.
    k8s::namespace::delete_exactly(&cluster.client, &found, within).await?;
    volumes_gone(cluster, &name, end, removed_now).await?;
    Ok(Gone::Removed)
}

/// Waits until the judge has nothing more to say of a namespace's volumes: they are cluster-wide, and removed after it.
async fn volumes_gone(
    cluster: &Cluster,
    namespace: &str,
    end: Instant,
    judge: fn(&str, &PersistentVolume) -> State,
) -> Result<()> {
    let api: Api<PersistentVolume> = Api::all(cluster.client.clone());
    let awaited = format!("the end of the volumes of {namespace}");
    let limit = end.saturating_duration_since(Instant::now());
    let judge = |volumes: &[Arc<PersistentVolume>]| {
        let of_namespace = volumes.iter().filter(|volume| {
            let claim = volume.spec.as_ref().and_then(|spec| spec.claim_ref.as_ref());
            // Without a UID it is reserved for a claim by hand, and never was the preview's.
            claim.is_some_and(|claim| claim.namespace.as_deref() == Some(namespace) && claim.uid.is_some())
        });
        let mut states = of_namespace.map(|volume| judge(&volume.name_any(), volume));
        states.find(|state| *state != State::Ready).unwrap_or(State::Ready)
    };
    k8s::wait::all(api, &awaited, limit, judge).await?;
    Ok(())
}

/// What is to be said of a volume whose namespace this call has removed.
fn removed_now(name: &str, volume: &PersistentVolume) -> State {
    let policy = volume.spec.as_ref().and_then(|spec| spec.persistent_volume_reclaim_policy.as_deref());
    match policy {
        Some("Delete") => going(name, volume),
        other => State::Failed(format!(
            "the volume {name} stays, by its reclaim policy {}\n  next: kubectl delete persistentvolume {name}, and let the \
             StorageClass of previews have the policy Delete",
            other.unwrap_or("Retain")
        )),
    }
}

/// What is to be said of a volume whose namespace was gone already: of one that stays the call spoke that removed the namespace.
fn removed_earlier(name: &str, volume: &PersistentVolume) -> State {
    match removed_now(name, volume) {
        State::Failed(_) if !is_stuck(volume) => State::Ready,
        other => other,
    }
}

fn going(name: &str, volume: &PersistentVolume) -> State {
    let why = volume.status.as_ref().and_then(|status| status.message.as_deref()).unwrap_or_default();
    match is_stuck(volume) {
        true => State::Failed(format!(
            "the volume {name} was not deleted: {why}\n  next: kubectl describe persistentvolume {name}"
        )),
        false => State::Pending(format!("the volume {name} is still there")),
    }
}

/// Whether its deletion failed: nobody tries again by himself.
fn is_stuck(volume: &PersistentVolume) -> bool {
    volume.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Failed")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case::being_deleted("Delete", "Released", "still there", "still there")]
    #[case::not_deleted("Delete", "Failed", "was not deleted: the disk is busy", "was not deleted: the disk is busy")]
    #[case::kept("Retain", "Released", "stays, by its reclaim policy Retain", "")]
    fn volumes(#[case] policy: &str, #[case] phase: &str, #[case] now: &str, #[case] earlier: &str) {
        let volume: PersistentVolume = serde_json::from_value(json!({
            "metadata": {"name": "pvc-1"}, "spec": {"persistentVolumeReclaimPolicy": policy},
            "status": {"phase": phase, "message": "the disk is busy"},
        }))
        .unwrap();
        for (judge, says) in [(removed_now as fn(&str, &PersistentVolume) -> State, now), (removed_earlier, earlier)] {
            match judge("pvc-1", &volume) {
                State::Ready => assert_eq!(says, ""),
                State::Pending(text) | State::Failed(text) => {
                    assert!(!says.is_empty() && text.contains(says), "{text}")
                }
                State::Degraded(_) => panic!("no volume heals"),
            }
        }
    }
}
