//! The sources of a run's missing tools and images, and plans to provide them.

use std::fmt;
use std::path::Path;

use indicatif::BinaryBytes;

/// The sources that missing tools and images may come from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ProvisionSource {
    /// All of the others, in this order; the default.
    #[default]
    Auto,
    /// The folder that [`harness_settings::settings::TOOLBOX`] names, alone.
    Toolbox,
    /// Official downloads: binaries by their sha256, images by their digest.
    Downloads,
    /// Package registries: Go modules, crates.io, PyPI, npm, Debian.
    Registries,
}

impl ProvisionSource {
    /// Whether the toolbox may be used.
    pub fn toolbox(self) -> bool {
        matches!(self, Self::Auto | Self::Toolbox)
    }

    /// Whether official downloads may be used.
    pub fn downloads(self) -> bool {
        matches!(self, Self::Auto | Self::Downloads)
    }

    /// Whether things may be made from package registries.
    pub fn registries(self) -> bool {
        matches!(self, Self::Auto | Self::Registries)
    }
}

/// The plan for one part of a run: a tool or an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// The part's name.
    pub name: String,
    /// Where the part is; or, if it is missing, what would be tried to have it, in this order.
    pub ways: Vec<String>,
    /// Whether the part is at hand, so that nothing has to be done.
    pub at_hand: bool,
}

impl Planned {
    /// The plan for a part that is at hand.
    pub fn at_hand(name: &str, found: String) -> Self {
        Self { name: name.to_owned(), ways: vec![found], at_hand: true }
    }

    /// The plan for a part that is missing, with the ways to have it.
    pub fn to_do(name: &str, ways: Vec<String>) -> Self {
        Self { name: name.to_owned(), ways, at_hand: false }
    }
}

impl fmt::Display for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match (self.at_hand, self.ways.is_empty()) {
            (true, _) => format!("at hand: {}", self.ways.join("; ")),
            (false, true) => "missing, and there is no way to have it from there".to_owned(),
            (false, false) => self.ways.join("; else "),
        };
        write!(f, "{:<14} {what}", self.name)
    }
}

/// A file's size as ` (12.3 MiB)`; empty if there is no such file.
pub fn size_of(path: &Path) -> String {
    path.metadata().map(|data| format!(" ({})", BinaryBytes(data.len()))).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auto_is_all_of_them() {
        assert!(
            ProvisionSource::Auto.toolbox() && ProvisionSource::Auto.downloads() && ProvisionSource::Auto.registries()
        );
        assert!(
            ProvisionSource::Toolbox.toolbox()
                && !ProvisionSource::Toolbox.downloads()
                && !ProvisionSource::Toolbox.registries()
        );
    }
}
