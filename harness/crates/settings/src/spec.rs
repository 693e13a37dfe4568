//! The spec of a stack: what the rendered charts do not say by themselves (as they do of kinds, ports, labels, probes).
//!
//! A program is for one stack: its `main` sets the stack first ([`of`]), and [`spec`] returns it from then on.

use std::sync::OnceLock;

pub mod contract;
pub mod variable;

use contract::{Promise, RouterContract};

pub mod sample;

/// A stack of charts, as the harness deploys it and waits for it.
#[derive(Debug)]
pub struct StackSpec {
    /// The stack's name, with which the names of its clusters and namespaces begin.
    pub name: &'static str,
    /// The source file of the spec (`file!()`), at which `validate` points when the charts differ from the spec.
    pub source: &'static str,
    /// The domain of the stack's labels and annotations: `<domain>/owner` and the like.
    pub domain: &'static str,
    /// The prefix of the stack's variables, without the underscore.
    pub env_prefix: &'static str,
    /// The services' own variables with that prefix, named without it: known, and left alone.
    pub services_variables: &'static [&'static str],
    /// The default URL of stage live.
    pub live_url: &'static str,
    /// The stack's charts.
    pub charts: ChartsSpec,
    /// The values files of the stages.
    pub values: ValuesSpec,
    /// The namespace of the shared release of stages local and ci.
    pub namespace: &'static str,
    /// The Helm release of stages local and ci.
    pub release: &'static str,
    /// The stack's images.
    pub images: ImagesSpec,
    /// The stack's workloads.
    pub components: &'static [Component],
    /// The workload whose revision is the release's, and whose image runs in scenarios' Jobs.
    pub api: &'static Component,
    /// The workload through which all others are reached.
    pub router: &'static Component,
    /// Paths that answer 200 through the router once every service is up.
    pub reached: &'static [&'static str],
    /// The Secret that the charts use and do not make, if there is one.
    pub auth: Option<AuthSpec>,
    /// How a user signs in, if the stack has accounts: an `Account` signs in by it.
    pub sign_in: Option<SignInSpec>,
    /// The api's answer with the revision that it was built from. `None` where there is none: a preview that answers then
    /// counts as the deployed one.
    pub revision: Option<Told>,
    /// The pull secret that the charts name, if they do: the harness makes it beside each release, empty where no registry
    /// needs one.
    pub pull_secret: Option<&'static str>,
    /// The label of a test's pod that may reach the release's services (by the charts' NetworkPolicies).
    pub client_label: &'static str,
    /// The edge of stages local, ci and dev.
    pub edge: EdgeSpec,
    /// The folder in the checkout with Kind's configuration and the recipes that make images from package registries.
    pub recipes: &'static str,
    /// Isolated releases.
    pub own: OwnSpec,
    /// Stage dev.
    pub dev: DevSpec,
    /// Stage preview.
    pub preview: PreviewSpec,
    /// The edits that `cargo stack bench` measures.
    pub bench: BenchSpec,
    /// Variables of containers that need others: with the first one, the others must be set.
    pub together: &'static [(&'static str, &'static [&'static str])],
    /// The variable by which a container verifies a store's certificate: with it, the store may be anywhere on the internet.
    pub stores_verified_by: Option<&'static str>,
    /// What the services require of the charts.
    pub contract: &'static [Promise],
    /// What the router's configuration must do.
    pub routing: RouterContract,
}

/// The charts' place, labels and values.
#[derive(Debug)]
pub struct ChartsSpec {
    /// The folder of all charts, in the checkout.
    pub folder: &'static str,
    /// The umbrella chart's folder in it.
    pub umbrella: &'static str,
    /// The longest release name that the charts take, in characters.
    pub release_max: usize,
    /// The label of workloads, Services and pods with the release's name.
    pub release_label: &'static str,
    /// The label of a workload's pods with the component's name ([`Component::label`]).
    pub component_label: &'static str,
    /// The values that set an image.
    pub image: ImageValues,
}

/// The values that set an image; `{image}` stands for the image's name in artifact sets.
#[derive(Debug)]
pub enum ImageValues {
    /// Two values, for the repository and the digest.
    Split {
        /// The path of the repository's value.
        repository: &'static str,
        /// The path of the digest's value.
        digest: &'static str,
    },
    /// The path of one value for both, as `repository@digest`.
    Combined(&'static str),
}

impl ImageValues {
    /// The settings of these values for one image, as `path=value`.
    pub fn set(&self, image: &str, repository: &str, digest: &str) -> Vec<String> {
        let named = |path: &str| path.replace("{image}", image);
        match self {
            Self::Split { repository: of, digest: at } => {
                vec![format!("{}={repository}", named(of)), format!("{}={digest}", named(at))]
            }
            Self::Combined(path) => vec![format!("{}={repository}@{digest}", named(path))],
        }
    }
}

/// The values files of the stages.
#[derive(Debug)]
pub struct ValuesSpec {
    /// The file of stage dev, if the stack has that stage.
    pub dev: Option<ValuesFile>,
    /// The file of stages local and ci.
    pub shared: ValuesFile,
    /// The file of stage preview, if the stack has that stage.
    pub preview: Option<ValuesFile>,
    /// The file of stage live, if the stack is deployed there.
    pub live: Option<ValuesFile>,
    /// Every way in which a stage renders the charts, including values that only a deployer knows.
    pub all: &'static [ValuesFile],
}

/// A stage's values file.
#[derive(Debug, Clone, Copy)]
pub struct ValuesFile {
    /// The name of the file in scenarios.
    pub name: &'static str,
    /// The file's name in the umbrella chart's folder.
    pub file: &'static str,
    /// The values that only a deployer knows, as `path=value`.
    pub set: &'static [&'static str],
    /// Whether this is the file of stage dev: images by tag, dev mode, NodePorts.
    pub dev: bool,
}

/// A workload of the release.
#[derive(Debug, Clone, Copy)]
pub struct Component {
    /// The part after the release's name in the workload's and the Service's name.
    pub suffix: &'static str,
    /// The value of the label [`ChartsSpec::component_label`] on its pods.
    pub label: &'static str,
    /// Whether a StatefulSet runs it, instead of a Deployment.
    pub stateful: bool,
    /// The port that its container listens on.
    pub container_port: u16,
    /// The port of its Service.
    pub service_port: u16,
    /// The ports by which stage dev's host reaches it; `None` when the host does not.
    pub dev_port: Option<DevPort>,
    /// The artifact of its main container.
    pub artifact: &'static str,
    /// The answer, through the router, with the name of the pod that gave it. `None` where there is none: a deploy then waits
    /// until the former pods are gone.
    pub instance: Option<Told>,
}

/// A fact in a service's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// The path to request, through the router.
    pub path: &'static str,
    /// The place in the answer's JSON, as RFC 6901 writes it: `/data/instance`.
    pub pointer: &'static str,
}

/// How a user signs in.
#[derive(Debug)]
pub struct SignInSpec {
    /// The path of the POST with login and password, through the router.
    pub path: &'static str,
    /// The names of the members in the POST's JSON: login, then password.
    pub members: [&'static str; 2],
    /// The place of the token in the answer's JSON (RFC 6901); later requests carry it as `Authorization: Bearer`.
    pub token: &'static str,
    /// The keys of the first account in the Secret beside a release ([`AuthSpec`]): login, then password.
    pub keys: [&'static str; 2],
}

/// The images of a release.
#[derive(Debug)]
pub struct ImagesSpec {
    /// The images that Skaffold builds.
    pub built: &'static [Built],
    /// The third-party images.
    pub third_party: &'static [ThirdParty],
}

/// An image that Skaffold builds here.
#[derive(Debug, Clone, Copy)]
pub struct Built {
    /// The image's name in skaffold.yaml and in artifact sets.
    pub name: &'static str,
    /// The image's folder in the checkout, used when no sibling repository takes its place.
    pub context: &'static str,
    /// Whether a folder beside the checkout counts as a sibling repository: one with the image's name (in any letter case)
    /// and a Dockerfile.
    pub sibling: bool,
    /// The base image, where a build argument names it, so that it can be made where no hub is reached. `None`: only the
    /// Dockerfile knows it.
    pub base: Option<BaseImage>,
}

/// A base image of built images.
#[derive(Debug, Clone, Copy)]
pub struct BaseImage {
    /// The build argument that names the base image.
    pub argument: &'static str,
    /// The recipe of the base image in base-images ([`StackSpec::recipes`]).
    pub recipe: &'static str,
    /// The official image by the digest of its index, so that it is the same on every platform.
    pub official: &'static str,
}

/// A third-party image.
#[derive(Debug, Clone, Copy)]
pub struct ThirdParty {
    /// The image's name in artifact sets, and of its recipe in kind/base-images.
    pub name: &'static str,
    /// The official image by the digest of its index.
    pub official: &'static str,
}

/// The Secret `<release>-<suffix>`, made once per namespace and release.
#[derive(Debug)]
pub struct AuthSpec {
    /// The part of the Secret's name after the release's.
    pub suffix: &'static str,
    /// The keys with random values.
    pub random: &'static [&'static str],
    /// The keys with fixed values, and these.
    pub fixed: &'static [(&'static str, &'static str)],
}

/// The edge, which stands in for a load balancer.
#[derive(Debug)]
pub struct EdgeSpec {
    /// The label of the edge's namespace, by which the charts let it reach the router.
    pub label: &'static str,
    /// The host that the edge serves: a name that DNS does not know, so that no request goes to another site by mistake.
    pub host: &'static str,
}

/// The resources of an isolated release.
#[derive(Debug)]
pub struct OwnSpec {
    /// The value, as `path=value`, with which the release's data is gone with its pods, if there is one.
    pub in_its_pod: Option<&'static str>,
    /// The release's memory in bytes, with room for a rolling update; as many run at once as fit, at most one per processor.
    pub bytes: u64,
    /// The most isolated releases at once, whatever the memory: more slow each other down.
    pub most: usize,
}

/// The ports and names of stage dev on this machine.
#[derive(Debug)]
pub struct DevSpec {
    /// The port of Tilt's page and API.
    pub hud_port: u16,
    /// The components with a debugger, each with the port that Tilt forwards to it.
    pub debuggers: &'static [(&'static Component, u16)],
    /// The registry host of stage dev's images in the values, which no registry serves.
    pub image_host: &'static str,
    /// Paths that answer 200 at the api's own port once it is up.
    pub reached: &'static [&'static str],
}

impl DevSpec {
    /// The ports that Tilt listens on.
    pub fn tilt_ports(&self) -> Vec<u16> {
        std::iter::once(self.hud_port).chain(self.debuggers.iter().map(|(_, port)| *port)).collect()
    }
}

/// One of Kind's port mappings in stage dev (kind/kind-config.yaml).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DevPort {
    /// The port of the component's Service on the node.
    pub node: u16,
    /// The port of this host that leads there.
    pub host: u16,
}

impl StackSpec {
    /// The ports of this host that lead to components in stage dev.
    pub fn dev_host_ports(&self) -> impl Iterator<Item = u16> {
        self.components.iter().filter_map(|component| component.dev_port).map(|port| port.host)
    }
}

/// Names in a cluster of previews.
#[derive(Debug)]
pub struct PreviewSpec {
    /// The owner of every preview, in the label `<domain>/owner`, and the prefix of what the harness makes beside a release
    /// in its namespace; no object of a release may begin with it.
    pub reserved: &'static str,
    /// Annotations of the charts' own objects, beside Kubernetes' and Helm's.
    pub annotations: &'static [&'static str],
    /// The prefix of the Secrets with the stores' certificate authorities.
    pub stores_ca: &'static str,
    /// The path of the AWS roles for previews.
    pub role_path: &'static str,
    /// The prefix of a preview's namespace, before the pull request's number.
    pub prefix: &'static str,
    /// The domain of previews: a preview's host is `pr-<number>.` and this.
    pub domain: &'static str,
    /// The namespace that opens a cluster to previews, and holds their Leases.
    pub namespace: &'static str,
    /// The ClusterRole that a deployer has in a preview's namespace, and nowhere else.
    pub role: &'static str,
    /// The ConfigMap in that namespace whose `name` is the cluster's name for itself.
    pub cluster: &'static str,
    /// The pull secret in that namespace that previews' images need on some nodes: an administrator makes it, with read
    /// access alone, and each preview gets a copy.
    pub pull: &'static str,
    /// The keeper of previews' stores: the name of its ServiceAccount and ConfigMap in that namespace, and of its RoleBinding
    /// in a preview's namespace.
    pub stores: &'static str,
    /// The keeper's ClusterRole in a preview's namespace.
    pub stores_role: &'static str,
    /// The workload that an external Postgres replaces.
    pub postgres: &'static Component,
    /// The workload that an external Redis replaces.
    pub redis: &'static Component,
    /// The chart by which an administrator opens a cluster to previews, which `validate` checks; `None`: it is elsewhere.
    pub administrators_chart: Option<AdministratorsChart>,
}

/// The chart by which an administrator opens a cluster to previews.
#[derive(Debug, Clone, Copy)]
pub struct AdministratorsChart {
    /// Its folder in the checkout.
    pub path: &'static str,
    /// An example of its values, with which it is rendered.
    pub example: &'static str,
}

/// The workload of a stack that names none.
static NO_COMPONENT: Component = Component::deployment("none", 0);

impl Component {
    /// A Deployment `<release>-<suffix>` with a Service of the same name. The suffix is also the component's label on its
    /// pods and the name of its image, and the port is both the container's and the Service's.
    pub const fn deployment(suffix: &'static str, port: u16) -> Self {
        Self {
            suffix,
            label: suffix,
            stateful: false,
            container_port: port,
            service_port: port,
            dev_port: None,
            artifact: suffix,
            instance: None,
        }
    }

    /// A StatefulSet instead of a Deployment, otherwise as [`Component::deployment`].
    pub const fn stateful_set(suffix: &'static str, port: u16) -> Self {
        Self { stateful: true, ..Self::deployment(suffix, port) }
    }

    /// The same component with the image of another name.
    #[must_use]
    pub const fn running(self, artifact: &'static str) -> Self {
        Self { artifact, ..self }
    }
}

impl StackSpec {
    /// The spec of a common stack: recommended labels, an image by repository and digest in its subchart's values, no stages
    /// but local and ci. A spec sets the rest: `StackSpec { name: "shop", ..StackSpec::DEFAULT }`.
    pub const DEFAULT: Self = Self {
        name: "stack",
        source: "",
        domain: "stack.internal",
        env_prefix: "STACK",
        services_variables: &[],
        live_url: "",
        charts: ChartsSpec::DEFAULT,
        values: ValuesSpec::DEFAULT,
        namespace: "stack",
        release: "stack",
        images: ImagesSpec { built: &[], third_party: &[] },
        components: &[],
        api: &NO_COMPONENT,
        router: &NO_COMPONENT,
        reached: &["/"],
        auth: None,
        sign_in: None,
        revision: None,
        pull_secret: None,
        client_label: "harness.internal/client",
        edge: EdgeSpec { label: "harness.internal/edge", host: "app.stack.example" },
        recipes: "kind",
        own: OwnSpec { in_its_pod: None, bytes: 1 << 30, most: 3 },
        dev: DevSpec { hud_port: 10350, debuggers: &[], image_host: "dev.internal", reached: &["/"] },
        preview: PreviewSpec {
            reserved: "stack-preview",
            annotations: &[],
            stores_ca: "stack-stores-ca",
            role_path: "/stack-previews/",
            prefix: "stack-pr-",
            domain: "stack.example",
            namespace: "stack-previews",
            role: "stack-preview-namespace",
            cluster: "preview-cluster",
            pull: "preview-pull",
            stores: "preview-stores",
            stores_role: "stack-preview-stores",
            postgres: &NO_COMPONENT,
            redis: &NO_COMPONENT,
            administrators_chart: None,
        },
        bench: BenchSpec::NONE,
        together: &[],
        stores_verified_by: None,
        contract: &[],
        routing: RouterContract::NONE,
    };
}

impl ChartsSpec {
    /// The umbrella chart `charts/app`, the labels that Kubernetes recommends, and each image as `<image>.image.repository`
    /// and `.digest`.
    pub const DEFAULT: Self = Self {
        folder: "charts",
        umbrella: "app",
        // Helm's own limit.
        release_max: 53,
        release_label: "app.kubernetes.io/instance",
        component_label: "app.kubernetes.io/component",
        image: ImageValues::Split { repository: "{image}.image.repository", digest: "{image}.image.digest" },
    };
}

impl ValuesSpec {
    /// The umbrella chart's values.yaml, for stages local and ci.
    pub const DEFAULT: Self = Self { dev: None, shared: SHARED, preview: None, live: None, all: &[SHARED] };
}

const SHARED: ValuesFile = ValuesFile { name: "local", file: "values.yaml", set: &[], dev: false };

/// The edits that `cargo stack bench` makes, and how it sees that they are served.
#[derive(Debug)]
pub struct BenchSpec {
    /// The check after an edit of the api or of values, and after none.
    pub backend: BenchJudge,
    /// The check after an edit of the page.
    pub page: BenchJudge,
    /// An edit of the api that its answer shows.
    pub backend_edit: BenchEdit,
    /// An edit of the page that its answer shows.
    pub page_edit: BenchEdit,
    /// An edit of the values of stages local and ci that replaces pods.
    pub values_edit: BenchEdit,
    /// An edit with which the api does not start.
    pub broken_import: BenchEdit,
    /// Scenarios with an isolated release, whose bodies take little time.
    pub isolated: &'static [&'static str],
}

impl BenchSpec {
    /// No edits: measurements of edits are refused.
    const NONE: Self = Self {
        backend: BenchJudge::NONE,
        page: BenchJudge::NONE,
        backend_edit: BenchEdit::NONE,
        page_edit: BenchEdit::NONE,
        values_edit: BenchEdit::NONE,
        broken_import: BenchEdit::NONE,
        isolated: &[],
    };
}

impl BenchJudge {
    const NONE: Self = Self { scenario: "", path: "/" };
}

impl BenchEdit {
    const NONE: Self =
        Self { file: "skaffold.yaml", from: "an edit that the stack's spec names", to: "", shows: false };
}

/// The check that an edit is served.
#[derive(Debug)]
pub struct BenchJudge {
    /// The scenario that checks the harness's own release.
    pub scenario: &'static str,
    /// The path that is requested of a peer's release.
    pub path: &'static str,
}

/// A one-line edit of a file.
#[derive(Debug)]
pub struct BenchEdit {
    /// The file, in the checkout.
    pub file: &'static str,
    /// The text that the edit replaces.
    pub from: &'static str,
    /// The new text; `{number}` is another number each time.
    pub to: &'static str,
    /// Whether the answer at the checked path shows the number.
    pub shows: bool,
}

static STACK: OnceLock<&'static StackSpec> = OnceLock::new();

/// Sets this program's stack; `main` calls it once, and later calls change nothing.
pub fn of(stack: &'static StackSpec) {
    let _ = STACK.set(stack);
}

/// The stack of this program.
///
/// # Panics
/// When `main` has not called [`of`]: no command and no scenario works without a stack.
pub fn spec() -> &'static StackSpec {
    #[expect(clippy::expect_used, reason = "a program without its stack does not pass its first run")]
    STACK.get().expect("main says of which stack this program is: harness::spec::of")
}
