//! Clusters: a kind cluster of ours for each checkout and stage; its locks, record, node image, edge and reaper.

mod cluster_state;
pub mod edge;
mod hold;
mod kind;
mod leavings;
mod node;
pub mod node_image;
pub mod reaper;
mod record;
pub mod tilt;
mod turns;

pub use cluster_state::ClusterState;
pub use harness_base::lock::{Lock, Mode, holders};
use harness_machine::tools::Tools;
pub use hold::{Alone, Change, Free, Hold, Use};
pub use kind::{ensure, find, node_name};
pub use leavings::{remove_leavings, sweep_leavings};
pub use node::{SHARE, requested, slots};
pub use record::{ClusterRecord, Identity, Keeping, Phase, ReleaseRecord};
pub use turns::{Turn, Turns};

use crate::k8s::KubeconfigFiles;

/// A cluster that the harness may deploy to: a kind cluster of ours, or one that is open to previews.
#[derive(Clone)]
pub struct Cluster {
    /// Its name, which is its owner's too.
    pub name: String,
    /// The context that every call names.
    pub context: String,
    /// The files that hold the context: the one that only a cluster's owner can read, or the user's own.
    pub kubeconfig: KubeconfigFiles,
    /// A client of that context.
    pub client: kube::Client,
    /// The tools that reach the cluster: Helm, Skaffold.
    pub tools: Tools,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster").field("name", &self.name).field("context", &self.context).finish_non_exhaustive()
    }
}
