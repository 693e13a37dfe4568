//! The names of the variables, with their allowed values and defaults.

use crate::spec::variable::{ARTIFACTS, KIND_NODE_IMAGE, OwnVariable, RUN_DIR, SETUP, STAGE, TOOLBOX};

/// `skaffold|helm`: the tool that deploys the stage's release; default `skaffold`.
pub const DEPLOYER: OwnVariable = OwnVariable("DEPLOYER");
/// `never|on-failure|always`: whether the cluster stays after the run; default `always`, under CI `never`.
pub const KEEP: OwnVariable = OwnVariable("KEEP");
/// Seconds until an unused kept cluster is deleted; default 1800; 0 means never.
pub const IDLE_TTL_SECS: OwnVariable = OwnVariable("IDLE_TTL_SECS");
/// The image registry of [`REGISTRY_USERNAME`] and [`REGISTRY_PASSWORD`], by its name in image references; default: the
/// accounts in the configuration of the engine's client ([`DOCKER_CONFIG`]).
pub const REGISTRY_SERVER: OwnVariable = OwnVariable("REGISTRY_SERVER");
/// The account's name at [`REGISTRY_SERVER`].
pub const REGISTRY_USERNAME: OwnVariable = OwnVariable("REGISTRY_USERNAME");
/// The account's password or token at [`REGISTRY_SERVER`]; never printed, and written into the clusters' pull secrets alone.
pub const REGISTRY_PASSWORD: OwnVariable = OwnVariable("REGISTRY_PASSWORD");
/// The URL that stage live looks at; default: the spec's.
pub const LIVE_URL: OwnVariable = OwnVariable("LIVE_URL");
/// The login of the account for stage live's scenarios of a signed-in user; without it they are ignored.
pub const ACCOUNT_LOGIN: OwnVariable = OwnVariable("ACCOUNT_LOGIN");
/// The password of [`ACCOUNT_LOGIN`]; never printed.
pub const ACCOUNT_PASSWORD: OwnVariable = OwnVariable("ACCOUNT_PASSWORD");
/// The revision that stage live should serve, or that stage preview deploys: 7 to 40 hexadecimal digits. Without it stage
/// live accepts any; stage preview requires it.
pub const GIT_SHA: &str = "GIT_SHA";
/// The pull request of a preview: a positive whole number, as GitHub writes it.
pub const PR_NUMBER: &str = "PR_NUMBER";
/// The context of the existing cluster for stage preview; the current context is never used.
pub const KUBE_CONTEXT: OwnVariable = OwnVariable("KUBE_CONTEXT");
/// The contexts that stage preview may use: a pattern in which `*` stands for any text, such as
/// `arn:aws:eks:*:cluster/previews`. Without it none may be used.
pub const KUBE_CONTEXT_ALLOW: OwnVariable = OwnVariable("KUBE_CONTEXT_ALLOW");
/// The name that the cluster of [`KUBE_CONTEXT`] has for itself (`cluster` of the administrators' chart); a cluster with another
/// name is not touched.
pub const PREVIEW_CLUSTER: OwnVariable = OwnVariable("PREVIEW_CLUSTER");
/// The files that hold [`KUBE_CONTEXT`], separated by colons and merged as kubectl merges them; absolute paths; default:
/// `.kube/config` in [`HOME`].
pub const KUBECONFIG: &str = "KUBECONFIG";
/// The URL at which a preview is reached: `https://` and the preview's host, perhaps with another port, or an address where
/// DNS does not know the host (`https://127.0.0.1:8443`); requests and certificates keep the preview's host.
pub const PREVIEW_URL: OwnVariable = OwnVariable("PREVIEW_URL");
/// Hours until a preview that is not deployed again is removed, 1 to 720; default 72.
pub const PREVIEW_LIFETIME_HOURS: OwnVariable = OwnVariable("PREVIEW_LIFETIME_HOURS");
/// A further values file for the preview cluster's own facts (ingress class, address blocks, stores); an absolute path.
pub const PREVIEW_VALUES: OwnVariable = OwnVariable("PREVIEW_VALUES");
/// The folder of the charts that stage preview deploys, such as those of a pull request, taken as data; an absolute path;
/// default: the checkout's.
pub const CHARTS_DIR: OwnVariable = OwnVariable("CHARTS_DIR");
/// A PEM file of further certificate authorities, for requests and for builds behind a TLS proxy; an absolute path.
pub const CA_BUNDLE: OwnVariable = OwnVariable("CA_BUNDLE");
/// The file into which `cargo stack dev` wrote the Tiltfile's inputs; read by the Tiltfile alone, which finds them itself
/// without it.
pub const DEV_INPUTS: OwnVariable = OwnVariable("DEV_INPUTS");

/// How long causes may last before a wait gives up, instead of the defaults: names of docs/causes.md with whole seconds, 3600
/// at most, such as `ready=120,room=60`.
pub const WINDOWS: OwnVariable = OwnVariable("WINDOWS");
/// Any value but `0`, `false` and `no`: warnings and errors alone go to standard error (`cargo stack --quiet` sets it).
pub const QUIET: OwnVariable = OwnVariable("QUIET");

/// libtest's number of tests that run at once, where no flag sets it.
pub const RUST_TEST_THREADS: &str = "RUST_TEST_THREADS";
/// Set by nextest: the identity that all processes of a run share.
pub const NEXTEST_RUN_ID: &str = "NEXTEST_RUN_ID";
/// Set to 1 by nextest for the processes that it starts (nexte.st, "Environment variables nextest sets").
pub const NEXTEST: &str = "NEXTEST";
/// Set by most CI systems; `0`, `false`, `no` and the empty string mean no.
pub const CI: &str = "CI";
/// Set by GitHub Actions: the server of the run's page, whose path is [`GITHUB_REPOSITORY`] and [`GITHUB_RUN_ID`].
pub const GITHUB_SERVER_URL: &str = "GITHUB_SERVER_URL";
/// Set by GitHub Actions: the repository as `owner/name`.
pub const GITHUB_REPOSITORY: &str = "GITHUB_REPOSITORY";
/// The URL of GitHub's API; default `https://api.github.com`.
pub const GITHUB_API_URL: &str = "GITHUB_API_URL";
/// The token for reading pull requests; never printed.
pub const GITHUB_TOKEN: &str = "GITHUB_TOKEN";
/// Set by GitHub Actions: the run's number.
pub const GITHUB_RUN_ID: &str = "GITHUB_RUN_ID";
/// `true` in GitHub Actions, where findings are annotations as well.
pub const GITHUB_ACTIONS: &str = "GITHUB_ACTIONS";
/// Any non-empty value turns colours off (no-color.org).
pub const NO_COLOR: &str = "NO_COLOR";
/// The XDG base folder of the harness's state (locks, records, kubeconfig); default: `.local/state` in [`HOME`].
pub const XDG_STATE_HOME: &str = "XDG_STATE_HOME";
/// The XDG base folder of the harness's caches (staged charts, downloads); default: `.cache` in [`HOME`].
pub const XDG_CACHE_HOME: &str = "XDG_CACHE_HOME";
/// The user's home folder, in which the XDG defaults lie.
pub const HOME: &str = "HOME";
/// The folders in which tools are looked for after the toolbox.
pub const PATH: &str = "PATH";
/// The container engine's address, as its own client reads it.
pub const DOCKER_HOST: &str = "DOCKER_HOST";
/// The folder of the engine's client's own configuration and plugins; default: `.docker` in [`HOME`].
pub const DOCKER_CONFIG: &str = "DOCKER_CONFIG";
/// A PEM file of certificate authorities, by OpenSSL's convention; given to builds when [`CA_BUNDLE`] is unset.
pub const SSL_CERT_FILE: &str = "SSL_CERT_FILE";
/// A PEM file of further certificate authorities, as Node reads it; given to Node when [`CA_BUNDLE`] is unset.
pub const NODE_EXTRA_CA_CERTS: &str = "NODE_EXTRA_CA_CERTS";
/// The URL of pip's package index.
pub const PIP_INDEX_URL: &str = "PIP_INDEX_URL";
/// The variables that a container engine started by the harness keeps: proxies and certificate authorities.
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

/// The settings above that have the stack's prefix.
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
