//! What the engine says of what it holds.

/// What the engine says of a container.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Container {
    /// Its identity, which no other container ever has.
    pub id: String,
    /// Whether it runs.
    pub state: ContainerState,
}

/// The part of a container's state that we look at.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ContainerState {
    /// Whether its main process runs.
    pub running: bool,
}

/// What the engine says of an image.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Image {
    /// Its identity: the digest of its configuration.
    pub id: String,
    /// `repository@digest` for each registry it was pushed to or pulled from.
    #[serde(default)]
    pub repo_digests: Vec<String>,
    /// `os`, as OCI names it.
    pub os: String,
    /// `architecture`, as OCI names it.
    pub architecture: String,
    /// What its maker wrote into it.
    pub config: ImageConfig,
}

/// The part of an image's configuration that we look at.
#[derive(Debug, Clone, Default, serde::Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ImageConfig {
    /// Labels.
    pub labels: Option<std::collections::BTreeMap<String, String>>,
}

impl Image {
    /// What this image stands in for, if it is not the official one.
    pub fn stands_in_for(&self) -> Option<&str> {
        self.config.labels.as_ref()?.get(crate::descriptor::STAND_IN_LABEL).map(String::as_str)
    }
}
