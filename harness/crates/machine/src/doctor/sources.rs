//! Checks of the sources of images and packages: which of them are reached from this machine.

use std::path::Path;
use std::time::Duration;

use harness_http::{HttpOptions, Reader};
use harness_settings::settings::Settings;
use reqwest::Url;

use super::{Check, Severity};
use crate::engine::Host;
use crate::tools::{ChildKind, Command};

const GROUP: &str = "sources";
/// The deadline for a tool to print its configured source.
const ASKED: Duration = Duration::from_millis(1500);
/// The deadline for a source to answer; together with [`ASKED`] less than a check's limit.
const ANSWERS: Duration = Duration::from_secs(3);

/// A source of images or packages.
struct DownloadSource {
    name: &'static str,
    /// The URL of a small file that the source has; `None` where no source is configured.
    url: Option<String>,
    /// What a run does without the source, for the note.
    without: &'static str,
}

pub(super) async fn examine(settings: &Settings, host: &Host) -> Vec<Check> {
    let hub = async { Some("https://registry-1.docker.io/v2/".to_owned()) };
    let downloads = async { Some("https://github.com/robots.txt".to_owned()) };
    let debian = async { host.apt.then(|| debian(Path::new("/etc/apt"))).flatten() };
    let (hub, downloads, go, pypi, debian) = tokio::join!(
        reach(settings, "image hub", hub, "base images are made from package registries, which takes longer"),
        reach(settings, "downloads", downloads, "a missing tool is built from its source, which takes longer"),
        reach(settings, "Go modules", go_modules(settings), "a missing tool can only be downloaded"),
        reach(settings, "PyPI", pypi(settings), "the backend's image is not built anew"),
        reach(settings, "Debian", debian, "base images can only be pulled"),
    );
    // Debian's archive matters only where the system uses apt.
    [hub, downloads, go, pypi].into_iter().chain(host.apt.then_some(debian)).collect()
}

async fn reach(
    settings: &Settings,
    name: &'static str,
    url: impl Future<Output = Option<String>>,
    without: &'static str,
) -> Check {
    Check::within(GROUP, name, async { ask(settings, DownloadSource { name, url: url.await, without }).await }).await
}

async fn ask(settings: &Settings, source: DownloadSource) -> Check {
    let note = |value: String| Check::new(GROUP, source.name, Severity::Note, format!("{value}\n{}", source.without));
    let Some(url) = source.url else { return note("its client is not here, or set to none".to_owned()) };
    let (place, through) = (place(&url), settings.environment.through(&url));
    let mut options = HttpOptions::new(url);
    options.ca_bundle = settings.build_ca.get().ok().flatten().and_then(|path| std::fs::read(path).ok());
    (options.connect, options.whole) = (ANSWERS, ANSWERS);
    let answer = match Reader::with(options) {
        Ok(reader) => reader.head("").await,
        Err(error) => Err(error),
    };
    match answer {
        Ok(reply) if reached(reply.status) => Check::new(GROUP, source.name, Severity::Ok, format!("{place} answers")),
        Ok(reply) => note(format!("{place} answers with status {}", reply.status)),
        Err(error) => {
            // The innermost cause is the telling one: no such name, refused, timed out.
            note(format!("{place} is not reached: {through}{}", harness_base::error::innermost(&error)))
        }
    }
}

/// Whether a status is the source's own answer; a proxy that refuses answers 403, 407 or 5xx.
fn reached(status: u16) -> bool {
    matches!(status, 200..=399 | 401 | 404 | 405)
}

/// The host and port of a URL, without user and password.
fn place(url: &str) -> String {
    let Ok(url) = Url::parse(url) else { return "an address that does not parse".to_owned() };
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}{port}", url.host_str().unwrap_or_default())
}

async fn go_modules(settings: &Settings) -> Option<String> {
    let asked = Command::new("go").given(&settings.environment, ChildKind::Build).args(["env", "GOPROXY"]).limit(ASKED);
    let proxies = asked.run().await.ok()?.stdout;
    Some(format!("{}/sigs.k8s.io/kind/@v/v0.33.0.info", first_proxy(proxies.trim())?))
}

/// The first proxy of GOPROXY; none where it is `direct` or `off`.
fn first_proxy(list: &str) -> Option<&str> {
    list.split([',', '|'])
        .map(str::trim)
        .find(|proxy| proxy.starts_with("http"))
        .map(|proxy| proxy.trim_end_matches('/'))
}

/// A Python program that prints pip's built-in index.
const DEFAULT_INDEX: &str = "from pip._internal.models.index import PyPI; print(PyPI.simple_url)";

async fn pypi(settings: &Settings) -> Option<String> {
    let ask = async |program: &str, args: &[&str]| {
        let command = Command::new(program).given(&settings.environment, ChildKind::Python);
        let answer = command.args(args.iter().copied()).limit(ASKED).run().await.ok()?;
        Some(answer.stdout.trim().to_owned()).filter(|index| index.starts_with("http"))
    };
    let index = match &settings.pip_index {
        Some(index) => index.clone(),
        None => {
            let set = ["config", "get", "global.index-url"];
            let built_in = ["-c", DEFAULT_INDEX];
            let (set, built_in) = tokio::join!(ask("pip", &set), ask("python3", &built_in));
            set.or(built_in)?
        }
    };
    Some(format!("{}/pip/", index.trim_end_matches('/')))
}

/// The URL of the index (InRelease) of the first archive that apt is configured to use.
fn debian(etc: &Path) -> Option<String> {
    let more = std::fs::read_dir(etc.join("sources.list.d")).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<_> =
        more.filter(|path| path.extension().is_some_and(|end| end == "list" || end == "sources")).collect();
    files.sort();
    files.insert(0, etc.join("sources.list"));
    files.iter().filter_map(|path| std::fs::read_to_string(path).ok()).find_map(|text| archive(&text))
}

/// The index URL from a file's text, in either format of sources.list(5).
fn archive(text: &str) -> Option<String> {
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()
    };
    let lines = text.lines().filter_map(|line| {
        let mut words = line.strip_prefix("deb ")?.split_whitespace().skip_while(|word| !word.contains("://"));
        words.next().zip(words.next())
    });
    let found = field("URIs:").zip(field("Suites:")).into_iter().chain(lines);
    let (place, suite) = { found }.find(|(place, _)| place.starts_with("http"))?;
    Some(format!("{}/dists/{suite}/InRelease", place.trim_end_matches('/')))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::deb822(
        "Types: deb\nURIs: http://a/debian/\nSuites: bookworm bookworm-updates\n",
        Some("http://a/debian/dists/bookworm/InRelease")
    )]
    #[case::line(
        "# deb http://x y\ndeb [signed-by=/k arch=amd64] https://a/d trixie main\n",
        Some("https://a/d/dists/trixie/InRelease")
    )]
    #[case::plain("deb http://a/d trixie main\n", Some("http://a/d/dists/trixie/InRelease"))]
    #[case::disc("deb cdrom:[Debian] trixie main\n", None)]
    #[case::empty("", None)]
    fn the_archive_that_apt_uses(#[case] text: &str, #[case] url: Option<&str>) {
        assert_eq!(archive(text).as_deref(), url);
    }

    #[rstest]
    #[case::first("https://a,direct", Some("https://a"))]
    #[case::second("file:///x|https://a/go/,off", Some("https://a/go"))]
    #[case::none("direct", None)]
    fn the_proxy_that_go_uses(#[case] list: &str, #[case] proxy: Option<&str>) {
        assert_eq!(first_proxy(list), proxy);
    }

    #[test]
    fn an_account_is_not_shown() {
        assert_eq!(place("https://me:secret@mirror:8443/simple/"), "mirror:8443");
    }

    #[tokio::test]
    async fn a_source_that_nobody_serves_is_a_note() {
        let settings = Settings::parse(&std::collections::BTreeMap::new());
        // Bound, so that nobody else gets the port, and not listening.
        let closed = tokio::net::TcpSocket::new_v4().unwrap();
        closed.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let port = closed.local_addr().unwrap().port();
        let source =
            DownloadSource { name: "PyPI", url: Some(format!("http://127.0.0.1:{port}/")), without: "no builds" };
        let check = ask(&settings, source).await;
        assert_eq!(check.verdict, Severity::Note);
        assert!(check.value.contains("is not reached: ") && check.value.ends_with("\nno builds"), "{check:?}");
    }
}
