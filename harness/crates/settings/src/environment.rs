//! The environment of background children: for each kind of child a list of the user's variables, and nothing else.
//!
//! A variable that could point a tool elsewhere (HELM_*, KUBE*, SKAFFOLD_*, TILT_*, GIT_DIR and the like) or that holds a
//! secret is on no list; a call that needs one sets it itself (`Command::env`). Foreground children (cargo, Tilt under
//! `cargo stack dev`) have the user's whole environment, and are not started by this.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use harness_http::is_loopback;
use http::Uri;
use hyper_util::client::proxy::matcher::Matcher;

use crate::spec::variable::{RUN_DIR, TOOLBOX};

/// Variables that every program may need to find its way on this machine.
const SYSTEM: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "LANGUAGE",
    "LC_*",
    "TZ",
    TMPDIR,
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_STATE_HOME",
    "XDG_RUNTIME_DIR",
    // The folders of version managers, whose shims may stand in PATH for any tool.
    "ASDF_DIR",
    "ASDF_DATA_DIR",
    "MISE_CONFIG_DIR",
    "MISE_DATA_DIR",
    "PYENV_ROOT",
    "PYENV_VERSION",
];
/// The variable that names the folder of temporary files.
const TMPDIR: &str = "TMPDIR";
/// Variables of proxies and certificate authorities.
const NETWORK: &[&str] = &[
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "CURL_CA_BUNDLE",
    "REQUESTS_CA_BUNDLE",
];
/// Variables that select and reach the container engine, as the user's own client reads them. The agent is for `ssh://`.
const ENGINE: &[&str] = &[
    "DOCKER_HOST",
    "DOCKER_CONTEXT",
    "DOCKER_CONFIG",
    "DOCKER_TLS",
    "DOCKER_TLS_VERIFY",
    "DOCKER_CERT_PATH",
    "DOCKER_API_VERSION",
    "BUILDX_CONFIG",
    "SSH_AUTH_SOCK",
];
/// Variables by which a desktop's credential helpers find their store; docker and the harness call them.
const KEYRING: &[&str] = &["DBUS_SESSION_BUS_ADDRESS", "GNUPGHOME", "PASSWORD_STORE_DIR"];
/// Variables of the user's cloud accounts.
const CLOUD: &[&str] = &["AWS_*", "AZURE_*", "AAD_*", "GOOGLE_*", "CLOUDSDK_*"];
/// Variables that say where Go's modules come from.
const GO: &[&str] =
    &["GOPROXY", "GOSUMDB", "GONOSUMDB", "GOPRIVATE", "GONOPROXY", "GOINSECURE", "GOVCS", "GOAUTH", "GOENV", "NETRC"];
/// Variables that say where pip's packages come from.
const PYTHON: &[&str] = &["PIP_*", "NETRC"];
/// Variables that say where npm's packages come from.
const NODE: &[&str] = &["npm_config_*", "NPM_CONFIG_*", "YARN_*", "NODE_EXTRA_CA_CERTS"];
/// Variables that tell image recipes where Debian's packages are.
const RECIPE: &[&str] = &["DEBIAN_MIRROR"];

/// Variables of the user's Rust toolchain, and of C's, which some crates are built with; crates' build scripts see them all.
const CARGO: &[&str] = &[
    "CARGO_*",
    "RUST*",
    "CC",
    "CC_*",
    "CXX",
    "CXX_*",
    "AR",
    "AR_*",
    "CFLAGS*",
    "CXXFLAGS*",
    "LDFLAGS*",
    "PKG_CONFIG*",
    "CMAKE*",
    "SDKROOT",
    "DEVELOPER_DIR",
    "MACOSX_DEPLOYMENT_TARGET",
    "SSH_AUTH_SOCK",
];
/// Variables for publishing alone, which no child gets.
const OF_A_PUBLISHER: &[&str] = &["CARGO_REGISTRY_TOKEN"];

/// Variables by which `cargo run` tells a program about its package. No child gets them: a build script that reads one
/// (ring's does) would see a change, and everything above it would be compiled anew.
const OF_OUR_PACKAGE: &[&str] = &["CARGO_PKG_*", "CARGO_MANIFEST_*"];

/// Variables that point git at another repository or configuration, as a git hook sets them
/// (`git rev-parse --local-env-vars`).
const OF_A_REPOSITORY: &[&str] = &[
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_INDEX_VERSION",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
    "GIT_CEILING_DIRECTORIES",
    "GIT_PREFIX",
    "GIT_SHALLOW_FILE",
    "GIT_GRAFT_FILE",
    "GIT_REPLACE_REF_BASE",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_CONFIG*",
];

/// Variables that name a proxy.
const PROXIES: [&str; 6] = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"];
/// The loopback hosts, as requests name them.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// A kind of background child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChildKind {
    /// A system program without network: tar, sh.
    Program,
    /// A system program that downloads: apt-get.
    Downloader,
    /// git, on this machine's repositories alone.
    Git,
    /// Helm, which reaches the cluster that its arguments name.
    Helm,
    /// The engine's client and programs that call it: docker, kind, skaffold, tilt.
    Engine,
    /// Go, and image recipes, which call Go, pip and the engine's client.
    Build,
    /// pip.
    Python,
    /// Node, npm and yarn.
    Node,
    /// A program that supplies credentials: an exec plugin of a kubeconfig, a credential helper of the engine's client.
    Credentials,
    /// cargo, where it compiles in the background.
    Cargo,
    /// A suite that the harness runs: it gets the whole environment, which its settings are read from.
    Suite,
    /// The process that removes an unused cluster: it needs the engine, and the places of tools and folders.
    Reaper,
}

impl ChildKind {
    /// The lists of names for this kind; `*` at the end of a name stands for any text.
    fn lists(self) -> &'static [&'static [&'static str]] {
        match self {
            Self::Program | Self::Git => &[SYSTEM],
            Self::Downloader | Self::Helm => &[SYSTEM, NETWORK],
            Self::Engine | Self::Reaper => &[SYSTEM, NETWORK, ENGINE, KEYRING],
            Self::Build => &[SYSTEM, NETWORK, ENGINE, KEYRING, GO, PYTHON, RECIPE],
            Self::Python => &[SYSTEM, NETWORK, PYTHON],
            Self::Node => &[SYSTEM, NETWORK, NODE],
            Self::Credentials => &[SYSTEM, NETWORK, KEYRING, CLOUD, &["SSH_AUTH_SOCK"]],
            Self::Cargo => &[SYSTEM, NETWORK, CARGO],
            Self::Suite => &[&["*"]],
        }
    }

    fn is_given(self, name: &str) -> bool {
        let is_kept = [OF_A_REPOSITORY, OF_A_PUBLISHER, OF_OUR_PACKAGE].into_iter().any(|list| is_on(list, name));
        // The reaper looks for tools where the run did, and writes into the run's folder.
        let is_ours = self == Self::Reaper && [TOOLBOX, RUN_DIR].iter().any(|own| own.name() == name);
        !is_kept && (is_ours || self.lists().iter().any(|list| is_on(list, name)))
    }
}

fn is_on(list: &[&str], name: &str) -> bool {
    list.iter().any(|entry| match entry.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => *entry == name,
    })
}

/// The user's environment, read once; children get parts of it.
#[derive(Clone, Default)]
pub struct Environment {
    variables: Arc<BTreeMap<String, String>>,
    /// The folder for children's temporary files, instead of the user's TMPDIR.
    temporary: Option<Arc<Path>>,
}

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Environment({} variables)", self.variables.len())
    }
}

impl Environment {
    /// An environment of these variables.
    pub fn new(variables: &BTreeMap<String, String>) -> Self {
        Self { variables: Arc::new(variables.clone()), temporary: None }
    }

    /// The same environment with a folder for background children's temporary files, which a killed child leaves behind.
    #[must_use]
    pub fn with_temporary(self, folder: &Path) -> Self {
        Self { temporary: Some(folder.into()), ..self }
    }

    /// The variables for a child of this kind; loopback is never reached through a proxy.
    pub fn of(&self, child: ChildKind) -> Vec<(String, String)> {
        let given = self.variables.iter().filter(|(name, _)| child.is_given(name));
        let mut given: Vec<(String, String)> = given.map(|(name, value)| (name.clone(), value.clone())).collect();
        if child.is_given("NO_PROXY") {
            let without = self.without_proxy(&[]);
            given.retain(|(name, _)| without.iter().all(|(other, _)| other != name));
            given.extend(without);
        }
        // These two outlive this process, or are a run of their own: they choose their folder themselves.
        if let Some(folder) = &self.temporary
            && !matches!(child, ChildKind::Reaper | ChildKind::Suite)
        {
            given.retain(|(name, _)| name != TMPDIR);
            given.push((TMPDIR.to_owned(), folder.display().to_string()));
        }
        given
    }

    /// NO_PROXY in both spellings: the user's own hosts, loopback, and these. Empty where no proxy is set.
    pub fn without_proxy(&self, hosts: &[&str]) -> Vec<(String, String)> {
        if PROXIES.iter().all(|name| self.get(name).is_none()) {
            return Vec::new();
        }
        let list = self.no_proxy(hosts);
        ["NO_PROXY", "no_proxy"].map(|name| (name.to_owned(), list.clone())).to_vec()
    }

    /// The hosts to reach without a proxy: the user's own, loopback, and these; separated by commas.
    pub fn no_proxy(&self, hosts: &[&str]) -> String {
        let own = ["NO_PROXY", "no_proxy"].into_iter().filter_map(|name| self.get(name));
        let own = own.flat_map(|list| list.split(',')).map(str::trim).filter(|host| !host.is_empty());
        let mut all: Vec<&str> = Vec::new();
        for host in own.chain(LOOPBACK).chain(hosts.iter().copied()) {
            if !all.contains(&host) {
                all.push(host);
            }
        }
        all.join(",")
    }

    /// The HTTP proxy for URLs of a scheme (`http`, `https`), by curl's order of variables; `None` where there is none.
    pub fn proxy(&self, scheme: &str) -> Option<String> {
        let names = [format!("{scheme}_proxy"), format!("{}_PROXY", scheme.to_uppercase())];
        let all = ["all_proxy".to_owned(), "ALL_PROXY".to_owned()];
        let is_http = |url: &&str| !url.contains("://") || url.starts_with("http");
        names.iter().chain(&all).find_map(|name| self.get(name)).filter(is_http).map(str::to_owned)
    }

    /// A prefix for the error of an unreachable address: `through the proxy …: ` without the proxy's user and password, where
    /// the address is reached through one; else empty. The error is then the proxy's, or about the way to the proxy.
    pub fn through(&self, address: &str) -> String {
        let way = || {
            let address: Uri = address.parse().ok()?;
            let proxy = self.proxy(address.scheme_str()?)?;
            let by = Matcher::builder().all(proxy.as_str()).no(self.no_proxy(&[])).build().intercept(&address);
            by.filter(|_| !is_loopback(address.host().unwrap_or_default()))?;
            Some(format!("through the proxy {}: ", without_account(&proxy)))
        };
        way().unwrap_or_default()
    }

    /// The names of the variables by which `cargo run` told this program about its own package, for removal from a foreground
    /// cargo's environment.
    pub fn of_our_package(&self) -> impl Iterator<Item = &str> {
        self.variables.keys().map(String::as_str).filter(|name| is_on(OF_OUR_PACKAGE, name))
    }

    /// A variable's value; `None` when it is unset or empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}

/// A proxy's address as it may be shown, without user and password.
pub fn without_account(proxy: &str) -> String {
    let (scheme, rest) = proxy.split_once("://").map_or(("http", proxy), |(scheme, rest)| (scheme, rest));
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    format!("{scheme}://{host}")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Environment {
        Environment::new(&pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    const EVERY: [ChildKind; 11] = [
        ChildKind::Program,
        ChildKind::Downloader,
        ChildKind::Git,
        ChildKind::Helm,
        ChildKind::Engine,
        ChildKind::Build,
        ChildKind::Python,
        ChildKind::Node,
        ChildKind::Credentials,
        ChildKind::Cargo,
        ChildKind::Suite,
    ];

    #[rstest]
    #[case::helm("HELM_KUBEAPISERVER")]
    #[case::helm_namespace("HELM_NAMESPACE")]
    #[case::kubeconfig("KUBECONFIG")]
    #[case::skaffold("SKAFFOLD_DEFAULT_REPO")]
    #[case::tilt("TILT_PORT")]
    #[case::kind("KIND_EXPERIMENTAL_PROVIDER")]
    #[case::builder("BUILDX_BUILDER")]
    #[case::platform("DOCKER_DEFAULT_PLATFORM")]
    #[case::linker("LD_PRELOAD")]
    #[case::password("SHOP_REGISTRY_PASSWORD")]
    #[case::github("GITHUB_TOKEN")]
    fn no_tool_is_given(#[case] name: &str) {
        for child in EVERY.into_iter().filter(|child| *child != ChildKind::Suite) {
            assert_eq!(environment(&[(name, "x")]).of(child), [], "{child:?}");
        }
    }

    #[rstest]
    #[case("GIT_DIR")]
    #[case("GIT_WORK_TREE")]
    #[case("GIT_INDEX_FILE")]
    #[case("GIT_OBJECT_DIRECTORY")]
    #[case("GIT_ALTERNATE_OBJECT_DIRECTORIES")]
    #[case("GIT_COMMON_DIR")]
    #[case("GIT_NAMESPACE")]
    #[case("GIT_CEILING_DIRECTORIES")]
    #[case("GIT_CONFIG_GLOBAL")]
    #[case("GIT_CONFIG_KEY_0")]
    #[case("CARGO_REGISTRY_TOKEN")]
    #[case("CARGO_MANIFEST_DIR")]
    #[case("CARGO_PKG_NAME")]
    fn nobody_is_given_anothers_repository_the_right_to_publish_or_our_package(#[case] name: &str) {
        for child in EVERY {
            assert_eq!(environment(&[(name, "x")]).of(child), [], "{child:?}");
        }
    }

    #[rstest]
    #[case::everybody("PATH", &EVERY)]
    #[case::language("LC_ALL", &EVERY)]
    #[case::version_manager("PYENV_ROOT", &EVERY)]
    #[case::engine("DOCKER_CONTEXT", &[ChildKind::Engine, ChildKind::Build, ChildKind::Suite])]
    #[case::agent("SSH_AUTH_SOCK", &[ChildKind::Engine, ChildKind::Build, ChildKind::Credentials, ChildKind::Cargo, ChildKind::Suite])]
    #[case::cloud("AWS_SECRET_ACCESS_KEY", &[ChildKind::Credentials, ChildKind::Suite])]
    #[case::go("GOPROXY", &[ChildKind::Build, ChildKind::Suite])]
    #[case::pip("PIP_INDEX_URL", &[ChildKind::Build, ChildKind::Python, ChildKind::Suite])]
    #[case::npm("npm_config_registry", &[ChildKind::Node, ChildKind::Suite])]
    #[case::rust("RUSTFLAGS", &[ChildKind::Cargo, ChildKind::Suite])]
    #[case::our_setting("GIT_SHA", &[ChildKind::Suite])]
    fn is_given_to(#[case] name: &str, #[case] children: &[ChildKind]) {
        for child in EVERY {
            let given = !environment(&[(name, "x")]).of(child).is_empty();
            assert_eq!(given, children.contains(&child), "{child:?}");
        }
    }

    #[rstest]
    #[case::no_proxy_is_set(&[("NO_PROXY", "a")], &["b"], None)]
    #[case::one_is(&[("HTTP_PROXY", "http://p")], &[], Some("localhost,127.0.0.1,::1"))]
    #[case::both_spellings(&[("https_proxy", "http://p"), ("NO_PROXY", "a, b"), ("no_proxy", "b,c")], &["r"],
        Some("a,b,c,localhost,127.0.0.1,::1,r"))]
    #[case::twice(&[("ALL_PROXY", "http://p"), ("NO_PROXY", "127.0.0.1")], &[], Some("127.0.0.1,localhost,::1"))]
    fn loopback_and_ours_need_no_proxy(
        #[case] pairs: &[(&str, &str)],
        #[case] hosts: &[&str],
        #[case] list: Option<&str>,
    ) {
        let found: BTreeMap<_, _> = environment(pairs).without_proxy(hosts).into_iter().collect();
        assert_eq!(found.get("NO_PROXY").map(String::as_str), list);
        assert_eq!(found.get("no_proxy").map(String::as_str), list);
    }

    #[test]
    fn a_child_that_is_given_a_proxy_reaches_loopback_without() {
        let of = |child| environment(&[("HTTP_PROXY", "http://p"), ("NO_PROXY", "a")]).of(child);
        let given: BTreeMap<_, _> = of(ChildKind::Engine).into_iter().collect();
        assert_eq!(given["NO_PROXY"], "a,localhost,127.0.0.1,::1");
        assert_eq!(of(ChildKind::Git), []);
    }

    #[test]
    fn temporary_files_are_made_where_the_run_says() {
        let environment = environment(&[("TMPDIR", "/users")]).with_temporary(Path::new("/run/of/mine"));
        let tmpdir = |child| environment.of(child).into_iter().collect::<BTreeMap<_, _>>().remove("TMPDIR");
        assert_eq!(tmpdir(ChildKind::Engine).as_deref(), Some("/run/of/mine"));
        assert_eq!(tmpdir(ChildKind::Git).as_deref(), Some("/run/of/mine"));
        assert_eq!(tmpdir(ChildKind::Reaper).as_deref(), Some("/users"));
        assert_eq!(tmpdir(ChildKind::Suite).as_deref(), Some("/users"));
    }

    #[rstest]
    #[case::none(&[], "https://site.example/x", "")]
    #[case::with_an_account(&[("HTTPS_PROXY", "http://me:hunter2@p:3128")], "https://site.example/x", "through the proxy http://p:3128: ")]
    #[case::without_a_scheme(&[("ALL_PROXY", "p:3128")], "https://site.example", "through the proxy http://p:3128: ")]
    #[case::of_another_kind(&[("HTTP_PROXY", "http://p")], "https://site.example", "")]
    #[case::not_for_this_site(&[("HTTPS_PROXY", "http://p"), ("NO_PROXY", ".example")], "https://site.example", "")]
    #[case::not_for_loopback(&[("HTTPS_PROXY", "http://p")], "https://127.0.0.1:5000/v2/", "")]
    fn the_way_to_an_address(#[case] pairs: &[(&str, &str)], #[case] address: &str, #[case] way: &str) {
        assert_eq!(environment(pairs).through(address), way);
    }

    #[rstest]
    #[case::none(&[], None)]
    #[case::own(&[("https_proxy", "http://a"), ("ALL_PROXY", "http://b")], Some("http://a"))]
    #[case::of_all(&[("HTTP_PROXY", "http://a"), ("ALL_PROXY", "b:3128")], Some("b:3128"))]
    #[case::of_another_kind(&[("ALL_PROXY", "socks5://b")], None)]
    fn the_proxy_for_https(#[case] pairs: &[(&str, &str)], #[case] proxy: Option<&str>) {
        assert_eq!(environment(pairs).proxy("https").as_deref(), proxy);
    }

    #[test]
    fn it_never_shows_a_value() {
        assert_eq!(format!("{:?}", environment(&[("TOKEN", "hunter2")])), "Environment(1 variables)");
    }
}
