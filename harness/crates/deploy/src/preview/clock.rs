//! The API server's clock, which decides when a preview has expired: machines that deploy and sweep have other clocks.

use harness_settings::spec::spec;
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::api::{ObjectMeta, PostParams};

use crate::cluster::Cluster;
use crate::error::{Error, Result};
use crate::k8s;

/// The API server's time in seconds since 1970: the creation time of a Lease that is created as a dry run. Not the answer's Date
/// header, which any proxy may set.
///
/// # Errors
/// [`Error::Kube`]; [`Error::Unmet`] when the object has no time.
pub(super) async fn now(cluster: &Cluster) -> Result<u64> {
    let api: Api<Lease> = Api::namespaced(cluster.client.clone(), spec().preview.namespace);
    let metadata = ObjectMeta { generate_name: Some("clock-".to_owned()), ..ObjectMeta::default() };
    let probe = Lease { metadata, ..Lease::default() };
    let dry = PostParams { dry_run: true, ..PostParams::default() };
    let made = k8s::call("ask the API server for its time", api.create(&dry, &probe)).await?;
    let time = made.metadata.creation_timestamp.and_then(|time| u64::try_from(time.0.as_second()).ok());
    time.ok_or_else(|| Error::Unmet("the API server gave an object without its time".to_owned()))
}
