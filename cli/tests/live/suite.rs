//! The smoke suite as it really runs: a process that is told nothing but an address.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

/// One run of it.
pub struct Ran {
    pub passed: bool,
    /// Both streams.
    pub text: String,
    /// Where its folder was made.
    pub folder: tempfile::TempDir,
}

impl Ran {
    /// The scenarios that failed.
    pub fn failed(&self) -> Vec<&str> {
        let verdicts = self.text.lines().filter_map(|line| line.strip_prefix("test ")?.strip_suffix("... FAILED"));
        verdicts.map(str::trim).collect()
    }

    /// Fails the test unless the suite was red and said this.
    #[track_caller]
    pub fn is_red_with(&self, parts: &[&str]) {
        assert!(!self.passed, "{}", self.text);
        for part in parts {
            assert!(self.text.contains(part), "there is no {part:?} in:\n{}", self.text);
        }
    }
}

pub fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The suite's binary, built as `cargo test` at the root builds what it tests, so that no dependency is built twice.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let mut cargo = Command::new(env!("CARGO"));
        for name in of_this_test() {
            cargo.env_remove(name);
        }
        let built = cargo
            .args(["test", "--workspace", "--test", "smoke", "--no-run", "--message-format", "json"])
            .current_dir(checkout())
            .output()
            .unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        let messages = String::from_utf8(built.stdout).unwrap();
        let mut messages = messages.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let artifact =
            messages.find(|message| message["target"]["name"] == "smoke" && message["executable"].is_string());
        PathBuf::from(artifact.unwrap()["executable"].as_str().unwrap())
    })
}

/// What cargo told this test about its package: build scripts would see a change, and everything be built anew.
#[expect(clippy::disallowed_methods, reason = "these are no settings")]
fn of_this_test() -> impl Iterator<Item = String> {
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    names.filter(|name| ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|start| name.starts_with(start)))
}

/// Runs the scenarios with this text in their names against an address, with these settings beside it.
pub async fn run(url: &str, filter: &str, settings: &[(&str, &str)]) -> Ran {
    let folder = tempfile::tempdir().unwrap();
    let mut suite = tokio::process::Command::new(binary());
    suite
        .args(Some(filter).filter(|filter| !filter.is_empty()))
        .current_dir(checkout())
        .env_clear()
        .env("HOME", folder.path())
        .env("JETSCALE_RUN_DIR", folder.path())
        .env("JETSCALE_LIVE_URL", url)
        .envs(settings.iter().copied())
        .kill_on_drop(true);
    let output = tokio::time::timeout(Duration::from_secs(180), suite.output()).await.unwrap().unwrap();
    let text = [output.stdout, output.stderr].map(|stream| String::from_utf8(stream).unwrap()).concat();
    Ran { passed: output.status.success(), text, folder }
}
