//! Takes a preview down, and waits until nothing of it remains.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Namespace, PersistentVolume};
use kube::Api;
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
    /// There was no preview.
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
/// what holds the namespace, or naming who holds the Lease.
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
        // Of a call that was killed between the two.
        volumes_gone(cluster, &name, within).await?;
        return Ok(Gone::Absent);
    };
    let preview = Preview::of(&found).map_err(|why| foreign(&name, &why))?;
    if !still(&preview).await {
        return Ok(Gone::Kept);
    }
    // By its UID: another namespace of that name may have taken its place.
    k8s::namespace::delete_exactly(&cluster.client, &found, within).await?;
    volumes_gone(cluster, &name, end.saturating_duration_since(Instant::now())).await?;
    Ok(Gone::Removed)
}

/// Waits until a namespace's volumes are gone: they are cluster-wide, and removed after their namespace.
async fn volumes_gone(cluster: &Cluster, namespace: &str, limit: Duration) -> Result<()> {
    let api: Api<PersistentVolume> = Api::all(cluster.client.clone());
    let of_namespace = |volume: &PersistentVolume| {
        let claim = volume.spec.as_ref().and_then(|spec| spec.claim_ref.as_ref());
        claim.is_some_and(|claim| claim.namespace.as_deref() == Some(namespace))
    };
    let awaited = format!("the end of the volumes of {namespace}");
    let judge = |volumes: &[std::sync::Arc<PersistentVolume>]| {
        let mut left = volumes.iter().filter(|volume| of_namespace(volume));
        let name = left.next().map(|volume| volume.metadata.name.clone().unwrap_or_default());
        name.map_or(State::Ready, |name| State::Pending(format!("the volume {name} is still there")))
    };
    k8s::wait::all(api, &awaited, limit, judge).await?;
    Ok(())
}
