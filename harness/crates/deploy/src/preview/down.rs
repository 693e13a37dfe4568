//! Takes a preview down, and waits until nothing of it remains.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Namespace, PersistentVolume};
use kube::{Api, ResourceExt};
use tokio::time::Instant;

use super::up::foreign;
use super::{Preview, PullRequest, lease};
use crate::cluster::Cluster;
use crate::error::{Error, Result};
use crate::k8s::{self, State};

/// The default deadline for a preview's namespace to be gone: 300 s.
pub const WITHIN: Duration = Duration::from_secs(300);

/// What an administrator does about volumes that stay; the accounts of previews may only read volumes.
const KEPT_NEXT: &str = "an administrator lets the StorageClass of previews have the reclaim policy Delete; and, for each volume, \
                         kubectl patch persistentvolume NAME --patch '{\"spec\":{\"persistentVolumeReclaimPolicy\":\"Delete\"}}', which \
                         removes its storage too";

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
/// what holds the namespace, or a volume that is left, or who holds the Lease. [`harness_base::Error::Refused`] as well, once all
/// else is gone, for volumes that their reclaim policy keeps; where there was no preview, they are warned of.
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
        if let Some(kept) = kept(&volumes_gone(cluster, &name, end).await?) {
            tracing::warn!("pr-{of}: {kept}");
        }
        return Ok(Gone::Absent);
    };
    let preview = Preview::of(&found).map_err(|why| foreign(&name, &why))?;
    if !still(&preview).await {
        return Ok(Gone::Kept);
    }
    // By its UID: another namespace of that name may have taken its place.
    k8s::namespace::delete_exactly(&cluster.client, &found, within).await?;
    match kept(&volumes_gone(cluster, &name, end).await?) {
        Some(kept) => Err(Error::refused(kept, KEPT_NEXT)),
        None => Ok(Gone::Removed),
    }
}

/// Waits until those of a namespace's volumes are gone that are deleted after it: volumes are cluster-wide. Returns the others.
async fn volumes_gone(cluster: &Cluster, namespace: &str, end: Instant) -> Result<Vec<Arc<PersistentVolume>>> {
    let api: Api<PersistentVolume> = Api::all(cluster.client.clone());
    let awaited = format!("the end of the volumes of {namespace}");
    let limit = end.saturating_duration_since(Instant::now());
    let mut all = k8s::wait::all(api, &awaited, limit, |volumes| going(volumes, namespace)).await?;
    all.retain(|volume| is_of(volume, namespace));
    Ok(all)
}

/// Whether a volume is, or was, bound to a claim of a namespace. Without a UID it is reserved for one by hand: never ours.
fn is_of(volume: &PersistentVolume, namespace: &str) -> bool {
    let claim = volume.spec.as_ref().and_then(|spec| spec.claim_ref.as_ref());
    claim.is_some_and(|claim| claim.namespace.as_deref() == Some(namespace) && claim.uid.is_some())
}

fn is_deleted(volume: &PersistentVolume) -> bool {
    volume.spec.as_ref().and_then(|spec| spec.persistent_volume_reclaim_policy.as_deref()) == Some("Delete")
}

/// Ready once none of a namespace's volumes is left that is deleted. One whose deletion failed is tried again by the cluster.
fn going(volumes: &[Arc<PersistentVolume>], namespace: &str) -> State {
    let Some(left) = volumes.iter().find(|volume| is_of(volume, namespace) && is_deleted(volume)) else {
        return State::Ready;
    };
    let why = left.status.as_ref().and_then(|status| status.message.as_deref());
    let why = why.map(|why| format!(": {why}")).unwrap_or_default();
    State::Pending(format!("the volume {} is still there{why}", left.name_any()))
}

/// What is to be said of volumes that stay, by name; `None` if there are none.
fn kept(volumes: &[Arc<PersistentVolume>]) -> Option<String> {
    let names: Vec<_> = volumes.iter().map(|volume| volume.name_any()).collect();
    (!names.is_empty()).then(|| format!("volumes stay, since their reclaim policy is not Delete: {}", names.join(", ")))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn volume(name: &str, namespace: &str, policy: &str, message: Option<&str>) -> Arc<PersistentVolume> {
        let volume = json!({
            "metadata": {"name": name}, "status": {"phase": "Released", "message": message},
            "spec": {"persistentVolumeReclaimPolicy": policy, "claimRef": {"namespace": namespace, "uid": "1"}},
        });
        Arc::new(serde_json::from_value(volume).unwrap())
    }

    #[rstest]
    #[case::none(vec![], None)]
    #[case::of_another(vec![volume("a", "pr-2", "Delete", None)], None)]
    #[case::being_deleted(vec![volume("a", "pr-1", "Delete", None)], Some("the volume a is still there"))]
    #[case::not_deleted(vec![volume("a", "pr-1", "Delete", Some("busy"))], Some("the volume a is still there: busy"))]
    #[case::kept(vec![volume("a", "pr-1", "Retain", None)], None)]
    #[case::kept_first(
        vec![volume("a", "pr-1", "Retain", None), volume("b", "pr-1", "Delete", None)], Some("the volume b is still there")
    )]
    #[case::kept_last(
        vec![volume("b", "pr-1", "Delete", None), volume("c", "pr-1", "Retain", None)], Some("the volume b is still there")
    )]
    fn what_is_deleted_is_waited_for(#[case] volumes: Vec<Arc<PersistentVolume>>, #[case] waits: Option<&str>) {
        let expected = waits.map_or(State::Ready, |text| State::Pending(text.to_owned()));
        assert_eq!(going(&volumes, "pr-1"), expected);
    }

    #[test]
    fn what_is_reserved_by_hand_is_no_previews() {
        let reserved = json!({"metadata": {"name": "a"}, "spec": {"claimRef": {"namespace": "pr-1"}}});
        assert!(!is_of(&serde_json::from_value(reserved).unwrap(), "pr-1"));
    }

    #[test]
    fn what_stays_is_named() {
        assert_eq!(kept(&[]), None);
        let both = [volume("a", "pr-1", "Retain", None), volume("b", "pr-1", "Retain", None)];
        assert!(kept(&both).unwrap().ends_with(": a, b"));
    }
}
