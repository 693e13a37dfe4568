//! A copy of what Tilt reads of a checkout, so that scenarios do not edit the checkout itself.

use std::path::Path;

use super::inputs::Inputs;
use crate::error::Result;
use crate::files::{self, private_folder};
use crate::project::Project;
use crate::spec::spec;

/// Folders that are not copied: they are never part of an image, and may be large.
const LEFT_OUT: [&str; 6] = [".git", ".venv", "node_modules", "__pycache__", "target", ".pytest_cache"];

/// Copies the Tiltfile, the charts and the services' folders into a folder that is made anew.
pub(super) fn copy(project: &Project, inputs: &Inputs, to: &Path) -> Result<()> {
    crate::folders::remove(to)?;
    private_folder(to)?;
    files::copy(&project.root.join("Tiltfile"), &to.join("Tiltfile"))?;
    // With file modes: they get into the images.
    files::copy_folder(&project.root.join(spec().charts.folder), &to.join(spec().charts.folder), &LEFT_OUT)?;
    for (name, folder) in &inputs.contexts {
        files::copy_folder(folder, &to.join(name), &LEFT_OUT)?;
    }
    Ok(())
}
