//! The inputs of the Tiltfile from this machine: base images, the services' folders, certificate authorities for builds.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::artifacts::REGISTRY_IMAGE;
use crate::artifacts::{Bases, wanted};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::project::Project;
use crate::settings::Settings;
use crate::source::ProvisionSource;
use crate::spec::spec;

/// The Tiltfile's inputs, which `cargo stack dev` writes as JSON before it starts Tilt. A Tilt started by hand finds the same
/// itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Inputs {
    /// The kubeconfig context that Tilt may deploy to, beside `kind-kind`.
    pub context: String,
    /// The references of base and third-party images in the engine, by their recipes' names.
    pub images: BTreeMap<String, String>,
    /// The build context of each built image, by its name.
    pub contexts: BTreeMap<String, PathBuf>,
    /// The file of further certificate authorities for builds; empty if there is none.
    pub ca: PathBuf,
    /// The file that keeps the values of the Secret `<release>-auth`; ignored by git.
    pub auth: PathBuf,
}

impl Inputs {
    /// Makes sure that the engine holds the images, and returns the inputs.
    ///
    /// # Errors
    /// As [`Bases::ensure`] and [`Project::context`].
    pub async fn of(engine: &Engine, project: &Project, settings: &Settings, cluster: &str) -> Result<Self> {
        let mut wanted = wanted();
        wanted.retain(|want| want.recipe != REGISTRY_IMAGE.name);
        let bases = Bases { engine, project, may_set_up: settings.may_set_up(), from: ProvisionSource::Auto };
        let held = bases.ensure(&wanted).await?;
        let images = wanted.iter().zip(held).map(|(want, held)| (want.recipe.to_owned(), held.reference)).collect();
        let contexts = spec()
            .images
            .built
            .iter()
            .map(|image| Ok((image.name.to_owned(), project.context(image, settings)?)))
            .collect::<Result<_>>()?;
        let ca = settings.build_ca.get()?.filter(|path| path.is_file()).unwrap_or_default();
        let auth = project.root.join(format!(".{}/auth.json", spec().name));
        Ok(Self { context: format!("kind-{cluster}"), images, contexts, ca, auth })
    }

    /// The inputs as JSON.
    ///
    /// # Errors
    /// [`harness_base::Error::Malformed`], never in practice.
    pub fn json(&self) -> Result<String> {
        serde_json::to_string_pretty(self).map_err(Error::malformed("write the answer to the Tiltfile as JSON"))
    }

    /// The same inputs, with copies of the services' folders, each below `copies` by its image's name.
    #[must_use]
    pub fn from_copies(mut self, copies: &Path) -> Self {
        for (name, folder) in &mut self.contexts {
            *folder = copies.join(name);
        }
        self
    }
}
