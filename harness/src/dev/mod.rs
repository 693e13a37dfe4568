//! Stage dev: Tilt on a kind cluster.
//!
//! Tilt builds and deploys; the harness gives it a cluster with a registry and the inputs of its Tiltfile, and watches its
//! resources.

mod debugger;
mod dev_environment;
mod inputs;
mod other_cluster;
mod ports;
mod tilt_session;
mod tree;
mod view;

pub use debugger::{Breakpoint, Debugger, Stop};
pub use dev_environment::{DevEnvironment, DevRequest, made_by_hand, prepare};
pub use inputs::Inputs;
pub use other_cluster::OtherCluster;
pub use ports::expect_free;
pub use tilt_session::{TiltOptions, TiltSession};
pub use view::{Resource, ResourceUpdate, TILTFILE, View};

use crate::spec::{Component, spec};

/// The address of Tilt's own page (its heads-up display, HUD).
pub fn hud() -> String {
    format!("http://localhost:{}", spec().dev.hud_port)
}

/// The address of a component on this host in stage dev, by Kind's port mapping; `None` when there is none.
pub fn address(of: &Component) -> Option<String> {
    of.dev_port.map(|port| format!("http://localhost:{}", port.host))
}
