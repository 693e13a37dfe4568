//! Kind clusters of others: beside ours, with names like ours, on our network.

use std::time::Duration;

use super::docker::{Heard, docker, inspect, node_image, run, tool, tried};
use super::place::{Place, RELEASE, Seat};
use super::planted::Thing;
use super::trial::Shown;

/// How long a cluster and a release may take on a busy machine.
pub const LIMIT: Duration = Duration::from_secs(600);

/// A run was killed while kind made the node, which somebody removed since. Now there is another's of the name that
/// other state folders of this checkout would give theirs.
pub async fn a_container_in_the_place_of_our_half_made_node_stays(place: &Place) -> Shown {
    let seat = place.seat("one").await;
    let name = seat.name().await;
    let mut heard = Heard::listen();
    let mut running = seat.suite(&RELEASE).within(LIMIT).start();
    let node = heard.next(&["container start ", &name, "-control-plane "]).await.expect("no node was started");
    running.kill().await;
    end_kind(&name).await;
    docker(&["rm", "--force", "--volumes", &node]).await;
    place.plant_node(&name, &[]).await;
    let ran = seat.stack(&["clean", "--wait"]).within(LIMIT).run().await;
    let changes = place.changes().await;
    assert!(changes.is_empty(), "cargo stack clean after a killed run: {}\n{}", changes.join("; "), ran.text);
    "cargo stack clean left it".into()
}

/// Ends the kind that a killed run left behind at its work, told by the name that it was given.
async fn end_kind(name: &str) {
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).into_owned();
        let words: Vec<_> = line.split('\0').collect();
        if words.contains(&"create") && words.iter().any(|word| word.starts_with(name)) {
            let pid = entry.file_name().to_string_lossy().into_owned();
            let _ = run(tool("kill").args(["-KILL", &pid])).await;
        }
    }
}

/// Nodes whose clusters' names begin with ours: what deletes by a beginning, or by a pattern, would take them along.
pub async fn a_cluster_with_our_names_beginning_stays(place: &Place) -> Shown {
    let seat = place.seat("one").await;
    let name = seat.name().await;
    let strangers =
        [place.plant_node(&format!("{name}0"), &[]).await, place.plant_node(&format!("{name}-own"), &[]).await];
    come_and_go(&seat, &strangers).await;
    "ours came and went beside them".into()
}

/// Our cluster with its release comes, and goes, beside containers of strangers whose names begin as ours do.
async fn come_and_go(seat: &Seat, strangers: &[String]) {
    seat.suite(&RELEASE).within(LIMIT).run().await.passes("a scenario on a cluster of ours");
    seat.stack(&["clean", "--wait"]).within(LIMIT).run().await.passes("cargo stack clean");
    let mut left = seat.containers().await;
    left.retain(|(id, _)| !strangers.contains(id));
    assert!(left.is_empty(), "cargo stack clean left {left:?}");
}

/// Makes a Kind cluster as anybody does: the ID of its node.
async fn another(place: &Place, name: &str) -> String {
    let image = node_image().await;
    let mut kind = tool("kind");
    kind.args(["create", "cluster", "--name", name, "--image", &image, "--kubeconfig"]).arg(place.path("kubeconfig"));
    let made = tokio::time::timeout(LIMIT, kind.output()).await.unwrap().unwrap();
    let node = inspect("container", &format!("{name}-control-plane")).await;
    let node = node.unwrap_or_else(|| panic!("kind made no cluster\n{}", String::from_utf8_lossy(&made.stderr)));
    let node = node["Id"].as_str().unwrap().to_owned();
    place.note(Thing::Container(node.clone())).await;
    assert!(made.status.success(), "kind made no cluster\n{}", String::from_utf8_lossy(&made.stderr));
    node
}

/// Whether its API server says that it is ready, within some minutes.
async fn answers(node: &str) -> bool {
    let ask = "until kubectl --kubeconfig /etc/kubernetes/admin.conf get --raw /readyz; do sleep 1; done";
    let mut docker = tool("docker");
    let asked = docker.args(["exec", node, "sh", "-c", ask]).output();
    tokio::time::timeout(Duration::from_secs(180), asked).await.is_ok_and(|output| output.unwrap().status.success())
}

pub async fn a_running_cluster_of_another_stays(place: &Place) -> Shown {
    let seat = place.seat("one").await;
    let node = another(place, &format!("foreign-{}", std::process::id())).await;
    come_and_go(&seat, &[]).await;
    assert!(answers(&node).await, "the other cluster does not answer any more");
    "ours came and went, the other answers".into()
}

/// It is stopped while ours goes, and with ours, perhaps, a network that both were on: where there was no network `kind`
/// before, ours is the one that made it.
pub async fn a_stopped_cluster_of_another_starts_again(place: &Place) -> Shown {
    let seat = place.seat("one").await;
    seat.suite(&RELEASE).within(LIMIT).run().await.passes("a scenario on a cluster of ours");
    let node = another(place, &format!("foreign-{}", std::process::id())).await;
    docker(&["stop", &node]).await;
    place.note_again().await;
    seat.stack(&["clean", "--wait"]).within(LIMIT).run().await.passes("cargo stack clean");
    let changes = place.changes().await;
    assert!(changes.is_empty(), "cargo stack clean: {}", changes.join("; "));
    let started = tried(&["start", &node]).await;
    assert!(started.is_ok(), "the other cluster cannot be started any more: {}", started.unwrap_err());
    place.note_again().await;
    assert!(answers(&node).await, "the other cluster does not answer any more");
    "it was started, and answers".into()
}

/// Whoever put a container onto our network, and stopped it, can start it again.
pub async fn a_stranger_on_our_network_keeps_it(place: &Place) -> Shown {
    let seat = place.seat("one").await;
    seat.suite(&RELEASE).within(LIMIT).run().await.passes("a scenario on a cluster of ours");
    let (node, _) = seat.container("-control-plane").await.expect("there is no node");
    let found = inspect("container", &node).await.unwrap();
    let networks = found["NetworkSettings"]["Networks"].as_object().unwrap().clone();
    let (network, _) = networks.iter().next().unwrap();
    let stranger = place.plant(&format!("stranger-on-{}", std::process::id()), &["--network", network]).await;
    docker(&["kill", &stranger]).await;
    docker(&["wait", &stranger]).await;
    place.note_again().await;
    seat.stack(&["clean", "--wait"]).within(LIMIT).run().await.passes("cargo stack clean");
    let started = tried(&["start", &stranger]).await;
    assert!(started.is_ok(), "a stranger on our network cannot be started any more: {}", started.unwrap_err());
    place.note_again().await;
    seat.suite(&RELEASE).within(LIMIT).run().await.passes("the next run");
    format!("the network {} stayed until nobody was on it", if network == "kind" { "kind" } else { "of ours" }).into()
}
