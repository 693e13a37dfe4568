//! The machine that a run is on: its container engine, its tools, its limits. Nothing here knows a cluster.
//!
//! | what | modules |
//! |---|---|
//! | the container engine: found, started, installed; its objects that are ours | [`engine`] |
//! | programs: found, set up, called with a deadline and a chosen environment | [`tools`], [`source`] |
//! | the checkout; a run's identity and folder; removal of old images, charts and runs | [`project`], [`run`], [`tidy`] |
//! | limits that clusters run into; a report on all of it | [`machine_limits`], [`doctor`] |
//!
//! ```
//! use harness_machine::tools::Tool;
//!
//! assert_eq!(Tool::Helm3.program(), "helm");
//! ```

pub mod doctor;
pub mod engine;
pub mod error;
pub mod machine_limits;
pub mod project;
pub mod run;
pub mod source;
pub mod tidy;
pub mod tools;

pub use error::{CommandFailure, Error, Result};

/// Sets the sample stack's spec for this crate's tests.
#[cfg(test)]
#[ctor::ctor(unsafe)]
fn sample() {
    harness_settings::spec::of(&harness_settings::spec::sample::STACK);
}
