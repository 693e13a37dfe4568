//! What the Tiltfile asks of this machine: base images, the services' folders, how builds reach the network.

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

/// The answer, as JSON, as `cargo stack dev` writes it down before it starts Tilt; by hand the Tiltfile finds the same itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Inputs {
    /// The one context, beside `kind-kind`, that Tilt may touch.
    pub context: String,
    /// Base and third-party images by their recipes' names, as the engine holds them.
    pub images: BTreeMap<String, String>,
    /// The folders that the services are built from.
    pub contexts: BTreeMap<String, PathBuf>,
    /// Further certificate authorities for builds, or the empty string.
    pub ca: PathBuf,
    /// Where the values of `<release>-auth` are kept; git ignores it.
    pub auth: PathBuf,
}

impl Inputs {
    /// Makes sure that the engine holds the images, and says what Tilt has to know.
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

    /// It as JSON.
    ///
    /// # Errors
    /// [`harness_base::Error::Malformed`], never in practice.
    pub fn json(&self) -> Result<String> {
        serde_json::to_string_pretty(self).map_err(Error::malformed("write the answer to the Tiltfile as JSON"))
    }

    /// The same, built from copies of the services' folders.
    #[must_use]
    pub fn from_copies(mut self, copies: &Path) -> Self {
        for (name, folder) in &mut self.contexts {
            *folder = copies.join(name);
        }
        self
    }
}
