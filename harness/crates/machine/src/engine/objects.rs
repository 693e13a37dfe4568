//! What the engine says of what it holds.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::owned::EngineObject;

/// What the engine says of a container.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Container {
    /// Its identity, which no other container ever has.
    pub id: String,
    /// Its name, after a slash.
    #[serde(default)]
    pub name: String,
    /// Whether it runs.
    pub state: ContainerState,
    /// The identity of what it runs.
    pub image: String,
    config: Labelled,
    #[serde(default)]
    network_settings: NetworkSettings,
}

/// The part of a container's state that we look at.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ContainerState {
    /// Whether its main process runs.
    pub running: bool,
    /// Whether it is frozen.
    #[serde(default)]
    pub paused: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct NetworkSettings {
    #[serde(default)]
    networks: BTreeMap<String, serde_json::Value>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Labelled {
    labels: Option<BTreeMap<String, String>>,
}

/// What the engine says of a network.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Network {
    /// Its identity, which no other network ever has.
    pub id: String,
    labels: Option<BTreeMap<String, String>>,
}

/// What the engine says of an image.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Image {
    /// Its identity: the digest of its configuration.
    pub id: String,
    /// `repository:tag` for each of its names.
    #[serde(default, deserialize_with = "or_none")]
    pub repo_tags: Vec<String>,
    /// `repository@digest` for each registry it was pushed to or pulled from.
    #[serde(default, deserialize_with = "or_none")]
    pub repo_digests: Vec<String>,
    /// When it was built, as the engine writes it: later is greater.
    #[serde(default)]
    pub created: String,
    /// `os`, as OCI names it.
    pub os: String,
    /// `architecture`, as OCI names it.
    pub architecture: String,
    #[serde(default)]
    config: Labelled,
}

/// `null` for an empty list.
fn or_none<'de, D: serde::Deserializer<'de>>(list: D) -> Result<Vec<String>, D::Error> {
    Ok(Option::deserialize(list)?.unwrap_or_default())
}

impl Container {
    /// The names of the networks that it is on.
    pub fn networks(&self) -> impl Iterator<Item = &str> {
        self.network_settings.networks.keys().map(String::as_str)
    }
}

impl Image {
    /// All of its names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.repo_tags.iter().chain(&self.repo_digests).map(String::as_str)
    }

    /// What this image stands in for, if it is not the official one.
    pub fn stands_in_for(&self) -> Option<&str> {
        self.config.labels.as_ref()?.get(harness_settings::marks::STAND_IN_LABEL).map(String::as_str)
    }
}

impl EngineObject for Container {
    const NOUN: &'static str = "container";
    const LIST: &'static [&'static str] = &["ps", "--all", "--quiet", "--no-trunc"];

    fn id(&self) -> &str {
        &self.id
    }

    fn labels(&self) -> Option<&BTreeMap<String, String>> {
        self.config.labels.as_ref()
    }
}

impl EngineObject for Network {
    const NOUN: &'static str = "network";
    const LIST: &'static [&'static str] = &["network", "ls", "--quiet", "--no-trunc"];

    fn id(&self) -> &str {
        &self.id
    }

    fn labels(&self) -> Option<&BTreeMap<String, String>> {
        self.labels.as_ref()
    }
}

impl EngineObject for Image {
    const NOUN: &'static str = "image";
    const LIST: &'static [&'static str] = &["image", "ls", "--all", "--quiet", "--no-trunc"];

    fn id(&self) -> &str {
        &self.id
    }

    fn labels(&self) -> Option<&BTreeMap<String, String>> {
        self.config.labels.as_ref()
    }
}
