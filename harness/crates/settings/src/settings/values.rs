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
