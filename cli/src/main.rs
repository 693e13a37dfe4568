//! The command `cargo stack` of this repository's stack.

fn main() -> std::process::ExitCode {
    harness_cli::main(&jetscale::STACK)
}
