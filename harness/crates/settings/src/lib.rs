//! The inputs of a harness program: the stack's spec, which its `main` sets, and the settings, which the environment gives.
//! Nothing here looks at the machine or at a cluster.
//!
//! | what | modules |
//! |---|---|
//! | the stack: charts, images, workloads, stages | [`spec`], with a full example in [`spec::sample`] |
//! | the five stages, and what each may do | [`stage`] |
//! | variables, their defaults, and the refusal of values that are not allowed | [`settings`] |
//! | the environment of background programs | [`environment`] |
//! | names that the harness gives, and those of a pull request's preview | [`marks`], [`pull_request`] |
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

/// The stack of this crate's tests.
#[cfg(test)]
#[ctor::ctor(unsafe)]
fn sample() {
    spec::of(&spec::sample::STACK);
}
