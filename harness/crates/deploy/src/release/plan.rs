//! The plan of a release: everything that its manifests depend on, and nothing else.

use std::path::PathBuf;

use harness_base::hash;
use harness_settings::pull_request::PullRequest;
use harness_settings::settings::Deployer;
use harness_settings::spec::{Component, spec};
use harness_settings::stage::Stage;
use serde::{Deserialize, Serialize};

use super::staging::Staged;
use crate::artifacts::ArtifactSet;
use crate::k8s::verdict::Instance;

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
    /// A further values file, read after the stage's own: a cluster's own values.
    #[serde(default)]
    pub more_values: Option<PathBuf>,
    /// The suffixes of components that the release does not have, since they are elsewhere: shared stores.
    #[serde(default)]
    pub elsewhere: Vec<String>,
    /// The pull request, in stage preview.
    #[serde(default)]
    pub pull_request: Option<PullRequest>,
    /// The charts.
    pub charts: Staged,
    /// The images.
    pub artifacts: ArtifactSet,
    /// The content hash of the charts if they are deployed as the shared release too, so that the API has validated all of their
    /// fields; Helm's own validation is then skipped.
    #[serde(default)]
    pub proven: Option<String>,
    /// Which tool deploys it.
    pub deployer: Deployer,
    /// The Skaffold profile.
    pub profile: String,
}

impl Plan {
    /// The plan of a stage's shared release; the same in stages local and ci, but for the profile (checked by `parity::*`).
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

    /// The plan of a pull request's preview; `more_values`: the cluster's own values.
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

    /// The same content in another namespace, deployed by Helm.
    #[must_use]
    pub fn own(&self, namespace: &str) -> Self {
        let proven = Some(self.charts.hash.clone());
        Self { namespace: namespace.to_owned(), deployer: Deployer::Helm, proven, ..self.clone() }
    }

    /// Adds a single value, as `path=value`.
    #[must_use]
    pub fn with(mut self, value: &str) -> Self {
        self.overrides.push(value.to_owned());
        self
    }

    /// A hash of all that the manifests depend on; the revision and the charts' path do not count.
    pub fn hash(&self) -> String {
        let images: Vec<_> = self.artifacts.builds.iter().map(|a| (&a.image_name, a.tag.by_digest())).collect();
        let parts = (
            (&self.namespace, &self.release, &self.values, &self.overrides),
            (&self.charts.hash, images, self.deployer, &self.profile),
            // The file's content counts; a file that cannot be read fails the deploy later.
            self.more_values.as_ref().map(|path| std::fs::read_to_string(path).unwrap_or_default()),
        );
        hash::text(&serde_json::json!(parts).to_string())
    }

    /// The git revision of the api's image.
    pub fn revision(&self) -> &str {
        self.artifacts.revision_of(spec().api.artifact)
    }

    /// The components that the release has.
    pub fn components(&self) -> impl Iterator<Item = &'static Component> {
        spec().components.iter().filter(|component| !self.elsewhere.iter().any(|it| it == component.suffix))
    }

    /// The release as a label selector of its objects.
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

    /// The names of the Secrets that are made beside the release: [`StackSpec::auth`](harness_settings::spec::StackSpec) and
    /// the pull secret, if the stack has them.
    pub fn secrets(&self) -> impl Iterator<Item = String> {
        let auth = spec().auth.iter().map(|auth| self.name(auth.suffix));
        auth.chain(spec().pull_secret.map(str::to_owned))
    }

    /// The name of an object of this release: `<release>-<suffix>`.
    pub fn name(&self, suffix: &str) -> String {
        format!("{}-{suffix}", self.release)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn plan() -> Plan {
        let charts = Staged { folder: "/cache/charts/1".into(), hash: "1".to_owned() };
        Plan::shared(charts, ArtifactSet::placeholder(), Deployer::Skaffold, Stage::Local)
    }

    /// A place that another run may have otherwise, and a word for people, count for nothing.
    #[rstest]
    #[case::the_same(|_: &mut Plan| {}, true)]
    #[case::charts_elsewhere(|plan: &mut Plan| plan.charts.folder = "/cache/charts/2".into(), true)]
    #[case::revision(|plan: &mut Plan| plan.artifacts.revision = "0123456789".to_owned(), true)]
    #[case::provenance(|plan: &mut Plan| plan.artifacts.provenance.run = Some("https://ci".to_owned()), true)]
    #[case::tag_beside_the_digest(|plan: &mut Plan| plan.artifacts.builds[0].tag.tag = Some("v1".to_owned()), true)]
    #[case::proven(|plan: &mut Plan| plan.proven = Some("1".to_owned()), true)]
    #[case::namespace(|plan: &mut Plan| plan.namespace = "other".to_owned(), false)]
    #[case::release(|plan: &mut Plan| plan.release = "other".to_owned(), false)]
    #[case::values(|plan: &mut Plan| plan.values = "values.live.yaml".to_owned(), false)]
    #[case::a_value(|plan: &mut Plan| plan.overrides.push("a=1".to_owned()), false)]
    #[case::charts(|plan: &mut Plan| plan.charts.hash = "2".to_owned(), false)]
    #[case::digest(|plan: &mut Plan| plan.artifacts.builds[0].tag.digest = format!("sha256:{}", "0".repeat(64)), false)]
    #[case::repository(|plan: &mut Plan| plan.artifacts.builds[0].tag.repository = "elsewhere/backend".to_owned(), false)]
    #[case::an_image_less(|plan: &mut Plan| drop(plan.artifacts.builds.pop()), false)]
    #[case::deployer(|plan: &mut Plan| plan.deployer = Deployer::Helm, false)]
    #[case::profile(|plan: &mut Plan| plan.profile = "ci".to_owned(), false)]
    fn a_hash_is_of_what_the_manifests_depend_on(#[case] change: fn(&mut Plan), #[case] is_the_same: bool) {
        let mut changed = plan();
        change(&mut changed);
        assert_eq!(changed.hash() == plan().hash(), is_the_same);
    }

    #[test]
    fn a_further_values_file_counts_by_its_content() {
        let folder = tempfile::tempdir().unwrap();
        let [one, two] = ["one.yaml", "two.yaml"].map(|name| folder.path().join(name));
        let of = |path: &PathBuf, text: &str| {
            std::fs::write(path, text).unwrap();
            Plan { more_values: Some(path.clone()), ..plan() }.hash()
        };
        assert_eq!(of(&one, "a: 1"), of(&two, "a: 1"));
        assert_ne!(of(&one, "a: 1"), of(&two, "a: 2"));
        assert_ne!(of(&one, ""), plan().hash());
    }

    /// The order counts: the last of two values of one path is the one that Helm takes.
    #[test]
    fn values_are_taken_in_their_order() {
        let both = |first: &str, second: &str| plan().with(first).with(second);
        assert_eq!(both("a=1", "a=2").overrides, ["a=1", "a=2"]);
        assert_ne!(both("a=1", "a=2").hash(), both("a=2", "a=1").hash());
    }

    #[test]
    fn an_own_release_is_the_same_content_elsewhere_by_helm() {
        let own = plan().with("a=1").own("shop-own-1");
        assert_eq!((own.namespace.as_str(), own.release.as_str()), ("shop-own-1", plan().release.as_str()));
        assert_eq!((own.deployer, own.proven.as_deref()), (Deployer::Helm, Some("1")));
        assert_eq!((own.overrides, own.artifacts), (vec!["a=1".to_owned()], plan().artifacts));
    }

    #[test]
    fn a_preview_has_its_own_namespace_and_host() {
        let of = PullRequest::parse("7").unwrap();
        let Plan { charts, artifacts, .. } = plan();
        let preview = Plan::preview(charts, artifacts, Deployer::Helm, of, None);
        assert_eq!((preview.namespace.as_str(), preview.profile.as_str()), ("shop-pr-7", "preview"));
        assert_eq!(preview.overrides, ["ingress.host=pr-7.app.shop.ai"]);
    }
}
