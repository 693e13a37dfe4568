//! The engine, while it is slow, silent, gone, or another one: by a socket in between. It is never restarted.

use std::time::Duration;

use super::docker::{docker, inspect};
use super::folders::NO_SOCKET;
use super::kinds::LIMIT;
use super::place::{IMAGES, Place, RELEASE, Seat};
use super::proxy::{Answer, Proxy};
use super::trial::Shown;

/// Somebody who reaches the engine by the socket in between.
async fn behind(place: &Place, proxy: &Proxy) -> Seat {
    place.seat("one").await.with("DOCKER_HOST", &proxy.address)
}

/// Breaks the try unless what was there before is there, known, and goes once the engine answers again.
async fn nothing_was_forgotten(seat: &Seat, registry: &str, after: &str) {
    let there = inspect("container", registry).await.is_some();
    assert!(there, "{after}: the registry was removed");
    let ran = seat.stack(&["clean"]).run().await;
    ran.passes("cargo stack clean once the engine answers");
    let forgotten = inspect("container", registry).await.is_some();
    assert!(!forgotten, "{after}: the registry was forgotten, and stays for ever\n{}", ran.text);
}

pub async fn gone_it_is_no_leave_to_forget(place: &Place) -> Shown {
    let Some(proxy) = Proxy::start(place, Answer::Pass).await else { return Shown::Nothing(NO_SOCKET) };
    let seat = behind(place, &proxy).await;
    let (registry, _) = seat.registry().await;
    proxy.vanish();
    seat.stack(&["clean"]).run().await.refuses("cargo stack clean without an engine", &["engine"]);
    drop(proxy);
    let proxy = Proxy::start(place, Answer::Pass).await.unwrap();
    nothing_was_forgotten(&seat, &registry, "the engine was gone").await;
    drop(proxy);
    "cargo stack clean failed, and went on once it was back".into()
}

/// It says its version, and closes the connection at every question about a container.
pub async fn refusing_it_is_no_leave_to_forget(place: &Place) -> Shown {
    let Some(proxy) = Proxy::start(place, Answer::Pass).await else { return Shown::Nothing(NO_SOCKET) };
    let seat = behind(place, &proxy).await;
    let (registry, _) = seat.registry().await;
    proxy.answer_to("/containers/", Answer::Refuse);
    seat.stack(&["clean"]).run().await.refuses("cargo stack clean with an engine that refuses", &[]);
    proxy.answer(Answer::Pass);
    nothing_was_forgotten(&seat, &registry, "the engine refused to answer").await;
    "cargo stack clean failed, and went on once it answered".into()
}

/// "No such host" is no "no such container".
pub async fn an_error_that_reads_like_not_found_is_no_leave_to_forget(place: &Place) -> Shown {
    let Some(proxy) = Proxy::start(place, Answer::Pass).await else { return Shown::Nothing(NO_SOCKET) };
    let seat = behind(place, &proxy).await;
    let (registry, _) = seat.registry().await;
    proxy.answer_to("/containers/", Answer::Error("dial tcp: lookup containerd.internal: no such host"));
    let ran = seat.stack(&["clean"]).run().await;
    proxy.answer(Answer::Pass);
    nothing_was_forgotten(&seat, &registry, "the engine's error said \"no such host\"").await;
    ran.refuses("cargo stack clean with an engine that cannot look", &["no such host"]);
    "cargo stack clean failed with its words, and went on once it answered".into()
}

pub async fn silent_it_is_given_up_in_time(place: &Place) -> Shown {
    let Some(proxy) = Proxy::start(place, Answer::Pass).await else { return Shown::Nothing(NO_SOCKET) };
    let seat = behind(place, &proxy).await;
    let (registry, _) = seat.registry().await;
    proxy.answer_to("/containers/", Answer::Silence);
    let began = std::time::Instant::now();
    let ran = seat.stack(&["clean"]).within(Duration::from_secs(420)).run().await;
    ran.refuses("cargo stack clean with a silent engine", &[]);
    let took = began.elapsed();
    let left = clients(&proxy);
    assert!(left.is_empty(), "cargo stack clean gave up, and left processes {left:?} that still ask the engine");
    proxy.answer(Answer::Pass);
    nothing_was_forgotten(&seat, &registry, "the engine was silent").await;
    format!("cargo stack clean gave up after {took:.0?}, and went on once it answered").into()
}

/// Processes that were told of the socket in between.
fn clients(proxy: &Proxy) -> Vec<String> {
    let told = format!("DOCKER_HOST={}", proxy.address);
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let read = |name: &str| std::fs::read(entry.path().join(name)).unwrap_or_default();
        let arguments = String::from_utf8_lossy(&read("cmdline")).replace('\0', " ");
        let is_told = read("environ").split(|byte| *byte == 0).any(|word| word == told.as_bytes());
        // The reaper is to outlive everybody.
        if is_told && !arguments.contains("__reaper") {
            found.push(arguments.trim().to_owned());
        }
    }
    found
}

pub async fn slow_it_is_waited_for(place: &Place) -> Shown {
    let Some(proxy) = Proxy::start(place, Answer::Pass).await else { return Shown::Nothing(NO_SOCKET) };
    let seat = behind(place, &proxy).await;
    let (registry, _) = seat.registry().await;
    // A run asks some hundred times, cargo stack clean some ten times.
    proxy.answer(Answer::Slow(Duration::from_millis(300)));
    seat.suite(&IMAGES).run().await.passes("a run with an engine that takes 0.3 s for an answer");
    proxy.answer(Answer::Slow(Duration::from_secs(3)));
    seat.stack(&["clean"]).run().await.passes("cargo stack clean with an engine that takes 3 s for an answer");
    assert!(inspect("container", &registry).await.is_none(), "cargo stack clean forgot the registry of a slow engine");
    "a run and cargo stack clean took their time".into()
}

/// `docker context use`: the same settings, and all of a sudden another engine, which knows nothing of us.
pub async fn another_context_is_no_leave_to_forget(place: &Place) -> Shown {
    let Some(proxy) = Proxy::start(place, Answer::Another).await else { return Shown::Nothing(NO_SOCKET) };
    let seat = place.seat("one").await;
    let (registry, _) = seat.registry().await;
    // What a killed scenario left: its lock's file, and a container that carries its name.
    let owner = format!("jetscale-own-foreign-{}", std::process::id());
    let owners = seat.state().join("jetscale-stack/clusters").join(seat.name().await).join("owners");
    std::fs::write(owners.join(&owner), "").unwrap();
    let left = super::planted::sleeper(&owner, &["--label", &format!("harness.internal/owner={owner}")]).await;
    let other = seat.clone().with("DOCKER_CONFIG", context(place, &proxy).await);
    let ran = other.stack(&["clean"]).run().await;
    nothing_was_forgotten(&seat, &registry, "cargo stack clean with another Docker context").await;
    ran.refuses("cargo stack clean with another Docker context", &["--forget"]);
    let stays = inspect("container", &left).await.is_some();
    if stays {
        docker(&["rm", "--force", &left]).await;
    }
    assert!(!stays, "cargo stack clean with another Docker context forgot what a killed scenario left");
    "cargo stack clean refused, named --forget, and went on in the first context".into()
}

/// The same with a cluster, whose node nothing but the record tells from another's.
pub async fn another_context_is_no_leave_to_forget_a_cluster(place: &Place) -> Shown {
    let Some(proxy) = Proxy::start(place, Answer::Another).await else { return Shown::Nothing(NO_SOCKET) };
    let seat = place.seat("one").await;
    seat.suite(&RELEASE).within(LIMIT).run().await.passes("a scenario on a cluster of ours");
    let (node, _) = seat.container("-control-plane").await.expect("there is no node");
    let other = seat.clone().with("DOCKER_CONFIG", context(place, &proxy).await);
    let ran = other.stack(&["clean", "--wait"]).run().await;
    assert!(
        inspect("container", &node).await.is_some(),
        "cargo stack clean with another Docker context removed the node"
    );
    let own = seat.stack(&["clean", "--wait"]).within(LIMIT).run().await;
    let stays = inspect("container", &node).await.is_some();
    assert!(!stays, "cargo stack clean with another Docker context forgot the cluster, which stays: {}", own.error());
    own.passes("cargo stack clean in the first context");
    let left = seat.containers().await;
    assert!(left.is_empty(), "cargo stack clean in the first context left {left:?}");
    ran.refuses("cargo stack clean with another Docker context", &["--forget"]);
    "the cluster was known, and was removed in the first context".into()
}

/// A configuration of the engine's client whose current context is the socket in between.
async fn context(place: &Place, proxy: &Proxy) -> String {
    let folder = place.path("docker");
    std::fs::create_dir_all(&folder).unwrap();
    let host = format!("host={}", proxy.address);
    for args in [&["context", "create", "another", "--docker", &host][..], &["context", "use", "another"]] {
        let mut docker = super::docker::tool("docker");
        super::docker::run(docker.args(args).env("DOCKER_CONFIG", &folder).env_remove("DOCKER_HOST")).await.unwrap();
    }
    folder.to_string_lossy().into_owned()
}

/// The same by the variable.
pub async fn another_address_is_no_leave_to_forget(place: &Place) -> Shown {
    let Some(proxy) = Proxy::start(place, Answer::Another).await else { return Shown::Nothing(NO_SOCKET) };
    let seat = place.seat("one").await;
    let (registry, _) = seat.registry().await;
    let other = seat.clone().with("DOCKER_HOST", &proxy.address);
    let ran = other.stack(&["clean"]).run().await;
    nothing_was_forgotten(&seat, &registry, "cargo stack clean with another DOCKER_HOST").await;
    let told = ran.text.contains("--forget") || ran.text.contains("nothing was there");
    assert!(
        told,
        "cargo stack clean with another DOCKER_HOST said neither what it left nor that nothing was there\n{}",
        ran.text
    );
    "cargo stack clean left all of the first engine's as it was".into()
}

/// `docker context use` while it cleans: what it then finds gone says nothing.
pub async fn another_engine_in_the_middle_is_no_leave_to_forget(place: &Place) -> Shown {
    let Some(proxy) = Proxy::start(place, Answer::Pass).await else { return Shown::Nothing(NO_SOCKET) };
    let seat = behind(place, &proxy).await;
    let (registry, _) = seat.registry().await;
    proxy.answer_to("/containers/", Answer::Another);
    proxy.answer_to("/networks", Answer::Another);
    let running = seat.stack(&["clean"]).start();
    assert!(proxy.asked("/containers/", Duration::from_secs(60)).await, "it asked for no container");
    // It asked who the engine is before that; whom it asks from now on is another one.
    proxy.answer(Answer::Another);
    let ran = running.end().await;
    proxy.answer(Answer::Pass);
    nothing_was_forgotten(&seat, &registry, "the engine was another one in the middle of cargo stack clean").await;
    ran.refuses("cargo stack clean whose engine became another one", &["--forget"]);
    "cargo stack clean refused, named --forget, and went on once the first engine answered".into()
}

pub async fn an_uninstall_with_another_engine_keeps_the_record(place: &Place) -> Shown {
    let Some(proxy) = Proxy::start(place, Answer::Another).await else { return Shown::Nothing(NO_SOCKET) };
    let seat = place.seat("one").await;
    let (registry, _) = seat.registry().await;
    let other = seat.clone().with("DOCKER_CONFIG", context(place, &proxy).await);
    let other = other.with("XDG_CACHE_HOME", place.path("cache").to_string_lossy());
    let ran = other.stack(&["clean", "--all"]).run().await;
    nothing_was_forgotten(&seat, &registry, "cargo stack clean --all with another Docker context").await;
    ran.refuses("cargo stack clean --all with another Docker context", &["--forget"]);
    "cargo stack clean --all refused, and named --forget".into()
}

/// Gone as soon as the registry runs: the run fails with the truth, the next one is green.
pub async fn gone_in_the_middle_of_a_run_it_may_come_back(place: &Place) -> Shown {
    let Some(proxy) = Proxy::start(place, Answer::Pass).await else { return Shown::Nothing(NO_SOCKET) };
    let seat = behind(place, &proxy).await;
    seat.name().await;
    let running = seat.suite(&IMAGES).start();
    assert!(proxy.asked("/push", Duration::from_secs(120)).await, "the run pushed nothing");
    proxy.answer(Answer::Refuse);
    let ran = running.end().await;
    proxy.answer(Answer::Pass);
    ran.refuses("a run whose engine is gone in the middle", &[]);
    let there = seat.container("-registry").await;
    let there = there.expect("the registry was removed while the engine did not answer").0;
    seat.suite(&IMAGES).run().await.passes("the run after it");
    nothing_was_forgotten(&seat, &there, "the engine was gone in the middle of a run").await;
    "the run failed, the next one was green, cargo stack clean removed all".into()
}

/// The reaper wakes while the engine does not answer; the cluster's time is over all the same once it does.
pub async fn the_reaper_outlives_its_errors(place: &Place) -> Shown {
    let Some(proxy) = Proxy::start(place, Answer::Pass).await else { return Shown::Nothing(NO_SOCKET) };
    let seat = behind(place, &proxy).await.with("JETSCALE_KEEP", "never");
    let (registry, _) = seat.registry().await;
    proxy.answer(Answer::Refuse);
    assert!(proxy.asked("", Duration::from_secs(120)).await, "the reaper did not wake within two minutes");
    // Longer than one of its calls, so that it has taken its error to heart.
    tokio::time::sleep(Duration::from_secs(20)).await;
    proxy.answer(Answer::Pass);
    let mut wait = super::docker::tool("docker");
    // Ends when it does, and at once where it is gone already.
    let _ = tokio::time::timeout(Duration::from_secs(240), wait.args(["wait", &registry]).output()).await;
    let gone = inspect("container", &registry).await.is_none();
    assert!(gone, "the reaper ended with the engine's first error, and the registry stays for ever");
    "the registry went once the engine answered again".into()
}
