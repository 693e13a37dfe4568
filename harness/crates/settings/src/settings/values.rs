//! What variables say, once they are read.

use std::path::PathBuf;

use harness_base::setting::Setting;

use crate::environment::Environment;

/// Which tool deploys the stage's release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Deployer {
    /// `skaffold deploy --build-artifacts`, with Helm below it.
    Skaffold,
    /// `helm upgrade --install`.
    Helm,
}

/// Whether the cluster stays once nobody uses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// It goes 15 s after its last user.
    Never,
    /// It stays for the idle time if a scenario failed.
    OnFailure,
    /// It stays for the idle time.
    Always,
}

/// Login and password of an account.
#[derive(Clone)]
pub struct UserCredentials {
    /// The login.
    pub login: String,
    /// The password; never printed.
    pub password: String,
}

impl std::fmt::Debug for UserCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credentials({}, …)", self.login)
    }
}

/// Where tools are looked for, and how they are set up.
#[derive(Debug, Clone)]
pub struct ToolOptions {
    /// [`super::TOOLBOX`].
    pub toolbox: Setting<Option<PathBuf>>,
    /// The folders of PATH.
    pub path: Vec<PathBuf>,
    /// The folder of our caches; tools are set up in its `tools`.
    pub cache_root: PathBuf,
    /// The folder of the engine's client's configuration.
    pub docker_config: PathBuf,
    /// The CA file that downloads trust.
    pub ca_bundle: Setting<Option<PathBuf>>,
    /// The CA file that Node gets.
    pub node_ca: Setting<Option<PathBuf>>,
    /// Whether what is missing may be set up.
    pub may_set_up: bool,
    /// What children may be given of the user's environment.
    pub environment: Environment,
}

/// An account at a registry.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The registry, as image references name it.
    pub server: String,
    /// The account.
    pub username: String,
    /// Its password or token.
    pub password: String,
}

/// What Docker Hub is called in references: as the engine shows them, as it once answered, and where it answers now.
const HUB: [&str; 3] = ["docker.io", "index.docker.io", "registry-1.docker.io"];
/// What the engine's client keeps the hub's account under, and kubelets look for it by.
pub const KEY_OF_HUB: &str = "https://index.docker.io/v1/";

impl Login {
    /// Whether it is an account at a registry: the hub has one, by whichever of its names.
    pub fn is_at(&self, registry: &str) -> bool {
        self.server == registry || is_hub(&self.server) && is_hub(registry)
    }
}

/// Whether a registry's name is one of Docker Hub's.
pub fn is_hub(registry: &str) -> bool {
    HUB.contains(&registry)
}

/// What the account at a registry is kept under in the configuration of the engine's client (config.json). Its third name is
/// to that client, and to kubelets, another registry's.
pub fn key_of_registry(registry: &str) -> &str {
    if HUB[..2].contains(&registry) { KEY_OF_HUB } else { registry }
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Login({} at {}, …)", self.username, self.server)
    }
}

/// A token, whose text is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(pub String);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}
