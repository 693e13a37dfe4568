//! A preview's images: by which account its nodes pull them, the cluster's own and not whoever deploys; and what a registry
//! that is away for a while does to them.

use base64::Engine as _;
use harness::artifacts::{self, PrivateRegistry};
use harness::cluster;
use harness::engine::{Container, Engine, Mark, Seen};
use harness::files::write_json;
use harness::k8s::snapshot::Watched;
use harness::k8s::{self, Snapshot, State};
use k8s_openapi::api::core::v1::{Event, Secret};
use kube::Api;
use serde_json::{Value, json};

use super::command::Call;
use super::place::{LIMIT, PREVIEWS, Place, namespace_of};

/// A registry that wants credentials, with all images of the set in it.
pub struct Private<'a> {
    place: &'a Place,
    engine: Engine,
    registry: PrivateRegistry,
    set: String,
}

impl<'a> Private<'a> {
    pub async fn make(place: &'a Place) -> Self {
        let (session, shared) = (&place.session, &place.shared);
        let engine = session.engine().await.unwrap();
        remove(&engine, &shared.cluster.name).await;
        let node = cluster::node_name(&shared.cluster.name);
        let network = artifacts::network_of(&engine, &node).await.unwrap();
        let registry = session.private_registry(&engine, &shared.cluster.name, Some(&network)).await.unwrap();
        artifacts::introduce(&engine, &node, &registry.alias, &registry.login.server).await.unwrap();
        let credentials = artifacts::RegistryCredentials::of(&session.settings).unwrap().with(registry.login.clone());
        let mut set = shared.plan.artifacts.clone();
        for artifact in &mut set.builds {
            let from = session.from_here(&engine, &artifact.tag).await.unwrap();
            artifact.tag = artifact.tag.at_registry(&registry.login.server);
            artifacts::copy(&from, &artifact.tag, &credentials).await.unwrap();
        }
        let path = place.folder.join("artifacts-private.json");
        write_json(&path, &set).unwrap();
        Self { place, engine, registry, set: path.to_string_lossy().into_owned() }
    }

    /// `up` of these images, by somebody who may look at them.
    pub fn up(&self, number: &str) -> Call {
        let login = &self.registry.login;
        let up = self.place.up(number).with("JETSCALE_ARTIFACTS", &self.set);
        let up = up.with("JETSCALE_REGISTRY_SERVER", &login.server);
        up.with("JETSCALE_REGISTRY_USERNAME", &login.username).with("JETSCALE_REGISTRY_PASSWORD", &login.password)
    }

    /// Has the cluster's administrator leave the account with this password.
    pub async fn leave_account(&self, password: &str) {
        let login = &self.registry.login;
        let auth = base64::engine::general_purpose::STANDARD.encode(format!("{}:{password}", login.username));
        let accounts = json!({"auths": {&login.server: {"auth": auth}}});
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockerconfigjson",
            "metadata": {"name": "preview-pull", "namespace": PREVIEWS},
            "stringData": {".dockerconfigjson": accounts.to_string()},
        });
        k8s::apply(self.place.client(), &secret).await.unwrap();
    }

    /// Has the nodes find the registry, or nothing at its address; whoever deploys finds it as before.
    pub async fn lead_to_registry(&self, reached: bool) {
        let there = if reached { &self.registry.alias } else { "127.0.0.1" };
        let node = self.place.node();
        artifacts::introduce(&self.engine, &node, there, &self.registry.login.server).await.unwrap();
    }

    /// Waits until an image of a preview could not be pulled.
    pub async fn has_failed(&self, number: &str) {
        let judge = |seen: &Snapshot| match seen.events.iter().any(|event| is_of_a_pull(event)) {
            true => State::Ready,
            false => State::Pending("no pull has failed".to_owned()),
        };
        let (namespace, kinds) = (namespace_of(number), [Watched::Warnings]);
        k8s::wait::wait_on(self.place.client(), &namespace, &kinds, "a try of a pull", LIMIT, judge).await.unwrap();
    }

    /// How often the kubelet has tried to pull the image that it tried most, and could not.
    pub async fn tries(&self, number: &str) -> i32 {
        let api: Api<Event> = Api::namespaced(self.place.client().clone(), &namespace_of(number));
        let events = api.list(&Default::default()).await.unwrap();
        events.iter().filter(|event| is_of_a_pull(event)).filter_map(|event| event.count).max().unwrap_or_default()
    }

    /// The right password of the account.
    pub fn password(&self) -> &str {
        &self.registry.login.password
    }

    /// The accounts that a preview's pods pull by, as its Secret says.
    pub async fn accounts_of(&self, number: &str) -> Value {
        let api: Api<Secret> = Api::namespaced(self.place.client().clone(), &namespace_of(number));
        let secret = api.get("jetscale-pull").await.unwrap();
        serde_json::from_slice(&secret.data.unwrap()[".dockerconfigjson"].0).unwrap()
    }

    /// Takes all of it away.
    pub async fn end(self) {
        let api: Api<Secret> = Api::namespaced(self.place.client().clone(), PREVIEWS);
        api.delete("preview-pull", &Default::default()).await.unwrap();
        remove(&self.engine, &self.place.shared.cluster.name).await;
    }
}

/// As the kubelet says it, once a try.
fn is_of_a_pull(event: &Event) -> bool {
    let says = event.message.as_deref().unwrap_or_default();
    event.reason.as_deref() == Some("Failed") && says.starts_with("Failed to pull image")
}

async fn remove(engine: &Engine, owner: &str) {
    if let Seen::Ours(owned) = engine.look::<Container>(&format!("{owner}-private"), &Mark::owner(owner)).await.unwrap()
    {
        owned.remove().await.unwrap();
    }
}
