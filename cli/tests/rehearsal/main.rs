//! What is done on somebody else's cluster, rehearsed on Kind. Stage preview as it is really used: `cargo stack preview` by a
//! deployer with no other rights, on stage local's cluster, which an administrator opened to previews (what differs on EKS:
//! docs/preview.md). And a release to stage live, by Skaffold alone.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on says where")]
#![expect(clippy::disallowed_methods, reason = "a test starts processes as a user would, in his environment")]

mod apart;
mod cluster;
mod cluster_checks;
mod command;
mod github;
mod hostile;
mod kept;
mod live;
mod place;
mod pulls;
mod races;
mod reached;
mod room;
mod shared;
mod shifted;
mod stores;
mod suite;

use std::process::ExitCode;

use harness::cluster::reaper;
use harness::runner_flags::RunnerFlags;
use harness::settings::Settings;
use harness::stage::Stage;
use libtest_mimic::{Completion, Trial};

use self::github::GitHub;
use self::place::{Place, rehearse};

/// A trial of each function's name. All take long, and wait for `--include-ignored`, as .ci/nightly gives.
/// The sweeper's image is made of this machine's own binary, which is to run on Linux.
macro_rules! trials {
    ($asked:expr, $elsewhere:expr, $($name:ident: $tier:ident),+ $(,)?) => {
        vec![$(
            Trial::ignorable_test(stringify!($name), move || match (Tier::$tier, $elsewhere) {
                (_, Some(stage)) => Ok(Completion::ignored_with(format!("it builds images, and stage {stage} builds none: it belongs to stage local"))),
                (_, None) if !$asked.runs_long() => Ok(Completion::ignored_with("it takes long: --include-ignored runs it")),
                _ => Ok(Shown::from(rehearse($name(), matches!(Tier::$tier, Tier::Alone))).into()),
            })
            .with_ignored_flag(!cfg!(target_os = "linux") || $asked.flags_long())
        ),+]
    };
}

/// How a trial runs.
#[derive(Clone, Copy)]
enum Tier {
    /// Beside others.
    Beside,
    /// With no other beside it: it stops what all use.
    Alone,
}

fn main() -> ExitCode {
    harness::spec::of(&jetscale::STACK);
    if let Some(code) = reaper::enter_if_asked() {
        return code;
    }
    let flags = match RunnerFlags::of_this_process() {
        Ok(flags) => flags,
        Err(code) => return code,
    };
    let asked = flags.asked();
    let settings = Settings::from_environment();
    // A wrong one is refused by the suites, and here by nobody.
    let elsewhere = settings.stage.get().ok().flatten().filter(|stage| *stage != Stage::Local);
    let trials = trials![
        asked,
        elsewhere,
        a_preview_lives_and_goes: Beside,
        two_previews_share_nothing: Beside,
        a_preview_whose_time_is_over_is_swept: Beside,
        two_previews_reach_nothing_of_each_other: Beside,
        the_scenarios_run_against_a_preview: Beside,
        what_a_kill_left_is_gone_on_from: Beside,
        a_teardown_takes_its_turn: Beside,
        what_is_foreign_is_left_alone: Beside,
        a_hostile_pull_request_is_refused: Beside,
        a_chart_that_looks_around_finds_nothing: Beside,
        the_cluster_checks_again: Beside,
        only_a_closed_pull_request_is_swept: Beside,
        the_accounts_can_touch_nothing_but_previews: Beside,
        the_sweeper_runs_in_the_cluster: Beside,
        whatever_was_made_in_a_store_goes: Alone,
        a_store_that_stops_is_said: Alone,
        another_keeper_takes_over: Alone,
        images_come_by_the_clusters_own_account: Alone,
        a_registry_that_comes_back_is_waited_for: Alone,
        aws_makes_the_users_of_a_cache: Alone,
        without_managed_stores_a_preview_has_its_own: Alone,
        a_wrong_clock_on_the_way_ends_nothing: Beside,
        whatever_the_order_closed_ones_go_and_open_ones_stay: Alone,
        the_api_is_reached_as_kubectl_reaches_it: Beside,
        a_pod_without_room_waits_for_a_node: Beside,
        // Last: their clusters stay until this process has ended.
        a_release_to_live_by_skaffold_alone: Alone,
        two_clusters_share_their_stores: Alone,
    ];
    // More at once than there are processors only wait for each other.
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    match flags.run(trials, &settings, (processors, processors)) {
        Ok(ended) => ended.exit_code(),
        Err(error) => panic!("{}", error.report()),
    }
}

/// Why a trial shows nothing here, if so.
enum Shown {
    All,
    Nothing(&'static str),
}

impl From<()> for Shown {
    fn from((): ()) -> Self {
        Self::All
    }
}

impl From<Shown> for Completion {
    fn from(shown: Shown) -> Self {
        match shown {
            Shown::All => Self::Completed,
            Shown::Nothing(why) => Self::ignored_with(why),
        }
    }
}

/// A preview is deployed, served through the Ingress with TLS, deployed again without a change, and gone by `down`.
async fn a_preview_lives_and_goes() {
    let place = Place::get().await;
    let number = "101";
    let up = place.up(number).run().await;
    assert!(up.passed && up.text.contains("https://pr-101.app.jetscale.ai/"), "{}", up.text);
    place.is_restricted(number).await;
    place.is_limited(number).await;

    let before = (place.created(number).await, place.pods(number).await);
    let again = place.up(number).run().await;
    assert!(again.passed, "{}", again.text);
    assert_eq!(before, (place.created(number).await, place.pods(number).await), "the same content restarted pods");

    let list = place.stack(number, &["list"]).run().await;
    assert!(list.text.contains("pr-101  "), "{}", list.text);
    let down = place.stack(number, &["down"]).run().await;
    assert!(down.passed && down.text.contains("pr-101  removed"), "{}", down.text);
    place.is_gone(number).await;
    let down = place.stack(number, &["down"]).run().await;
    assert!(down.passed && down.text.contains("there is no preview"), "{}", down.text);
    let status = place.stack(number, &["status"]).run().await;
    assert!(!status.passed && status.text.contains("there is no preview"), "{}", status.text);
}

/// Two previews deployed at once, one of them twice at once, have no secret and no store in common.
async fn two_previews_share_nothing() {
    let place = Place::get().await;
    let (one, two) = ("113", "114");
    let ups = tokio::join!(place.up(one).run(), place.up(two).run(), place.up(one).run());
    for up in [&ups.0, &ups.1, &ups.2] {
        assert!(up.passed, "{}", up.text);
    }
    // More than once a process: what had expired was refreshed.
    assert!(place.plugin_calls() > 50, "the exec plugin was asked only {} times", place.plugin_calls());
    assert_ne!(place.auth(one).await, place.auth(two).await, "two previews share their secrets");
    place.share_no_store(one, two).await;
    let list = place.stack(one, &["list"]).run().await;
    assert!(list.text.contains("pr-113  ") && list.text.contains("pr-114  "), "{}", list.text);
    place.takes_down(one).await;
    place.takes_down(two).await;
}

/// A preview whose time is over: a dry run says so, and a sweep removes it.
async fn a_preview_whose_time_is_over_is_swept() {
    let place = Place::get().await;
    let number = "102";
    let up = place.up(number).run().await;
    assert!(up.passed, "{}", up.text);
    let _turn = place.sweeps.lock().await;
    place.label(number, "jetscale.ai/expires", Some("1")).await;
    let dry = place.stack(number, &["sweep", "--dry-run", "--expired-only"]).run().await;
    assert!(dry.text.contains("pr-102  remove: its time was over"), "{}", dry.text);
    assert!(place.exists(number).await, "a dry run removed it");
    let sweep = place.stack(number, &["sweep", "--expired-only"]).run().await;
    assert!(sweep.passed && sweep.text.contains("pr-102  removed"), "{}", sweep.text);
    place.is_gone(number).await;
}

/// Where the cluster's network enforces policies; elsewhere nothing keeps them apart.
async fn two_previews_reach_nothing_of_each_other() -> Shown {
    let place = Place::get().await;
    if !place.enforces_policies().await {
        return Shown::Nothing("this cluster's network enforces no NetworkPolicy, so nothing keeps previews apart");
    }
    let (one, two) = ("111", "112");
    let ups = tokio::join!(place.up(one).run(), place.up(two).run());
    assert!(ups.0.passed && ups.1.passed, "{}\n{}", ups.0.text, ups.1.text);
    place.are_apart(one, two).await;
    for number in [one, two] {
        place.takes_down(number).await;
    }
    Shown::All
}

/// The scenarios of e2e, from outside, and then those of stage live.
async fn the_scenarios_run_against_a_preview() {
    let place = Place::get().await;
    let ran = suite::e2e(place, "110").await;
    let smoke = suite::smoke(place, "110").await;
    let down = place.stack("110", &["down"]).run().await;
    assert!(ran.passed, "{}", ran.text);
    assert!(smoke.passed, "{}", smoke.text);
    assert!(down.passed, "{}", down.text);
    let run = [
        "backend::version_is_the_artifacts_revision",
        "backend::docs_are_served",
        "aws::readiness_names_each_part",
        "aws::attachments_are_put_read_back_and_deleted",
        "aws::the_database_is_asked_over_verified_tls",
        "aws::no_key_is_stored",
    ];
    for scenario in run {
        let passed = |line: &str| line.starts_with(&format!("test {scenario} ")) && line.ends_with(" ok");
        assert!(ran.text.lines().any(passed), "{scenario} did not run:\n{}", ran.text);
    }
    assert!(ran.text.contains("a preview is one namespace with one release"), "{}", ran.text);
}

/// A killed deploy and a killed teardown: the next command goes on from there, once the dead one's Lease is over.
async fn what_a_kill_left_is_gone_on_from() {
    let place = Place::get().await;
    let number = "103";
    let mut up = place.up(number).start();
    place.has_begun(number).await;
    up.kill().await;
    // By Helm alone, what Skaffold began.
    let again = place.up(number).with("JETSCALE_DEPLOYER", "helm").run().await;
    assert!(again.passed, "{}", again.text);
    assert!(again.text.contains("taken over"), "{}", again.text);

    place.hold(number, true).await;
    let mut down = place.stack(number, &["down"]).start();
    place.is_terminating(number).await;
    down.kill().await;
    let late = place.stack(number, &["down", "--within", "15"]).run().await;
    assert!(!late.passed && late.text.contains("jetscale.ai/hold"), "the finalizer is not named:\n{}", late.text);
    place.hold(number, false).await;
    place.takes_down(number).await;

    // Killed once the namespace was gone, and before its volumes were.
    let volume = place.leave_volume(number).await;
    let late = place.stack(number, &["down", "--within", "5"]).run().await;
    place.remove_volume(&volume).await;
    assert!(!late.passed && late.text.contains(&volume), "the volume is not named:\n{}", late.text);
    place.takes_down(number).await;
}

/// A teardown waits for the deploy of the same preview that goes on, says so, and then leaves nothing of it; the deploy, which
/// waits for its host by then, ends and says why.
async fn a_teardown_takes_its_turn() {
    let place = Place::get().await;
    let number = "109";
    let up = tokio::spawn(place.up(number).run());
    place.has_begun(number).await;
    let down = place.stack(number, &["down"]).run().await;
    let up = up.await.unwrap();
    assert!(!up.passed && up.text.contains("was taken down while its host was waited for"), "{}", up.text);
    assert!(down.passed && down.text.contains("waiting for up of"), "{}", down.text);
    place.is_gone(number).await;
}

/// What is foreign is left alone, whoever asks and however.
async fn what_is_foreign_is_left_alone() {
    let place = Place::get().await;
    place.namespace("jetscale-pr-104", false, "104").await;
    place.namespace("jetscale-pr-105", true, "106").await;
    place.namespace("rehearsal-labelled", true, "107").await;
    let config = place.admin_context();
    let refused = [
        ("a command", place.stack("1; rm", &["down"]), "is no pull request"),
        ("a path", place.stack("../101", &["down"]), "is no pull request"),
        ("no pull request", place.stack("", &["down"]), "is no pull request"),
        ("no revision", place.up("104").with("GIT_SHA", "main"), "7 to 40 hexadecimal digits"),
        ("another revision", place.up("104").with("GIT_SHA", "0000000"), "the artifact set is of the revision"),
        ("no context", place.stack("104", &["down"]).with("JETSCALE_KUBE_CONTEXT", ""), "names no context"),
        ("another context", place.stack("104", &["down"]).with("JETSCALE_KUBE_CONTEXT", &config), "not allowed by"),
        ("no cluster", place.stack("104", &["down"]).with("JETSCALE_PREVIEW_CLUSTER", ""), "is not set, so no cluster"),
        (
            "another cluster",
            place.stack("104", &["down"]).with("JETSCALE_PREVIEW_CLUSTER", "another"),
            "the cluster says that it is \"rehearsal\"",
        ),
        ("production", place.stack("104", &["sweep"]).with("JETSCALE_KUBE_CONTEXT", "rehearsal-prod"), "GITHUB"),
        (
            "a production context",
            place.stack("104", &["sweep", "--expired-only"]).with("JETSCALE_KUBE_CONTEXT", "rehearsal-prod"),
            "looks like production",
        ),
        ("an unlabelled namespace, up", place.up("104"), "none of our previews"),
        ("an unlabelled namespace, down", place.stack("104", &["down"]), "none of our previews"),
        ("another's namespace, up", place.up("105"), "none of our previews"),
        ("another's namespace, down", place.stack("105", &["down"]), "none of our previews"),
        ("another's host", place.up("104").with("JETSCALE_PREVIEW_URL", "https://app.jetscale.ai"), "is not where"),
        (
            "charts with a cluster's kind",
            place.up("108").with_charts(place, cluster::NAMESPACE_TEMPLATE),
            "Namespace is no kind",
        ),
        ("charts of another host", place.up("108").with_charts(place, cluster::HOST_TEMPLATE), "its host is"),
    ];
    for (what, command, says) in refused {
        let ran = command.run().await;
        assert!(!ran.passed && ran.text.contains(says), "{what}: there is no {says:?} in:\n{}", ran.text);
    }
    let _turn = place.sweeps.lock().await;
    let sweep = place.stack("1", &["sweep", "--expired-only"]).run().await;
    assert!(sweep.passed && !sweep.text.contains("pr-105") && !sweep.text.contains("pr-107"), "{}", sweep.text);
    for name in ["jetscale-pr-104", "jetscale-pr-105", "rehearsal-labelled"] {
        assert!(place.has_namespace(name).await, "{name} was removed");
        place.remove_namespace(name).await;
    }
    assert!(!place.exists("108").await, "something was applied");
}

/// Somebody who may write everything in a pull request gains nothing.
async fn a_hostile_pull_request_is_refused() {
    hostile::is_refused(Place::get().await).await;
}

/// A chart is rendered once, without the cluster, and what was looked at is what is deployed: with the deployer's rights it
/// could read its own namespace while Helm deploys it, and be another object then.
async fn a_chart_that_looks_around_finds_nothing() {
    let place = Place::get().await;
    let number = "151";
    let first = place.up(number).with_charts(place, cluster::LOOKUP_TEMPLATE).run().await;
    assert!(first.passed, "{}", first.text);
    // The second time there is something to be found.
    let again =
        place.up(number).with_charts(place, cluster::LOOKUP_TEMPLATE).with("JETSCALE_DEPLOYER", "helm").run().await;
    assert!(again.passed, "{}", again.text);
    let found = [("found", "{}"), ("upgrade", "false")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(place.data_of(number, "mine").await, found);
    place.takes_down(number).await;
}

/// Past the harness, by whoever has the deployer's credentials: the cluster refuses each object by a policy of its own.
async fn the_cluster_checks_again() {
    let place = Place::get().await;
    place.namespace("jetscale-pr-152", true, "152").await;
    place.bind_deployer("152").await;
    cluster_checks::refuses(place, "152").await;
    place.remove_namespace("jetscale-pr-152").await;
}

/// A closed pull request ends its preview; an error and a 404 never do; an open one's goes on, however old.
async fn only_a_closed_pull_request_is_swept() {
    let place = Place::get().await;
    let pulls = [
        ("121", (200, "closed", true)),
        ("122", (200, "open", true)),
        ("123", (404, "", false)),
        ("124", (500, "", false)),
        ("125", (200, "open", false)),
    ];
    let github = GitHub::start(pulls).await;
    for number in ["121", "122", "123", "124", "125"] {
        place.namespace(&format!("jetscale-pr-{number}"), true, number).await;
    }
    let _turn = place.sweeps.lock().await;
    place.label("122", "jetscale.ai/expires", Some("1")).await;
    let sweep = place.asking(&github, "1", &["sweep"]).run().await;
    assert!(sweep.passed && !sweep.text.contains("hunter2"), "{}", sweep.text);
    assert!(sweep.text.contains("pr-121  remove: its pull request is closed"), "{}", sweep.text);
    assert!(sweep.text.contains("pr-125  remove: its pull request has no label preview"), "{}", sweep.text);
    assert!(sweep.text.contains("pr-123  keep: GitHub answered 404"), "{}", sweep.text);
    assert!(sweep.text.contains("pr-122  renewed"), "{}", sweep.text);
    // A label on a closed one deploys nothing.
    let up = place.asking(&github, "121", &["up"]).run().await;
    assert!(!up.passed && up.text.contains("the pull request 121 is closed"), "{}", up.text);
    for number in ["121", "125"] {
        assert!(!place.exists(number).await, "pr-{number} is there");
    }
    // Whoever heard that it is closed, and comes late.
    let down = place.asking(&github, "122", &["down", "--unless-open"]).run().await;
    assert!(down.passed && down.text.contains("pr-122  kept: its pull request is open"), "{}", down.text);
    let down = place.asking(&github, "124", &["down", "--unless-open"]).run().await;
    assert!(down.passed && down.text.contains("or GitHub does not say"), "{}", down.text);
    for number in ["122", "123", "124"] {
        assert!(place.exists(number).await, "pr-{number} was removed:\n{}", sweep.text);
        place.remove_namespace(&format!("jetscale-pr-{number}")).await;
    }
}

/// Through proxies, and with its context in several files.
async fn the_api_is_reached_as_kubectl_reaches_it() {
    reached::as_by_kubectl(Place::get().await).await;
}

/// As an autoscaler makes one, in a minute or more.
async fn a_pod_without_room_waits_for_a_node() {
    room::comes_in_time(Place::get().await, "162").await;
}

/// RBAC lets an account that deletes namespaces delete all of them: a policy does not.
async fn the_accounts_can_touch_nothing_but_previews() {
    let place = Place::get().await;
    place.namespace("jetscale-pr-131", false, "131").await;
    place.namespace("jetscale-pr-132", true, "133").await;
    place.namespace("jetscale-pr-134", true, "134").await;
    place.namespace("rehearsal-foreign", true, "135").await;
    for account in ["preview-sweeper", "deployer"] {
        let client = place.as_account(account).await;
        // All but the two that the API server itself keeps.
        let foreign = ["jetscale", "jetscale-previews", "jetscale-pr-131", "jetscale-pr-132", "rehearsal-foreign"];
        for name in foreign {
            let error = cluster::delete(&client, name, true).await.unwrap_err().to_string();
            assert!(error.contains("only a namespace jetscale-pr-<number>"), "{account} on {name}: {error}");
        }
    }
    let deployer = place.as_account("deployer").await;
    let adopted = cluster::adopt(&deployer, "jetscale-pr-131").await.unwrap_err().to_string();
    assert!(adopted.contains("only a namespace"), "{adopted}");
    for name in ["kube-system", "jetscale-pr-131", "rehearsal-foreign"] {
        let error = cluster::bind(&deployer, name).await.unwrap_err().to_string();
        assert!(error.contains("in previews' namespaces alone"), "{name}: {error}");
    }
    let read = cluster::secrets(&deployer, "kube-system").await.unwrap_err().to_string();
    assert!(read.contains("forbidden"), "{read}");
    cluster::delete(&place.as_account("preview-sweeper").await, "jetscale-pr-134", false).await.unwrap();
    place.gone("jetscale-pr-134").await;
    for name in ["jetscale-pr-131", "jetscale-pr-132", "rehearsal-foreign"] {
        place.remove_namespace(name).await;
    }
}

/// Previews end even if CI never runs again: the CronJob's own pod asks GitHub, removes what is over or closed, and
/// nothing else.
async fn the_sweeper_runs_in_the_cluster() {
    let place = Place::get().await;
    let _turn = place.sweeps.lock().await;
    for number in ["141", "142", "143", "144", "145"] {
        place.namespace(&format!("jetscale-pr-{number}"), true, number).await;
    }
    for number in ["141", "145"] {
        place.label(number, "jetscale.ai/expires", Some("1")).await;
    }
    let log = place.sweep_in_the_cluster().await;
    assert!(log.contains("pr-141  renew: its pull request is open, its time was over"), "{log}");
    assert!(log.contains("pr-145  remove: its time was over") && log.contains("pr-145  removed"), "{log}");
    assert!(log.contains("pr-142  remove: its pull request is closed"), "{log}");
    assert!(log.contains("pr-143  renew: its pull request is open"), "{log}");
    assert!(log.contains("pr-144  keep: GitHub answered 404"), "{log}");
    for (number, stays) in [("141", true), ("142", false), ("143", true), ("144", true), ("145", false)] {
        assert_eq!(place.exists(number).await, stays, "pr-{number}:\n{log}");
    }
    for number in ["141", "143", "144"] {
        place.remove_namespace(&format!("jetscale-pr-{number}")).await;
    }
}

/// A preview makes of its stores all that might keep it, and goes with all of it, within the time of any other; and what it does
/// to another keeps that no longer either.
async fn whatever_was_made_in_a_store_goes() {
    let place = Place::get().await;
    let number = "161";
    let up = place.up(number).run().await;
    assert!(up.passed, "{}", up.text);
    place.hoard(number, number).await;
    // A new preview's database is no copy of where somebody sits.
    let beside = place.up("162").run().await;
    assert!(beside.passed, "{}", beside.text);
    // It names the first one's role in a policy of a table, and locks that.
    place.hoard("162", number).await;
    let down = place.stack(number, &["down"]).run().await;
    assert!(down.passed, "{}", down.text);
    let left = stores::holds(place.client(), &stores::name_of(number)).await;
    assert_eq!(
        left,
        [format!("login {}", stores::name_of(number))],
        "more than the role is left, which signs in no more"
    );
    place.takes_down("162").await;
    // Whoever leads anew looks for what is left.
    place.kill_the_keeper().await;
    place.until_holds(&stores::name_of(number), None).await;
    // That it could get into a database that is not its own, an administrator is told, as the statements that end it.
    let said = place.keepers_say().await;
    for database in ["postgres", "template1"] {
        let revoke = format!("REVOKE CONNECT, TEMPORARY ON DATABASE \"{database}\" FROM PUBLIC;");
        assert!(said.contains(&revoke), "{said}");
    }
}

/// A store that does not answer holds a teardown, which says so, as the namespace does; a Redis that starts again without its
/// users gets them back.
async fn a_store_that_stops_is_said() {
    let place = Place::get().await;
    let number = "163";
    let up = place.up(number).run().await;
    assert!(up.passed, "{}", up.text);
    for runs in [false, true] {
        place.run_store("redis", runs).await;
    }
    place.until_holds(&stores::name_of(number), Some(&format!("user {}", stores::name_of(number)))).await;
    place.run_store("postgres", false).await;
    let down = place.stack(number, &["down", "--within", "30"]).run().await;
    assert!(!down.passed && down.text.contains("connect to postgres of Postgres at"), "{}", down.text);
    let said = place.annotation(number, "jetscale.ai/stores-failed").await;
    assert!(said.contains("connect to postgres of Postgres at"), "{said}");
    place.run_store("postgres", true).await;
    place.takes_down(number).await;
}

/// A keeper is killed, and another leads: what was begun goes on, what is nobody's goes, and what is another cluster's stays.
async fn another_keeper_takes_over() {
    let place = Place::get().await;
    let (orphan, others) = (stores::name_of("164"), ["jetscale-other-pr-164", "jetscale-pr-164"]);
    for name in [orphan.as_str(), others[0], others[1]] {
        place.plant(name).await;
    }
    place.kill_the_keeper().await;
    let up = place.up("165").run().await;
    assert!(up.passed, "{}", up.text);
    place.until_holds(&orphan, None).await;
    place.takes_down("165").await;
    for name in others {
        let held = stores::holds(place.client(), name).await;
        assert_eq!(held.len(), 4, "{name} is another's, and there remains of it {held:?}");
        place.uproot(name).await;
    }
    // Who deploys cannot make himself the leader, or end one.
    let deployer = place.as_account("deployer").await;
    let refused = cluster::delete_lease(&deployer, "keeper").await.unwrap_err().to_string();
    assert!(refused.contains("the Leases of previews alone"), "{refused}");
}

/// Time is the API server's own: a proxy whose Date is days ahead ends no preview, and one that is days behind keeps none.
async fn a_wrong_clock_on_the_way_ends_nothing() {
    let place = Place::get().await;
    let _turn = place.sweeps.lock().await;
    for (number, expires) in [("181", harness::preview::now() + 3600), ("182", harness::preview::now() - 3600)] {
        place.namespace(&place::namespace_of(number), true, number).await;
        place.label(number, "jetscale.ai/expires", Some(&expires.to_string())).await;
    }
    for way in [shifted::Shift::Ahead, shifted::Shift::Behind] {
        let proxy = shifted::Proxy::before(place.admin(), way).await;
        let sweep = place.by_way_of(&proxy.server, "1", &["sweep", "--dry-run", "--expired-only"]).await.run().await;
        assert!(proxy.shifted() > 1, "{way:?}: {} answers were shifted\n{}", proxy.shifted(), sweep.text);
        for says in ["pr-181  keep: GitHub is not asked", "pr-182  remove: its time was over"] {
            assert!(sweep.passed && sweep.text.contains(says), "{way:?}: there is no {says:?} in:\n{}", sweep.text);
        }
    }
    for number in ["181", "182"] {
        place.remove_namespace(&place::namespace_of(number)).await;
    }
}

/// Close, label, push, reopen, deploys, teardowns and sweeps, in any order and beside each other.
async fn whatever_the_order_closed_ones_go_and_open_ones_stay() {
    races::are_run(Place::get().await).await;
}

/// Pods pull by the account that an administrator left, whoever deploys: with a wrong one there they get no image, though the
/// deployer's own is right.
async fn images_come_by_the_clusters_own_account() {
    let place = Place::get().await;
    let (refused, served) = ("191", "195");
    let private = pulls::Private::make(place).await;
    private.leave_account("wrong").await;
    let up = private.up(refused).run().await;
    assert!(!up.passed && up.text.contains("cannot pull the image"), "{}", up.text);
    private.leave_account(private.password()).await;
    let up = private.up(served).run().await;
    assert!(up.passed, "{}", up.text);
    assert_ne!(private.accounts_of(refused).await, private.accounts_of(served).await);
    for number in [refused, served] {
        place.takes_down(number).await;
    }
    private.end().await;
}

/// A registry that is away has two of the kubelet's tries: back by then, the preview comes up; else the error names it.
async fn a_registry_that_comes_back_is_waited_for() {
    let place = Place::get().await;
    let (away, late) = ("197", "198");
    let private = pulls::Private::make(place).await;
    private.leave_account(private.password()).await;
    private.lead_to_registry(false).await;
    let up = private.up(away).run().await;
    let says = up.text.contains("cannot pull the image") && up.text.contains("connection refused");
    assert!(!up.passed && says, "{}", up.text);
    let tries = private.tries(away).await;
    assert!((2..=3).contains(&tries), "the kubelet had {tries} tries\n{}", up.text);
    let back = async {
        private.has_failed(late).await;
        private.lead_to_registry(true).await;
    };
    let (up, ()) = tokio::join!(private.up(late).run(), back);
    assert!(up.passed, "{}", up.text);
    for number in [away, late] {
        place.takes_down(number).await;
    }
    private.end().await;
}

/// Where the cache takes no `ACL SETUSER`, its users are made by AWS' API, and go by it.
async fn aws_makes_the_users_of_a_cache() {
    let place = Place::get().await;
    let (number, before) = ("193", place.installed());
    place.install(&stores::by_elasticache(before.clone())).await;
    // The second time the user is there.
    for _ in 0..2 {
        let up = place.up(number).run().await;
        assert!(up.passed, "{}", up.text);
    }
    let name = stores::name_of(number);
    let held = stores::holds(place.client(), &name).await;
    for kind in ["cache-user", "user"] {
        assert!(held.contains(&format!("{kind} {name}")), "{name} has no {kind}: {held:?}");
    }
    place.takes_down(number).await;
    place.install(&before).await;
}

/// A cluster whose administrator named no stores: each preview runs its own, which go with its namespace.
async fn without_managed_stores_a_preview_has_its_own() {
    let place = Place::get().await;
    let (number, before) = ("195", place.installed());
    place.install(&stores::none(before.clone())).await;
    let up = place.up(number).run().await;
    assert!(up.passed, "{}", up.text);
    let pods = place.pods(number).await;
    for own in ["jetscale-postgres-0", "jetscale-redis-0"] {
        assert!(pods.iter().any(|pod| pod == own), "{own} is none of {pods:?}");
    }
    let held = stores::holds(place.client(), &stores::name_of(number)).await;
    assert!(held.is_empty(), "a preview with stores of its own has {held:?} in those of others");
    place.takes_down(number).await;
    place.install(&before).await;
}

/// The lines of docs/release.md deploy values.live.yaml, with stand-ins for the managed stores.
async fn a_release_to_live_by_skaffold_alone() {
    live::is_released().await;
}

/// Two clusters on one Postgres and one Redis, the one's name the beginning of the other's, with a preview of the same number
/// each.
async fn two_clusters_share_their_stores() {
    shared::by_two_clusters(Place::get().await, "194").await;
}
