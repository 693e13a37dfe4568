//! Which images, by digest? Stage local builds the set, the others are given it; the registry beside the cluster holds it.

mod base;
mod build;
mod build_context;
mod client_config;
mod credentials;
mod distribution;
mod private;
mod provided;
mod pull_size;
mod registry;

use std::path::Path;

#[cfg(test)]
pub(crate) use base::third_party_image;
pub use base::{BaseImageRequest, Bases, REGISTRY_IMAGE, wanted};
pub use build::build_ca;
pub use build::{BuildOptions, build, push};
pub use credentials::RegistryCredentials;
pub use distribution::copy;
pub use harness_manifest::{Artifact, ArtifactSet, Provenance, Reference};
pub use private::PrivateRegistry;
pub use provided::{ProvidedArtifacts, check, read};
pub(crate) use pull_size::pull_size;
pub use registry::{Registry, container_name, introduce, network_of};

use crate::error::Result;
use harness_machine::engine::Engine;
use harness_machine::project::Project;
use harness_machine::source::ProvisionSource;
use harness_machine::tools::Tools;
use harness_settings::marks::REGISTRY;
use harness_settings::settings::Settings;
use harness_settings::stage::{MayBuild, Stage};

/// What making a set, or taking a given one, needs to know.
#[derive(Debug)]
pub struct Sources<'a> {
    /// The checkout.
    pub project: &'a Project,
    /// What the environment asks for.
    pub settings: &'a Settings,
    /// Where the tools are.
    pub tools: &'a Tools,
    /// The cluster that the registry stands beside.
    pub cluster: &'a str,
    /// Where the registry's data lies.
    pub registry_data: &'a Path,
    /// A folder for the build's own files.
    pub scratch: &'a Path,
}

impl Sources<'_> {
    /// The images that others are made from, as these sources have them.
    pub fn bases<'b>(&'b self, engine: &'b Engine) -> Bases<'b> {
        Bases { engine, project: self.project, may_set_up: self.settings.may_set_up(), from: ProvisionSource::Auto }
    }
}

/// Where a stage's artifact set is from. A stage that is given its set holds nothing that leads to a builder.
#[derive(Debug)]
pub enum ArtifactSource {
    /// Built here, from the working tree.
    Built(MayBuild),
    /// Built by somebody else.
    ProvidedArtifacts(ProvidedArtifacts),
}

impl ArtifactSource {
    /// The stage's own.
    ///
    /// # Errors
    /// As [`ProvidedArtifacts::of`].
    pub fn of(stage: Stage, settings: &Settings) -> Result<Self> {
        Ok(match stage.may_build() {
            Some(leave) => Self::Built(leave),
            None => Self::ProvidedArtifacts(ProvidedArtifacts::of(stage, settings)?),
        })
    }

    /// The set, each of whose images is in its registry.
    ///
    /// # Errors
    /// As [`build`] or [`ProvidedArtifacts::obtain`].
    pub async fn obtain(&self, engine: &Engine, sources: &Sources<'_>) -> Result<ArtifactSet> {
        match self {
            Self::Built(leave) => build(*leave, engine, sources, BuildOptions::default()).await,
            Self::ProvidedArtifacts(given) => given.obtain(engine, sources).await,
        }
    }
}

/// Makes sure that the registry beside the cluster is up, if anything of the set is there.
///
/// # Errors
/// As [`Registry::beside`].
pub async fn serve(engine: &Engine, sources: &Sources<'_>, set: &ArtifactSet) -> Result<Option<Registry>> {
    match set.builds.iter().any(|artifact| artifact.tag.registry() == REGISTRY) {
        true => Registry::beside(engine, sources).await.map(Some),
        false => Ok(None),
    }
}
