//! Strangers' containers, networks and images under names like ours, and under ours.

use super::docker::{docker, inspect, tried};
use super::folders::NO_SOCKET;
use super::place::{IMAGES, Place};
use super::planted::{Thing, image};
use super::proxy::{Answer, Proxy};
use super::trial::Shown;

/// Nobody ran anything here: whatever has our names is somebody else's.
pub async fn containers_named_as_ours_would_be_stay(place: &Place) -> Shown {
    let seat = place.seat("one").await;
    let name = seat.name().await;
    place.plant_node(&name, &[]).await;
    place.plant_node(&format!("{name}-0a1b2c"), &[]).await;
    place.plant(&format!("{name}-registry"), &[]).await;
    let ran = seat.stack(&["clean"]).run().await;
    let changes = place.changes().await;
    assert!(changes.is_empty(), "cargo stack clean where nothing ever ran: {}\n{}", changes.join("; "), ran.text);
    "cargo stack clean touched none of them".into()
}

pub async fn a_network_with_our_names_beginning_stays(place: &Place) -> Shown {
    let seat = place.seat("one").await;
    let name = seat.name().await;
    for name in [name.clone(), format!("{name}-0a1b2c")] {
        let network = docker(&["network", "create", &name]).await;
        place.note(Thing::Network(network)).await;
    }
    seat.suite(&IMAGES).run().await.passes("a scenario about images");
    seat.stack(&["clean"]).run().await.passes("cargo stack clean");
    "a run and cargo stack clean touched neither".into()
}

/// A stranger's registry in the place of ours: he holds the name, and must not be given our images.
pub async fn a_strangers_registry_under_our_name_is_not_used(place: &Place) -> Shown {
    let seat = place.seat("one").await;
    let (stranger, name) = in_the_place_of_ours(place, &seat).await;
    let ran = seat.suite(&IMAGES).run().await;
    let pushed = docker(&["exec", &stranger, "ls", "/var/lib/registry"]).await;
    assert!(pushed.is_empty(), "a run pushed our images into a stranger's registry under our name\n{}", ran.text);
    ran.refuses("a run beside a stranger's registry under our name", &[&name]);
    "a run refused it by its name, and pushed nothing into it".into()
}

/// The same one, which does not run: it holds the name all the same.
pub async fn a_strangers_stopped_registry_under_our_name_stays(place: &Place) -> Shown {
    let seat = place.seat("one").await;
    let (stranger, name) = in_the_place_of_ours(place, &seat).await;
    docker(&["kill", &stranger]).await;
    docker(&["wait", &stranger]).await;
    place.note_again().await;
    let ran = seat.suite(&IMAGES).run().await;
    let changes = place.changes().await;
    assert!(changes.is_empty(), "a run: {}\n{}", changes.join("; "), ran.text);
    ran.refuses("a run beside a stranger's stopped registry under our name", &[&name]);
    "a run refused it by its name".into()
}

pub async fn a_strangers_registry_under_our_name_is_not_cleaned(place: &Place) -> Shown {
    let seat = place.seat("one").await;
    in_the_place_of_ours(place, &seat).await;
    let ran = seat.stack(&["clean"]).run().await;
    let changes = place.changes().await;
    assert!(changes.is_empty(), "cargo stack clean: {}\n{}", changes.join("; "), ran.text);
    "cargo stack clean left it".into()
}

/// Takes our registry away, and puts a stranger's of the same name there: his ID, and the name.
async fn in_the_place_of_ours(place: &Place, seat: &super::place::Seat) -> (String, String) {
    let (ours, name) = seat.registry().await;
    let image = inspect("container", &ours).await.unwrap()["Config"]["Image"].as_str().unwrap().to_owned();
    docker(&["rm", "--force", "--volumes", &ours]).await;
    let run = ["run", "--detach", "--name", &name, "--publish", "127.0.0.1::5000", "--volume", "/var/lib/registry"];
    let stranger = docker(&[&run[..], &[&image]].concat()).await;
    place.note(Thing::Container(stranger.clone())).await;
    (stranger, name)
}

/// Two state folders of one checkout: what the one started is none of the other's.
pub async fn cleaning_with_another_state_folder_keeps_the_registry(place: &Place) -> Shown {
    let seat = place.seat("one").await;
    let (registry, _) = seat.registry().await;
    let other = place.seat_in("other", &seat.checkout).await;
    let ran = other.stack(&["clean"]).run().await;
    let there = inspect("container", &registry).await.is_some();
    assert!(there, "cargo stack clean with another state folder removed the registry of this one\n{}", ran.text);
    seat.stack(&["clean"]).run().await.passes("cargo stack clean with its own state folder");
    let there = inspect("container", &registry).await.is_some();
    assert!(!there, "cargo stack clean with its own state folder left its registry");
    "it stayed, and went by the state folder that it belongs to".into()
}

/// One who builds our Dockerfile by hand, for a registry of his own on this machine, gives the title that we give.
pub async fn an_image_that_somebody_built_by_hand_stays(place: &Place) -> Shown {
    let tag = format!("foreign-planted-{}", std::process::id());
    let Some(proxy) = Proxy::start(place, Answer::ImagesNamed(format!("*/{tag}"))).await else {
        return Shown::Nothing(NO_SOCKET);
    };
    let seat = place.seat_apart("one", &proxy).await;
    let title = "org.opencontainers.image.title=jetscale-backend";
    let theirs = image(&format!("127.0.0.1:9/{tag}:1"), &[title]).await;
    place.note(Thing::Image(theirs.clone())).await;
    let ran = seat.stack(&["clean", "--all"]).run().await;
    let changes = place.changes().await;
    assert!(changes.is_empty(), "cargo stack clean --all: {}\n{}", changes.join("; "), ran.text);
    ran.passes("cargo stack clean --all");
    assert!(ran.text.contains(&theirs), "cargo stack clean --all left it without a word\n{}", ran.text);
    "cargo stack clean --all left it, and said so".into()
}

/// An image of ours that a stranger gave a name to as well: his name stays, and so does the image.
pub async fn an_uninstall_keeps_an_image_that_a_stranger_named_too(place: &Place) -> Shown {
    let tag = format!("foreign-planted-{}", std::process::id());
    // Images of the machine that are in use by others stay out of it, whatever version is tried.
    let Some(proxy) = Proxy::start(place, Answer::ImagesNamed(format!("*/{tag}"))).await else {
        return Shown::Nothing(NO_SOCKET);
    };
    let seat = place.seat_apart("one", &proxy).await;
    let ours = image(&format!("jetscale.internal/{tag}:1"), &["internal.harness.made-from=foreign"]).await;
    let theirs = format!("stranger.example/{tag}:1");
    docker(&["tag", &ours, &theirs]).await;
    place.note(Thing::Image(theirs)).await;
    let ran = seat.stack(&["clean", "--all"]).run().await;
    let changes = place.changes().await;
    let _ = tried(&["image", "rm", "--no-prune", &ours]).await;
    assert!(changes.is_empty(), "cargo stack clean --all: {}\n{}", changes.join("; "), ran.text);
    ran.passes("cargo stack clean --all");
    "cargo stack clean --all left it with the stranger's name".into()
}
