//! The settings, read from the environment: the only reader of environment variables.
//!
//! Every variable is a documented constant (names.rs). [`Settings::parse`] is pure and never fails: a value that is not
//! allowed is refused when it is asked for ([`Setting::get`]), so that a variable of another program stops no task that does
//! not use it. A run refuses all wrong values before it begins ([`Settings::check`]).

mod names;
mod reading;
mod values;

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;

use harness_base::events::Show;
use harness_base::setting::Refusal;
pub use harness_base::setting::Setting;
use harness_base::{Result, secrets};
use harness_kube::kubeconfig::KubeconfigFiles;
use harness_kube::window::Windows;

use crate::environment::Environment;
use crate::spec::variable::in_a_variable;
pub use crate::spec::variable::{ARTIFACTS, KIND_NODE_IMAGE, OwnVariable, RUN_DIR, SETUP, STAGE, TOOLBOX};
use crate::spec::{Built, spec};
use crate::stage::Stage;
pub use names::*;
use reading::*;
pub use values::*;

/// How alike two names must be (0 to 1, Jaro-Winkler) for one to count as a misspelling of the other.
const ALIKE: f64 = 0.93;

/// The settings of a process.
#[derive(Debug, Clone)]
pub struct Settings {
    /// [`STAGE`], if set.
    pub stage: Setting<Option<Stage>>,
    /// [`DEPLOYER`].
    pub deployer: Setting<Deployer>,
    /// [`KEEP`].
    pub keep: Setting<Keep>,
    /// [`IDLE_TTL_SECS`]; `None` means no limit: a kept cluster stays until it is cleaned.
    pub idle_ttl: Setting<Option<Duration>>,
    /// [`ARTIFACTS`].
    pub artifacts: Setting<Option<String>>,
    /// The account of [`REGISTRY_SERVER`], [`REGISTRY_USERNAME`] and [`REGISTRY_PASSWORD`].
    pub registry_login: Setting<Option<Login>>,
    /// [`LIVE_URL`].
    pub live_url: String,
    /// [`ACCOUNT_LOGIN`] and [`ACCOUNT_PASSWORD`].
    pub account: Setting<Option<UserCredentials>>,
    /// [`GIT_SHA`], in lower case.
    pub git_sha: Setting<Option<String>>,
    /// [`CA_BUNDLE`].
    pub ca_bundle: Setting<Option<PathBuf>>,
    /// The CA file for builds: [`CA_BUNDLE`], else [`SSL_CERT_FILE`].
    pub build_ca: Setting<Option<PathBuf>>,
    /// The CA file for Node: [`CA_BUNDLE`], else [`NODE_EXTRA_CA_CERTS`], else [`SSL_CERT_FILE`].
    pub node_ca: Setting<Option<PathBuf>>,
    /// [`KIND_NODE_IMAGE`].
    pub node_image: Option<String>,
    /// [`TOOLBOX`].
    pub toolbox: Setting<Option<PathBuf>>,
    /// [`SETUP`]: whether missing tools and images may be installed, started and made here.
    pub setup: Setting<bool>,
    /// `<PREFIX>_<IMAGE>_DIR` of each image that is built here, in the spec's order: the image's folder, an absolute path.
    /// Default: a sibling of the checkout with the image's name (any letter case), else the folder that the spec names.
    pub image_dirs: Vec<Setting<Option<PathBuf>>>,
    /// [`RUN_DIR`].
    pub run_dir: Setting<Option<PathBuf>>,
    /// [`WINDOWS`].
    pub windows: Setting<Windows>,
    /// [`RUST_TEST_THREADS`], as text.
    pub rust_test_threads: Option<String>,
    /// [`NEXTEST_RUN_ID`].
    pub run_id: Option<String>,
    /// Whether nextest started this process, which is then a part of nextest's run.
    pub by_nextest: bool,
    /// The URL of the current CI run, from [`GITHUB_SERVER_URL`], [`GITHUB_REPOSITORY`] and [`GITHUB_RUN_ID`].
    pub run_url: Option<String>,
    /// Whether colours are allowed: [`NO_COLOR`] is unset.
    pub colour: bool,
    /// [`QUIET`]: whether warnings and errors alone are shown.
    pub quiet: bool,
    /// [`GITHUB_ACTIONS`]: whether this is a run of GitHub Actions.
    pub github_actions: bool,
    /// The folder `<stack>-stack` in [`XDG_STATE_HOME`]; default: in `.local/state` of [`HOME`].
    pub state_root: PathBuf,
    /// The folder `<stack>-stack` in [`XDG_CACHE_HOME`]; default: in `.cache` of [`HOME`].
    pub cache_root: PathBuf,
    /// [`PATH`]; empty when unset.
    pub path: String,
    /// [`DOCKER_HOST`]; empty for the client's default.
    pub docker_host: String,
    /// [`DOCKER_CONFIG`]; default: `.docker` in [`HOME`].
    pub docker_config: PathBuf,
    /// The variables of [`FOR_ENGINE`] that are set, with their values.
    pub for_engine: Vec<(String, String)>,
    /// [`PIP_INDEX_URL`].
    pub pip_index: Option<String>,
    /// [`CARGO_MANIFEST_DIR`], when cargo runs this process.
    pub manifest_dir: Option<PathBuf>,
    /// [`PR_NUMBER`], as text.
    pub pr_number: Option<String>,
    /// [`KUBE_CONTEXT`].
    pub kube_context: Option<String>,
    /// [`KUBE_CONTEXT_ALLOW`].
    pub kube_context_allow: Option<String>,
    /// [`PREVIEW_CLUSTER`].
    pub preview_cluster: Option<String>,
    /// [`KUBECONFIG`]; default: `.kube/config` in [`HOME`].
    pub kubeconfig: Setting<KubeconfigFiles>,
    /// [`PREVIEW_URL`].
    pub preview_url: Option<String>,
    /// [`PREVIEW_LIFETIME_HOURS`].
    pub preview_lifetime: Setting<Duration>,
    /// [`PREVIEW_VALUES`].
    pub preview_values: Setting<Option<PathBuf>>,
    /// [`CHARTS_DIR`].
    pub charts_dir: Setting<Option<PathBuf>>,
    /// [`GITHUB_API_URL`]; default `https://api.github.com`.
    pub github_api: String,
    /// [`GITHUB_REPOSITORY`].
    pub github_repository: Option<String>,
    /// [`GITHUB_TOKEN`].
    pub github_token: Option<Token>,
    /// The whole environment, of which children get what their list names.
    pub environment: Environment,
    /// Variables with the stack's prefix that are no settings; worth a warning.
    pub unknown: Setting<Vec<String>>,
    refusals: Vec<Refusal>,
}

impl Settings {
    /// Reads this process's environment; redaction knows the values of variables that are named like secrets from now on.
    #[expect(clippy::disallowed_methods, reason = "the one reader of the environment")]
    pub fn from_environment() -> Self {
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect::<BTreeMap<_, _>>();
        // This includes variables that are no settings: a child may print them.
        let secret = variables.iter().filter(|(name, _)| secrets::is_named_like_one(name));
        secret.for_each(|(_, value)| secrets::know(value));
        Self::parse(&variables)
    }

    /// Which events to show on standard error, and how.
    pub fn shown(&self) -> Show {
        #[expect(clippy::disallowed_methods, reason = "asked what it is, not written to")]
        let is_terminal = std::io::stderr().is_terminal();
        match (self.quiet, self.colour && is_terminal) {
            (true, _) => Show::Warnings,
            (false, true) => Show::Colour,
            (false, false) => Show::Lines,
        }
    }

    /// The settings of these variables; an empty value counts as unset.
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
            // The XDG base directory specification says that a relative path is ignored.
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

    /// Checks the variables before a run of a stage: refuses a setting with a value that is not allowed, a name close to a
    /// setting's, and of [`GIT_SHA`] and [`KUBECONFIG`] those that the stage uses.
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

    /// The stack's own variables with values that are not allowed: each name, what is wrong, and what to set instead.
    pub fn refused(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        let ours = self.refusals.iter().filter(|refusal| refusal.name.starts_with(&prefix()));
        ours.map(|refusal| (refusal.name.as_str(), refusal.what.as_str(), refusal.next.as_str()))
    }

    /// [`SETUP`] for code that only looks: `false` where its value is not allowed.
    pub fn may_set_up(&self) -> bool {
        self.setup.get().unwrap_or(false)
    }

    /// The options for finding and installing tools.
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

/// The refusals that came up while variables were read.
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

/// The prefix of the stack's variables, with its underscore.
fn prefix() -> String {
    format!("{}_", spec().env_prefix)
}

/// The name of the variable for the folder of an image that is built here.
pub fn image_dir(image: &Built) -> String {
    format!("{}{}_DIR", prefix(), in_a_variable(image.name).to_ascii_uppercase())
}

/// Variables with the stack's prefix that are neither settings nor the services' own.
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
mod tests;
