//! What a release is made of, as values, and what is wrong with it: nothing here starts a program or asks a cluster.
//!
//! | what | modules |
//! |---|---|
//! | images by digest, and the set of a release's | [`Reference`], [`ArtifactSet`] |
//! | YAML as Kubernetes reads it; rendered objects, and a way to their fields | [`yaml`], [`Rendered`], [`Path`] |
//! | what is wrong: a rule, an object, a line | [`Finding`], [`types`], [`policy`], [`separation`], [`against_spec`] |
//! | which line of a chart a field comes from; which files of a folder are a chart's | [`TemplateSources`], [`ChartIgnore`] |
//! | what differs between two deployments | [`parity`] |
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

/// The stack that this crate's tests are of.
#[cfg(test)]
#[ctor::ctor(unsafe)]
fn sample() {
    harness_settings::spec::of(&harness_settings::spec::sample::STACK);
}
