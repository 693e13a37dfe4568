//! Read-only scenarios of what users reach; by default the live site.

// A scenario that no list names is an unused function.
#![deny(dead_code)]

harness::modules!(
    read_only: account, api, clock, cors, dns, headers, latency, page, paths, tls, version, websocket
);

fn main() -> std::process::ExitCode {
    harness::suite::main_through(
        &jetscale::STACK,
        harness::session::AccessPath::Edge,
        harness::stage::Stage::Live,
        scenarios(),
    )
}
