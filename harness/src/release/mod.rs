//! Chart + values + artifacts -> manifests -> deployed and converged.

mod deploy;
pub mod held;
mod helm;
pub mod parity;
mod plan;
mod skaffold;
mod staging;

pub(crate) use deploy::ensure_auth;
pub use deploy::{Deployment, converged, deploy, random_hex, steady};
pub use helm::{History, lint, render};
pub use plan::Plan;
pub use skaffold::render as render_by_skaffold;
pub use staging::{Staged, stage_charts, stage_given_charts};

use crate::error::{Error, Result};

/// The objects of rendered manifests.
///
/// # Errors
/// [`Error::Malformed`] when the text is no YAML.
pub fn objects(text: &str) -> Result<Vec<serde_json::Value>> {
    use serde::Deserialize;
    serde_yaml::Deserializer::from_str(text)
        .map(|document| serde_json::Value::deserialize(document).map_err(Error::malformed("read rendered manifests")))
        .filter(|object| !matches!(object, Ok(serde_json::Value::Null)))
        .collect()
}
