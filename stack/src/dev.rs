//! The addresses of stage dev on this host, as README.md names them.

/// Tilt's own page (its heads-up display, HUD).
pub const HUD: &str = "http://localhost:10350";
/// The api.
pub const BACKEND: &str = "http://localhost:8000";
/// The page, by the frontend, which is the router in front of everything.
pub const PAGE: &str = "http://localhost:3000";

#[cfg(test)]
mod tests {
    use harness::dev::{address, hud};

    use super::*;
    use crate::STACK;
    use crate::components::{API, FRONTEND};

    #[test]
    fn are_those_of_the_spec_and_of_kind() {
        harness::spec::of(&STACK);
        assert_eq!(address(&API).as_deref(), Some(BACKEND));
        assert_eq!(address(&FRONTEND).as_deref(), Some(PAGE));
        assert_eq!(hud(), HUD);
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let kind = std::fs::read_to_string(root.join("kind/kind-config.yaml")).unwrap();
        for port in STACK.components.iter().filter_map(|component| component.dev_port) {
            let mapping = format!("{{containerPort: {}, hostPort: {},", port.node, port.host);
            assert!(kind.contains(&mapping), "kind-config.yaml lacks {mapping}");
        }
    }
}
