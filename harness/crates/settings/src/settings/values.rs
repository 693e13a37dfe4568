//! The types of settings' values.

use std::path::PathBuf;

use harness_base::setting::Setting;

use crate::environment::Environment;

/// The tool that deploys the stage's release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Deployer {
    /// `skaffold deploy --build-artifacts`, with Helm below it.
    Skaffold,
    /// `helm upgrade --install`.
    Helm,
}

/// Whether an unused cluster stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// The cluster is removed 15 s after its last user.
    Never,
    /// The cluster stays for the idle time if a scenario failed.
    OnFailure,
    /// The cluster stays for the idle time.
    Always,
}

/// A user's account: login and password.
#[derive(Clone)]
pub struct UserCredentials {
    /// The account's login.
    pub login: String,
    /// The account's password; never printed.
    pub password: String,
}

impl std::fmt::Debug for UserCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "UserCredentials({}, …)", self.login)
    }
}

/// Options for finding and installing tools.
#[derive(Debug, Clone)]
pub struct ToolOptions {
    /// [`super::TOOLBOX`].
    pub toolbox: Setting<Option<PathBuf>>,
    /// The folders of PATH.
    pub path: Vec<PathBuf>,
    /// The folder of the harness's caches; tools are installed in its subfolder `tools`.
    pub cache_root: PathBuf,
    /// The configuration folder of the engine's client.
    pub docker_config: PathBuf,
    /// The CA file for downloads.
    pub ca_bundle: Setting<Option<PathBuf>>,
    /// The CA file for Node.
    pub node_ca: Setting<Option<PathBuf>>,
    /// Whether missing tools may be installed.
    pub may_set_up: bool,
    /// The user's environment, of which children get parts.
    pub environment: Environment,
}

/// An account at a registry.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The registry's name in image references.
    pub server: String,
    /// The account's name.
    pub username: String,
    /// The account's password or token; never printed.
    pub password: String,
}

/// Docker Hub's names in references: the engine's, an earlier address, and the present address.
const HUB: [&str; 3] = ["docker.io", "index.docker.io", "registry-1.docker.io"];
/// The key of Docker Hub's account in the configuration of the engine's client; kubelets look for it too.
pub const KEY_OF_HUB: &str = "https://index.docker.io/v1/";

impl Login {
    /// Whether this is the account of a registry; Docker Hub's counts for all of its names.
    pub fn is_at(&self, registry: &str) -> bool {
        self.server == registry || is_hub(&self.server) && is_hub(registry)
    }
}

/// Whether a registry's name is one of Docker Hub's.
pub fn is_hub(registry: &str) -> bool {
    HUB.contains(&registry)
}

/// The key of a registry's account in the configuration of the engine's client (config.json). That client and kubelets take
/// Docker Hub's third name for another registry.
pub fn key_of_registry(registry: &str) -> &str {
    if HUB[..2].contains(&registry) { KEY_OF_HUB } else { registry }
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Login({} at {}, …)", self.username, self.server)
    }
}

/// A token, which debug text does not show.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(pub String);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}
