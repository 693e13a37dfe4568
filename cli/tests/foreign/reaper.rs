//! The process that watches what is there, and removes it when its time is over.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use super::binaries;
use super::place::{IMAGES, Place, Seat};
use super::trial::Shown;

/// How long one may take to end that was told to.
const ENDS: Duration = Duration::from_secs(5);

/// Nothing of ours goes on once nothing of ours is there.
pub async fn ends_with_what_it_watches(place: &Place) -> Shown {
    let seat = place.seat("one").await;
    seat.registry().await;
    one(&seat, "after a run");
    seat.stack(&["clean", "--wait"]).run().await.passes("cargo stack clean --wait");
    assert!(gone(&seat, &[]).await, "after cargo stack clean a process of ours goes on, which watches nothing");
    "it ended with what it watched".into()
}

/// A newer build knows what an older one does not.
pub async fn of_an_older_build_is_replaced(place: &Place) -> Shown {
    let seat = place.seat("one").await;
    let older = copy_of_the_suite(place);
    let hour_ago = SystemTime::now() - Duration::from_secs(3600);
    std::fs::File::open(&older).unwrap().set_modified(hour_ago).unwrap();
    seat.suite_at(&older, &IMAGES).run().await.passes("a run of an older build");
    let first = one(&seat, "after a run of an older build");
    seat.suite(&IMAGES).run().await.passes("a run of this build");
    assert!(gone(&seat, &[&first]).await, "the reaper of the older build goes on beside a run of a newer one");
    let second = one(&seat, "after a run of this build");
    seat.suite_at(&older, &IMAGES).run().await.passes("another run of the older build");
    assert_eq!(one(&seat, "after another run of the older build"), second, "an older build replaced a newer one's");
    "the newer build's took its place, and kept it".into()
}

/// cargo removes the file of a program that it builds anew, also while that runs.
pub async fn starts_though_its_programs_file_is_gone(place: &Place) -> Shown {
    let seat = place.seat("one").await;
    let suite = copy_of_the_suite(place);
    let mut running = seat.suite_at(&suite, &IMAGES).start();
    assert!(running.says("running 1 test").await, "the run did not begin");
    std::fs::remove_file(&suite).unwrap();
    running.end().await.passes("a run whose program's file was removed");
    one(&seat, "after a run whose program's file was removed");
    seat.stack(&["clean", "--wait"]).run().await.passes("cargo stack clean --wait");
    "it started, and ended with what it watched".into()
}

/// A program of the suite's that is this try's own.
fn copy_of_the_suite(place: &Place) -> PathBuf {
    let copy = place.path("another-suite");
    std::fs::copy(&binaries::get().suite, &copy).unwrap();
    copy
}

/// The one that watches.
#[track_caller]
fn one(seat: &Seat, when: &str) -> String {
    match seat.reapers().as_slice() {
        [one] => one.clone(),
        found => panic!("{} watch {when}", found.len()),
    }
}

/// Waits until none of these processes is one that watches, or none is at all where none is named; whether that came.
async fn gone(seat: &Seat, these: &[&str]) -> bool {
    let there = || seat.reapers().iter().any(|pid| these.is_empty() || these.contains(&pid.as_str()));
    let gone = async {
        let mut beat = tokio::time::interval(Duration::from_millis(50));
        while there() {
            beat.tick().await;
        }
    };
    tokio::time::timeout(ENDS, gone).await.is_ok()
}
