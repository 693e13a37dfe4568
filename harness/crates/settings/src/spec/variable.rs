//! Names with the stack's prefix or domain: its variables (here those that others than the settings use) and labels.

use super::spec;

/// A variable of the stack: the prefix ([`StackSpec::env_prefix`](super::StackSpec)), an underscore, and this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnVariable(pub &'static str);

impl OwnVariable {
    /// The variable's full name.
    pub fn name(self) -> String {
        self.to_string()
    }
}

impl From<OwnVariable> for String {
    fn from(own: OwnVariable) -> Self {
        own.name()
    }
}

impl std::fmt::Display for OwnVariable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}_{}", spec().env_prefix, self.0)
    }
}

/// `auto|never`: whether missing parts (the container engine, tools, images) may be installed, started and made here; default
/// `auto`.
pub const SETUP: OwnVariable = OwnVariable("SETUP");
/// A folder of tools, or of zstd archives of them, searched before PATH; an absolute path.
pub const TOOLBOX: OwnVariable = OwnVariable("TOOLBOX");
/// The folder in which each run's folder (plan, artifact set, events) is made; an absolute path; default: `runs` in the state
/// folder.
pub const RUN_DIR: OwnVariable = OwnVariable("RUN_DIR");
/// The image of Kind's node; default: the one pinned in kind/kind-config.yaml.
pub const KIND_NODE_IMAGE: OwnVariable = OwnVariable("KIND_NODE_IMAGE");
/// The artifact set that stage ci deploys: an absolute path, or an https URL.
pub const ARTIFACTS: OwnVariable = OwnVariable("ARTIFACTS");
/// `dev|local|ci|preview|live`; default: the suite's own (e2e: `local`, smoke: `live`).
pub const STAGE: OwnVariable = OwnVariable("STAGE");

/// A name as a part of a variable's: letters and digits stay, each other character becomes an underscore.
pub fn in_a_variable(name: &str) -> String {
    name.chars().map(|sign| if sign.is_ascii_alphanumeric() { sign } else { '_' }).collect()
}

/// A label or annotation of the stack: the domain ([`StackSpec::domain`](super::StackSpec)), a slash, and this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StackLabel(pub &'static str);

impl StackLabel {
    /// The full name.
    pub fn name(self) -> String {
        self.to_string()
    }
}

impl std::fmt::Display for StackLabel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", spec().domain, self.0)
    }
}
