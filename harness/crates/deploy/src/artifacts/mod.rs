//! Artifact sets: the images of a release, by digest. Stage local builds its set, other stages are provided with one; the
//! registry beside the cluster holds built images.

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

/// The arguments for building an artifact set, or reading a provided one.
#[derive(Debug)]
pub struct Sources<'a> {
    /// The checkout.
    pub project: &'a Project,
    /// The settings.
    pub settings: &'a Settings,
    /// The tools: Skaffold, buildx.
    pub tools: &'a Tools,
    /// The name of the cluster that the registry is beside.
    pub cluster: &'a str,
    /// The folder of the registry's data.
    pub registry_data: &'a Path,
    /// A folder for the build's own files.
    pub scratch: &'a Path,
}

impl Sources<'_> {
    /// The base and third-party images, from these sources.
    pub fn bases<'b>(&'b self, engine: &'b Engine) -> Bases<'b> {
        Bases { engine, project: self.project, may_set_up: self.settings.may_set_up(), from: ProvisionSource::Auto }
    }
}

/// The source of a stage's artifact set. Only `Built` holds the [`MayBuild`] that a build needs.
#[derive(Debug)]
pub enum ArtifactSource {
    /// Built here, from the working tree.
    Built(MayBuild),
    /// Built elsewhere, and read from a file or an https address.
    ProvidedArtifacts(ProvidedArtifacts),
}

impl ArtifactSource {
    /// The source of a stage's set.
    ///
    /// # Errors
    /// As [`ProvidedArtifacts::of`].
    pub fn of(stage: Stage, settings: &Settings) -> Result<Self> {
        Ok(match stage.may_build() {
            Some(leave) => Self::Built(leave),
            None => Self::ProvidedArtifacts(ProvidedArtifacts::of(stage, settings)?),
        })
    }

    /// Builds or reads the set; each of its images is in its registry then.
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

/// Starts the registry beside the cluster, if the set has an image in it. Its container remains until the cluster is deleted.
///
/// # Errors
/// As [`Registry::beside`].
pub async fn serve(engine: &Engine, sources: &Sources<'_>, set: &ArtifactSet) -> Result<Option<Registry>> {
    match set.builds.iter().any(|artifact| artifact.tag.registry() == REGISTRY) {
        true => Registry::beside(engine, sources).await.map(Some),
        false => Ok(None),
    }
}
