//! What somebody else's environment says: other servers, other repositories, programs that never answer, a proxy.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use super::docker::{run, tool};
use super::place::{IMAGES, Place, RELEASE, Seat};
use super::planted::Thing;
use super::process::Call;
use super::sink::Sink;
use super::trial::Shown;

const NOTHING: &str = "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n";
const WHO: &str = "HTTP/1.1 401 Unauthorized\r\nWww-Authenticate: Basic realm=\"foreign\"\r\nContent-Length: 0\r\n\r\n";

/// Two relative files, as kubectl takes them: stage local has a kubeconfig of its own.
pub async fn a_strangers_kubeconfig_is_no_concern(place: &Place) -> Shown {
    is_no_concern(place, "KUBECONFIG", "config-one:config-two").await
}

/// A branch's name, as some CI sets it.
pub async fn a_strangers_revision_is_no_concern(place: &Place) -> Shown {
    is_no_concern(place, "GIT_SHA", "main").await
}

/// What has no use for a setting runs whatever it says.
async fn is_no_concern(place: &Place, name: &str, value: &str) -> Shown {
    let seat = place.seat("one").await;
    // Of doctor, whether this machine is well is no matter here.
    let before = seat.stack(&["doctor"]).run().await;
    let seat = seat.with(name, value);
    seat.suite(&["--list"]).run().await.passes(&format!("the suite's --list with a strange {name}"));
    seat.stack(&["status"]).run().await.passes(&format!("cargo stack status with a strange {name}"));
    let after = seat.stack(&["doctor"]).run().await;
    assert_eq!(
        before.passed,
        after.passed,
        "cargo stack doctor with a strange {name}: {}\n{}",
        after.error(),
        after.text
    );
    seat.stack(&["validate"]).run().await.passes(&format!("cargo stack validate with a strange {name}"));
    seat.stack(&["clean"]).run().await.passes(&format!("cargo stack clean with a strange {name}"));
    format!("--list, status, doctor, validate and clean run with a strange {name}").into()
}

/// Variables that Helm, Skaffold and kubectl read, all of which lead to another server.
fn led_astray(seat: Seat, sink: &Sink, kubeconfig: &Path) -> Seat {
    let server = format!("https://{}", sink.address);
    let user = json!({"name": "astray", "user": {"token": "none"}});
    let cluster = json!({"name": "astray", "cluster": {"server": server}});
    let context = json!({"name": "astray", "context": {"cluster": "astray", "user": "astray"}});
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "astray",
        "clusters": [cluster], "users": [user], "contexts": [context],
    });
    std::fs::write(kubeconfig, config.to_string()).unwrap();
    seat.with("HELM_KUBEAPISERVER", &server)
        .with("HELM_KUBETOKEN", "none")
        .with("HELM_KUBEINSECURE_SKIP_TLS_VERIFY", "true")
        .with("HELM_KUBECONTEXT", "astray")
        .with("HELM_NAMESPACE", "astray")
        .with("HELM_DRIVER", "configmap")
        .with("KUBECONFIG", kubeconfig.to_string_lossy())
        .with("SKAFFOLD_KUBE_CONTEXT", "astray")
        .with("SKAFFOLD_NAMESPACE", "astray")
        .with("SKAFFOLD_DEFAULT_REPO", &sink.address)
}

pub async fn helms_variables_lead_nowhere(place: &Place) -> Shown {
    let sink = Sink::start(NOTHING).await;
    let seat = led_astray(place.seat("one").await, &sink, &place.path("kubeconfig"));
    let ran = seat.suite(&["parity::helm_renders_the_same_bytes_for_both_stages", "--exact"]).run().await;
    let heard = sink.heard();
    assert!(heard.is_empty(), "rendering charts spoke to another server: {heard:?}\n{}", ran.text);
    ran.passes("a scenario about charts with variables of Helm's");
    "charts were rendered, and the other server heard nothing".into()
}

/// A deploy, and a deploy of a bad image with its rollback.
pub async fn a_rollback_goes_to_our_cluster(place: &Place) -> Shown {
    let sink = Sink::start(NOTHING).await;
    let seat = led_astray(place.seat("one").await, &sink, &place.path("kubeconfig"));
    let limit = Duration::from_secs(900);
    let ran =
        seat.suite(&["rollout::a_bad_image_is_rolled_back", "--exact", "--include-ignored"]).within(limit).run().await;
    let heard = sink.heard();
    assert!(
        heard.is_empty(),
        "a deploy spoke to another server ({} times, {:?})\n{}",
        heard.len(),
        heard.first(),
        ran.text
    );
    ran.passes("a rollback with variables of Helm's");
    "deploy and rollback went to our cluster, the other server heard nothing".into()
}

/// As in every git hook.
pub async fn git_dir_is_another_repository(place: &Place) -> Shown {
    let seat = place.seat("one").await;
    let other = place.path("other");
    run(tool("git").args(["init", "--quiet"]).arg(&other)).await.unwrap();
    std::fs::write(other.join("file"), "a stranger's").unwrap();
    commit(&other, &[], "another repository").await;
    place.note(Thing::Folder(other.clone())).await;
    let path = |name: &str| other.join(name).to_string_lossy().into_owned();
    let seat =
        seat.with("GIT_DIR", path(".git")).with("GIT_WORK_TREE", path("")).with("GIT_INDEX_FILE", path(".git/index"));
    let revision = revision_of(seat.suite(&IMAGES)).await;
    let expected = head(&seat.checkout).await;
    let changes = place.changes().await;
    assert!(changes.is_empty(), "with GIT_DIR set: {}", changes.join("; "));
    assert!(
        revision.starts_with(&expected),
        "with GIT_DIR set, images were given the revision of another repository: {revision}, not {expected}"
    );
    "images were given the revision of the checkout, the other repository is as it was".into()
}

/// Signed commits whose signature git shows, hooks, line ends, colours.
pub async fn a_users_git_configuration_changes_no_revision(place: &Place) -> Shown {
    let seat = place.seat("one").await;
    let (key, signers) = (place.path("key"), place.path("signers"));
    let hooks = place.path("hooks");
    let key_of = ["-q", "-t", "ed25519", "-N", "", "-C", "foreign", "-f"];
    if run(tool("ssh-keygen").args(key_of).arg(&key)).await.is_err() {
        return Shown::Nothing("commits are signed with ssh-keygen, which is not here");
    }
    let public = std::fs::read_to_string(key.with_extension("pub")).unwrap();
    std::fs::write(&signers, format!("somebody@stranger.example {public}")).unwrap();
    let hook = format!("#!/bin/sh\necho ran >>{}\n", place.path("hooked").display());
    script(&hooks.join("post-checkout"), &hook);
    script(&hooks.join("post-index-change"), &hook);
    let config = place.path("gitconfig");
    let text = format!(
        "[user]\n\tname = Somebody\n\temail = somebody@stranger.example\n\tsigningkey = {key}.pub\n[gpg]\n\tformat = ssh\n\
         [gpg \"ssh\"]\n\tallowedSignersFile = {signers}\n[commit]\n\tgpgsign = true\n[log]\n\tshowSignature = true\n\
         \tdecorate = full\n[core]\n\tautocrlf = true\n\tquotePath = false\n[color]\n\tui = always\n\
         [status]\n\tbranch = true\n\tshort = true\n",
        key = key.display(),
        signers = signers.display(),
    );
    std::fs::write(&config, text).unwrap();
    let config = config.to_string_lossy().into_owned();
    commit(&seat.checkout, &[("GIT_CONFIG_GLOBAL", &config)], "signed").await;
    // Hooks of the user's own, from now on: those ran while he committed, as he wanted.
    let seat = seat.with("GIT_CONFIG_GLOBAL", &config);
    let revision = revision_of(seat.suite(&IMAGES)).await;
    let expected = head(&seat.checkout).await;
    assert!(
        revision == expected,
        "with a user's git configuration, images were given the revision {revision:?} instead of the commit's hash"
    );
    assert!(!place.path("hooked").exists(), "a hook of the user's ran");
    "images were given the commit's hash".into()
}

/// Commits all that is there as somebody else, with these variables.
async fn commit(repository: &Path, variables: &[(&str, &str)], message: &str) {
    for args in [&["add", "--all"][..], &["commit", "--quiet", "--allow-empty", "--message", message]] {
        let who = ["-c", "user.name=Somebody", "-c", "user.email=somebody@stranger.example"];
        let mut git = tool("git");
        git.args(who).args(args).current_dir(repository).envs(variables.iter().copied());
        run(&mut git).await.unwrap();
    }
}

async fn head(repository: &Path) -> String {
    run(tool("git").args(["rev-parse", "HEAD"]).current_dir(repository)).await.unwrap()
}

/// Runs a scenario about images, and reads which revision they were given.
async fn revision_of(call: Call) -> String {
    let set = call.events.with_file_name("artifacts.json");
    let ran = call.run().await;
    ran.passes("a scenario about images");
    let set: Value = serde_json::from_slice(&std::fs::read(set).unwrap()).unwrap();
    set["revision"].as_str().unwrap().to_owned()
}

pub fn script(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// A program that notes its number, and then never answers: where its numbers are noted.
fn never_answers(place: &Place, name: &str) -> (PathBuf, PathBuf) {
    let (program, numbers) = (place.path("bin").join(name), place.path("numbers"));
    script(&program, &format!("#!/bin/sh\necho $$ >>{}\nexec sleep 600\n", numbers.display()));
    (program, numbers)
}

/// Ends those that go on; how many there were, and how many went on.
async fn ended(numbers: &Path) -> (usize, usize) {
    let text = std::fs::read_to_string(numbers).unwrap_or_default();
    let goes_on = |number: &&str| {
        let line = std::fs::read(format!("/proc/{number}/cmdline")).unwrap_or_default();
        line.starts_with(b"sleep\x00600")
    };
    let left: Vec<_> = text.lines().filter(goes_on).collect();
    for number in &left {
        let _ = run(tool("kill").arg(number)).await;
    }
    (text.lines().count(), left.len())
}

/// A kubeconfig's exec plugin that waits for a sign-in which nobody sees.
pub async fn a_slow_exec_plugin_is_ended(place: &Place) -> Shown {
    let (plugin, numbers) = never_answers(place, "plugin");
    let exec = json!({
        "apiVersion": "client.authentication.k8s.io/v1", "command": plugin, "interactiveMode": "Never",
    });
    let config = json!({
        "apiVersion": "v1", "kind": "Config",
        "clusters": [{"name": "foreign", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [{"name": "foreign", "user": {"exec": exec}}],
        "contexts": [{"name": "foreign", "context": {"cluster": "foreign", "user": "foreign"}}],
    });
    std::fs::write(place.path("kubeconfig"), config.to_string()).unwrap();
    let seat = place.seat("one").await.with("KUBECONFIG", place.path("kubeconfig").to_string_lossy());
    let seat = seat.with("JETSCALE_KUBE_CONTEXT", "foreign").with("JETSCALE_KUBE_CONTEXT_ALLOW", "foreign*");
    let began = std::time::Instant::now();
    let ran = seat.stack(&["preview", "list"]).within(Duration::from_secs(75)).run().await;
    let took = began.elapsed();
    let (asked, left) = ended(&numbers).await;
    assert!(asked > 0, "the plugin was not asked: {}\n{}", ran.error(), ran.text);
    ran.refuses("cargo stack preview list with a silent exec plugin", &[]);
    assert_eq!(left, 0, "cargo stack preview list gave up after {took:.0?}, and left the plugin running\n{}", ran.text);
    format!("given up after {took:.0?}, and ended").into()
}

/// A credential helper of the engine's client that waits for a key which nobody presses.
pub async fn a_silent_credential_helper_is_ended(place: &Place) -> Shown {
    let sink = Sink::start(WHO).await;
    let (helper, numbers) = never_answers(place, "docker-credential-foreign");
    let config = json!({"credHelpers": {&sink.address: "foreign"}});
    std::fs::create_dir_all(place.path("docker")).unwrap();
    std::fs::write(place.path("docker/config.json"), config.to_string()).unwrap();
    let build = |name: &str| {
        let digest = "0123456789abcdef".repeat(4);
        json!({"imageName": name, "tag": format!("{}/{name}@sha256:{digest}", sink.address)})
    };
    let builds = ["backend", "frontend", "postgres", "redis"].map(build);
    let set = json!({
        "builds": builds,
        "revision": "0123456789abcdef0123456789abcdef01234567", "platform": "linux/amd64",
    });
    std::fs::write(place.path("artifacts.json"), set.to_string()).unwrap();
    let folder = helper.parent().unwrap().display();
    let seat = place.seat("one").await.with("DOCKER_CONFIG", place.path("docker").to_string_lossy());
    let seat = seat.with("PATH", format!("{folder}:{}", super::binaries::get().path));
    let file = place.path("artifacts.json").to_string_lossy().into_owned();
    let began = std::time::Instant::now();
    let ran = seat.stack(&["artifacts", "show", &file, "--check"]).run().await;
    let took = began.elapsed();
    let (asked, left) = ended(&numbers).await;
    assert!(asked > 0, "the helper was not asked: {}\n{}", ran.error(), ran.text);
    ran.refuses("cargo stack artifacts show --check with a silent helper", &["helper"]);
    assert_eq!(left, 0, "it gave up after {took:.0?}, and left {left} of {asked} helpers running\n{}", ran.text);
    format!("given up after {took:.0?}, and ended").into()
}

/// Whatever leads to the internet here, loopback is no part of it.
fn behind_a_proxy(seat: Seat, sink: &Sink) -> Seat {
    let proxy = format!("http://{}", sink.address);
    ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"]
        .iter()
        .fold(seat, |seat, name| seat.with(name, &proxy))
        .with("NO_PROXY", "")
        .with("no_proxy", "")
}

/// What of the proxy's requests it should never have heard of.
fn of_this_machine(sink: &Sink) -> Vec<String> {
    let ours =
        |line: &String| ["127.0.0.1", "localhost", "jetscale", "-registry"].iter().any(|part| line.contains(part));
    sink.heard().into_iter().filter(ours).collect()
}

pub async fn a_proxy_is_not_asked_for_the_registry(place: &Place) -> Shown {
    let sink = Sink::start(NOTHING).await;
    let seat = behind_a_proxy(place.seat("one").await, &sink);
    let ran = seat.suite(&IMAGES).run().await;
    let heard = of_this_machine(&sink);
    assert!(heard.is_empty(), "the proxy was asked for what is on this machine: {:?}\n{}", heard[0], ran.text);
    ran.passes("a scenario about images behind a proxy");
    "the registry was reached past the proxy".into()
}

/// The node pulls from the registry beside it, and from one of a scenario's own.
pub async fn a_cluster_comes_up_behind_a_proxy(place: &Place) -> Shown {
    let sink = Sink::start(NOTHING).await;
    let seat = behind_a_proxy(place.seat("one").await, &sink);
    let pulls = ["registry::good_credentials_pull_every_image", "--exact", "--include-ignored"];
    for scenario in [&RELEASE[..], &pulls] {
        let ran = seat.suite(scenario).within(Duration::from_secs(900)).run().await;
        let heard = of_this_machine(&sink);
        assert!(heard.is_empty(), "the proxy was asked for what is on this machine: {:?}\n{}", heard[0], ran.text);
        ran.passes("a scenario on a cluster behind a proxy");
    }
    "releases came up, and were reached past the proxy".into()
}
