//! An artifact set that somebody else built: read, and checked against its registry before anything is deployed.

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

/// What Skaffold replaces by a part of an image's reference in a profile's values (skaffold.dev, "Deploying with Helm");
/// the longer of two that begin alike comes first.
const VARIABLES: [&str; 7] = [
    "IMAGE_FULLY_QUALIFIED_",
    "IMAGE_REPO_NO_DOMAIN_",
    "IMAGE_REPO_",
    "IMAGE_DIGEST_",
    "IMAGE_DOMAIN_",
    "IMAGE_NAME_",
    "IMAGE_TAG_",
];

/// Where a given set is to be read from.
#[derive(Debug, Clone)]
pub struct ProvidedArtifacts {
    stage: Stage,
    location: Option<String>,
    credentials: RegistryCredentials,
}

impl ProvidedArtifacts {
    /// What [`settings::ARTIFACTS`] names, for a stage; nothing is read yet.
    ///
    /// # Errors
    /// [`harness_base::Error::Refused`] when that, or who we are at registries, is set to what is not allowed.
    pub fn of(stage: Stage, settings: &Settings) -> Result<Self> {
        Ok(Self { stage, location: settings.artifacts.get()?, credentials: RegistryCredentials::of(settings)? })
    }

    /// A set at another place, read with other accounts.
    #[must_use]
    pub fn at(stage: Stage, location: &Path, credentials: RegistryCredentials) -> Self {
        Self { stage, location: Some(location.to_string_lossy().into_owned()), credentials }
    }

    /// The set; each image is in its registry, for this engine's platform, and we may pull it.
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

    /// The set, where there is no engine, only a cluster: each image is in its registry, for the set's platform, and we
    /// may pull it. Of a registry that clusters alone know, the cluster has to tell.
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

    /// The set as it is written, whole, and where it is from; no registry is asked.
    ///
    /// # Errors
    /// [`harness_base::Error::Refused`] when none is named; as [`read`].
    pub async fn written(&self, project: &Project, settings: &Settings) -> Result<(Cow<'_, str>, ArtifactSet)> {
        let location = self.place(&project.default_set())?;
        let set = read(&location, self.stage, project, settings).await?;
        Ok((location, set))
    }

    /// What is named, else, in stage ci, the set that this checkout made itself.
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

    /// Each image by its digest, in its registry, with our credentials.
    async fn check(&self, set: &ArtifactSet, registry: Option<&Registry>) -> Result<()> {
        // All to their end, and the first in the set's order is the one that is told.
        let check = async |artifact: &Artifact| {
            check(artifact, &from_here(&artifact.tag, registry), &set.platform, &self.credentials).await
        };
        join_all(set.builds.iter().map(check)).await.into_iter().collect()
    }
}

/// The set that nobody named is of the commits that are checked out: who moved on since would test what was.
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

/// Whether an artifact is in its registry, which this host reaches by the name in `at`, for a platform, and we may pull it.
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

/// The same image as this host reaches it: the registry beside the cluster has another name in there.
pub(super) fn from_here(reference: &Reference, registry: Option<&Registry>) -> Reference {
    match registry {
        Some(registry) if reference.registry() == REGISTRY => reference.at_registry(&registry.address),
        _ => reference.clone(),
    }
}

/// A set as it is written in a file or at an https address, whole for a stage; whether its images are anywhere is not
/// looked at.
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

/// The images that skaffold.yaml names: those that it builds, and those that a profile's values ask for, which have the
/// form of their variables where it does not build them.
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
