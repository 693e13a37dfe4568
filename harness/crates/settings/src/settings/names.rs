//! The names of all variables, what each says, and its default.

use crate::spec::variable::{ARTIFACTS, KIND_NODE_IMAGE, OwnVariable, RUN_DIR, SETUP, STAGE, TOOLBOX};

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
pub(super) const OURS: &[OwnVariable] = &[
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
