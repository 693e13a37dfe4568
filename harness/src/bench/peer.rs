//! Peers, the other tools of a comparison: each has a folder in bench/ with its configuration and a script `run`, which does
//! what a user of the tool would.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::bench_environment::{BenchEnvironment, Warm};
use crate::artifacts::ArtifactSet;
use crate::error::Result;
use crate::files::write_json;
use crate::http::Reply;
use crate::k8s::{self, Forward};
use crate::marks;
use crate::release::{Plan, ensure_auth};
use crate::source::ProvisionSource;
use crate::spec::spec;
use crate::tools::{ChildKind, Command, Tool, skaffold_config};

/// The deadline of a peer's turn.
const TURN: Duration = Duration::from_secs(600);

/// Another tool than the harness, in a namespace of its own on the same cluster.
#[derive(Debug, Clone, Copy)]
pub struct Peer {
    /// Its folder in bench/.
    pub folder: &'static str,
    /// The name of its row.
    pub name: &'static str,
    /// Its setup, for readers of the table.
    pub about: &'static str,
    /// The tools whose versions the report shows.
    pub tools: &'static [Tool],
}

/// `skaffold run`, set up for speed.
pub const SKAFFOLD: Peer = Peer {
    folder: "skaffold",
    name: "skaffold run",
    about: "BuildKit, the registry, tags by input digest, all builds at once, subcharts at hand, a constant run id, its own \
            status check; then one GET by a new connection",
    tools: &[Tool::Skaffold, Tool::Helm3],
};

/// `skaffold run` with its defaults.
pub const SKAFFOLD_DEFAULTS: Peer = Peer {
    folder: "skaffold-defaults",
    name: "skaffold, defaults",
    about: "tags by commit, images loaded into the node, a random run id, subcharts packed each time, its own status check; \
            then one GET by a new connection",
    tools: &[Tool::Skaffold, Tool::Helm3],
};
/// Helm alone, with buildx before it.
pub const HELM: Peer = Peer {
    folder: "helm",
    name: "helm upgrade --wait",
    about: "`docker buildx build --push` of both images at once, `helm upgrade --install --wait --atomic`; then one GET by a \
            new connection",
    tools: &[Tool::Buildx, Tool::Helm3],
};
/// Tilt in its CI mode.
pub const TILT: Peer = Peer {
    folder: "tilt",
    name: "tilt ci",
    about: "docker_build, the registry, k8s_yaml(helm(...)); ends when all is healthy; then one GET by a new connection",
    tools: &[Tool::Tilt, Tool::Helm3],
};

/// A peer with its namespace and its script's variables.
pub(super) struct Placed {
    peer: Peer,
    namespace: String,
    run: PathBuf,
    root: PathBuf,
    envs: Vec<(String, String)>,
}

impl Peer {
    /// Makes the peer's namespace, with the Secrets that the charts name and do not make, and its script's variables. They remain
    /// as long as the cluster.
    ///
    /// # Errors
    /// [`Error::Kube`] when the cluster refuses.
    pub(super) async fn place(self, environment: &BenchEnvironment<'_>, warm: &Warm) -> Result<Placed> {
        let (client, namespace) = (&warm.cluster.client, format!("bench-{}", self.folder));
        k8s::namespace::create(client, &namespace, BTreeMap::new(), BTreeMap::new()).await?;
        let plan = warm.plan.own(&namespace);
        ensure_auth(&warm.cluster, &plan, &BTreeMap::new()).await?;
        let accounts = "{\"auths\":{}}".to_owned();
        if let Some(name) = spec().pull_secret {
            k8s::secret::apply_pull_secret(client, &namespace, name, BTreeMap::new(), accounts).await?;
        }
        let scratch = environment.scratch(&format!("peers/{}", self.folder))?;
        let images = images(&warm.plan.artifacts, &scratch)?;
        let helm = environment.tools.ensure(Tool::Helm3, ProvisionSource::Auto).await?.path;
        let text = |path: &Path| path.display().to_string();
        let mut envs = vec![
            ("PATH", format!("{}:{}", text(helm.parent().unwrap_or(Path::new("/"))), environment.tools.search_path())),
            ("BENCH_KUBECONFIG", warm.cluster.kubeconfig.to_string()),
            ("BENCH_CONTEXT", warm.cluster.context.clone()),
            ("BENCH_NAMESPACE", namespace.clone()),
            ("BENCH_REGISTRY", warm.registry.clone()),
            ("BENCH_REGISTRY_INSIDE", marks::REGISTRY.to_owned()),
            ("BENCH_IMAGES", text(&images)),
            ("BENCH_SKAFFOLD_CONFIG", text(&skaffold_config(&scratch)?)),
            ("BENCH_SCRATCH", text(&scratch)),
        ];
        envs.extend(warm.bases.iter().map(|(name, value)| (name.as_str(), value.clone())));
        let envs = envs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let root = environment.copy.root.clone();
        Ok(Placed { peer: self, namespace, run: root.join("bench").join(self.folder).join("run"), root, envs })
    }
}

/// Writes a values file with the third-party images.
fn images(set: &ArtifactSet, folder: &Path) -> Result<PathBuf> {
    let mut values = serde_json::Map::new();
    for image in spec().images.third_party {
        let tag = &set.get(image.name)?.tag;
        let image_values = serde_json::json!({"image": {"repository": tag.repository, "digest": tag.digest}});
        values.insert(image.name.to_owned(), image_values);
    }
    let path = folder.join("images.yaml");
    write_json(&path, &values)?;
    Ok(path)
}

impl Placed {
    /// The peer.
    pub fn peer(&self) -> Peer {
        self.peer
    }

    /// The command that runs the peer's script.
    pub fn command(&self, environment: &BenchEnvironment<'_>) -> Command {
        let command = environment.tools.program(&self.run, ChildKind::Engine).folder(&self.root);
        command.envs(self.envs.iter().map(|(name, value)| (name.as_str(), value.clone()))).limit(TURN)
    }

    /// The answer of its release's router to a GET by a new connection.
    ///
    /// # Errors
    /// As [`answer`].
    pub async fn answer(&self, warm: &Warm, path: &str) -> Result<Reply> {
        answer(warm, &warm.plan.own(&self.namespace), path).await
    }
}

/// The answer of a release's router to a GET by a new connection.
///
/// # Errors
/// [`Error::Unmet`] for another status than 200.
pub(super) async fn answer(warm: &Warm, plan: &Plan, path: &str) -> Result<Reply> {
    let client = warm.cluster.client.clone();
    let forward =
        Forward::open(client, &plan.namespace, &plan.selector(spec().router), spec().router.container_port).await?;
    let reply = crate::http::Reader::with(forward.options())?.get(path).await?;
    reply.expect_status(200)?;
    Ok(reply)
}
