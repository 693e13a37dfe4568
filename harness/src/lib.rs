//! The walk that every suite takes, left to right; no step reads what a later step made.
//!
//! ```text
//! settings -> stage -> engine -> (artifacts || cluster) -> release -> stack -> scenarios
//! ```
//!
//! Below the path lies the floor that every step may use: the crates [`harness_base`], [`harness_http`] and [`harness_kube`], whose
//! modules are shown here too, [`error`], [`machine_limits`], [`marks`], [`run`], [`source`], [`tools`], [`yaml`]. No module leads
//! back to itself, and no crate to one above it (structure.rs). What draws a run from its record is the crate [`harness_report`].
//!
//! Beside it: [`session`] walks the path once for all scenarios of a run, [`setup`] has what it needs ahead of time,
//! [`uninstall`] removes it, [`tidy`] what piles up, [`doctor`] looks at the machine, [`validate`] at what the charts
//! render to, [`mutants`] at whether a fault would be seen, [`mod@bench`] at how long it takes, beside other tools;
//! [`preview`] makes and ends pull requests' namespaces on a cluster that exists, by the names in [`pull_request`];
//! [`spec`] is what the harness is told of a stack, [`sign_in`] how somebody signs in to it.

pub mod artifacts;
pub mod cluster;

pub mod release;

pub mod dev;

pub mod bench;
pub mod mutants;
pub mod validate;

pub mod preview;

pub mod stack;

pub mod runner_flags;
pub mod scenario;
pub mod session;
pub mod setup;
pub mod suite;
pub mod uninstall;

pub mod sign_in;

mod connect;
pub mod error;
#[cfg(test)]
mod structure;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod workflows;

pub use error::{Error, Result};
pub use harness_base::{
    events, files, folders, hash, lock, name, output, process, progress, random, say, secrets, setting, tell, terminal,
    text,
};
pub use harness_http::websocket;
pub use harness_machine::{doctor, engine, machine_limits, project, run, source, tidy, tools};
pub use harness_manifest::yaml;
pub use harness_settings::{marks, pull_request, settings, spec, stage};

/// Kubernetes: what [`harness_kube`] does with a cluster, and the way to one.
pub mod k8s {
    pub(crate) use harness_kube::has_code;
    pub use harness_kube::{
        Begin, CALL, FIELD_MANAGER, FailureCause, Forward, Snapshot, State, answers, apply, call, diagnose,
        diagnose_deploy, failure_cause, forward, gone, job, log, namespace, pod, probe, quantity, secret, snapshot,
        verdict, wait, window, within, workload,
    };

    pub(crate) use crate::connect::exec_plugin;
    pub use crate::connect::{connect, connect_with};
    pub use harness_kube::kubeconfig::KubeconfigFiles;
}

/// HTTP clients, as a suite may have them: nothing here makes one that writes, so that live stays read-only by type.
pub mod http {
    pub use harness_http::{
        BETWEEN_REQUESTS, Budget, Carrier, Certificate, Client, ContentSecurityPolicy, HttpOptions, Layer,
        MOST_REQUESTS, Probe, Reader, Reply, Target, Tls, Trail, install_tls, is_loopback, is_routed,
        old_tls_is_refused, since,
    };
}
