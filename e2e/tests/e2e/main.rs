//! The stages that deploy: every scenario, by module.
//!
//! A module is one line here and one file beside it; a scenario is one line in its module.

// A scenario that no list names is an unused function.
#![deny(dead_code)]

harness::modules!(
    auth, aws, backend, causes, charts, config, dev, edits, frontend, images, items, network, parity, registry,
    rollout, separation, suite, websocket, workloads
);

fn main() -> std::process::ExitCode {
    harness::suite::main(&jetscale::STACK, harness::stage::Stage::Local, scenarios())
}
