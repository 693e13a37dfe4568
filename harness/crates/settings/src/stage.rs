//! Which of the five stages this is, and what it may build, deploy, mutate and delete.

use std::fmt;
use std::str::FromStr;

/// One of the five stages between a laptop and production.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Tilt with hot reload on Kind.
    Dev,
    /// Skaffold on Kind, production-like images built here.
    Local,
    /// Skaffold on Kind, official artifacts by digest.
    Ci,
    /// A namespace for each pull request on an existing cluster.
    Preview,
    /// Production, read-only.
    Live,
}

impl Stage {
    /// All of them, in the order of the path to production.
    pub const ALL: [Self; 5] = [Self::Dev, Self::Local, Self::Ci, Self::Preview, Self::Live];

    /// The name as settings and profiles spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dev => "dev",
            Self::Local => "local",
            Self::Ci => "ci",
            Self::Preview => "preview",
            Self::Live => "live",
        }
    }

    /// Whether a Kind cluster of ours carries this stage (its scenarios may make namespaces there).
    pub fn has_own_cluster(self) -> bool {
        matches!(self, Self::Dev | Self::Local | Self::Ci)
    }

    /// Leave to build images; only stage local has it, the others are given theirs.
    pub fn may_build(self) -> Option<MayBuild> {
        (self == Self::Local).then_some(MayBuild(()))
    }
}

/// Leave to build images: whatever leads to a builder asks for it, and [`Stage::may_build`] alone gives it.
///
/// ```compile_fail,E0423
/// let forged = harness_settings::stage::MayBuild(());
/// ```
#[derive(Debug, Clone, Copy)]
pub struct MayBuild(());

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Stage {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|stage| stage.name() == text).ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_stage_local_may_build() {
        let builders: Vec<Stage> = Stage::ALL.into_iter().filter(|stage| stage.may_build().is_some()).collect();
        assert_eq!(builders, [Stage::Local]);
    }
}
