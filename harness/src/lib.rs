//! The walk that every suite takes, left to right; no step reads what a later step made.
//!
//! ```text
//! settings -> stage -> engine -> (artifacts || cluster) -> release -> stack -> scenarios
//! ```
//!
//! What a suite depends on. The walk's first steps are crates below this one, whose modules are shown here too: [`settings`], [`spec`]
//! and [`stage`] of harness-settings, [`yaml`] and what is checked of harness-manifest, [`engine`], [`tools`] and [`doctor`] of
//! harness-machine, [`artifacts`], [`cluster`], [`release`] and [`preview`] of harness-deploy; below them [`harness_base`],
//! [`harness_http`] and [`harness_kube`]. No crate leads to one above it, and no module back to itself (structure.rs).
//!
//! Here: [`stack`] has the handles that a scenario gets, [`scenario`] and [`suite`] run them, [`session`] walks the path once for all of
//! a run. Beside it: [`setup`] has what a run needs ahead of time, [`uninstall`] removes it, [`validate`] looks at what the charts
//! render to, [`mutants`] at whether a fault would be seen, [`mod@bench`] at how long it takes, beside other tools; [`sign_in`] signs
//! in as the spec says. What draws a run from its record is the crate `harness-report`.

pub mod bench;
pub mod dev;
pub mod error;
pub mod mutants;
pub mod runner_flags;
pub mod scenario;
pub mod session;
pub mod setup;
pub mod sign_in;
pub mod stack;
pub mod suite;
pub mod uninstall;
pub mod validate;

#[cfg(test)]
mod structure;
#[cfg(test)]
mod workflows;

/// The stack that this crate's tests are of.
#[cfg(test)]
#[ctor::ctor(unsafe)]
fn sample() {
    spec::of(&spec::sample::STACK);
}

pub use error::{Error, Result};
pub use harness_base::{
    events, files, folders, hash, lock, name, output, process, progress, random, say, secrets, setting, tell, terminal,
    text,
};
pub use harness_deploy::{artifacts, cluster, k8s, preview, release};
pub use harness_http::websocket;
pub use harness_machine::{doctor, engine, machine_limits, project, run, source, tidy, tools};
pub use harness_manifest::yaml;
pub use harness_settings::{marks, pull_request, settings, spec, stage};

/// HTTP clients, as a suite may have them: nothing here makes one that writes, so that live stays read-only by type.
pub mod http {
    pub use harness_http::{
        BETWEEN_REQUESTS, Budget, Carrier, Certificate, Client, ContentSecurityPolicy, HttpOptions, Layer,
        MOST_REQUESTS, Probe, Reader, Reply, Target, Tls, Trail, install_tls, is_loopback, is_routed,
        old_tls_is_refused, since,
    };
}
