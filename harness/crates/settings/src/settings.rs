//! What the environment asks for: the only reader of environment variables.
//!
//! Every variable is a documented constant here; [`Settings::parse`] is pure, and never fails: a value that is not allowed is
//! refused where it is asked for ([`Setting::get`]), so that a variable of somebody else's keeps nobody from a task that
//! does not use it. A run refuses all of ours before it begins ([`Settings::check`]).

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::environment::Environment;
use crate::spec::variable::in_a_variable;
pub use crate::spec::variable::{ARTIFACTS, KIND_NODE_IMAGE, OwnVariable, RUN_DIR, SETUP, STAGE, TOOLBOX};
use crate::spec::{Built, spec};
use crate::stage::Stage;
use harness_base::Result;
use harness_base::events::Show;
use harness_base::secrets;
use harness_base::setting::Refusal;
pub use harness_base::setting::Setting;
use harness_kube::kubeconfig::KubeconfigFiles;
use harness_kube::window::{LONGEST_SECS, Window, Windows};

/// `skaffold|helm`: which of the two deploys the stage's release; default `skaffold`.
pub const DEPLOYER: OwnVariable = OwnVariable("DEPLOYER");
/// `never|on-failure|always`: whether the cluster stays after the run; default `always`, under CI `never`.
pub const KEEP: OwnVariable = OwnVariable("KEEP");
/// Seconds until a kept cluster that nobody uses is deleted; default 1800; 0: never.
pub const IDLE_TTL_SECS: OwnVariable = OwnVariable("IDLE_TTL_SECS");
/// The image registry that [`REGISTRY_USERNAME`] and [`REGISTRY_PASSWORD`] are for, as image references name it;
/// without it, the engine's client's own configuration ([`DOCKER_CONFIG`]) says who we are at which registry.
pub const REGISTRY_SERVER: OwnVariable = OwnVariable("REGISTRY_SERVER");
/// The account at [`REGISTRY_SERVER`].
pub const REGISTRY_USERNAME: OwnVariable = OwnVariable("REGISTRY_USERNAME");
/// Its password or token; never printed, and written into the clusters' pull secrets alone.
pub const REGISTRY_PASSWORD: OwnVariable = OwnVariable("REGISTRY_PASSWORD");
/// The address that stage live looks at; default the spec's.
pub const LIVE_URL: OwnVariable = OwnVariable("LIVE_URL");
/// The account that stage live's scenarios of a signed-in user sign in with; without it they are ignored.
pub const ACCOUNT_LOGIN: OwnVariable = OwnVariable("ACCOUNT_LOGIN");
/// Its password; never printed.
pub const ACCOUNT_PASSWORD: OwnVariable = OwnVariable("ACCOUNT_PASSWORD");
/// The revision that stage live is meant to serve, or that stage preview deploys: 7 to 40 hexadecimal digits. In stage
/// live any is right without it; stage preview wants it.
pub const GIT_SHA: &str = "GIT_SHA";
/// The pull request that a preview is of: a positive whole number, as GitHub writes it.
pub const PR_NUMBER: &str = "PR_NUMBER";
/// The context of the existing cluster that stage preview uses; the current context is never taken.
pub const KUBE_CONTEXT: OwnVariable = OwnVariable("KUBE_CONTEXT");
/// The contexts that stage preview may use: a pattern in which `*` stands for any text, such as
/// `arn:aws:eks:*:cluster/previews`. Without it none may be used.
pub const KUBE_CONTEXT_ALLOW: OwnVariable = OwnVariable("KUBE_CONTEXT_ALLOW");
/// What the cluster of [`KUBE_CONTEXT`] calls itself (`cluster` of charts/preview-sweeper): one that says anything else is not
/// touched.
pub const PREVIEW_CLUSTER: OwnVariable = OwnVariable("PREVIEW_CLUSTER");
/// The files that hold [`KUBE_CONTEXT`], divided by colons and merged as kubectl merges them; default: `.kube/config` in
/// [`HOME`].
pub const KUBECONFIG: &str = "KUBECONFIG";
/// Where a preview's host is found: `https://` and that host, with another port perhaps, or an address where DNS does
/// not know the host (`https://127.0.0.1:8443`): the host in requests and certificates stays the preview's.
pub const PREVIEW_URL: OwnVariable = OwnVariable("PREVIEW_URL");
/// Hours until a preview that nobody deploys again is swept; default 72.
pub const PREVIEW_LIFETIME_HOURS: OwnVariable = OwnVariable("PREVIEW_LIFETIME_HOURS");
/// A further values file, for what is the preview cluster's own (ingress class, address blocks, stores); an absolute path.
pub const PREVIEW_VALUES: OwnVariable = OwnVariable("PREVIEW_VALUES");
/// The folder of charts that stage preview deploys, instead of the checkout's: a pull request's, taken as data.
pub const CHARTS_DIR: OwnVariable = OwnVariable("CHARTS_DIR");
/// A PEM file of further certificate authorities, for requests and for builds behind a TLS proxy.
pub const CA_BUNDLE: OwnVariable = OwnVariable("CA_BUNDLE");
/// Where `cargo stack dev` wrote what the Tiltfile asks for: read by the Tiltfile alone, which asks by itself without.
pub const DEV_INPUTS: OwnVariable = OwnVariable("DEV_INPUTS");

/// How long causes may heal by themselves before a wait gives up, where the defaults do not fit: names of docs/causes.md
/// with whole seconds, 3600 at most, such as `ready=120,room=60`.
pub const WINDOWS: OwnVariable = OwnVariable("WINDOWS");
/// Any value but `0` and `false`: warnings and errors alone go to standard error (`cargo stack --quiet` sets it).
pub const QUIET: OwnVariable = OwnVariable("QUIET");

/// How many tests run at once, where a flag does not say so: libtest's own.
pub const RUST_TEST_THREADS: &str = "RUST_TEST_THREADS";
/// Set by nextest: the identity that all processes of one run share.
pub const NEXTEST_RUN_ID: &str = "NEXTEST_RUN_ID";
/// Set to 1 by nextest for the processes that it starts (nexte.st, "Environment variables nextest sets").
pub const NEXTEST: &str = "NEXTEST";
/// Set by most CI systems; `0`, `false` and the empty string mean no.
pub const CI: &str = "CI";
/// Set by GitHub Actions: where this run's page is (with the two below).
pub const GITHUB_SERVER_URL: &str = "GITHUB_SERVER_URL";
/// Set by GitHub Actions: `owner/name`.
pub const GITHUB_REPOSITORY: &str = "GITHUB_REPOSITORY";
/// Where GitHub's API is; default `https://api.github.com`.
pub const GITHUB_API_URL: &str = "GITHUB_API_URL";
/// The token by which pull requests are looked at; never printed.
pub const GITHUB_TOKEN: &str = "GITHUB_TOKEN";
/// Set by GitHub Actions: the run's number.
pub const GITHUB_RUN_ID: &str = "GITHUB_RUN_ID";
/// `true` in GitHub Actions, where findings are annotations as well.
pub const GITHUB_ACTIONS: &str = "GITHUB_ACTIONS";
/// Any non-empty value turns colours off (no-color.org).
pub const NO_COLOR: &str = "NO_COLOR";
/// XDG base folder of the harness's state (locks, records, kubeconfig).
pub const XDG_STATE_HOME: &str = "XDG_STATE_HOME";
/// XDG base folder of the harness's caches (staged charts, downloads).
pub const XDG_CACHE_HOME: &str = "XDG_CACHE_HOME";
/// The user's home, below which the XDG defaults lie.
pub const HOME: &str = "HOME";
/// Where tools are looked for after the toolbox.
pub const PATH: &str = "PATH";
/// The container engine's address, as its own client reads it.
pub const DOCKER_HOST: &str = "DOCKER_HOST";
/// The folder of the engine's client's own configuration and plugins; default: `.docker` in [`HOME`].
pub const DOCKER_CONFIG: &str = "DOCKER_CONFIG";
/// A PEM file that OpenSSL's convention names; handed to builds when [`CA_BUNDLE`] is not set.
pub const SSL_CERT_FILE: &str = "SSL_CERT_FILE";
/// A PEM file of further certificate authorities, as Node reads it; for web assets when [`CA_BUNDLE`] is not set.
pub const NODE_EXTRA_CA_CERTS: &str = "NODE_EXTRA_CA_CERTS";
/// Where pip looks for packages.
pub const PIP_INDEX_URL: &str = "PIP_INDEX_URL";
/// What a container engine that we start keeps of the environment: proxies, and certificate authorities.
pub const FOR_ENGINE: &[&str] = &[
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    SSL_CERT_FILE,
    "SSL_CERT_DIR",
    HOME,
];
/// Set by cargo for `cargo test`, `cargo run` and nextest: the package's folder, from which the checkout is found.
pub const CARGO_MANIFEST_DIR: &str = "CARGO_MANIFEST_DIR";

/// The settings above that are ours.
const OURS: &[OwnVariable] = &[
    STAGE,
    DEPLOYER,
    KEEP,
    IDLE_TTL_SECS,
    ARTIFACTS,
    REGISTRY_SERVER,
    REGISTRY_USERNAME,
    REGISTRY_PASSWORD,
    LIVE_URL,
    ACCOUNT_LOGIN,
    ACCOUNT_PASSWORD,
    CA_BUNDLE,
    KIND_NODE_IMAGE,
    TOOLBOX,
    SETUP,
    RUN_DIR,
    DEV_INPUTS,
    WINDOWS,
    QUIET,
    KUBE_CONTEXT,
    KUBE_CONTEXT_ALLOW,
    PREVIEW_CLUSTER,
    PREVIEW_URL,
    PREVIEW_LIFETIME_HOURS,
    PREVIEW_VALUES,
    CHARTS_DIR,
];

/// How alike two names must be (0 to 1, Jaro-Winkler) for one to be taken for a slip of the other.
const ALIKE: f64 = 0.93;

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
    /// [`TOOLBOX`].
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

/// What the environment asks for.
#[derive(Debug, Clone)]
pub struct Settings {
    /// [`STAGE`], if set.
    pub stage: Setting<Option<Stage>>,
    /// [`DEPLOYER`].
    pub deployer: Setting<Deployer>,
    /// [`KEEP`].
    pub keep: Setting<Keep>,
    /// [`IDLE_TTL_SECS`]; `None`: a kept cluster stays until it is cleaned.
    pub idle_ttl: Setting<Option<Duration>>,
    /// [`ARTIFACTS`].
    pub artifacts: Setting<Option<String>>,
    /// [`REGISTRY_SERVER`], with its account.
    pub registry_login: Setting<Option<Login>>,
    /// [`LIVE_URL`].
    pub live_url: String,
    /// [`ACCOUNT_LOGIN`] and [`ACCOUNT_PASSWORD`].
    pub account: Setting<Option<UserCredentials>>,
    /// [`GIT_SHA`], in lower case.
    pub git_sha: Setting<Option<String>>,
    /// [`CA_BUNDLE`].
    pub ca_bundle: Setting<Option<PathBuf>>,
    /// The CA file that builds get: [`CA_BUNDLE`], else [`SSL_CERT_FILE`].
    pub build_ca: Setting<Option<PathBuf>>,
    /// The CA file that Node gets: [`CA_BUNDLE`], else [`NODE_EXTRA_CA_CERTS`], else [`SSL_CERT_FILE`].
    pub node_ca: Setting<Option<PathBuf>>,
    /// [`KIND_NODE_IMAGE`].
    pub node_image: Option<String>,
    /// [`TOOLBOX`].
    pub toolbox: Setting<Option<PathBuf>>,
    /// [`SETUP`]: whether what is missing may be installed, started and made here.
    pub setup: Setting<bool>,
    /// `<PREFIX>_<IMAGE>_DIR` of each image that is built here, in the spec's order: its folder, an absolute path; default: a
    /// sibling of the checkout that is named as the image is (any letter case), else the one that the spec names.
    pub image_dirs: Vec<Setting<Option<PathBuf>>>,
    /// [`RUN_DIR`].
    pub run_dir: Setting<Option<PathBuf>>,
    /// [`WINDOWS`].
    pub windows: Setting<Windows>,
    /// [`RUST_TEST_THREADS`], as it stands there.
    pub rust_test_threads: Option<String>,
    /// [`NEXTEST_RUN_ID`].
    pub run_id: Option<String>,
    /// Whether nextest started this process: then it is the run, and this one a part of it.
    pub by_nextest: bool,
    /// The page of the CI run that we are in, out of [`GITHUB_SERVER_URL`], [`GITHUB_REPOSITORY`] and [`GITHUB_RUN_ID`].
    pub run_url: Option<String>,
    /// [`NO_COLOR`].
    pub colour: bool,
    /// [`QUIET`].
    pub quiet: bool,
    /// [`GITHUB_ACTIONS`].
    pub github_actions: bool,
    /// [`XDG_STATE_HOME`] or its default, with our folder.
    pub state_root: PathBuf,
    /// [`XDG_CACHE_HOME`] or its default, with our folder.
    pub cache_root: PathBuf,
    /// [`PATH`].
    pub path: String,
    /// [`DOCKER_HOST`], or the empty string for the client's default.
    pub docker_host: String,
    /// [`DOCKER_CONFIG`] or its default.
    pub docker_config: PathBuf,
    /// Those of [`FOR_ENGINE`] that are set.
    pub for_engine: Vec<(String, String)>,
    /// [`PIP_INDEX_URL`].
    pub pip_index: Option<String>,
    /// The package folder that cargo names, if it runs us.
    pub manifest_dir: Option<PathBuf>,
    /// [`PR_NUMBER`], as it is written.
    pub pr_number: Option<String>,
    /// [`KUBE_CONTEXT`].
    pub kube_context: Option<String>,
    /// [`KUBE_CONTEXT_ALLOW`].
    pub kube_context_allow: Option<String>,
    /// [`PREVIEW_CLUSTER`].
    pub preview_cluster: Option<String>,
    /// [`KUBECONFIG`] or its default.
    pub kubeconfig: Setting<KubeconfigFiles>,
    /// [`PREVIEW_URL`].
    pub preview_url: Option<String>,
    /// [`PREVIEW_LIFETIME_HOURS`].
    pub preview_lifetime: Setting<Duration>,
    /// [`PREVIEW_VALUES`].
    pub preview_values: Setting<Option<PathBuf>>,
    /// [`CHARTS_DIR`].
    pub charts_dir: Setting<Option<PathBuf>>,
    /// [`GITHUB_API_URL`].
    pub github_api: String,
    /// [`GITHUB_REPOSITORY`].
    pub github_repository: Option<String>,
    /// [`GITHUB_TOKEN`].
    pub github_token: Option<Token>,
    /// All of it, of which children are given what their list names.
    pub environment: Environment,
    /// Set names that start with our prefix and mean nothing to us; worth a warning, no more.
    pub unknown: Setting<Vec<String>>,
    refusals: Vec<Refusal>,
}

impl Settings {
    /// Reads this process's environment; the values of variables that are named like secrets are known as such from now on.
    #[expect(clippy::disallowed_methods, reason = "the one reader of the environment")]
    pub fn from_environment() -> Self {
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect::<BTreeMap<_, _>>();
        // Also what is no setting of ours: what we start may print it.
        let secret = variables.iter().filter(|(name, _)| secrets::is_named_like_one(name));
        secret.for_each(|(_, value)| secrets::know(value));
        Self::parse(&variables)
    }

    /// What a person at this process's standard error wants to see of the events.
    pub fn shown(&self) -> Show {
        #[expect(clippy::disallowed_methods, reason = "asked what it is, not written to")]
        let is_terminal = std::io::stderr().is_terminal();
        match (self.quiet, self.colour && is_terminal) {
            (true, _) => Show::Warnings,
            (false, true) => Show::Colour,
            (false, false) => Show::Lines,
        }
    }

    /// Makes settings of variables; an empty value counts as not set.
    pub fn parse(variables: &BTreeMap<String, String>) -> Self {
        let own = |name: OwnVariable| variables.get(&name.name()).map(String::as_str).filter(|value| !value.is_empty());
        let get = |name: &str| variables.get(name).map(String::as_str).filter(|value| !value.is_empty());
        let path = |name: &str| get(name).map(PathBuf::from);
        let absolute = |name: &str| absolute(name, path(name));
        let mut refusals = Refusals::default();
        let yes = |value: Option<&str>| !matches!(value, None | Some("0" | "false" | "no"));
        let ci = yes(get(CI));
        let home = path(HOME).unwrap_or_else(|| PathBuf::from("/"));
        let xdg = |name: &str, default: &str| {
            // The XDG base directory specification: a relative path is to be ignored.
            path(name)
                .filter(|path| path.is_absolute())
                .unwrap_or_else(|| home.join(default))
                .join(format!("{}-stack", spec().name))
        };
        let deployers = [("skaffold", Deployer::Skaffold), ("helm", Deployer::Helm)];
        let deployer = choice(&DEPLOYER.name(), own(DEPLOYER), deployers);
        let keeps = [("never", Keep::Never), ("on-failure", Keep::OnFailure), ("always", Keep::Always)];
        let keep = choice(&KEEP.name(), own(KEEP), keeps);
        let setup = choice(&SETUP.name(), own(SETUP), [("auto", true), ("never", false)]);
        let ca_bundle = absolute(&CA_BUNDLE.name());
        let ca_else =
            |others: &[&str]| ca_bundle.clone().map(|ours| others.iter().fold(ours, |ca, name| ca.or(path(name))));
        let mut settings = Self {
            environment: Environment::new(variables),
            unknown: refusals.note(unknown_names(variables)),
            stage: refusals.note(choice(&STAGE.name(), own(STAGE), Stage::ALL.map(|stage| (stage.name(), stage)))),
            deployer: refusals.note(deployer.map(|deployer| deployer.unwrap_or(Deployer::Skaffold))),
            keep: refusals.note(keep.map(|keep| keep.unwrap_or(if ci { Keep::Never } else { Keep::Always }))),
            idle_ttl: refusals.note(idle_ttl(own(IDLE_TTL_SECS))),
            artifacts: refusals.note(artifacts(own(ARTIFACTS))),
            registry_login: refusals.note(login(own(REGISTRY_SERVER), own(REGISTRY_USERNAME), own(REGISTRY_PASSWORD))),
            live_url: own(LIVE_URL).unwrap_or(spec().live_url).trim_end_matches('/').to_owned(),
            account: refusals.note(account(own(ACCOUNT_LOGIN), own(ACCOUNT_PASSWORD))),
            git_sha: refusals.note(revision(get(GIT_SHA))),
            build_ca: refusals.note(ca_else(&[SSL_CERT_FILE])),
            node_ca: refusals.note(ca_else(&[NODE_EXTRA_CA_CERTS, SSL_CERT_FILE])),
            ca_bundle: refusals.note(ca_bundle),
            node_image: own(KIND_NODE_IMAGE).map(str::to_owned),
            toolbox: refusals.note(absolute(&TOOLBOX.name())),
            setup: refusals.note(setup.map(|may| may.unwrap_or(true))),
            image_dirs: spec().images.built.iter().map(|image| refusals.note(absolute(&image_dir(image)))).collect(),
            run_dir: refusals.note(absolute(&RUN_DIR.name())),
            windows: refusals.note(windows(own(WINDOWS))),
            rust_test_threads: get(RUST_TEST_THREADS).map(str::to_owned),
            run_id: get(NEXTEST_RUN_ID).map(str::to_owned),
            by_nextest: get(NEXTEST) == Some("1"),
            run_url: get(GITHUB_SERVER_URL)
                .zip(get(GITHUB_REPOSITORY))
                .zip(get(GITHUB_RUN_ID))
                .map(|((server, repository), run)| format!("{server}/{repository}/actions/runs/{run}")),
            colour: get(NO_COLOR).is_none(),
            quiet: yes(own(QUIET)),
            github_actions: yes(get(GITHUB_ACTIONS)),
            state_root: xdg(XDG_STATE_HOME, ".local/state"),
            cache_root: xdg(XDG_CACHE_HOME, ".cache"),
            path: get(PATH).unwrap_or_default().to_owned(),
            docker_host: get(DOCKER_HOST).unwrap_or_default().to_owned(),
            docker_config: path(DOCKER_CONFIG).unwrap_or_else(|| home.join(".docker")),
            for_engine: FOR_ENGINE
                .iter()
                .filter_map(|name| Some(((*name).to_owned(), get(name)?.to_owned())))
                .collect(),
            pip_index: get(PIP_INDEX_URL).map(str::to_owned),
            manifest_dir: path(CARGO_MANIFEST_DIR),
            pr_number: get(PR_NUMBER).map(str::to_owned),
            kube_context: own(KUBE_CONTEXT).map(str::to_owned),
            kube_context_allow: own(KUBE_CONTEXT_ALLOW).map(str::to_owned),
            preview_cluster: own(PREVIEW_CLUSTER).map(str::to_owned),
            kubeconfig: refusals.note(kubeconfig(get(KUBECONFIG), &home)),
            preview_url: own(PREVIEW_URL).map(str::to_owned),
            preview_lifetime: refusals.note(lifetime(own(PREVIEW_LIFETIME_HOURS))),
            preview_values: refusals.note(absolute(&PREVIEW_VALUES.name())),
            charts_dir: refusals.note(absolute(&CHARTS_DIR.name())),
            github_api: get(GITHUB_API_URL).unwrap_or("https://api.github.com").trim_end_matches('/').to_owned(),
            github_repository: get(GITHUB_REPOSITORY).map(str::to_owned),
            github_token: get(GITHUB_TOKEN).map(|token| Token(token.to_owned())),
            refusals: Vec::new(),
        };
        settings.refusals = refusals.0;
        settings
    }

    /// Refuses before a run of a stage what it would meet later: any value of ours that is not allowed, a name close to a
    /// setting's, and of the variables that others set too those that the stage uses.
    ///
    /// # Errors
    /// [`harness_base::Error::Refused`] for the first of them.
    pub fn check(&self, stage: Stage) -> Result<()> {
        let uses = |refusal: &&Refusal| match refusal.name.as_str() {
            GIT_SHA => matches!(stage, Stage::Live | Stage::Preview),
            KUBECONFIG => stage == Stage::Preview,
            _ => true,
        };
        self.refusals.iter().find(uses).map_or(Ok(()), |refusal| Err(refusal.error()))
    }

    /// The variables of ours whose text is not allowed: each with what is wrong, and what mends it.
    pub fn refused(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        let ours = self.refusals.iter().filter(|refusal| refusal.name.starts_with(&prefix()));
        ours.map(|refusal| (refusal.name.as_str(), refusal.what.as_str(), refusal.next.as_str()))
    }

    /// [`SETUP`], for who only looks: a value that is not allowed allows nothing.
    pub fn may_set_up(&self) -> bool {
        self.setup.get().unwrap_or(false)
    }

    /// Where tools are looked for, and how they are set up.
    pub fn tools(&self) -> ToolOptions {
        ToolOptions {
            toolbox: self.toolbox.clone(),
            path: std::env::split_paths(&self.path).filter(|folder| folder.is_absolute()).collect(),
            cache_root: self.cache_root.clone(),
            docker_config: self.docker_config.clone(),
            ca_bundle: self.ca_bundle.clone(),
            node_ca: self.node_ca.clone(),
            may_set_up: self.may_set_up(),
            environment: self.environment.clone(),
        }
    }
}

/// What was refused while variables were read.
#[derive(Default)]
struct Refusals(Vec<Refusal>);

impl Refusals {
    fn note<T>(&mut self, outcome: Result<T, Refusal>) -> Setting<T> {
        if let Some(refusal) = outcome.as_ref().err().filter(|refusal| !self.0.contains(refusal)) {
            self.0.push(refusal.clone());
        }
        Setting(outcome)
    }
}

/// Cargo runs each suite in its package's folder: a relative path would mean another place in each.
fn absolute(name: &str, path: Option<PathBuf>) -> Result<Option<PathBuf>, Refusal> {
    match path {
        Some(path) if !path.is_absolute() => Err(refuse(name, &path.to_string_lossy(), "an absolute path")),
        other => Ok(other),
    }
}

/// Each absolute, as [`absolute`] says; empty names mean nothing, as to kubectl.
fn kubeconfig(value: Option<&str>, home: &Path) -> Result<KubeconfigFiles, Refusal> {
    let text = value.unwrap_or_default();
    let files: Vec<PathBuf> = text.split(':').filter(|name| !name.is_empty()).map(PathBuf::from).collect();
    if files.iter().any(|file| !file.is_absolute()) {
        return Err(refuse(KUBECONFIG, text, "absolute paths, divided by colons"));
    }
    Ok(KubeconfigFiles::new(if files.is_empty() { vec![home.join(".kube/config")] } else { files }))
}

fn idle_ttl(value: Option<&str>) -> Result<Option<Duration>, Refusal> {
    let text = value.unwrap_or("1800");
    let number = "a whole number of seconds, 0 for no limit";
    let seconds = text.parse::<u64>().map_err(|_| refuse(&IDLE_TTL_SECS.name(), text, number))?;
    Ok((seconds > 0).then(|| Duration::from_secs(seconds)))
}

/// Each `name=seconds`, divided by commas.
fn windows(value: Option<&str>) -> Result<Windows, Refusal> {
    let mut set = BTreeMap::new();
    for part in value.into_iter().flat_map(|text| text.split(',')) {
        let refused = |why: String| {
            let names = Window::SETTABLE.map(Window::name).join(", ");
            refusal(
                &WINDOWS.name(),
                format!("{WINDOWS}={} is not allowed: {why}", value.unwrap_or_default()),
                format!(
                    "set {WINDOWS} as in ready=120,room=60, of {names}, in whole seconds up to {LONGEST_SECS}, or unset it"
                ),
            )
        };
        let (name, seconds) = part.split_once('=').ok_or_else(|| refused(format!("{part:?} is no name=seconds")))?;
        let window = Window::SETTABLE.into_iter().find(|window| window.name() == name);
        let window = window.ok_or_else(|| refused(format!("there is no window {name:?}")))?;
        let length = seconds.parse().ok().filter(|seconds| *seconds <= LONGEST_SECS).map(Duration::from_secs);
        let length =
            length.ok_or_else(|| refused(format!("{seconds:?} is no whole number from 0 to {LONGEST_SECS}")))?;
        if set.insert(window, length).is_some() {
            return Err(refused(format!("{name} is there twice")));
        }
    }
    Ok(Windows::new(set))
}

/// One of a few words, or nothing when the variable is not set.
fn choice<T: Copy, const N: usize>(
    name: &str,
    value: Option<&str>,
    allowed: [(&str, T); N],
) -> Result<Option<T>, Refusal> {
    let Some(value) = value else { return Ok(None) };
    if let Some((_, meaning)) = allowed.iter().find(|(word, _)| *word == value) {
        return Ok(Some(*meaning));
    }
    Err(refuse(name, value, &format!("one of {}", allowed.map(|(word, _)| word).join(", "))))
}

/// Cargo runs each suite in its package's folder, so a relative path would mean another file in each.
fn artifacts(value: Option<&str>) -> Result<Option<String>, Refusal> {
    match value {
        Some(text) if !text.starts_with("https://") && !text.starts_with('/') => {
            Err(refuse(&ARTIFACTS.name(), text, "an absolute path or an https address"))
        }
        other => Ok(other.map(str::to_owned)),
    }
}

/// All three or none: two of them log nobody in, and the third is then looked for elsewhere in vain.
fn login(server: Option<&str>, username: Option<&str>, password: Option<&str>) -> Result<Option<Login>, Refusal> {
    match (server, username, password) {
        (None, None, None) => Ok(None),
        (Some(server), Some(username), Some(password)) if !server.contains('/') => {
            Ok(Some(Login { server: server.to_owned(), username: username.to_owned(), password: password.to_owned() }))
        }
        (Some(server), Some(_), Some(_)) => {
            Err(refuse(&REGISTRY_SERVER.name(), server, "a registry's name alone, such as ghcr.io or 127.0.0.1:5000"))
        }
        _ => Err(refusal(
            &REGISTRY_SERVER.name(),
            format!("of {REGISTRY_SERVER}, {REGISTRY_USERNAME} and {REGISTRY_PASSWORD} some are set and some are not"),
            "set all three, or none",
        )),
    }
}

/// Both or none: half of an account signs nobody in, and its scenarios would be ignored.
fn account(login: Option<&str>, password: Option<&str>) -> Result<Option<UserCredentials>, Refusal> {
    match (login, password) {
        (None, None) => Ok(None),
        (Some(login), Some(password)) => {
            Ok(Some(UserCredentials { login: login.to_owned(), password: password.to_owned() }))
        }
        _ => Err(refusal(
            &ACCOUNT_LOGIN.name(),
            format!("of {ACCOUNT_LOGIN} and {ACCOUNT_PASSWORD} one is set and one is not"),
            "set both, or none",
        )),
    }
}

/// A revision as git writes it, whole or abbreviated; a branch or a tag says nothing about what is served.
fn revision(value: Option<&str>) -> Result<Option<String>, Refusal> {
    match value {
        Some(text) if !(7..=40).contains(&text.len()) || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) => {
            Err(refuse(GIT_SHA, text, "7 to 40 hexadecimal digits"))
        }
        other => Ok(other.map(str::to_ascii_lowercase)),
    }
}

/// From an hour to thirty days: a preview always ends.
fn lifetime(value: Option<&str>) -> Result<Duration, Refusal> {
    let text = value.unwrap_or("72");
    let hours = text.parse::<u64>().ok().filter(|hours| (1..=720).contains(hours));
    let hours =
        hours.ok_or_else(|| refuse(&PREVIEW_LIFETIME_HOURS.name(), text, "a whole number of hours, 1 to 720"))?;
    Ok(Duration::from_secs(hours * 3600))
}

fn refuse(name: &str, value: &str, allowed: &str) -> Refusal {
    refusal(name, format!("{name}={value} is not allowed"), format!("set {name} to {allowed}, or unset it"))
}

fn refusal(name: &str, what: String, next: impl Into<String>) -> Refusal {
    Refusal { name: name.to_owned(), what, next: next.into() }
}

/// What the names of our variables begin with.
fn prefix() -> String {
    format!("{}_", spec().env_prefix)
}

/// The variable that names the folder of an image that is built here.
pub fn image_dir(image: &Built) -> String {
    format!("{}{}_DIR", prefix(), in_a_variable(image.name).to_ascii_uppercase())
}

/// Names that start with our prefix and are neither ours nor the services'.
fn unknown_names(variables: &BTreeMap<String, String>) -> Result<Vec<String>, Refusal> {
    let prefix = prefix();
    let dirs = spec().images.built.iter().map(image_dir);
    let ours: Vec<String> = OURS.iter().map(|setting| setting.name()).chain(dirs).collect();
    let mut unknown = Vec::new();
    for (name, own) in variables.keys().filter_map(|name| Some((name, name.strip_prefix(&prefix)?))) {
        if ours.contains(name) || spec().services_variables.contains(&own) {
            continue;
        }
        let likeness = |setting: &&String| strsim::jaro_winkler(own, &setting[prefix.len()..]);
        let closest = ours.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
        if let Some(setting) = closest.filter(|setting| likeness(setting) >= ALIKE) {
            return Err(refusal(
                name,
                format!("{name} is not a setting; did you mean {setting}?"),
                format!("set {setting}, or unset {name}"),
            ));
        }
        unknown.push(name.clone());
    }
    Ok(unknown)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn parse(pairs: &[(&str, &str)]) -> Settings {
        Settings::parse(&pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    fn checked(pairs: &[(&str, &str)]) -> Result<Settings> {
        let settings = parse(pairs);
        settings.check(Stage::Preview)?;
        Ok(settings)
    }

    #[rstest]
    #[case::stage("SHOP_STAGE", "locl", "one of dev, local, ci, preview, live")]
    #[case::keep("SHOP_KEEP", "1", "one of never, on-failure, always")]
    #[case::deployer("SHOP_DEPLOYER", "Helm", "one of skaffold, helm")]
    #[case::idle("SHOP_IDLE_TTL_SECS", "10s", "a whole number of seconds")]
    #[case::relative("SHOP_RUN_DIR", "target/run", "an absolute path")]
    #[case::artifacts("SHOP_ARTIFACTS", "set.json", "an absolute path or an https address")]
    #[case::plain_http("SHOP_ARTIFACTS", "http://x/set.json", "an absolute path or an https address")]
    #[case::half_a_login("SHOP_REGISTRY_SERVER", "ghcr.io", "set all three, or none")]
    #[case::half_an_account("SHOP_ACCOUNT_LOGIN", "somebody", "set both, or none")]
    #[case::branch("GIT_SHA", "main", "7 to 40 hexadecimal digits")]
    #[case::too_long("GIT_SHA", "0123456789012345678901234567890123456789a", "7 to 40 hexadecimal digits")]
    #[case::kubeconfigs("KUBECONFIG", "/one:two", "absolute paths, divided by colons")]
    #[case::no_lifetime("SHOP_PREVIEW_LIFETIME_HOURS", "0", "1 to 720")]
    #[case::no_window(
        "SHOP_WINDOWS",
        "redy=120",
        "answered, retried, replaced, room, restarted, mount, pulled, ready, unbounded"
    )]
    #[case::a_window_that_is_none("SHOP_WINDOWS", "none=5", "there is no window \"none\"")]
    #[case::a_window_in_capitals("SHOP_WINDOWS", "READY=120", "there is no window \"READY\"")]
    #[case::a_window_without_seconds("SHOP_WINDOWS", "ready", "\"ready\" is no name=seconds")]
    #[case::a_window_after_the_last("SHOP_WINDOWS", "ready=120,", "\"\" is no name=seconds")]
    #[case::a_window_with_a_unit("SHOP_WINDOWS", "ready=2m", "\"2m\" is no whole number from 0 to 3600")]
    #[case::a_window_too_long("SHOP_WINDOWS", "ready=3601", "\"3601\" is no whole number from 0 to 3600")]
    #[case::a_window_twice("SHOP_WINDOWS", "ready=1,room=2,ready=1", "ready is there twice")]
    #[case::slip("SHOP_STAG", "ci", "did you mean SHOP_STAGE?")]
    #[case::plural("SHOP_DEPLOYERS", "helm", "did you mean SHOP_DEPLOYER?")]
    #[case::case("SHOP_LIVEURL", "x", "did you mean SHOP_LIVE_URL?")]
    fn refuses(#[case] name: &str, #[case] value: &str, #[case] says: &str) {
        let text = checked(&[(name, value)]).unwrap_err().report();
        assert!(text.contains(says), "{text}");
        assert!(text.contains(name), "{text}");
    }

    #[rstest]
    #[case::off("0", Keep::Always)]
    #[case::false_word("false", Keep::Always)]
    #[case::empty("", Keep::Always)]
    #[case::on("true", Keep::Never)]
    #[case::one("1", Keep::Never)]
    fn ci_decides_what_is_kept(#[case] ci: &str, #[case] keep: Keep) {
        assert_eq!(parse(&[("CI", ci)]).keep.get().unwrap(), keep);
    }

    #[rstest]
    #[case::nothing("", "/home/me/.kube/config")]
    #[case::one("/one", "/one")]
    #[case::some(":/one::/two:", "/one:/two")]
    fn the_kubeconfigs_are_those_that_are_named(#[case] value: &str, #[case] files: &str) {
        let settings = checked(&[("HOME", "/home/me"), ("KUBECONFIG", value)]).unwrap();
        assert_eq!(settings.kubeconfig.get().unwrap().to_string(), files);
    }

    #[rstest]
    #[case::nothing("", &[])]
    #[case::one("ready=120", &[(Window::Ready, 120)])]
    #[case::some("room=0,unbounded=3600", &[(Window::Room, 0), (Window::Unbounded, 3600)])]
    fn windows_are_set_by_name(#[case] value: &str, #[case] set: &[(Window, u64)]) {
        let set = set.iter().map(|(window, secs)| (*window, Duration::from_secs(*secs))).collect();
        assert_eq!(checked(&[("SHOP_WINDOWS", value)]).unwrap().windows.get().unwrap(), Windows::new(set));
    }

    #[test]
    fn services_names_are_left_alone_and_strange_ones_reported() {
        let settings = parse(&[("SHOP_DB_HOST", "x"), ("SHOP_COLOUR_OF_THE_SKY", "blue")]);
        assert_eq!(settings.unknown.get().unwrap(), ["SHOP_COLOUR_OF_THE_SKY"]);
    }

    #[test]
    fn a_relative_xdg_folder_is_ignored() {
        let settings = parse(&[("HOME", "/h"), ("XDG_STATE_HOME", "here")]);
        assert_eq!(settings.state_root, PathBuf::from("/h/.local/state/shop-stack"));
    }

    #[test]
    fn a_login_never_shows_its_password() {
        let login = |server| {
            checked(&[
                ("SHOP_REGISTRY_SERVER", server),
                ("SHOP_REGISTRY_USERNAME", "robot"),
                ("SHOP_REGISTRY_PASSWORD", "hunter2"),
            ])
        };
        let shown = format!("{:?}", login("ghcr.io").unwrap());
        assert!(shown.contains("robot at ghcr.io") && !shown.contains("hunter2"), "{shown}");
        let error = login("https://ghcr.io/v2").unwrap_err().report();
        assert!(error.contains("a registry's name alone") && !error.contains("hunter2"), "{error}");
    }

    #[test]
    fn an_account_never_shows_its_password() {
        let pairs = [("SHOP_ACCOUNT_LOGIN", "somebody"), ("SHOP_ACCOUNT_PASSWORD", "hunter2")];
        let shown = format!("{:?}", checked(&pairs).unwrap());
        assert!(shown.contains("somebody") && !shown.contains("hunter2"), "{shown}");
        let half = checked(&pairs[1..]).unwrap_err().report();
        assert!(!half.contains("hunter2"), "{half}");
    }

    #[test]
    fn a_revision_is_in_lower_case() {
        assert_eq!(parse(&[("GIT_SHA", "ABCDEF0")]).git_sha.get().unwrap().as_deref(), Some("abcdef0"));
    }

    #[test]
    fn empty_is_not_set() {
        let settings = parse(&[("SHOP_STAGE", ""), ("SHOP_IDLE_TTL_SECS", "0")]);
        assert_eq!((settings.stage.get().unwrap(), settings.idle_ttl.get().unwrap()), (None, None));
    }

    #[rstest]
    #[case::in_stages_that_ask("GIT_SHA", "main", &[Stage::Preview, Stage::Live])]
    #[case::in_stage_preview("KUBECONFIG", "one:two", &[Stage::Preview])]
    #[case::ours("SHOP_PREVIEW_LIFETIME_HOURS", "0", &Stage::ALL)]
    fn what_others_set_is_refused_where_it_is_used(#[case] name: &str, #[case] value: &str, #[case] refused: &[Stage]) {
        let settings = parse(&[(name, value)]);
        for stage in Stage::ALL {
            assert_eq!(settings.check(stage).is_err(), refused.contains(&stage), "{stage}");
        }
    }

    #[test]
    fn one_wrong_value_keeps_no_other_from_being_asked_for() {
        let settings = parse(&[("GIT_SHA", "main"), ("SHOP_CA_BUNDLE", "ca.pem"), ("SHOP_KEEP", "never")]);
        assert_eq!(settings.keep.get().unwrap(), Keep::Never);
        let wrong =
            [settings.git_sha.get().is_err(), settings.build_ca.get().is_err(), settings.node_ca.get().is_err()];
        assert_eq!(wrong, [true; 3]);
        let refused: Vec<_> = settings.refused().map(|(name, ..)| name).collect();
        assert_eq!(refused, ["SHOP_CA_BUNDLE"], "once, and none of somebody else's");
    }

    #[test]
    fn where_it_is_unclear_nothing_may_be_set_up() {
        assert!(parse(&[]).may_set_up());
        assert!(!parse(&[("SHOP_SETUP", "nevr")]).may_set_up());
    }

    #[test]
    fn the_documented_windows_are_those_that_count() {
        let docs = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../docs/causes.md")).unwrap();
        let rows = docs.lines().filter(|line| line.starts_with("| `"));
        let documented: Vec<_> = rows.filter_map(|row| Some(row.split_once(" s | ")?.0)).collect();
        let all = [Window::None].into_iter().chain(Window::SETTABLE);
        let wanted: Vec<_> = all.map(|window| format!("| `{}` | {}", window.name(), window.default_secs())).collect();
        assert_eq!(documented, wanted);
    }
}
