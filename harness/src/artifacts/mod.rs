//! Which images, by digest? Stage local builds the set; the registry beside the cluster holds it.

mod base;
mod build;
mod registry;
mod set;

pub use base::{Bases, Wanted};
#[cfg(test)]
pub(crate) use build::third_party_image;
pub use build::{Sources, build, serve, wanted};
pub use registry::{Registry, container_name};
pub use set::{Artifact, ArtifactSet, Reference};
