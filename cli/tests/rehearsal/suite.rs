//! The suites against a preview, as processes that are told nothing but its settings.

use std::process::Command;
use std::time::Duration;

use super::command::{Call, Ran};
use super::place::Place;

/// Packages as `cargo test` at the root names them, so that nothing is built twice; and those of the smoke suite.
const E2E: &[&str] =
    &["test", "--no-run", "--package", "harness", "--package", "e2e", "--package", "cli", "--test", "e2e"];
const SMOKE: &[&str] = &["test", "--no-run", "--workspace", "--test", "smoke"];

/// The scenarios that a preview ignores, each with its reason.
const IGNORED: &str = ".ci/ignored-preview.txt";

/// The scenarios of e2e; those that are listed are ignored, and no others.
pub async fn e2e(place: &Place, number: &str) -> Ran {
    // What needs no cluster is shown elsewhere.
    let args = ["--skip", "charts::", "--skip", "parity::", "--skip", "separation::"];
    let call = place.up(number);
    let ran = run(place, &call, E2E, &args).await;
    let mut report = Command::new(env!("CARGO_BIN_EXE_cargo-stack"));
    report.args(["report", "--expect-ignored", IGNORED]).env("JETSCALE_RUN_DIR", call.folder.path().join("runs"));
    let output = report.env_remove("JETSCALE_STAGE").current_dir(place.checkout()).output().unwrap();
    let report = Ran::of(output);
    Ran { passed: ran.passed && report.passed, text: ran.text + &report.text }
}

/// Those of stage live.
pub async fn smoke(place: &Place, number: &str) -> Ran {
    run(place, &place.up(number), SMOKE, &[]).await
}

async fn run(place: &Place, call: &Call, target: &[&str], args: &[&str]) -> Ran {
    let variables: Vec<_> = call.command.as_std().get_envs().collect();
    let mut suite = tokio::process::Command::new(program(place, "test", target));
    for (name, value) in variables {
        match value {
            Some(value) => suite.env(name, value),
            None => suite.env_remove(name),
        };
    }
    suite.args(args);
    suite.env("JETSCALE_STAGE", "preview").current_dir(place.checkout()).kill_on_drop(true);
    let output = tokio::time::timeout(Duration::from_secs(600), suite.output()).await.expect("it did not end").unwrap();
    Ran::of(output)
}

/// The program that cargo makes of the one target of a kind that these arguments select.
pub fn program(place: &Place, kind: &str, args: &[&str]) -> std::path::PathBuf {
    let mut cargo = Command::new(env!("CARGO"));
    for name in of_this_test() {
        cargo.env_remove(name);
    }
    let built = cargo.args(args).args(["--message-format", "json"]).current_dir(place.checkout()).output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let messages = String::from_utf8(built.stdout).unwrap();
    let mut messages = messages.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let artifact = messages.find(|message| message["target"]["kind"][0] == kind && message["executable"].is_string());
    artifact.unwrap()["executable"].as_str().unwrap().into()
}

/// What cargo told this test about its package: build scripts would see a change, and everything be built anew.
#[expect(clippy::disallowed_methods, reason = "these are no settings")]
fn of_this_test() -> impl Iterator<Item = String> {
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    names.filter(|name| ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|start| name.starts_with(start)))
}
