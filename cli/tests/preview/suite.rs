//! e2e's suite against a preview, by the command that the README names.

use std::process::Command;
use std::time::Duration;

use super::command::Ran;
use super::place::Place;

/// Runs the scenarios that are about what is deployed, in stage preview.
pub async fn run(place: &Place, number: &str) -> Ran {
    let call = place.up(number);
    let variables: Vec<_> = call.command.as_std().get_envs().collect();
    let mut suite = tokio::process::Command::new(binary(place));
    for (name, value) in variables {
        match value {
            Some(value) => suite.env(name, value),
            None => suite.env_remove(name),
        };
    }
    // What needs no cluster is shown elsewhere.
    let elsewhere = ["charts::", "images::", "parity::", "separation::", "suite::", "dev::", "registry::"];
    for module in elsewhere {
        suite.args(["--skip", module]);
    }
    suite.env("JETSCALE_STAGE", "preview").current_dir(place.checkout()).kill_on_drop(true);
    let output = tokio::time::timeout(Duration::from_secs(600), suite.output()).await.expect("it did not end").unwrap();
    let text = [output.stdout, output.stderr].map(|stream| String::from_utf8_lossy(&stream).into_owned()).concat();
    Ran { passed: output.status.success(), text }
}

/// The suite's binary, built as `cargo test` at the root builds it, so that nothing is built twice.
fn binary(place: &Place) -> std::path::PathBuf {
    let mut cargo = Command::new(env!("CARGO"));
    for name in of_this_test() {
        cargo.env_remove(name);
    }
    let built = cargo
        .args(["test", "--package", "harness", "--package", "e2e", "--package", "cli", "--test", "e2e", "--no-run"])
        .args(["--message-format", "json"])
        .current_dir(place.checkout())
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let messages = String::from_utf8(built.stdout).unwrap();
    let mut messages = messages.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let artifact = messages.find(|message| message["target"]["name"] == "e2e" && message["executable"].is_string());
    artifact.unwrap()["executable"].as_str().unwrap().into()
}

/// What cargo told this test about its package: build scripts would see a change, and everything be built anew.
#[expect(clippy::disallowed_methods, reason = "these are no settings")]
fn of_this_test() -> impl Iterator<Item = String> {
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    names.filter(|name| ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|start| name.starts_with(start)))
}
