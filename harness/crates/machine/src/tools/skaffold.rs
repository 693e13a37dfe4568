//! Calls of Skaffold, with a configuration file and a Helm that it works with.

use std::path::{Path, PathBuf};

use super::{Command, ProvisionSource, Tool, Tools};
use crate::error::{Error, Result};

impl Tools {
    /// The command for Skaffold, with a PATH in which `helm` is one that it works with.
    ///
    /// Sets up that Helm where it is missing; [`Tools::require`] does so beforehand.
    ///
    /// # Errors
    /// As [`Tools::ensure`].
    pub async fn skaffold_with_helm(&self) -> Result<Command> {
        Ok(self.command(Tool::Skaffold).await?.env("PATH", self.path_of_skaffold().await?))
    }

    /// The PATH in which that Helm comes before any other.
    ///
    /// # Errors
    /// As [`Tools::ensure`].
    pub async fn path_of_skaffold(&self) -> Result<String> {
        let helm = self.ensure(Tool::Helm3, ProvisionSource::Auto).await?.path;
        self.ensure(Tool::Skaffold, ProvisionSource::Auto).await?;
        let folder = helm.parent().unwrap_or(Path::new("/")).display();
        Ok(format!("{folder}:{}", self.search_path()))
    }
}

/// Writes Skaffold's configuration file into a folder, so that it neither asks to send usage data nor looks for updates.
///
/// # Errors
/// [`harness_base::Error::Io`] when it cannot be written.
pub fn skaffold_config(folder: &Path) -> Result<PathBuf> {
    let path = folder.join("skaffold-config.yaml");
    let text = "global:\n  survey: {disable-prompt: true}\n  collect-metrics: false\n  update-check: false\n";
    std::fs::write(&path, text).map_err(Error::io(format!("write {}", path.display())))?;
    Ok(path)
}
