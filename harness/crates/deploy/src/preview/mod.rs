//! Stage preview: a namespace in an existing cluster for each pull request, which is always removed in the end.
//!
//! ```text
//! identity, cluster_name, context -> admit -> lease -> (stores -> up) | down | sweep, by the cluster's clock
//! ```

pub mod admission;
mod clock;
mod cluster_name;
mod down;
mod github;
mod identity;
mod kube_context;
mod lease;
mod namespace_objects;
pub mod stores;
mod sweep;
mod up;

pub use cluster_name::ClusterName;
pub use down::{Gone, WITHIN, down};
pub use github::{GitHub, PullState};
pub use harness_settings::pull_request::PullRequest;
pub use identity::{Expiry, Preview, labels, now, selector};
pub use kube_context::connect;
pub use lease::{holder, holding};
pub use stores::Stores;
pub use sweep::{Decision, decide, sweep};
pub use up::{DeployRequest, list, look, options, up};
