//! Chart + values + artifacts -> manifests -> deployed and converged.

mod deploy;
pub mod held;
mod helm;
pub mod parity;
mod plan;
mod reach;
mod skaffold;
mod staging;

pub(crate) use deploy::ensure_auth;
pub use deploy::{Deployment, deploy, deploy_and_read, random_hex};
pub use helm::{History, lint, render};
pub use plan::Plan;
pub use reach::{converged, steady};
pub use skaffold::render as render_by_skaffold;
pub use staging::STAGED;
pub use staging::{Edit, Staged, stage_charts, stage_given_charts};

use crate::error::{Error, Result};

/// The objects of rendered manifests, of which there is at least one: whatever is claimed of all of none holds.
///
/// # Errors
/// [`Error::Malformed`] when the text is no YAML, [`Error::Unmet`] when it holds no object.
pub fn objects(text: &str) -> Result<Vec<serde_json::Value>> {
    use serde::Deserialize;
    let objects: Vec<_> = serde_yaml::Deserializer::from_str(text)
        .map(|document| serde_json::Value::deserialize(document).map_err(Error::malformed("read rendered manifests")))
        .filter(|object| !matches!(object, Ok(serde_json::Value::Null)))
        .collect::<Result<_>>()?;
    match objects.is_empty() {
        true => Err(Error::Unmet("the rendered manifests hold no object".to_owned())),
        false => Ok(objects),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    #[rstest]
    #[case::nothing("", None)]
    #[case::comments_alone("---\n# nothing\n---\n", None)]
    #[case::two("---\nkind: A\n---\n# nothing\n---\nkind: B\n", Some(2))]
    fn manifests_without_an_object_are_refused(#[case] text: &str, #[case] count: Option<usize>) {
        assert_eq!(super::objects(text).ok().map(|objects| objects.len()), count);
    }
}
