//! Two clusters whose previews are on the same Postgres and the same Redis: each has its own there, and removes its own alone.

use super::command::Call;
use super::place::{Place, namespace_of};
use super::{cluster, stores};

/// The first one's name is its beginning.
const SECOND: &str = "rehearsal-2";
/// What a preview's api says of its stores; an answer other than 200 is an error.
const READY: &str = "import urllib.request as it; print(it.urlopen('http://localhost:8000/api/v2/system/ready', timeout=30).read().decode())";

pub async fn by_two_clusters(first: &Place, number: &str) {
    let second = Box::pin(first.second(SECOND)).await;
    let ups = tokio::join!(first.up(number).run(), second.up(number).run());
    assert!(ups.0.passed && ups.1.passed, "{}\n{}", ups.0.text, ups.1.text);
    let names = [stores::name_of(number), stores::name_in(SECOND, number)];
    let has_its_own = async |name: &str| {
        let held = stores::holds(first.client(), name).await;
        for kind in ["database", "login", "user"] {
            assert!(held.contains(&format!("{kind} {name}")), "{name} has no {kind}: {held:?}");
        }
    };
    for name in &names {
        has_its_own(name).await;
    }

    // The one goes, by its teardown; and whoever leads anew looks for what is nobody's, which the other's is not.
    first.takes_down(number).await;
    let orphan = stores::name_of("196");
    first.plant(&orphan).await;
    first.kill_the_keeper().await;
    first.until_holds(&orphan, None).await;
    has_its_own(&names[1]).await;
    answers(&second, number).await;

    // And the other way round.
    let up = first.up(number).run().await;
    assert!(up.passed, "{}", up.text);
    let orphan = stores::name_in(SECOND, "196");
    first.plant(&orphan).await;
    second.kill_the_keeper().await;
    first.until_holds(&orphan, None).await;
    let down = second.stack(number, &["down"]).run().await;
    assert!(down.passed, "{}", down.text);
    assert!(!second.exists(number).await, "the second one's remains");
    let left = stores::holds(first.client(), &names[1]).await;
    assert!(left.is_empty(), "of the second one's there remains {left:?}");
    has_its_own(&names[0]).await;
    answers(first, number).await;

    is_no_namesake(first, &second, number).await;
    first.takes_down(number).await;
}

/// A second cluster that calls itself as the first does is refused, and touches nothing of what has that name: not by what is
/// deployed, not by what goes, not by looking for what is nobody's.
async fn is_no_namesake(first: &Place, second: &Place, number: &str) {
    let mut values = second.installed();
    values["cluster"] = stores::CLUSTER.into();
    second.install(&values).await;
    let named = |call: Call| call.with("JETSCALE_PREVIEW_CLUSTER", stores::CLUSTER);
    let up = named(second.up(number)).run().await;
    assert!(!up.passed && up.text.contains("another cluster that calls itself rehearsal"), "{}", up.text);
    second.kill_the_keeper().await;
    let down = named(second.stack(number, &["down"])).run().await;
    assert!(down.passed, "{}", down.text);
    assert!(!second.exists(number).await, "{} of the second remains", namespace_of(number));
    let held = stores::holds(first.client(), &stores::name_of(number)).await;
    assert!(held.len() > 3, "of the first one's there remains {held:?}");
    answers(first, number).await;
}

/// Its database and its Redis serve it still.
async fn answers(place: &Place, number: &str) {
    let (namespace, api) = (namespace_of(number), "app.kubernetes.io/component=api");
    let says = cluster::exec(place.client(), &namespace, api, &["python", "-c", READY]).await;
    for store in ["database", "redis"] {
        assert!(says.contains(&format!("\"{store}\":\"ok\"")), "{says}");
    }
}
