//! The plan of setting up a tool.

use std::fmt;
use std::path::PathBuf;

use indicatif::HumanBytes;

use super::Found;

/// What [`super::Tools::ensure`] would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SetupPlan {
    /// Nothing: the tool is there.
    AtHand(Found),
    /// Unpack the toolbox's archive.
    Unpack {
        /// The archive.
        archive: PathBuf,
    },
    /// Download the tool.
    Download {
        /// The file's URL.
        url: String,
        /// Its size in bytes, where the site tells it.
        bytes: Option<u64>,
    },
    /// Build the tool.
    Build {
        /// The module or package, with its version: `helm.sh/helm/v3@v3.22.0`.
        module: String,
        /// How long the build takes, and what is downloaded for it, as measured.
        about: &'static str,
    },
    /// Nothing: the tool cannot be set up.
    Impossible {
        /// The reason, and what a person could do.
        why: String,
    },
}

impl fmt::Display for SetupPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtHand(found) => {
                let version = found.version.map(|version| format!("{version} ")).unwrap_or_default();
                write!(f, "{version}at {} ({})", found.path.display(), found.origin)
            }
            Self::Unpack { archive } => write!(f, "unpack {}", archive.display()),
            Self::Download { url, bytes: Some(bytes) } => write!(f, "download {url} ({})", HumanBytes(*bytes)),
            Self::Download { url, bytes: None } => write!(f, "download {url}"),
            Self::Build { module, about } => write!(f, "build {module} ({about})"),
            Self::Impossible { why } => f.write_str(why),
        }
    }
}
