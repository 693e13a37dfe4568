//! What a release is made of: everything that its manifests depend on, and nothing else.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::staging::Staged;
use crate::artifacts::ArtifactSet;
use crate::k8s::verdict::Instance;
use harness_base::hash;
use harness_settings::pull_request::PullRequest;
use harness_settings::settings::Deployer;
use harness_settings::spec::{Component, spec};
use harness_settings::stage::Stage;

/// Everything that a release's manifests depend on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The namespace.
    pub namespace: String,
    /// The Helm release.
    pub release: String,
    /// The values file, in the umbrella's folder.
    pub values: String,
    /// Single values on top of it, as `path=value`; empty for a stage's shared release.
    pub overrides: Vec<String>,
    /// A further values file, after the stage's own: what is a cluster's own.
    #[serde(default)]
    pub more_values: Option<PathBuf>,
    /// The components that the release does not have, by their suffix: stores that are elsewhere.
    #[serde(default)]
    pub elsewhere: Vec<String>,
    /// The pull request, in stage preview.
    #[serde(default)]
    pub pull_request: Option<PullRequest>,
    /// The charts.
    pub charts: Staged,
    /// The images.
    pub artifacts: ArtifactSet,
    /// The content hash of charts that are deployed as the shared release, for whose every field the API was asked.
    #[serde(default)]
    pub proven: Option<String>,
    /// Which tool deploys it.
    pub deployer: Deployer,
    /// The Skaffold profile.
    pub profile: String,
}

impl Plan {
    /// What a stage deploys of these; stages local and ci the same, which `parity::*` proves.
    pub fn shared(charts: Staged, artifacts: ArtifactSet, deployer: Deployer, stage: Stage) -> Self {
        Self {
            namespace: spec().namespace.to_owned(),
            release: spec().release.to_owned(),
            values: spec().values.shared.file.to_owned(),
            overrides: Vec::new(),
            more_values: None,
            elsewhere: Vec::new(),
            pull_request: None,
            charts,
            artifacts,
            proven: None,
            deployer,
            profile: stage.name().to_owned(),
        }
    }

    /// What stage preview deploys of a pull request, with what is the cluster's own.
    pub fn preview(
        charts: Staged,
        artifacts: ArtifactSet,
        deployer: Deployer,
        of: PullRequest,
        more_values: Option<PathBuf>,
    ) -> Self {
        Self {
            namespace: of.namespace(),
            values: spec().values.preview.map_or_else(|| spec().values.shared.file, |of| of.file).to_owned(),
            overrides: vec![format!("ingress.host={}", of.host())],
            more_values,
            pull_request: Some(of),
            ..Self::shared(charts, artifacts, deployer, Stage::Preview)
        }
    }

    /// The same content as another release in a namespace of its own, deployed by Helm.
    #[must_use]
    pub fn own(&self, namespace: &str) -> Self {
        let proven = Some(self.charts.hash.clone());
        Self { namespace: namespace.to_owned(), deployer: Deployer::Helm, proven, ..self.clone() }
    }

    /// The same with one more value.
    #[must_use]
    pub fn with(mut self, value: &str) -> Self {
        self.overrides.push(value.to_owned());
        self
    }

    /// Equal for releases whose manifests are equal; the revision and the folder's place do not count.
    pub fn hash(&self) -> String {
        let images: Vec<_> = self.artifacts.builds.iter().map(|a| (&a.image_name, a.tag.by_digest())).collect();
        let parts = (
            (&self.namespace, &self.release, &self.values, &self.overrides),
            (&self.charts.hash, images, self.deployer, &self.profile),
            // Its content counts; one that cannot be read fails the deploy, which says why.
            self.more_values.as_ref().map(|path| std::fs::read_to_string(path).unwrap_or_default()),
        );
        hash::text(&serde_json::json!(parts).to_string())
    }

    /// The revision that its api says it is of.
    pub fn revision(&self) -> &str {
        self.artifacts.revision_of(spec().api.artifact)
    }

    /// The components that it has.
    pub fn components(&self) -> impl Iterator<Item = &'static Component> {
        spec().components.iter().filter(|component| !self.elsewhere.iter().any(|it| it == component.suffix))
    }

    /// The release's own objects in its namespace, by their label.
    pub fn instance(&self) -> Instance {
        Instance::new(spec().charts.release_label, &self.release)
    }

    /// The label selector of the release's pods.
    pub fn selector_of_all(&self) -> String {
        self.instance().to_string()
    }

    /// The label selector of a component's pods.
    pub fn selector(&self, component: &Component) -> String {
        format!("{},{}={}", self.selector_of_all(), spec().charts.component_label, component.label)
    }

    /// The Secrets that stand beside the release, and are made for it: [`StackSpec::auth`](harness_settings::spec::StackSpec), if the stack
    /// has one, and the one for pulling images.
    pub fn secrets(&self) -> impl Iterator<Item = String> {
        let auth = spec().auth.iter().map(|auth| self.name(auth.suffix));
        auth.chain(spec().pull_secret.map(str::to_owned))
    }

    /// The name of an object of this release.
    pub fn name(&self, suffix: &str) -> String {
        format!("{}-{suffix}", self.release)
    }
}
