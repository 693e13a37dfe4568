//! The stages that deploy: every scenario, by module.

#![deny(dead_code)]

harness::modules!(notes, release);

fn main() -> std::process::ExitCode {
    harness::suite::main(&stack::STACK, harness::stage::Stage::Local, scenarios())
}
