//! The engine's objects, as `docker inspect` prints them: containers, networks, images.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::owned::EngineObject;

/// A container, as the engine describes it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Container {
    /// Its identity, which no other container ever has.
    pub id: String,
    /// Its name, with a slash before it.
    #[serde(default)]
    pub name: String,
    /// Its state.
    pub state: ContainerState,
    /// The ID of its image.
    pub image: String,
    config: Labelled,
    #[serde(default)]
    network_settings: NetworkSettings,
}

/// The part of a container's state that is read here.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ContainerState {
    /// Whether its main process runs.
    pub running: bool,
    /// Whether its processes are frozen.
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

/// A network, as the engine describes it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Network {
    /// Its identity, which no other network ever has.
    pub id: String,
    labels: Option<BTreeMap<String, String>>,
}

/// An image, as the engine describes it.
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
    /// When it was built, as RFC 3339 text: a later time compares greater.
    #[serde(default)]
    pub created: String,
    /// Its `os`, as the OCI image specification names it.
    pub os: String,
    /// Its `architecture`, as the OCI image specification names it.
    pub architecture: String,
    #[serde(default)]
    config: Labelled,
}

/// Reads a list that may be `null` when it is empty.
fn or_none<'de, D: serde::Deserializer<'de>>(list: D) -> Result<Vec<String>, D::Error> {
    Ok(Option::deserialize(list)?.unwrap_or_default())
}

impl Container {
    /// The names of the container's networks.
    pub fn networks(&self) -> impl Iterator<Item = &str> {
        self.network_settings.networks.keys().map(String::as_str)
    }
}

impl Image {
    /// All of the image's names, by tag and by digest.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.repo_tags.iter().chain(&self.repo_digests).map(String::as_str)
    }

    /// The official image that this one stands in for, by its label.
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
