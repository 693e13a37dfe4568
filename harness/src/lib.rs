//! The walk that every suite takes, left to right; no step reads what a later step made.
//!
//! ```text
//! settings -> stage -> engine -> (artifacts || cluster) -> release -> stack -> scenarios
//! ```
//!
//! Below the path lies the floor that every step may use: the crate [`harness_base`], whose modules are shown here too,
//! [`error`], [`http`], [`k8s`], [`run`], [`source`], [`tools`], [`websocket`], [`yaml`]. No module leads back to itself, and no
//! crate to one above it (structure.rs). What draws a run from its record is the crate [`harness_report`].
//!
//! Beside it: [`session`] walks the path once for all scenarios of a run, [`setup`] has what it needs ahead of time,
//! [`uninstall`] removes it, [`tidy`] what piles up, [`doctor`] looks at the machine, [`validate`] at what the charts
//! render to, [`mutants`] at whether a fault would be seen, [`mod@bench`] at how long it takes, beside other tools;
//! [`preview`] makes and ends pull requests' namespaces on a cluster that exists, by the names in [`pull_request`];
//! [`descriptor`], [`contract`] and [`services`] hold what is JetScale's own.

pub mod settings;
pub mod stage;

pub mod project;

pub mod engine;

pub mod artifacts;
pub mod cluster;

pub mod release;

pub mod dev;

pub mod bench;
pub mod mutants;
pub mod validate;

pub mod preview;

pub mod stack;

pub mod scenario;
pub mod session;
pub mod setup;
pub mod suite;
pub mod tidy;
pub mod uninstall;

pub mod doctor;

pub mod contract;
pub mod descriptor;
pub mod services;

pub mod error;
pub mod http;
pub mod k8s;
pub mod pull_request;
pub mod run;
pub mod source;
#[cfg(test)]
mod structure;
pub mod tools;
pub mod websocket;
#[cfg(test)]
mod workflows;
pub mod yaml;

pub use error::{Error, Result};
pub use harness_base::{
    events, files, folders, hash, lock, name, output, process, progress, random, say, secrets, setting, tell, terminal,
    text,
};
