//! Chart + values + artifacts -> manifests -> deployed and converged.

mod deploy;
mod helm;
mod plan;
mod skaffold;
mod staging;

pub(crate) use deploy::random_hex;
pub use deploy::{Deployment, converged, deploy};
pub use helm::{History, lint, render};
pub use plan::Plan;
pub use staging::{Staged, stage_charts};
