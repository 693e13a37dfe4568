//! Where a run's missing parts may come from, and what would be done to have them.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use indicatif::BinaryBytes;

use crate::tools::Command;

/// How long a registry may take to say how large an image is.
const ASK: Duration = Duration::from_secs(10);

/// Where tools and images that are missing may come from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum From {
    /// All of the others, in their order.
    #[default]
    Auto,
    /// [`crate::settings::TOOLBOX`] alone.
    Toolbox,
    /// Official downloads: binaries by their sha256, images by their digest.
    Downloads,
    /// Package registries: Go modules, crates.io, PyPI, npm, Debian.
    Registries,
}

impl From {
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

/// What stands between a part and its use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// The part.
    pub name: String,
    /// What would be done, each where the one before it fails; or where the part is.
    pub ways: Vec<String>,
    /// Whether nothing has to be done.
    pub at_hand: bool,
}

impl Planned {
    /// A part that is there.
    pub fn at_hand(name: &str, found: String) -> Self {
        Self { name: name.to_owned(), ways: vec![found], at_hand: true }
    }

    /// A part that is missing, and the ways to have it.
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

/// ` (12.3 MiB)` of a file, or nothing.
pub fn size_of(path: &Path) -> String {
    path.metadata().map(|data| format!(" ({})", BinaryBytes(data.len()))).unwrap_or_default()
}

/// `pull <reference> (12.3 MiB)`, as its registry says now; the size is left out when the registry is not reached.
pub async fn pull_size(manifest: Command, reference: &str) -> String {
    let asked = manifest.limit(ASK).run().await;
    let size = asked.ok().and_then(|output| layers_size(&output.stdout, std::env::consts::ARCH));
    match size {
        Some(bytes) => format!("pull {reference} ({})", BinaryBytes(bytes)),
        None => format!("pull {reference} (size unknown: its registry does not answer)"),
    }
}

/// The sum of the layers that a verbose manifest names for Linux on an architecture, as Rust names it.
fn layers_size(manifest: &str, architecture: &str) -> Option<u64> {
    let architecture = match architecture {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let root: serde_json::Value = serde_json::from_str(manifest).ok()?;
    // One platform is an object, an index a list of them.
    let all = root.as_array().map_or_else(|| std::slice::from_ref(&root), Vec::as_slice);
    let ours = all.iter().find(|entry| {
        let platform = &entry["Descriptor"]["platform"];
        platform["architecture"] == architecture && platform["os"] == "linux"
    })?;
    let manifest = ["OCIManifest", "SchemaV2Manifest"].iter().find_map(|name| ours.get(name))?;
    manifest["layers"].as_array()?.iter().map(|layer| layer["size"].as_u64()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_is_that_of_the_layers_of_one_platform() {
        let entry = |architecture: &str, size: u64| {
            serde_json::json!({
                "Descriptor": {"platform": {"os": "linux", "architecture": architecture}},
                "OCIManifest": {"layers": [{"size": size}, {"size": 2}]},
            })
        };
        let index = serde_json::json!([entry("arm64", 10), entry("amd64", 40)]).to_string();
        assert_eq!(layers_size(&index, "x86_64"), Some(42));
        assert_eq!(layers_size(&index, "aarch64"), Some(12));
        assert_eq!(layers_size(&entry("amd64", 1).to_string(), "x86_64"), Some(3));
        assert_eq!(layers_size("no manifest", "x86_64"), None);
    }

    #[test]
    fn auto_is_all_of_them() {
        assert!(From::Auto.toolbox() && From::Auto.downloads() && From::Auto.registries());
        assert!(From::Toolbox.toolbox() && !From::Toolbox.downloads() && !From::Toolbox.registries());
    }
}
