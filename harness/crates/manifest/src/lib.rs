//! The parts of a release as values, and checks of them: nothing here starts a program or asks a cluster.
//!
//! | what | modules |
//! |---|---|
//! | images by digest, and a release's set of them | [`Reference`], [`ArtifactSet`] |
//! | YAML as Kubernetes reads it; rendered objects, and paths to their fields | [`yaml`], [`Rendered`], [`Path`] |
//! | findings and their rules | [`Finding`], [`types`], [`policy`], [`separation`], [`against_spec`] |
//! | the template's line of a field; the files of a chart | [`TemplateSources`], [`ChartIgnore`] |
//! | differences between two deployments | [`parity`] |
//!
//! ```
//! use harness_manifest::{Rendered, types};
//!
//! let text = "apiVersion: v1\nkind: Service\nmetadata: {name: shop}\nspec: {sessionAfinity: None}\n";
//! let rendered = Rendered::parse(text, ("default", "shop"), false);
//! assert!(types::check(&rendered).iter().any(|finding| finding.path.to_string() == "spec.sessionAfinity"));
//! ```

pub mod against_spec;
pub mod artifact_set;
pub mod chart_ignore;
pub mod finding;
pub mod nginx;
pub mod object;
pub mod parity;
pub mod path;
pub mod policy;
pub mod reference;
pub mod separation;
pub mod template_sources;
pub mod types;
pub mod yaml;

pub use artifact_set::{Artifact, ArtifactSet, Provenance};
pub use chart_ignore::ChartIgnore;
pub use finding::{Finding, Place, Subject, merge};
pub use object::{Object, Rendered};
pub use path::{Path, PathStep};
pub use reference::Reference;
pub use template_sources::TemplateSources;

/// The stack of this crate's tests.
#[cfg(test)]
#[ctor::ctor(unsafe)]
fn sample() {
    harness_settings::spec::of(&harness_settings::spec::sample::STACK);
}
