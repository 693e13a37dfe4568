//! Tests on a paused clock, which moves only when every task waits: a busy machine changes no outcome.

use futures::stream;
use rstest::rstest;

use super::super::watch_stream::Trouble;
use super::super::window::Window;
use super::*;

type Numbers = Vec<u32>;

fn add(number: u32) -> WatchUpdate<Numbers> {
    WatchUpdate::Changed(Box::new(move |all| all.push(number)))
}

fn listed() -> WatchUpdate<Numbers> {
    WatchUpdate::Listed(Box::new(|_| {}))
}

/// A stream of these updates, each after its pause in milliseconds, that then stays silent.
fn says(updates: Vec<(u64, WatchUpdate<Numbers>)>) -> WatchStream<Numbers> {
    let stream = stream::iter(updates).then(|(pause, update)| async move {
        tokio::time::sleep(Duration::from_millis(pause)).await;
        update
    });
    WatchStream { name: "numbers", optional: false, stream: stream.chain(stream::pending()).boxed() }
}

async fn run(
    watches: Vec<WatchStream<Numbers>>,
    limit: u64,
    judge: impl FnMut(&Numbers) -> State + Send,
) -> Result<Numbers> {
    until(watches, "three", Duration::from_millis(limit), None, judge).await
}

fn has_three(all: &Numbers) -> State {
    if all.contains(&3) { State::Ready } else { State::Pending(format!("{all:?} has no three")) }
}

#[tokio::test(start_paused = true)]
async fn ends_with_the_change_that_makes_it_ready() {
    let known = run(vec![says(vec![(0, listed()), (0, add(1)), (5, add(3)), (0, add(4))])], 1000, has_three).await;
    assert_eq!(known.unwrap(), [1, 3]);
}

#[tokio::test(start_paused = true)]
async fn judges_nothing_before_every_first_list_is_in() {
    let watches = vec![says(vec![(0, add(3)), (0, listed())]), says(vec![])];
    let error = run(watches, 30, |_| panic!("judged too soon")).await.unwrap_err().to_string();
    assert!(error.contains("not listed yet: numbers"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_deadline_tells_the_last_state_and_the_trouble() {
    let trouble = WatchUpdate::Trouble(Trouble { text: "connection refused".to_owned(), denied: None });
    let error = run(vec![says(vec![(0, listed()), (0, add(1)), (0, trouble)])], 30, has_three).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "waited 30.0ms for three, in vain: [1] has no three; reading numbers fails now: connection refused"
    );
}

#[tokio::test(start_paused = true)]
async fn the_same_cause_is_tolerated_for_its_time_and_no_longer() {
    let degraded = |evidence: usize| {
        let cause = format!("broken\n  evidence {evidence}");
        State::Degraded(FailureCause::quoted(&cause, Duration::from_millis(40)))
    };
    let start = Instant::now();
    // Changing evidence, and silence at the end, do not keep the cause from becoming final.
    let watch = says(vec![(0, listed()), (10, add(1)), (10, add(2))]);
    let error = run(vec![watch], 5000, |all| degraded(all.len())).await.unwrap_err();
    assert!(matches!(&error, Error::Failed { cause, .. } if cause == "broken\n  evidence 2"), "{error:?}");
    assert!(start.elapsed() >= Duration::from_millis(40) && start.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn other_words_for_the_same_cause_do_not_begin_its_time_anew() {
    let start = Instant::now();
    let judge = |all: &Numbers| {
        let gist = all.len().to_string();
        State::Degraded(FailureCause { gist, ..FailureCause::new("not ready", Duration::from_millis(40)) })
    };
    let error = run(vec![says(vec![(0, listed()), (30, add(1))])], 5000, judge).await.unwrap_err();
    assert_eq!(error.to_string(), "three cannot come about: not ready: 1");
    assert_eq!(start.elapsed(), Duration::from_millis(40));
}

#[tokio::test(start_paused = true)]
async fn a_pod_without_room_waits_for_a_node_until_the_deadline_and_says_so() {
    let mut judge = |all: &Numbers| match all.as_slice() {
        [] => State::Degraded(FailureCause::new("pod web-1: unschedulable: 0/1 nodes are available", Window::Room)),
        _ => State::Ready,
    };
    let windows = Windows::default().where_nodes_come(true);
    let mut wait = async |pause| {
        let watch = says(vec![(0, listed()), (pause, add(1))]);
        watching(vec![watch], "three", Duration::from_secs(240), &windows, None, &mut judge).await
    };
    assert_eq!(wait(230_000).await.unwrap(), [1]);
    let error = wait(250_000).await.unwrap_err();
    assert!(
        matches!(&error, Error::Base(harness_base::Error::Deadline { last, .. }) if last.ends_with("0/1 nodes are available")),
        "{error:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_cause_that_heals_starts_anew() {
    let judge = |all: &Numbers| match all.last() {
        Some(3) => State::Ready,
        Some(2) => State::Pending("better".to_owned()),
        _ => State::Degraded(FailureCause::new("broken", Duration::from_millis(60))),
    };
    let watch = says(vec![(0, listed()), (40, add(2)), (0, add(1)), (40, add(3))]);
    assert!(run(vec![watch], 5000, judge).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn what_is_doomed_ends_at_once() {
    let error = run(vec![says(vec![(0, listed())])], 5000, |_| State::Failed("no".to_owned())).await.unwrap_err();
    assert_eq!(error.to_string(), "three cannot come about: no");
}

fn denied() -> WatchUpdate<Numbers> {
    let status = serde_json::from_value(serde_json::json!({ "code": 403, "message": "forbidden" })).unwrap();
    let denied = Some(Box::new(kube::Error::Api(Box::new(status))));
    WatchUpdate::Trouble(Trouble { text: "403 forbidden".to_owned(), denied })
}

#[tokio::test(start_paused = true)]
async fn a_denial_ends_it_only_when_it_lasts() {
    let healed = says(vec![(0, denied()), (0, listed()), (0, add(3))]);
    assert!(run(vec![healed], 1000, has_three).await.is_ok());
    let lasting = says(vec![(0, denied()), (2010, denied())]);
    assert!(matches!(run(vec![lasting], 5000, has_three).await, Err(Error::Kube { .. })));
}

#[tokio::test(start_paused = true)]
async fn an_optional_kind_may_be_denied() {
    let mut optional = says(vec![(0, denied())]);
    optional.optional = true;
    assert!(run(vec![optional, says(vec![(0, listed()), (0, add(3))])], 1000, has_three).await.is_ok());
}

#[rstest]
#[case::nothing_seen("a", None, "a")]
#[case::it_went_away("a", Some("b: crashes"), "a; seen before: b: crashes")]
#[case::it_is_there("b: crashes\n  exit code 3", Some("b: crashes"), "b: crashes\n  exit code 3")]
fn a_deadline_says_what_was_seen_before(#[case] last: &str, #[case] seen: Option<&str>, #[case] says: &str) {
    assert_eq!(with_seen(last.to_owned(), seen.map(str::to_owned)), says);
}
