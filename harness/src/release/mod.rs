//! Chart + values + artifacts -> manifests -> deployed and converged.

mod deploy;
pub mod held;
mod helm;
pub mod parity;
mod plan;
mod reach;
mod sealed;
mod skaffold;
mod staging;

pub(crate) use deploy::ensure_auth;
pub use deploy::{Deployment, Pull, deploy, deploy_and_read, random_hex};
pub use helm::{Capabilities, History, lint, render, render_for};
pub use plan::Plan;
pub use reach::{converged, steady};
pub use sealed::seal;
pub use skaffold::render as render_by_skaffold;
pub use staging::STAGED;
pub use staging::{Edit, Staged, stage_charts, stage_given_charts};

use crate::error::{Error, Result};
use crate::yaml;

/// The objects of rendered manifests, of which there is at least one: whatever is claimed of all of none holds.
///
/// # Errors
/// [`Error::Malformed`] when the text is no YAML, [`Error::Unmet`] when it holds no object.
pub fn objects(text: &str) -> Result<Vec<serde_json::Value>> {
    let documents = yaml::documents(text).map_err(Error::malformed("read rendered manifests"))?;
    let objects: Vec<_> = documents.into_iter().filter(|object| !object.is_null()).collect();
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
