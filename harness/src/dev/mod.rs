//! Stage dev: Tilt on a Kind cluster, on what it asks of this machine, and what it says of itself.
//!
//! Tilt builds and deploys here; the harness gives it a cluster with its registry, and looks on.

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

/// The page of what the developer sees of Tilt.
pub const HUD: &str = "http://localhost:10350";
/// The api, by Kind's port mapping.
pub const BACKEND: &str = "http://localhost:8000";
/// The page, and the router in front of everything, by Kind's port mapping.
pub const FRONTEND: &str = "http://localhost:3000";
