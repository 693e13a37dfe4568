//! An artifact set that somebody else built: read, and checked against its registry before anything is deployed.

use std::collections::BTreeSet;
use std::path::Path;

use futures::future::join_all;

use super::distribution::{is_local, platforms};
use super::reference::Reference;
use super::set::{Artifact, ArtifactSet};
use super::{Credentials, Registry, Sources, serve};
use crate::descriptor::REGISTRY;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::project::Project;
use crate::settings::{self, Settings};
use crate::stage::Stage;

/// What Skaffold replaces by an image's repository in a profile's values.
const REPOSITORY_OF: &str = "IMAGE_REPO_";

/// Where a given set is to be read from.
#[derive(Debug, Clone)]
pub struct Given {
    stage: Stage,
    location: Option<String>,
    credentials: Credentials,
}

impl Given {
    /// What [`settings::ARTIFACTS`] names, for a stage; nothing is read yet.
    pub fn of(stage: Stage, settings: &Settings) -> Self {
        Self { stage, location: settings.artifacts.clone(), credentials: Credentials::of(settings) }
    }

    /// A set at another place, read with other accounts.
    #[must_use]
    pub fn at(stage: Stage, location: &Path, credentials: Credentials) -> Self {
        Self { stage, location: Some(location.to_string_lossy().into_owned()), credentials }
    }

    /// The set; each image is in its registry, for this engine's platform, and we may pull it.
    ///
    /// What remains on cancel: the registry's container, if the set is in the one beside the cluster.
    ///
    /// # Errors
    /// [`Error::Refused`] naming the artifact, and what to do about it.
    pub async fn obtain(&self, engine: &Engine, sources: &Sources<'_>) -> Result<ArtifactSet> {
        let (location, set) = self.parsed(sources.project, sources.settings).await?;
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
    /// As [`Given::obtain`].
    pub async fn read(&self, project: &Project, settings: &Settings) -> Result<ArtifactSet> {
        let (location, set) = self.parsed(project, settings).await?;
        let (known, unknown): (Vec<_>, Vec<_>) = set.builds.iter().partition(|one| one.tag.registry() != REGISTRY);
        let checks = known.into_iter().map(|artifact| check(artifact, None, &set.platform, &self.credentials));
        join_all(checks).await.into_iter().collect::<Result<()>>()?;
        if !unknown.is_empty() {
            tracing::warn!("{location}: {REGISTRY} is a cluster's own registry: what it holds is not looked at first");
        }
        Ok(set)
    }

    /// The set as it is written, whole; and where it is from.
    async fn parsed(&self, project: &Project, settings: &Settings) -> Result<(&str, ArtifactSet)> {
        let location = self.location.as_deref().ok_or_else(|| {
            Error::refused(
                format!("stage {} builds nothing, and {} names no artifact set", self.stage, settings::ARTIFACTS),
                "cargo stack artifacts build --output FILE, then set JETSCALE_ARTIFACTS to that file's absolute path",
            )
        })?;
        let needed = images_of(&project.skaffold()?, self.stage.name())?;
        let text = read(location, settings.ca_bundle.as_deref()).await?;
        let set = ArtifactSet::parse(&text, location, &needed)?;
        if set.is_dirty() {
            tracing::warn!(
                "the artifact set {location} is of {}: no commit holds what it was built from",
                set.revision
            );
        }
        Ok((location, set))
    }

    /// Each image by its digest, in its registry, with our credentials.
    async fn check(&self, set: &ArtifactSet, registry: Option<&Registry>) -> Result<()> {
        // All to their end, and the first in the set's order is the one that is told.
        let checks = set.builds.iter().map(|artifact| check(artifact, registry, &set.platform, &self.credentials));
        join_all(checks).await.into_iter().collect()
    }
}

async fn check(
    artifact: &Artifact,
    registry: Option<&Registry>,
    wanted: &str,
    credentials: &Credentials,
) -> Result<()> {
    let at_host = from_here(&artifact.tag, registry);
    let found = platforms(&at_host, credentials).await.map_err(|error| match error {
        Error::Refused { what, next } => Error::refused(format!("artifact {}: {what}", artifact.image_name), next),
        other => other,
    })?;
    if found.contains(wanted) {
        return Ok(());
    }
    let found: Vec<&str> = found.iter().map(String::as_str).collect();
    Err(Error::refused(
        format!(
            "artifact {}: {} is for {}, and the set says {wanted}",
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

/// The text of a file, or of an https address.
async fn read(location: &str, ca_bundle: Option<&Path>) -> Result<String> {
    if location.starts_with("https://") {
        return crate::tools::fetch_text(ca_bundle, location).await.map_err(|why| {
            Error::refused(
                format!("the artifact set {location} cannot be read: {why}"),
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

/// The images that a profile of skaffold.yaml deploys, by the names that its values ask for.
///
/// # Errors
/// [`Error::Malformed`] when the text does not parse; [`Error::Refused`] when it has no such profile.
pub fn images_of(skaffold: &str, profile: &str) -> Result<BTreeSet<String>> {
    let root: serde_yaml::Value = serde_yaml::from_str(skaffold).map_err(Error::malformed("read skaffold.yaml"))?;
    let profiles = root["profiles"].as_sequence().map(Vec::as_slice).unwrap_or_default();
    let found = profiles.iter().find(|entry| entry["name"].as_str() == Some(profile)).ok_or_else(|| {
        Error::refused(format!("skaffold.yaml has no profile {profile}"), format!("add the profile {profile}"))
    })?;
    let mut names = BTreeSet::new();
    collect(&found["deploy"], &mut names);
    Ok(names)
}

fn collect(value: &serde_yaml::Value, names: &mut BTreeSet<String>) {
    match value {
        serde_yaml::Value::String(text) => {
            for rest in text.split(REPOSITORY_OF).skip(1) {
                let end = rest.find(|sign: char| !sign.is_alphanumeric() && !"_-".contains(sign)).unwrap_or(rest.len());
                names.insert(rest[..end].to_owned());
            }
        }
        serde_yaml::Value::Sequence(list) => list.iter().for_each(|item| collect(item, names)),
        serde_yaml::Value::Mapping(map) => map.values().for_each(|item| collect(item, names)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_images_of_a_profile_are_those_that_its_values_ask_for() {
        let text = "profiles:\n- name: ci\n  deploy: {helm: {releases: [{setValueTemplates: {\n    \
            a.image.repository: '{{.IMAGE_REPO_backend}}', a.image.digest: '{{.IMAGE_DIGEST_backend}}',\n    \
            b.image.repository: '{{ .IMAGE_REPO_preview-sweeper }}'}}]}}\n- name: live\n  deploy: {}\n";
        let names: Vec<String> = images_of(text, "ci").unwrap().into_iter().collect();
        assert_eq!(names, ["backend", "preview-sweeper"]);
        assert!(images_of(text, "live").unwrap().is_empty());
        assert!(images_of(text, "dev").unwrap_err().report().contains("no profile dev"));
    }

    #[tokio::test]
    async fn a_file_that_is_not_there_is_named() {
        let error = read("/nowhere/set.json", None).await.unwrap_err().report();
        assert!(error.contains("/nowhere/set.json") && error.contains("artifacts build"), "{error}");
    }
}
