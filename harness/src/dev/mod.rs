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

use crate::error::{Error, Result};
use crate::spec::{Component, spec};

/// The address of Tilt's own page (its heads-up display, HUD).
pub fn hud() -> String {
    format!("http://localhost:{}", spec().dev.hud_port)
}

/// The address of a component on this host in stage dev, by Kind's port mapping; `None` when there is none.
pub fn address(of: &Component) -> Option<String> {
    of.dev_port.map(|port| format!("http://localhost:{}", port.host))
}

/// The address of stage dev's site: the router, by Kind's port mapping.
///
/// # Errors
/// [`harness_base::Error::Refused`] when the spec names no port of this host for the router.
pub fn site() -> Result<String> {
    address(spec().router).ok_or_else(|| {
        Error::refused(
            "no port of this host leads to the router in stage dev",
            "set dev_port of the router in the spec",
        )
    })
}

/// The addresses of stage dev on this host, in one line: Tilt's page, the components with a port, the debuggers.
pub fn addresses() -> String {
    let components = spec().components.iter().filter_map(|one| Some(format!("{} at {}", one.suffix, address(one)?)));
    let debuggers =
        spec().dev.debuggers.iter().map(|(one, port)| format!("the debugger of {} at port {port}", one.suffix));
    let all: Vec<_> = components.chain(debuggers).collect();
    format!("Tilt's page at {}, {}", hud(), all.join(", ")).trim_end_matches(", ").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_of_stage_dev_is_named() {
        let text = addresses();
        let wanted = "Tilt's page at http://localhost:10350, backend at http://localhost:8000, frontend at http://localhost:3000";
        assert!(text.starts_with(wanted), "{text}");
        assert_eq!(site().unwrap(), "http://localhost:3000");
        assert_eq!(address(&crate::spec::sample::WEBSOCKET), None);
    }
}
