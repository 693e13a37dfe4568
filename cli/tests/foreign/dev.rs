//! `cargo stack clean` beside the Tilt that `cargo stack dev` runs.

use super::kinds::LIMIT;
use super::leavings::Leavings;
use super::place::{Place, Seat};
use super::process::Running;
use super::trial::Shown;

/// What Tilt says once it is there.
pub const TILT: &str = "Tilt started on";

/// Who cleans means to end it.
pub async fn cleaning_ends_its_tilt(place: &Place) -> Shown {
    let seat = place.seat("one").await;
    let leavings = Leavings::before(&seat).await;
    let dev = started(&seat).await;
    let cleaned = seat.stack(&["clean"]).within(LIMIT).run().await;
    cleaned.passes("cargo stack clean");
    let said = cleaned.text.contains("ending the Tilt that cargo stack dev runs");
    assert!(said, "cargo stack clean did not say that it ends Tilt\n{}", cleaned.text);
    dev.end().await.ends("cargo stack dev, whose Tilt was ended");
    leavings.are_none().await;
    "cargo stack clean said so, ended it, and left nothing".into()
}

/// Who waits leaves it to the developer.
pub async fn cleaning_with_wait_waits_for_it(place: &Place) -> Shown {
    let seat = place.seat("one").await;
    let leavings = Leavings::before(&seat).await;
    let dev = started(&seat).await;
    let mut cleaning = seat.stack(&["clean", "--wait"]).within(LIMIT).start();
    assert!(cleaning.says("waiting for the end of").await, "cargo stack clean --wait did not say what it waits for");
    dev.signal("INT").await;
    dev.end().await.passes("cargo stack dev, after Ctrl-C");
    cleaning.end().await.passes("cargo stack clean --wait");
    leavings.are_none().await;
    "cargo stack clean --wait said so, waited for its end, and left nothing".into()
}

/// `cargo stack dev` with its Tilt.
pub async fn started(seat: &Seat) -> Running {
    let mut dev = seat.stack(&["dev"]).within(LIMIT).start();
    if !dev.says(TILT).await {
        panic!("cargo stack dev started no Tilt\n{}", dev.end().await.text);
    }
    dev
}
