//! What a program of the harness is told: by its `main`, which stack it is of; by the environment, what is asked for. Nothing here
//! looks at the machine or at a cluster.
//!
//! | what | modules |
//! |---|---|
//! | the stack: charts, images, workloads, stages | [`spec`], and [`spec::sample`], which says all that a spec can |
//! | one of the five stages, and what it may do | [`stage`] |
//! | the variables, their defaults, and what is wrong with a text that is not allowed | [`settings`] |
//! | what a background program is given of them | [`environment`] |
//! | names that the harness itself gives; those of a pull request | [`marks`], [`pull_request`] |
//!
//! ```
//! use harness_settings::settings::Settings;
//! use harness_settings::spec::{self, sample};
//!
//! spec::of(&sample::STACK);
//! let settings = Settings::parse(&[("SHOP_STAGE".to_owned(), "locl".to_owned())].into());
//! assert!(settings.refused().any(|(name, _, next)| name == "SHOP_STAGE" && next.contains("local")));
//! ```

pub mod environment;
pub mod marks;
pub mod pull_request;
pub mod settings;
pub mod spec;
pub mod stage;

/// The stack that this crate's tests are of.
#[cfg(test)]
#[ctor::ctor(unsafe)]
fn sample() {
    spec::of(&spec::sample::STACK);
}
