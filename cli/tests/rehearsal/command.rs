//! `cargo stack preview`, as a process of its own.

use std::path::Path;
use std::time::Duration;

use tokio::process::{Child, Command};

/// How long one may take.
const LIMIT: Duration = Duration::from_secs(420);

/// A call that was not started yet.
pub struct Call {
    pub command: Command,
    /// Its own state and runs, as on another machine; and charts, if it was given some.
    pub folder: tempfile::TempDir,
}

/// How one ended.
pub struct Ran {
    pub passed: bool,
    /// Both streams.
    pub text: String,
}

impl Ran {
    pub fn of(output: std::process::Output) -> Self {
        let text = [output.stdout, output.stderr].map(|stream| String::from_utf8_lossy(&stream).into_owned()).concat();
        Self { passed: output.status.success(), text }
    }
}

impl Call {
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Deploys a copy of the checkout's charts with one more template.
    pub fn with_charts(self, place: &super::Place, template: &str) -> Self {
        let charts = self.folder.path().join("charts");
        copy(&place.checkout().join("charts"), &charts);
        std::fs::write(charts.join("app/templates/strange.yaml"), template).unwrap();
        let charts = charts.to_string_lossy().into_owned();
        self.with("JETSCALE_CHARTS_DIR", &charts)
    }

    pub async fn run(self) -> Ran {
        self.run_and_keep().await.0
    }

    /// The same, and its folder, to look at.
    pub async fn run_and_keep(mut self) -> (Ran, tempfile::TempDir) {
        let output = tokio::time::timeout(LIMIT, self.command.output()).await.expect("it did not end").unwrap();
        (Ran::of(output), self.folder)
    }

    pub fn start(mut self) -> Running {
        let child = self.command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn();
        Running { child: child.unwrap(), _folder: self.folder }
    }
}

/// One that goes on.
pub struct Running {
    child: Child,
    _folder: tempfile::TempDir,
}

impl Running {
    /// Kills it as nobody can refuse.
    pub async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }
}

/// Runs the engine's client, and gives what it wrote; panics with it when it fails.
pub async fn docker(arguments: &[&str]) -> String {
    let ran = Command::new("docker").args(arguments).output().await.unwrap();
    assert!(ran.status.success(), "docker {arguments:?}: {}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).unwrap().trim().to_owned()
}

pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy(&from, &to);
        } else {
            std::fs::copy(&from, &to).unwrap();
        }
    }
}
