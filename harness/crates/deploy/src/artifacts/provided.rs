//! A provided artifact set, built elsewhere: read, and checked against its registries before anything is deployed.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::Path;

use futures::future::join_all;
use harness_machine::engine::Engine;
use harness_machine::project::Project;
use harness_manifest::Reference;
use harness_manifest::artifact_set::{DIRTY, in_variables};
use harness_manifest::{Artifact, ArtifactSet};
use harness_settings::environment::Environment;
use harness_settings::marks::REGISTRY;
use harness_settings::settings::{self, Settings};
use harness_settings::spec::variable::ARTIFACTS;
use harness_settings::stage::Stage;

use super::build_context::Origins;
use super::distribution::{is_local, platforms};
use super::{Registry, RegistryCredentials, Sources, serve};
use crate::error::{Error, Result};

/// The prefixes of variables that Skaffold replaces by a part of an image's reference in a profile's values (skaffold.dev,
/// "Deploying with Helm"); a longer prefix comes before a shorter one.
const VARIABLES: [&str; 7] = [
    "IMAGE_FULLY_QUALIFIED_",
    "IMAGE_REPO_NO_DOMAIN_",
    "IMAGE_REPO_",
    "IMAGE_DIGEST_",
    "IMAGE_DOMAIN_",
    "IMAGE_NAME_",
    "IMAGE_TAG_",
];

/// The location of a provided set, and the credentials to check it with.
#[derive(Debug, Clone)]
pub struct ProvidedArtifacts {
    stage: Stage,
    location: Option<String>,
    credentials: RegistryCredentials,
}

impl ProvidedArtifacts {
    /// The set that [`settings::ARTIFACTS`] names, for a stage; reads nothing yet.
    ///
    /// # Errors
    /// [`harness_base::Error::Refused`] when that setting, or one of the registry credentials, is not allowed.
    pub fn of(stage: Stage, settings: &Settings) -> Result<Self> {
        Ok(Self { stage, location: settings.artifacts.get()?, credentials: RegistryCredentials::of(settings)? })
    }

    /// A set in another file, checked with other credentials.
    #[must_use]
    pub fn at(stage: Stage, location: &Path, credentials: RegistryCredentials) -> Self {
        Self { stage, location: Some(location.to_string_lossy().into_owned()), credentials }
    }

    /// Reads the set, and checks that each image is in its registry, is for this engine's platform, and may be pulled.
    ///
    /// What remains on cancel: the registry's container, if the set is in the one beside the cluster.
    ///
    /// # Errors
    /// [`harness_base::Error::Refused`] naming the artifact, and what to do about it.
    pub async fn obtain(&self, engine: &Engine, sources: &Sources<'_>) -> Result<ArtifactSet> {
        let (location, set) = self.written(sources.project, sources.settings).await?;
        if self.location.is_none() {
            let here = Origins::of(sources).await?;
            expect_of((&here.stack.sha, "this checkout"), &set.revision, &location)?;
            for (image, own) in here.images.iter().filter_map(|one| Some((one.image.name, one.revision.as_ref()?))) {
                expect_of((&own.sha, &format!("the repository of {image}")), set.revision_of(image), &location)?;
            }
        }
        warn_if_dirty(&location, &set);
        let here = engine.platform().await?;
        if set.platform != here {
            return Err(Error::refused(
                format!("the artifact set {location} is for {}, and this engine runs {here}", set.platform),
                format!("build one for {here}, or set DOCKER_HOST to an engine of {}", set.platform),
            ));
        }
        if let Some(artifact) = set.builds.iter().find(|artifact| is_local(artifact.tag.registry())) {
            let registry = artifact.tag.registry();
            tracing::warn!(
                "{registry} is this machine's own: a node reaches it only if its hosts.toml says where it is"
            );
        }
        let registry = serve(engine, sources, &set).await?;
        self.check(&set, registry.as_ref()).await?;
        tracing::info!("{} images of revision {} are in their registries", set.builds.len(), set.revision);
        Ok(set)
    }

    /// Reads the set without an engine, and checks that each image is in its registry, is for the set's platform, and may be
    /// pulled. Images in a registry that only clusters reach are not checked.
    ///
    /// # Errors
    /// As [`ProvidedArtifacts::obtain`].
    pub async fn read(&self, project: &Project, settings: &Settings) -> Result<ArtifactSet> {
        let (location, set) = self.written(project, settings).await?;
        warn_if_dirty(&location, &set);
        let (known, unknown): (Vec<_>, Vec<_>) = set.builds.iter().partition(|one| one.tag.registry() != REGISTRY);
        let checks = known.into_iter().map(|artifact| check(artifact, &artifact.tag, &set.platform, &self.credentials));
        join_all(checks).await.into_iter().collect::<Result<()>>()?;
        if !unknown.is_empty() {
            tracing::warn!("{location}: {REGISTRY} is a cluster's own registry: what it holds is not looked at first");
        }
        Ok(set)
    }

    /// Reads the set and its location, without asking any registry.
    ///
    /// # Errors
    /// [`harness_base::Error::Refused`] when none is named; as [`read`].
    pub async fn written(&self, project: &Project, settings: &Settings) -> Result<(Cow<'_, str>, ArtifactSet)> {
        let location = self.place(&project.default_set())?;
        let set = read(&location, self.stage, project, settings).await?;
        Ok((location, set))
    }

    /// The location that the setting names; else, in stage ci, the checkout's default set.
    fn place(&self, default: &Path) -> Result<Cow<'_, str>> {
        let nothing = format!("stage {} builds nothing, and {ARTIFACTS} names no artifact set", self.stage);
        match &self.location {
            Some(location) => Ok(location.into()),
            None if self.stage != Stage::Ci => Err(Error::refused(
                nothing,
                format!("set {ARTIFACTS} to the absolute path of one, or to its https address"),
            )),
            None if default.is_file() => Ok(default.to_string_lossy().into_owned().into()),
            None => Err(Error::refused(
                format!("{nothing}; there is no {} either", default.display()),
                format!("cargo stack artifacts build --official, or set {ARTIFACTS} to the absolute path of one"),
            )),
        }
    }

    /// Checks each image in its registry, by its digest.
    async fn check(&self, set: &ArtifactSet, registry: Option<&Registry>) -> Result<()> {
        // All checks run to their end; the first error in the set's order is reported.
        let check = async |artifact: &Artifact| {
            check(artifact, &from_here(&artifact.tag, registry), &set.platform, &self.credentials).await
        };
        join_all(set.builds.iter().map(check)).await.into_iter().collect()
    }
}

/// Refuses a default set of another commit than the checkout's: the scenarios would test an old revision.
fn expect_of((head, whose): (&str, &str), made: &str, location: &str) -> Result<()> {
    let commit = |sha: &str| sha.trim_end_matches(DIRTY).to_owned();
    if commit(head) == commit(made) {
        return Ok(());
    }
    Err(Error::refused(
        format!("{location} is of the revision {made}, and {whose} is at {head}"),
        format!("cargo stack artifacts build --official, or set {ARTIFACTS} to the set that is meant"),
    ))
}

fn warn_if_dirty(location: &str, set: &ArtifactSet) {
    if set.is_dirty() {
        tracing::warn!("the artifact set {location} is of a dirty tree: no commit holds what it was built from");
    }
}

/// Checks that an artifact is in its registry, which this host reaches by the reference `at`, is for a platform, and may be
/// pulled.
///
/// # Errors
/// [`harness_base::Error::Refused`] naming the artifact.
pub async fn check(
    artifact: &Artifact,
    at: &Reference,
    platform: &str,
    credentials: &RegistryCredentials,
) -> Result<()> {
    let found = platforms(at, credentials).await.map_err(|error| match error {
        Error::Base(harness_base::Error::Refused { what, next }) => {
            Error::refused(format!("artifact {}: {what}", artifact.image_name), next)
        }
        other => other,
    })?;
    if found.contains(platform) {
        return Ok(());
    }
    let found: Vec<&str> = found.iter().map(String::as_str).collect();
    Err(Error::refused(
        format!(
            "artifact {}: {} is for {}, and the set says {platform}",
            artifact.image_name,
            artifact.tag.by_digest(),
            found.join(", ")
        ),
        "build the set anew: cargo stack artifacts build --output FILE",
    ))
}

/// The reference by which this host reaches an image: the registry beside the cluster has another name in the cluster.
pub(super) fn from_here(reference: &Reference, registry: Option<&Registry>) -> Reference {
    match registry {
        Some(registry) if reference.registry() == REGISTRY => reference.at_registry(&registry.address),
        _ => reference.clone(),
    }
}

/// Reads a set from a file or an https address, and checks that it has all images of a stage; asks no registry.
///
/// # Errors
/// [`harness_base::Error::Refused`] when it cannot be read; as [`ArtifactSet::parse`].
pub async fn read(location: &str, stage: Stage, project: &Project, settings: &Settings) -> Result<ArtifactSet> {
    let needed = images_of(&project.skaffold()?, stage.name())?;
    let text = text(location, settings.ca_bundle.get()?.as_deref(), &settings.environment).await?;
    Ok(ArtifactSet::parse(&text, location, &needed)?)
}

/// The text of a file, or of an https address.
async fn text(location: &str, ca_bundle: Option<&Path>, environment: &Environment) -> Result<String> {
    if location.starts_with("https://") {
        return harness_machine::tools::fetch_text(ca_bundle, location).await.map_err(|why| {
            Error::refused(
                format!("the artifact set {location} cannot be read: {}{why}", environment.through(location)),
                format!("curl --location {location}; correct {}", settings::ARTIFACTS),
            )
        });
    }
    std::fs::read_to_string(location).map_err(|error| {
        Error::refused(
            format!("the artifact set {location} cannot be read: {error}"),
            format!("cargo stack artifacts build --output {location}, or correct {}", settings::ARTIFACTS),
        )
    })
}

/// The images that skaffold.yaml names: those that it builds, and those that a profile's values use; the latter by the spelling
/// of their variables, unless they are built.
///
/// # Errors
/// [`harness_base::Error::Malformed`] when the text does not parse; [`harness_base::Error::Refused`] when it has no such profile.
fn images_of(skaffold: &str, profile: &str) -> Result<BTreeSet<String>> {
    let root: serde_yaml::Value = serde_yaml::from_str(skaffold).map_err(Error::malformed("read skaffold.yaml"))?;
    let profiles = root["profiles"].as_sequence().map(Vec::as_slice).unwrap_or_default();
    let found = profiles.iter().find(|entry| entry["name"].as_str() == Some(profile)).ok_or_else(|| {
        Error::refused(format!("skaffold.yaml has no profile {profile}"), format!("add the profile {profile}"))
    })?;
    let built = root["build"]["artifacts"].as_sequence().into_iter().flatten();
    let mut names: BTreeSet<String> =
        built.filter_map(|artifact| artifact["image"].as_str().map(str::to_owned)).collect();
    let known: BTreeSet<String> = names.iter().map(|name| in_variables(name)).collect();
    let mut asked = BTreeSet::new();
    collect(&found["deploy"], &mut asked);
    names.extend(asked.into_iter().filter(|name| !known.contains(name)));
    Ok(names)
}

fn collect(value: &serde_yaml::Value, names: &mut BTreeSet<String>) {
    match value {
        serde_yaml::Value::String(text) => {
            let words = text.split(|sign: char| !sign.is_ascii_alphanumeric() && sign != '_');
            let image = |word: &str| VARIABLES.iter().find_map(|start| word.strip_prefix(start)).map(str::to_owned);
            names.extend(words.filter_map(image));
        }
        serde_yaml::Value::Sequence(list) => list.iter().for_each(|item| collect(item, names)),
        serde_yaml::Value::Mapping(map) => map.values().for_each(|item| collect(item, names)),
        _ => {}
    }
}

#[cfg(test)]
mod tests;
