//! Ownership of the engine's objects: only an object that carries our label at this moment may be removed.
//!
//! Only [`Engine::look`] and [`Engine::all`] make an [`Owned`], which is removed by its ID: between the look and the removal
//! another object may take its name, never its ID. When the engine answers with an error, nothing is known of the object, and
//! nothing is removed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::Engine;
use super::objects::{Container, Image, Network};
use crate::error::{Error, Result};

/// A label and its value, which mark an object as ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    label: String,
    /// The label's value; `None`: any.
    value: Option<String>,
}

impl Mark {
    /// The label of all that the harness starts: the name of its owner, which holds a nonce.
    pub fn owner(name: &str) -> Self {
        Self { label: harness_settings::marks::OWNER_LABEL.to_owned(), value: Some(name.to_owned()) }
    }

    /// The label that kind gives the nodes of a cluster; the name of a cluster of ours holds a nonce.
    pub fn kind(cluster: &str) -> Self {
        Self { label: KIND_LABEL.to_owned(), value: Some(cluster.to_owned()) }
    }

    /// The label of an image that was made here from a recipe, with any value.
    pub fn made_here() -> Self {
        Self { label: harness_settings::marks::MADE_FROM_LABEL.to_owned(), value: None }
    }

    /// The title that a Dockerfile of the stack gives its image; the image that was built elsewhere has it too.
    pub fn titled(title: &str) -> Self {
        Self { label: "org.opencontainers.image.title".to_owned(), value: Some(title.to_owned()) }
    }

    /// The label as a filter of the engine's client.
    fn filter(&self) -> String {
        match &self.value {
            Some(value) => format!("label={}={value}", self.label),
            None => format!("label={}", self.label),
        }
    }

    fn is_on(&self, labels: Option<&BTreeMap<String, String>>) -> bool {
        let found = labels.and_then(|labels| labels.get(&self.label));
        found.is_some_and(|found| self.value.as_ref().is_none_or(|value| value == found))
    }
}

/// How long to wait for a removal that another process asked for.
const REMOVED: Duration = Duration::from_secs(60);
/// The time between two checks of that: the client has no way to wait for it.
const ASK_AGAIN: Duration = Duration::from_millis(250);
/// The label by which kind marks its nodes.
pub const KIND_LABEL: &str = "io.x-k8s.kind.cluster";

/// A kind of object that the engine holds.
pub trait EngineObject: DeserializeOwned + Send {
    /// The client's noun for it, as in `docker <noun> inspect`.
    const NOUN: &'static str;
    /// The client's arguments that list the IDs of all of them, stopped ones too.
    const LIST: &'static [&'static str];

    /// Its identity, which no other object ever has.
    fn id(&self) -> &str;
    /// Its labels.
    fn labels(&self) -> Option<&BTreeMap<String, String>>;
}

/// An object that carries our label, and may be removed.
#[derive(Debug)]
pub struct Owned<K> {
    object: K,
    engine: Engine,
}

/// The result of [`Engine::look`]. Where the engine does not answer, that returns an error instead.
#[derive(Debug)]
pub enum Seen<K> {
    /// The object exists and carries our label.
    Ours(Owned<K>),
    /// The object exists and does not carry our label.
    Foreign(K),
    /// The engine says that there is no such object.
    Gone,
}

impl Engine {
    /// Looks up an object by name or ID, and checks whether it carries a label.
    ///
    /// # Errors
    /// [`Error::Command`] when the engine does not answer: then nothing is known of the object.
    pub async fn look<K: EngineObject>(&self, name: &str, mark: &Mark) -> Result<Seen<K>> {
        let Some(object) = self.inspect::<K>(&[K::NOUN, "inspect", name]).await? else { return Ok(Seen::Gone) };
        Ok(match mark.is_on(object.labels()) {
            true => Seen::Ours(Owned { object, engine: self.clone() }),
            false => Seen::Foreign(object),
        })
    }

    /// All objects of a kind that carry a label.
    ///
    /// # Errors
    /// [`Error::Command`] when the engine does not answer.
    pub async fn all<K: EngineObject>(&self, mark: &Mark) -> Result<Vec<Owned<K>>> {
        let filter = mark.filter();
        let listed = self.docker()?.args(K::LIST.iter().copied()).args(["--filter", &filter]).run().await?.stdout;
        // An image is listed once for each of its names.
        let ids: BTreeSet<&str> = listed.split_whitespace().collect();
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let inspect = [K::NOUN, "inspect"].into_iter().chain(ids.iter().copied()).collect::<Vec<_>>();
        let objects = match self.inspect_all::<K>(&inspect).await? {
            Some(objects) => objects,
            // One was removed in between, which is no reason to fail: the others are inspected one by one.
            None => {
                let mut there = Vec::new();
                for id in ids {
                    there.extend(self.inspect::<K>(&[K::NOUN, "inspect", id]).await?);
                }
                there
            }
        };
        let ours = objects.into_iter().filter(|object| mark.is_on(object.labels()));
        Ok(ours.map(|object| Owned { object, engine: self.clone() }).collect())
    }
}

impl<K: EngineObject> Owned<K> {
    /// The object, as the engine describes it.
    pub fn object(&self) -> &K {
        &self.object
    }

    async fn call(&self, args: &[&str]) -> Result<()> {
        let until = Instant::now() + REMOVED;
        loop {
            match self.engine.docker()?.args(args.iter().copied()).arg(self.object.id()).run().await {
                // Removed already by another process; by its ID it is the same object.
                Err(Error::Command(failure)) if is_absence(&failure.tail) => return Ok(()),
                // Being removed for another process: the engine goes on even if that was killed.
                Err(Error::Command(failure)) if is_under_way(&failure.tail) && Instant::now() < until => {
                    tokio::time::sleep(ASK_AGAIN).await;
                }
                other => return other.map(drop),
            }
        }
    }
}

impl Owned<Container> {
    /// Kills and removes the container, with its anonymous volumes.
    ///
    /// # Errors
    /// [`Error::Command`] when the engine refuses.
    pub async fn remove(self) -> Result<()> {
        self.call(&["rm", "--force", "--volumes"]).await
    }
}

impl Owned<Network> {
    /// Removes the network if no container is on it, running or stopped; returns whether it did.
    ///
    /// # Errors
    /// [`Error::Command`] when the engine refuses.
    pub async fn remove_if_unused(self) -> Result<bool> {
        let filter = format!("network={}", self.object.id);
        let on_it = self.engine.docker()?.args(["ps", "--all", "--quiet", "--filter", &filter]).run().await?.stdout;
        if !on_it.trim().is_empty() {
            return Ok(false);
        }
        // A container that joins it now keeps it: the engine removes no network that a running container is on.
        self.call(&["network", "rm"]).await.map(|()| true)
    }
}

impl Owned<Image> {
    /// Removes the image with all of its names, if all of them are ours and no container was made of it; returns whether it did.
    ///
    /// # Errors
    /// [`Error::Command`] when the engine does not answer.
    pub async fn remove_if_unused(self, is_ours: impl Fn(&str) -> bool) -> Result<bool> {
        if !self.object.names().all(is_ours) {
            return Ok(false);
        }
        let filter = format!("ancestor={}", self.object.id);
        let of_it = self.engine.docker()?.args(["ps", "--all", "--quiet", "--filter", &filter]).run().await?.stdout;
        if !of_it.trim().is_empty() {
            return Ok(false);
        }
        // By force, since it may have several names; each was checked.
        self.call(&["image", "rm", "--force"]).await.map(|()| true)
    }
}

/// Whether the engine's error says that it is removing the object at this moment.
fn is_under_way(said: &str) -> bool {
    said.contains("removal of container") && said.contains("is already in progress")
}

/// Whether the engine's error says that there is no such object: by its version "No such container", "network x not found".
pub(super) fn is_absence(said: &str) -> bool {
    let said = said.to_lowercase();
    let nouns = ["container", "network", "image", "object"];
    nouns.iter().any(|noun| said.contains(&format!("no such {noun}")))
        || (said.contains("daemon: network ") && said.contains(" not found"))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::container("Error response from daemon: No such container: abc", true)]
    #[case::old_network("Error: No such network: abc", true)]
    #[case::network("Error response from daemon: network abc not found", true)]
    #[case::no_engine("Cannot connect to the Docker daemon at unix:///var/run/docker.sock", false)]
    #[case::no_socket("dial unix /var/run/docker.sock: connect: no such file or directory", false)]
    #[case::context("context \"abc\": context not found: open meta.json: no such file or directory", false)]
    fn only_the_engine_says_what_is_gone(#[case] said: &str, #[case] unavailable: bool) {
        assert_eq!(is_absence(said), unavailable);
    }

    #[rstest]
    #[case::removed("Error response from daemon: removal of container 7a61 is already in progress", true)]
    #[case::pulled("Error response from daemon: a pull is already in progress", false)]
    fn a_removal_of_somebody_elses_is_waited_for(#[case] said: &str, #[case] under_way: bool) {
        assert_eq!(is_under_way(said), under_way);
    }

    #[test]
    fn a_mark_is_a_label_and_its_whole_value() {
        let labels = |value: &str| BTreeMap::from([(KIND_LABEL.to_owned(), value.to_owned())]);
        let mark = Mark::kind("shop-local-1-a");
        assert!(mark.is_on(Some(&labels("shop-local-1-a"))));
        assert!(!mark.is_on(Some(&labels("shop-local-1-a-b"))));
        assert!(!mark.is_on(Some(&labels("shop-local-1"))));
        assert!(!mark.is_on(None));
    }
}
