//! The size of a pull, by the image's registry.

use std::time::Duration;

use indicatif::BinaryBytes;

use harness_machine::tools::Command;

/// The deadline for a registry to return a manifest.
const ASK: Duration = Duration::from_secs(10);

/// The text `pull <reference> (12.3 MiB)`; the size is `unknown` when the registry is not reached.
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
}
