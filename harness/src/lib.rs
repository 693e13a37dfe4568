//! A harness for scenarios against a stack on Kubernetes. Every suite walks these steps, left to right; no step reads what a
//! later step made.
//!
//! ```text
//! settings -> stage -> engine -> (artifacts || cluster) -> release -> stack -> scenarios
//! ```
//!
//! A suite depends on this crate alone. The first steps are crates below it, whose modules it shows too: [`settings`],
//! [`spec`] and [`stage`] of harness-settings, [`yaml`] of harness-manifest, [`engine`], [`tools`] and [`doctor`] of
//! harness-machine, [`artifacts`], [`cluster`], [`release`] and [`preview`] of harness-deploy; below them [`harness_base`],
//! [`harness_http`] and [`harness_kube`]. No crate depends on one above it, and no module on itself by a circle (structure.rs).
//!
//! The modules of this crate: [`stack`] has the handles that a scenario gets, [`scenario`] and [`suite`] run scenarios,
//! [`session`] provisions once for all of a run, [`dev`] is stage dev's Tilt, [`sign_in`] signs in as the spec says. Beside
//! the suites: [`setup`] provides ahead of time what a run needs, [`uninstall`] removes it, [`validate`] checks what the
//! charts render to, [`mutants`] whether a planted fault is found, [`mod@bench`] measures the harness beside other tools.
//! Reports of a run are drawn by the crate `harness-report`.

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

/// Sets the sample stack's spec for this crate's tests.
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

/// The HTTP clients that a suite may use: nothing here makes a client that writes, so that stage live stays read-only by type.
pub mod http {
    pub use harness_http::{
        BETWEEN_REQUESTS, Budget, Carrier, Certificate, Client, ContentSecurityPolicy, HttpOptions, Layer,
        MOST_REQUESTS, Probe, Reader, Reply, Target, Tls, Trail, install_tls, is_loopback, is_routed,
        old_tls_is_refused, since,
    };
}
