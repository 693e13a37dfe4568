//! From images to a release that has converged.
//!
//! | what | modules |
//! |---|---|
//! | artifact sets, by digest: built here, or provided; the registry beside the cluster | [`artifacts`] |
//! | a kind cluster of ours: made, proven ours, shared, reaped; the edge in front of it | [`cluster`] |
//! | connections to a cluster's API, by the rules of kubectl | [`connect`], [`k8s`] |
//! | charts staged and rendered; deployed, converged, or rolled back | [`release`] |
//! | a namespace for each pull request on a cluster that exists | [`preview`] |
//!
//! The modules are one crate, since they are one sequence of steps and fail in the same ways (docs/decisions/0022); no module
//! depends on itself by a circle.
//!
//! ```
//! use harness_deploy::preview::PullRequest;
//! # harness_settings::spec::of(&harness_settings::spec::sample::STACK);
//!
//! let of = PullRequest::parse("123").ok_or("no number")?;
//! assert_eq!(of.namespace(), "shop-pr-123");
//! # Ok::<(), &str>(())
//! ```

pub mod artifacts;
pub mod cluster;
pub mod connect;
pub mod error;
pub mod preview;
pub mod release;
#[cfg(test)]
mod testing;

pub use error::{Error, Result};

/// The cluster locks of a process as it begins: none. A process has one [`cluster::Hold`], its session's; `harness` does not
/// re-export this function, so that no suite makes a second.
pub fn hold() -> cluster::Hold {
    cluster::Hold::nothing()
}

/// Kubernetes: what [`harness_kube`] does with a cluster, and the way to one.
pub mod k8s {
    pub use harness_kube::kubeconfig::KubeconfigFiles;
    pub use harness_kube::{
        Begin, CALL, FIELD_MANAGER, FailureCause, Forward, Snapshot, State, answers, apply, call, diagnose,
        diagnose_deploy, failure_cause, forward, gone, has_code, job, log, namespace, pod, probe, quantity, secret,
        snapshot, verdict, wait, window, within, workload,
    };

    pub use crate::connect::{connect, connect_with};
}
