//! The programs that are tried, and where the tools are that they and these tries need.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::table::Column;

pub struct Binaries {
    /// `cargo-stack`.
    pub stack: PathBuf,
    /// The suite e2e.
    pub suite: PathBuf,
    /// PATH with the folders of the tools in front.
    pub path: String,
    /// The page that outcomes are written to, and which of its columns.
    pub table: Option<(PathBuf, Column)>,
}

/// This checkout.
pub fn checkout() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// The programs, found and compiled with the first try that asks.
pub fn get() -> &'static Binaries {
    static BINARIES: OnceLock<Binaries> = OnceLock::new();
    BINARIES.get_or_init(|| {
        let stack = variable("JETSCALE_FOREIGN_STACK").unwrap_or_else(|| env!("CARGO_BIN_EXE_cargo-stack").to_owned());
        let suite = variable("JETSCALE_FOREIGN_SUITE").map_or_else(compiled_suite, PathBuf::from);
        let table = variable("JETSCALE_FOREIGN_TABLE").map(|page| {
            let column = variable("JETSCALE_FOREIGN_COLUMN").unwrap_or_else(|| "now".to_owned());
            (PathBuf::from(page), Column::named(&column))
        });
        Binaries { path: path(Path::new(&stack)), stack: stack.into(), suite, table }
    })
}

/// `cargo stack setup` has what a run needs, and says where it is: no try sets anything up.
fn path(stack: &Path) -> String {
    let mut setup = Command::new(stack);
    setup.args(["setup", "--quiet"]).current_dir(checkout());
    for name in of_this_test() {
        setup.env_remove(name);
    }
    let done = setup.output().unwrap();
    assert!(done.status.success(), "cargo stack setup failed\n{}", String::from_utf8_lossy(&done.stderr));
    let said = String::from_utf8(done.stdout).unwrap();
    format!("{}:{}", said.lines().last().unwrap_or_default(), variable("PATH").unwrap_or_default())
}

/// The suite's binary, built as `cargo test` at the root builds it, so that nothing is built twice.
fn compiled_suite() -> PathBuf {
    let mut cargo = Command::new(env!("CARGO"));
    for name in of_this_test() {
        cargo.env_remove(name);
    }
    let built = cargo
        .args(["test", "--package", "harness", "--package", "e2e", "--package", "cli", "--test", "e2e"])
        .args(["--no-run", "--message-format", "json"])
        .current_dir(checkout())
        .output()
        .unwrap();
    assert!(built.status.success(), "the suite does not compile\n{}", String::from_utf8_lossy(&built.stderr));
    let messages = String::from_utf8(built.stdout).unwrap();
    let mut messages = messages.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let artifact = messages.find(|message| message["target"]["name"] == "e2e" && message["executable"].is_string());
    artifact.unwrap()["executable"].as_str().unwrap().into()
}

/// What cargo, nextest and whoever runs these tries told this process: a try says itself what its processes are told.
#[expect(clippy::disallowed_methods, reason = "these are no settings")]
pub fn of_this_test() -> impl Iterator<Item = String> {
    const STARTS: &[&str] = &["CARGO_PKG_", "CARGO_MANIFEST_", "NEXTEST", "JETSCALE_", "GIT_", "HELM_", "KUBE"];
    /// What a machine needs so that tools and images are had without the internet.
    const KEPT: &[&str] = &["JETSCALE_TOOLBOX", "JETSCALE_CA_BUNDLE", "JETSCALE_KIND_NODE_IMAGE"];
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    names.filter(|name| {
        let told = STARTS.iter().any(|start| name.starts_with(start)) || ["CI", "PR_NUMBER"].contains(&name.as_str());
        told && !KEPT.contains(&name.as_str())
    })
}

/// A variable of this process, if it is set and not empty.
#[expect(clippy::disallowed_methods, reason = "these say what is tried, and are no settings of the harness")]
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
