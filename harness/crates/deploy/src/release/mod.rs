//! Releases: charts, values and artifacts are rendered to manifests, deployed by Helm or Skaffold, and waited for.

mod deploy;
pub mod deployed_objects;
mod helm;
mod plan;
mod reach;
mod sealed;
mod skaffold;
mod staging;

pub use deploy::ensure_auth;
pub use deploy::{Deployment, Pull, deploy, deploy_and_read};
pub use harness_manifest::{ChartIgnore, parity};
pub use helm::{Capabilities, History, lint, render, render_for};
pub use plan::Plan;
pub use reach::{REACH, converged, steady};
pub use sealed::seal;
pub use skaffold::render as render_by_skaffold;
pub use staging::{Edit, Staged, stage_charts, stage_given_charts};
