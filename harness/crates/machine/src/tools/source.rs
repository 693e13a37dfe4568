//! What setting up a tool would do.

use std::fmt;
use std::path::PathBuf;

use indicatif::HumanBytes;

use super::Found;

/// What [`super::Tools::ensure`] would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SetupPlan {
    /// Nothing: it is there.
    AtHand(Found),
    /// Unpack the toolbox's archive.
    Unpack {
        /// The archive.
        archive: PathBuf,
    },
    /// Download it.
    Download {
        /// From where.
        url: String,
        /// How many bytes, where the site says so.
        bytes: Option<u64>,
    },
    /// Build it.
    Build {
        /// What, with its version: `helm.sh/helm/v3@v3.22.0`.
        module: String,
        /// How long that takes, and how much is downloaded for it, as measured.
        about: &'static str,
    },
    /// Nothing: it cannot be set up.
    Impossible {
        /// Why, and what a person could do.
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
