//! What users reach right now, read-only: by default the live site.

// A scenario that no list names is an unused function.
#![deny(dead_code)]

harness::modules!(health, page);

fn main() -> std::process::ExitCode {
    harness::suite::main(harness::stage::Stage::Live, scenarios())
}
