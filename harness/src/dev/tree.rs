//! A copy of what Tilt reads of a checkout, so that scenarios edit nothing else.

use std::path::Path;

use super::inputs::Inputs;
use crate::descriptor::CHARTS;
use crate::error::{Error, Result};
use crate::files::private_folder;
use crate::project::Project;

/// What is never part of an image, and may be large.
const LEFT_OUT: [&str; 6] = [".git", ".venv", "node_modules", "__pycache__", "target", ".pytest_cache"];

/// Copies the Tiltfile, the charts and the services' folders into a folder that is made anew.
pub(super) fn copy(project: &Project, inputs: &Inputs, to: &Path) -> Result<()> {
    crate::folders::remove(to)?;
    private_folder(to)?;
    copy_file(&project.root.join("Tiltfile"), &to.join("Tiltfile"))?;
    copy_folder(&project.root.join(CHARTS), &to.join(CHARTS))?;
    for (name, folder) in &inputs.contexts {
        copy_folder(folder, &to.join(name))?;
    }
    Ok(())
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    // As a checkout's folders are: their modes get into the images.
    std::fs::create_dir_all(to).map_err(Error::io(format!("make {}", to.display())))?;
    let say = || format!("list {}", from.display());
    for entry in std::fs::read_dir(from).map_err(Error::io(say()))? {
        let entry = entry.map_err(Error::io(say()))?;
        let (path, name) = (entry.path(), entry.file_name());
        if LEFT_OUT.iter().any(|left_out| name == *left_out) {
            continue;
        }
        match path.is_dir() {
            true => copy_folder(&path, &to.join(name))?,
            false => copy_file(&path, &to.join(name))?,
        }
    }
    Ok(())
}

fn copy_file(from: &Path, to: &Path) -> Result<()> {
    std::fs::copy(from, to).map(drop).map_err(Error::io(format!("copy {} to {}", from.display(), to.display())))
}
