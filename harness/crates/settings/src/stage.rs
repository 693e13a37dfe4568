//! The five stages, and what each may build and change.

use std::fmt;
use std::str::FromStr;

/// A stage between a laptop and production.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Tilt with hot reload, on Kind.
    Dev,
    /// Skaffold on Kind, with production-like images built here.
    Local,
    /// Skaffold on Kind, with official artifacts by digest.
    Ci,
    /// A namespace for each pull request, on an existing cluster.
    Preview,
    /// Production, read-only.
    Live,
}

impl Stage {
    /// All stages, in the order from laptop to production.
    pub const ALL: [Self; 5] = [Self::Dev, Self::Local, Self::Ci, Self::Preview, Self::Live];

    /// The name in settings and profiles.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dev => "dev",
            Self::Local => "local",
            Self::Ci => "ci",
            Self::Preview => "preview",
            Self::Live => "live",
        }
    }

    /// Whether a Kind cluster of the harness runs this stage, so that scenarios may make namespaces there.
    pub fn has_own_cluster(self) -> bool {
        matches!(self, Self::Dev | Self::Local | Self::Ci)
    }

    /// The permission to build images: stage local alone has it, other stages get theirs.
    pub fn may_build(self) -> Option<MayBuild> {
        (self == Self::Local).then_some(MayBuild(()))
    }
}

/// The permission to build images: every way to a builder requires it, and [`Stage::may_build`] alone gives it.
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
