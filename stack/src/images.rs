//! The images of a release.

use harness::spec::{BaseImage, Built, ThirdParty};

/// The images that Skaffold builds.
pub const BUILT: [Built; 2] = [
    Built {
        name: "backend",
        context: "apps/backend",
        sibling: true,
        base: Some(BaseImage {
            argument: "PYTHON_IMAGE",
            recipe: "python",
            official: "python:3.13.15-alpine3.24@sha256:540c7d91f98ff6880174c40e99067bf5941eb54d818a7a5e094d188b196a934d",
        }),
    },
    Built {
        name: "frontend",
        context: "apps/frontend",
        sibling: true,
        base: Some(BaseImage {
            argument: "NGINX_IMAGE",
            recipe: "nginx",
            official: "nginx:1.29.8-alpine3.23@sha256:5616878291a2eed594aee8db4dade5878cf7edcb475e59193904b198d9b830de",
        }),
    },
];

/// The images that the release takes from others.
pub const THIRD_PARTY: [ThirdParty; 2] = [
    ThirdParty {
        name: "postgres",
        official: "postgres:17.11@sha256:d74eeac9a635390a49bc21bd49fccd973de707e2a53a76ac49b552b8712ec46f",
    },
    ThirdParty {
        name: "redis",
        official: "redis:8.10.1@sha256:298e5b3bc566bade82f46ad5511777a4a07a294097ce16ada2f6a42be5239df5",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    /// `tilt up` by hand asks no program of ours.
    #[test]
    fn the_tiltfile_has_the_same_by_hand() {
        let tiltfile = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../Tiltfile")).unwrap();
        let built = BUILT.iter().filter_map(|image| image.base).map(|base| (base.recipe, base.official));
        let all = built.chain(THIRD_PARTY.iter().map(|image| (image.name, image.official)));
        let wanted: String = all.map(|(name, official)| format!("    '{name}': '{official}',\n")).collect();
        assert!(tiltfile.contains(&format!("OFFICIAL = {{\n{wanted}}}\n")), "{wanted}");
    }
}
