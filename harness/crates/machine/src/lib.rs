//! The machine that a run is on, and what of it a run needs. Nothing here knows a cluster.
//!
//! | what | modules |
//! |---|---|
//! | the container engine: there, started, and what it holds that is ours | [`engine`] |
//! | programs: found, set up, called with a deadline and a list of what they are given | [`tools`], [`source`] |
//! | the checkout; a run's identity and folder; what piles up | [`project`], [`run`], [`tidy`] |
//! | limits that clusters run into; all of it, looked at | [`machine_limits`], [`doctor`] |
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

/// The stack that this crate's tests are of.
#[cfg(test)]
#[ctor::ctor(unsafe)]
fn sample() {
    harness_settings::spec::of(&harness_settings::spec::sample::STACK);
}
