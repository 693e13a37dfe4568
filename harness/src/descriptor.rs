//! What is JetScale's own: names, ports and paths. Nothing else in the harness knows them, so
//! that another stack of charts could be tested by another descriptor.

/// One workload of the release, as scenarios name it.
#[derive(Debug, Clone, Copy)]
pub struct Component {
    /// What follows the release's name in the workload's and the Service's name.
    pub suffix: &'static str,
    /// The value of `app.kubernetes.io/component` on its pods.
    pub label: &'static str,
    /// Whether a StatefulSet runs it (else a Deployment).
    pub stateful: bool,
    /// The port its container listens on.
    pub container_port: u16,
    /// The port of its Service.
    pub service_port: u16,
    /// The port of the node by which stage dev's host reaches it (kind/kind-config.yaml).
    pub dev_node_port: Option<u16>,
    /// The artifact that its main container runs.
    pub artifact: &'static str,
}

/// An image that Skaffold builds here.
#[derive(Debug, Clone, Copy)]
pub struct Built {
    /// Its name in skaffold.yaml and in artifact sets.
    pub name: &'static str,
    /// Its folder below the checkout, when no sibling repository takes its place.
    pub context: &'static str,
    /// The build argument that names its base image.
    pub base_argument: &'static str,
    /// The base image's recipe in kind/base-images.
    pub base: &'static str,
    /// The official base image, by the digest of its index, so that it is the same on every platform.
    pub official_base: &'static str,
}

/// An image that is somebody else's.
#[derive(Debug, Clone, Copy)]
pub struct ThirdParty {
    /// Its name in artifact sets, and its recipe in kind/base-images.
    pub name: &'static str,
    /// The official image, by the digest of its index.
    pub official: &'static str,
}

/// A stage's values file.
#[derive(Debug, Clone, Copy)]
pub struct ValuesFile {
    /// What scenarios call it.
    pub name: &'static str,
    /// The file, in the umbrella's folder.
    pub file: &'static str,
    /// What only a deployer knows, as `path=value`.
    pub set: &'static [&'static str],
    /// Whether it is stage dev's: images by tag, dev mode, NodePorts.
    pub dev: bool,
}

/// Namespace of the shared release of stages local and ci.
pub const NAMESPACE: &str = "jetscale";
/// Helm release of stages local and ci.
pub const RELEASE: &str = "jetscale";
/// The umbrella chart's folder below the checkout, and the folder of all charts.
pub const CHARTS: &str = "charts";
/// The umbrella's folder in [`CHARTS`].
pub const UMBRELLA: &str = "app";
/// Values file of stages local and ci, in the umbrella's folder.
pub const VALUES_E2E: &str = "values.local.e2e.yaml";
/// The value with which the database's data is gone with its pod.
pub const DATABASE_IN_ITS_POD: &str = "postgres.persistence.enabled=false";
/// Stage dev's values.
pub const DEV: ValuesFile = ValuesFile { name: "dev", file: "values.local.dev.yaml", set: &[], dev: true };
/// The values of stages local and ci.
pub const E2E: ValuesFile = ValuesFile { name: "e2e", file: VALUES_E2E, set: &[], dev: false };
/// The values of stage preview, its stores in the cluster.
pub const PREVIEW: ValuesFile =
    ValuesFile { name: "preview", file: VALUES_PREVIEW, set: &["ingress.host=pr-1.app.jetscale.ai"], dev: false };
/// The values of stage preview, every store outside of the cluster.
pub const MANAGED: ValuesFile = ValuesFile { name: "managed", file: VALUES_PREVIEW, set: &MANAGED_STORES, dev: false };
/// The values of stage live.
pub const LIVE: ValuesFile = ValuesFile { name: "live", file: "values.live.yaml", set: &[], dev: false };
/// Every way in which a stage renders the charts, with what only a deployer knows.
pub const VALUES_FILES: [ValuesFile; 5] = [DEV, E2E, PREVIEW, MANAGED, LIVE];
/// What a deployer sets where a preview's stores are managed ones: an example of each key.
const MANAGED_STORES: [&str; 27] = [
    "ingress.host=pr-1.app.jetscale.ai",
    "postgres.enabled=false",
    "backend.database.external.host=db.example.internal",
    "backend.database.external.name=jetscale-pr-1",
    "backend.database.external.user=jetscale-pr-1",
    "backend.database.external.peers[0].ipBlock.cidr=10.1.0.0/16",
    "backend.database.external.tls.mode=verify-full",
    "backend.database.external.tls.caSecret.name=jetscale-managed",
    "redis.enabled=false",
    "backend.redis.external.host=redis.example.internal",
    "backend.redis.external.port=6380",
    "backend.redis.external.user=jetscale-pr-1",
    "backend.redis.external.prefix=jetscale-pr-1:",
    "backend.redis.external.peers[0].ipBlock.cidr=0.0.0.0/0",
    "backend.redis.external.tls.enabled=true",
    "backend.redis.external.tls.caSecret.name=jetscale-managed",
    "backend.storage.bucket=jetscale-previews",
    "backend.storage.prefix=jetscale-pr-1/",
    "backend.storage.region=eu-central-1",
    "backend.storage.caSecret.name=jetscale-managed",
    "backend.storage.roleArn=arn:aws:iam::123456789012:role/jetscale-pr-1",
    "backend.storage.webIdentityToken.enabled=true",
    "backend.storage.peers[0].ipBlock.cidr=128.0.0.0/1",
    "backend.storage.peers[0].ipBlock.except[0]=172.16.0.0/12",
    "backend.networkPolicy.egress[0].ports[0].port=443",
    "backend.networkPolicy.egress[0].ports[0].protocol=TCP",
    "backend.networkPolicy.egress[0].to[0].ipBlock.cidr=0.0.0.0/0",
];
/// The longest release name that the charts take, in characters.
pub const RELEASE_MAX: usize = 43;
/// What follows the release's name in the name of the Secret that the charts name and never make.
pub const AUTH_SUFFIX: &str = "auth";
/// The Secret that values.local.e2e.yaml names for pulling images: made beside each release, empty where nobody asks.
pub const PULL_SECRET: &str = "jetscale-pull";
/// The registry's one name in manifests and inside clusters.
pub const REGISTRY: &str = "registry.jetscale.internal";
/// The domain of names that mean something beside a cluster of ours alone; a node's list of hosts without a proxy has it.
pub const DOMAIN: &str = "jetscale.internal";
/// The namespace of the edge, and its ingress class.
pub const EDGE_NAMESPACE: &str = "jetscale-edge";
/// The label of an edge's namespace, by which the charts let it reach the router (`ingress.sources`).
pub const EDGE_LABEL: &str = "jetscale.ai/edge";
/// The host that the edge serves: a name that no DNS knows, so that nobody asks another site by mistake.
pub const EDGE_HOST: &str = "app.jetscale.example";
/// The label that every object, container and namespace of ours carries; its value is the owner.
pub const OWNER_LABEL: &str = "jetscale.ai/owner";
/// The label that says for which checkout a container or network was made.
pub const CHECKOUT_LABEL: &str = "jetscale.ai/checkout";
/// The label of an image that a recipe of ours made.
pub const MADE_FROM_LABEL: &str = "ai.jetscale.made-from";
/// What a preview's namespace is called, but for the pull request's number.
pub const PREVIEW_PREFIX: &str = "jetscale-pr-";
/// Below which domain previews are served: `pr-<number>.` in front of it.
pub const PREVIEW_DOMAIN: &str = "app.jetscale.ai";
/// The namespace that opens a cluster to previews, and holds their Leases (charts/preview-sweeper).
pub const PREVIEWS_NAMESPACE: &str = "jetscale-previews";
/// The ClusterRole that a deployer has in a preview's namespace, and nowhere else (charts/preview-sweeper).
pub const PREVIEW_ROLE: &str = "jetscale-preview-namespace";
/// The ConfigMap in [`PREVIEWS_NAMESPACE`] whose `name` is what the cluster calls itself.
pub const PREVIEW_CLUSTER: &str = "preview-cluster";
/// The Secret in [`PREVIEWS_NAMESPACE`] by which previews pull their images, where nodes need one: an administrator's, which
/// may read alone. Each preview gets a copy.
pub const PREVIEW_PULL: &str = "preview-pull";
/// The keeper of previews' stores: its ServiceAccount in [`PREVIEWS_NAMESPACE`], its ConfigMap there, and its RoleBinding
/// in a preview's namespace.
pub const PREVIEW_STORES: &str = "preview-stores";
/// The ClusterRole that the keeper has in a preview's namespace (charts/preview-sweeper).
pub const PREVIEW_STORES_ROLE: &str = "jetscale-preview-stores";
/// Values file of stage preview, in the umbrella's folder.
pub const VALUES_PREVIEW: &str = "values.preview.yaml";
/// The label by which a test's pod may reach the release's services (the charts' NetworkPolicies).
pub const CLIENT_LABEL: &str = "jetscale.ai/client";
/// The label that marks an image which stands in for an official one.
pub const STAND_IN_LABEL: &str = "ai.jetscale.stand-in";
/// Logins of the account that `<release>-auth` gives.
pub const ADMIN_EMAIL: &str = "admin@jetscale.example";

/// The images that Skaffold builds.
pub const BUILT: [Built; 2] = [
    Built {
        name: "backend",
        context: "apps/backend",
        base_argument: "PYTHON_IMAGE",
        base: "python",
        official_base: "python:3.13.15-alpine3.24@sha256:540c7d91f98ff6880174c40e99067bf5941eb54d818a7a5e094d188b196a934d",
    },
    Built {
        name: "frontend",
        context: "apps/frontend",
        base_argument: "NGINX_IMAGE",
        base: "nginx",
        official_base: "nginx:1.29.8-alpine3.23@sha256:5616878291a2eed594aee8db4dade5878cf7edcb475e59193904b198d9b830de",
    },
];

/// The images that the release takes from others.
pub const THIRD_PARTY: [ThirdParty; 2] = [
    ThirdParty {
        name: "postgres",
        official: "postgres:17.11@sha256:d74eeac9a635390a49bc21bd49fccd973de707e2a53a76ac49b552b8712ec46f",
    },
    ThirdParty {
        name: "redis",
        official: "redis:8.10.1@sha256:298e5b3bc566bade82f46ad5511777a4a07a294097ce16ada2f6a42be5239df5",
    },
];

/// The registry beside the cluster.
pub const REGISTRY_IMAGE: ThirdParty = ThirdParty {
    name: "registry",
    official: "registry:2.8.3@sha256:a3d8aaa63ed8681a604f1dea0aa03f100d5895b6a58ace528858a7b332415373",
};

/// The api.
pub const API: Component = Component {
    suffix: "backend",
    label: "api",
    stateful: false,
    container_port: 8000,
    service_port: 8000,
    dev_node_port: Some(30800),
    artifact: "backend",
};
/// The WebSocket service.
pub const WEBSOCKET: Component = Component {
    suffix: "websocket",
    label: "websocket",
    stateful: false,
    container_port: 8001,
    service_port: 8001,
    dev_node_port: None,
    artifact: "backend",
};
/// The page and the one router.
pub const FRONTEND: Component = Component {
    suffix: "frontend",
    label: "frontend",
    stateful: false,
    container_port: 8080,
    service_port: 80,
    dev_node_port: Some(30300),
    artifact: "frontend",
};
/// The database.
pub const POSTGRES: Component = Component {
    suffix: "postgres",
    label: "postgres",
    stateful: true,
    container_port: 5432,
    service_port: 5432,
    dev_node_port: None,
    artifact: "postgres",
};
/// The cache.
pub const REDIS: Component = Component {
    suffix: "redis",
    label: "redis",
    stateful: true,
    container_port: 6379,
    service_port: 6379,
    dev_node_port: None,
    artifact: "redis",
};
/// All of them.
pub static COMPONENTS: [Component; 5] = [API, WEBSOCKET, FRONTEND, POSTGRES, REDIS];

/// The memory of one isolated release, in bytes, with room for a rolling update: what limits how many run at once.
pub const OWN_RELEASE_BYTES: u64 = 2 << 30;
/// However much memory there is, more isolated releases than this at once slow each other down.
pub const MAX_OWN_RELEASES: usize = 3;

/// The label by which a component's pods are known.
pub const COMPONENT_LABEL: &str = "app.kubernetes.io/component";

/// The path, through the router, whose answer says which pod of a component it is from, as `data.instance`; none where no
/// answer does.
pub fn instance_path(component: &Component) -> Option<&'static str> {
    match component.label {
        label if label == API.label => Some(crate::services::VERSION),
        label if label == WEBSOCKET.label => Some(crate::services::WS_READY),
        _ => None,
    }
}

/// The port where Tilt serves its page and its API.
pub const HUD_PORT: u16 = 10350;
/// The port that Tilt forwards to the api's debugger.
pub const DEBUGGER_PORT: u16 = 5678;
/// The ports that Kind's port mappings own (kind/kind-config.yaml).
pub const NODE_PORTS: [u16; 2] = [8000, 3000];
/// The ports that Tilt owns.
pub const TILT_PORTS: [u16; 2] = [HUD_PORT, DEBUGGER_PORT];

/// Paths that answer 200 through the router once every service is reached.
pub const REACHED: [&str; 3] = ["/", crate::services::READY, crate::services::WS_READY];
