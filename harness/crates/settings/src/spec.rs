//! What the harness is told of a stack. What the rendered charts say (kinds, ports of containers, labels, probes) is read there.
//!
//! A program is of one stack: its `main` says of which ([`of`]), before anything else, and [`spec`] is that stack's from then on.

use std::sync::OnceLock;

pub mod contract;
pub mod variable;

use contract::{Promise, RouterContract};

pub mod sample;

/// A stack of charts, as the harness deploys it and waits for it.
#[derive(Debug)]
pub struct StackSpec {
    /// Begins the names of clusters and namespaces that are made for it.
    pub name: &'static str,
    /// The file that it is written in (`file!()`): where `validate` points when the charts do not bear it out.
    pub source: &'static str,
    /// The domain of its labels and annotations: `<domain>/owner` and the like.
    pub domain: &'static str,
    /// What the names of its variables begin with, but for the underscore.
    pub env_prefix: &'static str,
    /// What follows it in the names of the services' own variables: known, and left alone.
    pub services_variables: &'static [&'static str],
    /// The address that stage live looks at unless it is told another.
    pub live_url: &'static str,
    /// Its charts.
    pub charts: ChartsSpec,
    /// The values of each stage.
    pub values: ValuesSpec,
    /// Namespace of the shared release of stages local and ci.
    pub namespace: &'static str,
    /// Helm release of stages local and ci.
    pub release: &'static str,
    /// Its images.
    pub images: ImagesSpec,
    /// Its workloads.
    pub components: &'static [Component],
    /// The workload whose revision is the release's, and whose image scenarios' Jobs run.
    pub api: &'static Component,
    /// The workload behind which everything is reached.
    pub router: &'static Component,
    /// Paths that answer 200 through the router once every service is reached.
    pub reached: &'static [&'static str],
    /// The Secret that the charts name and never make, if there is one.
    pub auth: Option<AuthSpec>,
    /// How somebody signs in, if anybody does: what an `Account` is.
    pub sign_in: Option<SignInSpec>,
    /// Where the api says which revision it was built from; `None` where it does not: then a preview that answers is taken for
    /// the one that was deployed.
    pub revision: Option<Told>,
    /// The Secret that the charts name for pulling images, if they do: made beside each release, empty where nobody asks.
    pub pull_secret: Option<&'static str>,
    /// The label by which a test's pod may reach the release's services (the charts' NetworkPolicies).
    pub client_label: &'static str,
    /// The edge of stages local, ci and dev.
    pub edge: EdgeSpec,
    /// The folder, below the checkout, of Kind's configuration and of the recipes that make images from package registries.
    pub recipes: &'static str,
    /// Isolated releases.
    pub own: OwnSpec,
    /// Stage dev.
    pub dev: DevSpec,
    /// Stage preview.
    pub preview: PreviewSpec,
    /// What is measured.
    pub bench: BenchSpec,
    /// Variables of containers that are of use together alone: with one, its others are there.
    pub together: &'static [(&'static str, &'static [&'static str])],
    /// The variable of a container by which it looks at the certificate of a store: with it, the store may be anywhere on the
    /// internet.
    pub stores_verified_by: Option<&'static str>,
    /// What the services ask of the charts.
    pub contract: &'static [Promise],
    /// What the router's configuration must do.
    pub routing: RouterContract,
}

/// Where the charts lie.
#[derive(Debug)]
pub struct ChartsSpec {
    /// The folder of all charts, below the checkout.
    pub folder: &'static str,
    /// The umbrella's folder in it.
    pub umbrella: &'static str,
    /// The longest release name that they take, in characters.
    pub release_max: usize,
    /// The label of workloads, Services and pods whose value is the release's name.
    pub release_label: &'static str,
    /// The label by which the pods of a workload are known ([`Component::label`]).
    pub component_label: &'static str,
    /// The values that name an image.
    pub image: ImageValues,
}

/// The values that name an image; `{image}` stands for its name in artifact sets.
#[derive(Debug)]
pub enum ImageValues {
    /// Its repository, and its digest.
    Split {
        /// The repository.
        repository: &'static str,
        /// The digest.
        digest: &'static str,
    },
    /// Both as one reference, `repository@digest`.
    Combined(&'static str),
}

impl ImageValues {
    /// What sets them for one image, as `path=value`.
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

/// The values files.
#[derive(Debug)]
pub struct ValuesSpec {
    /// Stage dev's, if the stack has that stage.
    pub dev: Option<ValuesFile>,
    /// Of stages local and ci.
    pub shared: ValuesFile,
    /// Of stage preview, if the stack has that stage.
    pub preview: Option<ValuesFile>,
    /// Of stage live, if somebody deploys that.
    pub live: Option<ValuesFile>,
    /// Every way in which a stage renders the charts, with what only a deployer knows.
    pub all: &'static [ValuesFile],
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

/// One workload of the release, as scenarios name it.
#[derive(Debug, Clone, Copy)]
pub struct Component {
    /// What follows the release's name in the workload's and the Service's name.
    pub suffix: &'static str,
    /// The value of the label [`ChartsSpec::component_label`] on its pods.
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
    /// Where, through the router, an answer says which pod it is from; `None` where no answer does: then a deploy waits until
    /// the former pods are gone.
    pub instance: Option<Told>,
}

/// What a service says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// The path that is asked, through the router.
    pub path: &'static str,
    /// The place in its JSON, as RFC 6901 writes it: `/data/instance`.
    pub pointer: &'static str,
}

/// How somebody signs in.
#[derive(Debug)]
pub struct SignInSpec {
    /// The path that a POST with login and password goes to, through the router.
    pub path: &'static str,
    /// The members of that POST: login, then password.
    pub members: [&'static str; 2],
    /// The place of the token in its answer's JSON (RFC 6901), which later requests carry as `Authorization: Bearer`.
    pub token: &'static str,
    /// The keys of the Secret beside a release ([`AuthSpec`]) that hold its first account: login, then password.
    pub keys: [&'static str; 2],
}

/// The images of a release.
#[derive(Debug)]
pub struct ImagesSpec {
    /// Those that Skaffold builds.
    pub built: &'static [Built],
    /// Those that are taken from others.
    pub third_party: &'static [ThirdParty],
}

/// An image that Skaffold builds here.
#[derive(Debug, Clone, Copy)]
pub struct Built {
    /// Its name in skaffold.yaml and in artifact sets.
    pub name: &'static str,
    /// Its folder below the checkout, when no sibling repository takes its place.
    pub context: &'static str,
    /// Whether a folder beside the checkout that is named as the image is (in any letter case) and holds a Dockerfile is such a
    /// repository.
    pub sibling: bool,
    /// The image that it is built on, where a build argument names it: then it can be made where no hub is reached. `None`:
    /// the Dockerfile alone knows.
    pub base: Option<BaseImage>,
}

/// An image that others are built on.
#[derive(Debug, Clone, Copy)]
pub struct BaseImage {
    /// The build argument that names it.
    pub argument: &'static str,
    /// Its recipe in base-images ([`StackSpec::recipes`]).
    pub recipe: &'static str,
    /// The official image, by the digest of its index, so that it is the same on every platform.
    pub official: &'static str,
}

/// An image that is somebody else's.
#[derive(Debug, Clone, Copy)]
pub struct ThirdParty {
    /// Its name in artifact sets, and its recipe in kind/base-images.
    pub name: &'static str,
    /// The official image, by the digest of its index.
    pub official: &'static str,
}

/// The Secret `<release>-<suffix>`, made once per namespace and release.
#[derive(Debug)]
pub struct AuthSpec {
    /// What follows the release's name.
    pub suffix: &'static str,
    /// The keys whose values nobody can guess.
    pub random: &'static [&'static str],
    /// The keys whose values are these.
    pub fixed: &'static [(&'static str, &'static str)],
}

/// What stands in for a load balancer.
#[derive(Debug)]
pub struct EdgeSpec {
    /// The label of its namespace, by which the charts let it reach the router.
    pub label: &'static str,
    /// The host that it serves: a name that no DNS knows, so that nobody asks another site by mistake.
    pub host: &'static str,
}

/// What an isolated release takes.
#[derive(Debug)]
pub struct OwnSpec {
    /// The value with which its data is gone with its pods, if there is one.
    pub in_its_pod: Option<&'static str>,
    /// Its memory in bytes, with room for a rolling update; no more run at once than fit, or than there are processors.
    pub bytes: u64,
    /// However much memory there is, more than this at once slow each other down.
    pub most: usize,
}

/// The ports of stage dev, on this machine.
#[derive(Debug)]
pub struct DevSpec {
    /// Where Tilt serves its page and its API.
    pub hud_port: u16,
    /// The components with a debugger, and the port that Tilt forwards to each.
    pub debuggers: &'static [(&'static Component, u16)],
    /// The host of the names that stage dev's images have in the values, which no registry serves.
    pub image_host: &'static str,
    /// Those that Kind's port mappings own (kind/kind-config.yaml).
    pub node_ports: &'static [u16],
    /// Paths that answer 200 at the api's own port once it is reached.
    pub reached: &'static [&'static str],
}

impl DevSpec {
    /// The ports that Tilt owns.
    pub fn tilt_ports(&self) -> Vec<u16> {
        std::iter::once(self.hud_port).chain(self.debuggers.iter().map(|(_, port)| *port)).collect()
    }
}

/// Names in a cluster of previews.
#[derive(Debug)]
pub struct PreviewSpec {
    /// The owner of every preview, as the label `<domain>/owner` says it; what stands beside a release in its namespace is named
    /// so, and no object of a release may begin with it.
    pub reserved: &'static str,
    /// Annotations that the charts' own objects have, beside Kubernetes' and Helm's.
    pub annotations: &'static [&'static str],
    /// What the names of the Secrets with the stores' certificate authorities begin with.
    pub stores_ca: &'static str,
    /// The path of the roles that AWS gives previews.
    pub role_path: &'static str,
    /// What a preview's namespace is called, but for the pull request's number.
    pub prefix: &'static str,
    /// Below which domain previews are served: `pr-<number>.` in front of it.
    pub domain: &'static str,
    /// The namespace that opens a cluster to previews, and holds their Leases (charts/preview-sweeper).
    pub namespace: &'static str,
    /// The ClusterRole that a deployer has in a preview's namespace, and nowhere else (charts/preview-sweeper).
    pub role: &'static str,
    /// The ConfigMap in the namespace whose `name` is what the cluster calls itself.
    pub cluster: &'static str,
    /// The Secret in the namespace by which previews pull their images, where nodes need one: an administrator's, which may
    /// read alone. Each preview gets a copy.
    pub pull: &'static str,
    /// The keeper of previews' stores: its ServiceAccount in the namespace, its ConfigMap there, and its RoleBinding in a
    /// preview's namespace.
    pub stores: &'static str,
    /// The ClusterRole that the keeper has in a preview's namespace (charts/preview-sweeper).
    pub stores_role: &'static str,
    /// The workload whose place a Postgres outside of the cluster takes.
    pub postgres: &'static Component,
    /// The workload whose place a Redis outside of the cluster takes.
    pub redis: &'static Component,
}

/// A workload of a stack that names none.
static NO_COMPONENT: Component = Component::deployment("none", 0);

impl Component {
    /// A Deployment `<release>-<suffix>` and its Service of the same name, whose pods carry that suffix as their component's
    /// label and answer at this port, for the container and the Service; it runs the image of that name.
    pub const fn deployment(suffix: &'static str, port: u16) -> Self {
        Self {
            suffix,
            label: suffix,
            stateful: false,
            container_port: port,
            service_port: port,
            dev_node_port: None,
            artifact: suffix,
            instance: None,
        }
    }

    /// The same as a StatefulSet.
    pub const fn stateful_set(suffix: &'static str, port: u16) -> Self {
        Self { stateful: true, ..Self::deployment(suffix, port) }
    }

    /// The same, which runs the image of this name.
    #[must_use]
    pub const fn running(self, artifact: &'static str) -> Self {
        Self { artifact, ..self }
    }
}

impl StackSpec {
    /// What most stacks have: recommended labels, an image by repository and digest in its subchart's values, no stage but
    /// local and ci. A spec names the rest: `StackSpec { name: "shop", ..StackSpec::DEFAULT }`.
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
        dev: DevSpec { hud_port: 10350, debuggers: &[], image_host: "dev.internal", node_ports: &[], reached: &["/"] },
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
        },
        bench: BenchSpec::NONE,
        together: &[],
        stores_verified_by: None,
        contract: &[],
        routing: RouterContract::NONE,
    };
}

impl ChartsSpec {
    /// `charts/app`, with the labels that Kubernetes recommends, and each image as `<image>.image.repository` and `.digest`.
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
    /// The chart's own values.yaml, for stages local and ci.
    pub const DEFAULT: Self = Self { dev: None, shared: SHARED, preview: None, live: None, all: &[SHARED] };
}

const SHARED: ValuesFile = ValuesFile { name: "local", file: "values.yaml", set: &[], dev: false };

/// What `cargo stack bench` edits, and asks afterwards.
#[derive(Debug)]
pub struct BenchSpec {
    /// What judges an edit of the api, of values, and none.
    pub backend: BenchJudge,
    /// What judges an edit of the page.
    pub page: BenchJudge,
    /// An edit of the api that its answer shows.
    pub backend_edit: BenchEdit,
    /// An edit of the page that it shows.
    pub page_edit: BenchEdit,
    /// An edit of the values of stages local and ci that replaces pods.
    pub values_edit: BenchEdit,
    /// An edit of the api with which it does not start.
    pub broken_import: BenchEdit,
}

impl BenchSpec {
    /// Nothing to edit: the figures of edits refuse to be measured.
    const NONE: Self = Self {
        backend: BenchJudge::NONE,
        page: BenchJudge::NONE,
        backend_edit: BenchEdit::NONE,
        page_edit: BenchEdit::NONE,
        values_edit: BenchEdit::NONE,
        broken_import: BenchEdit::NONE,
    };
}

impl BenchJudge {
    const NONE: Self = Self { scenario: "", path: "/" };
}

impl BenchEdit {
    const NONE: Self =
        Self { file: "skaffold.yaml", from: "an edit that the stack's spec names", to: "", shows: false };
}

/// What judges an edit.
#[derive(Debug)]
pub struct BenchJudge {
    /// The scenario that judges ours.
    pub scenario: &'static str,
    /// What is asked of a peer's release.
    pub path: &'static str,
}

/// A one-line edit.
#[derive(Debug)]
pub struct BenchEdit {
    /// The file, in the checkout.
    pub file: &'static str,
    /// What stands there.
    pub from: &'static str,
    /// What stands there afterwards; `{number}` is another number each time.
    pub to: &'static str,
    /// Whether what is served at the path asked for shows the number.
    pub shows: bool,
}

static STACK: OnceLock<&'static StackSpec> = OnceLock::new();

/// This program is of that stack: said once, by `main`; what is said later counts for nothing.
pub fn of(stack: &'static StackSpec) {
    let _ = STACK.set(stack);
}

/// The stack that this program is of.
///
/// # Panics
/// When `main` has not said of which: no command and no scenario can be without.
pub fn spec() -> &'static StackSpec {
    #[expect(clippy::expect_used, reason = "a program without its stack does not pass its first run")]
    STACK.get().expect("main says of which stack this program is: harness::spec::of")
}
