//! Names that begin as the stack says: variables of ours, those here that more than the settings speak of; and labels.

use super::spec;

/// A variable of ours: the stack's prefix ([`StackSpec::env_prefix`](super::StackSpec)), an underscore, and this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnVariable(pub &'static str);

impl OwnVariable {
    /// Its whole name.
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

/// `auto|never`: whether what is missing (the container engine, tools, images) may be installed, started and made here;
/// default `auto`.
pub const SETUP: OwnVariable = OwnVariable("SETUP");
/// A folder with tools, or zstd archives of them, looked at before PATH.
pub const TOOLBOX: OwnVariable = OwnVariable("TOOLBOX");
/// Where the run's folder (plan, artifact set, events) is made; default: `runs` in the state folder.
pub const RUN_DIR: OwnVariable = OwnVariable("RUN_DIR");
/// The Kind node image; default: the one that kind/kind-config.yaml pins.
pub const KIND_NODE_IMAGE: OwnVariable = OwnVariable("KIND_NODE_IMAGE");
/// The artifact set that stage ci deploys: the absolute path of a file, or an https address.
pub const ARTIFACTS: OwnVariable = OwnVariable("ARTIFACTS");
/// `dev|local|ci|preview|live`; default: the suite's own (e2e: `local`, smoke: `live`).
pub const STAGE: OwnVariable = OwnVariable("STAGE");

/// What of a name may stand in a variable: letters, digits, and an underscore for each other sign.
pub fn in_a_variable(name: &str) -> String {
    name.chars().map(|sign| if sign.is_ascii_alphanumeric() { sign } else { '_' }).collect()
}

/// A label or an annotation that is the stack's own: its domain ([`StackSpec::domain`](super::StackSpec)), a slash, and this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StackLabel(pub &'static str);

impl StackLabel {
    /// Its whole name.
    pub fn name(self) -> String {
        self.to_string()
    }
}

impl std::fmt::Display for StackLabel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", spec().domain, self.0)
    }
}
