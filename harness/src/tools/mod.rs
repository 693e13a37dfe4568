//! The command-line tools that the harness calls: where they are, and how a call is made.

mod command;

use std::path::{Path, PathBuf};

pub use command::{Command, Output};

use crate::error::{Error, Result};
use crate::settings::Settings;

/// A tool that the harness calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    /// The container engine's client.
    Docker,
    /// Makes and deletes Kind clusters.
    Kind,
    /// Helm; Skaffold 2.16 works with Helm 3 alone.
    Helm,
    /// Builds the images; deploys the stage's release.
    Skaffold,
    /// Tells the revision of the working tree.
    Git,
}

impl Tool {
    /// The name of its program.
    pub fn program(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Kind => "kind",
            Self::Helm => "helm",
            Self::Skaffold => "skaffold",
            Self::Git => "git",
        }
    }

    /// What a person does about its absence.
    fn remedy(self) -> &'static str {
        match self {
            Self::Docker => "install a container engine (Debian: apt-get install docker.io), and start it",
            Self::Kind => "install kind 0.33 (go install sigs.k8s.io/kind@v0.33.0), or set JETSCALE_TOOLBOX",
            Self::Helm => "install Helm 3.22 (go install helm.sh/helm/v3/cmd/helm@v3.22.0), or set JETSCALE_TOOLBOX",
            Self::Skaffold => "install Skaffold 2.16 (skaffold.dev/docs/install), or set JETSCALE_TOOLBOX",
            Self::Git => "install git",
        }
    }
}

/// Finds tools: in [`crate::settings::TOOLBOX`] (itself or its `bin`), then in PATH.
#[derive(Debug, Clone)]
pub struct Tools {
    folders: Vec<PathBuf>,
}

impl Tools {
    /// Where to look, by the settings.
    pub fn new(settings: &Settings) -> Self {
        let toolbox = settings.toolbox.iter().flat_map(|folder| [folder.join("bin"), folder.clone()]);
        Self { folders: toolbox.chain(settings.path.split(':').map(PathBuf::from)).collect() }
    }

    /// The tool's program.
    ///
    /// # Errors
    /// [`Error::Refused`] with what to install when it is nowhere.
    pub fn find(&self, tool: Tool) -> Result<PathBuf> {
        self.folders.iter().map(|folder| folder.join(tool.program())).find(|path| is_program(path)).ok_or_else(|| {
            Error::refused(
                format!("{} was found neither in JETSCALE_TOOLBOX nor in PATH", tool.program()),
                tool.remedy(),
            )
        })
    }

    /// Makes sure that all of these are there, before anything is made with one of them.
    ///
    /// # Errors
    /// [`Error::Refused`] with every missing one and what to install.
    pub fn require(&self, tools: &[Tool]) -> Result<()> {
        let missing: Vec<Tool> = tools.iter().copied().filter(|tool| self.find(*tool).is_err()).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let names: Vec<&str> = missing.iter().map(|tool| tool.program()).collect();
        let remedies: Vec<&str> = missing.iter().map(|tool| tool.remedy()).collect();
        Err(Error::refused(
            format!("found neither in JETSCALE_TOOLBOX nor in PATH: {}", names.join(", ")),
            remedies.join("\n        "),
        ))
    }

    /// A call of the tool, with the folders that were looked in as its PATH, so that a tool finds the others.
    ///
    /// # Errors
    /// As [`Tools::find`].
    pub fn command(&self, tool: Tool) -> Result<Command> {
        Ok(Command::new(self.find(tool)?).env("PATH", self.search_path()))
    }

    /// A call of Skaffold that finds a Helm which it works with: 2.16 asks for `version --client`, which Helm 4 lacks.
    ///
    /// # Errors
    /// [`Error::Refused`] when there is no Skaffold, or no Helm 3.
    pub async fn skaffold_with_helm(&self) -> Result<Command> {
        let mut others = Vec::new();
        let helms = self.folders.iter().map(|folder| folder.join(Tool::Helm.program()));
        for helm in helms.filter(|path| is_program(path)) {
            let version = Command::new(&helm).args(["version", "--short"]).run().await?.stdout;
            if version.starts_with("v3.") {
                let folder = helm.parent().unwrap_or(Path::new("/")).display();
                return Ok(self.command(Tool::Skaffold)?.env("PATH", format!("{folder}:{}", self.search_path())));
            }
            others.push(format!("{} is {}", helm.display(), version.trim()));
        }
        Err(Error::refused(
            format!("Skaffold 2.16 works with Helm 3 alone, and there is none ({})", others.join(", ")),
            format!("{}, or set JETSCALE_DEPLOYER=helm", Tool::Helm.remedy()),
        ))
    }

    /// The folders as one PATH.
    fn search_path(&self) -> String {
        self.folders.iter().map(|folder| folder.to_string_lossy()).collect::<Vec<_>>().join(":")
    }
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

/// Writes Skaffold's own configuration file: without it, it asks to send usage data and looks for updates.
///
/// # Errors
/// [`Error::Io`] when it cannot be written.
pub fn skaffold_config(folder: &Path) -> Result<PathBuf> {
    let path = folder.join("skaffold-config.yaml");
    let text = "global:\n  survey: {disable-prompt: true}\n  collect-metrics: false\n  update-check: false\n";
    std::fs::write(&path, text).map_err(Error::io(format!("write {}", path.display())))?;
    Ok(path)
}
