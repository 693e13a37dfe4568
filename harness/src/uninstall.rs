//! `cargo stack clean --all`: nothing of ours stays on the machine.

use std::path::Path;
use std::time::Duration;

use crate::cluster::{Home, reaper};
use crate::engine::{Engine, uninstall_hint};
use crate::error::Result;
use crate::files;
use crate::settings::Settings;
use crate::tools::Tools;

/// What finds the images that were made here: base and node images by their label, builds by the titles that their
/// Dockerfiles give them.
const IMAGES: [&str; 5] = [
    "label=ai.jetscale.made-from",
    "label=org.opencontainers.image.title=jetscale-backend",
    "label=org.opencontainers.image.title=jetscale-backend-dev",
    "label=org.opencontainers.image.title=jetscale-frontend",
    "label=org.opencontainers.image.title=jetscale-frontend-dev",
];

/// Removes the clusters of all of this user's checkouts, the images made here, the caches and the state.
///
/// Returns what a person may remove besides: the engine, if we installed it. Images that were pulled stay. What remains
/// on cancel: what was not removed yet; calling again goes on.
///
/// # Errors
/// [`Error::Refused`] when somebody uses a cluster and `wait` is `None`; the first thing that cannot be removed.
pub async fn run(settings: &Settings, wait: Option<Duration>) -> Result<Option<String>> {
    for home in Home::all(&settings.state_root)? {
        reaper::clean(&home, settings, wait).await?;
    }
    let tools = Tools::new(settings);
    match Engine::connect(&tools, settings).await {
        Ok(engine) => remove_images(&engine).await?,
        Err(error) => tracing::warn!("images stay, since no engine answers: {error}"),
    }
    let hint = uninstall_hint(settings);
    tools.unlink_buildx()?;
    remove(&settings.cache_root)?;
    remove(&settings.state_root)?;
    Ok(hint)
}

async fn remove_images(engine: &Engine) -> Result<()> {
    for filter in IMAGES {
        let listed = engine.docker()?.args(["image", "ls", "--quiet", "--no-trunc", "--filter", filter]).run().await?;
        let mut images: Vec<&str> = listed.stdout.lines().collect();
        images.sort_unstable();
        images.dedup();
        for image in images {
            engine.docker()?.args(["image", "rm", "--force", image]).run().await?;
        }
    }
    Ok(())
}

/// Removes a folder; Go's modules are read-only, which keeps nobody from removing them but the file system.
fn remove(root: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        let _ = std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o700));
        folders.extend(
            entries
                .flatten()
                .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
                .map(|entry| entry.path()),
        );
    }
    files::remove_folder(root)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn read_only_folders_go_too() {
        let root = tempfile::tempdir().unwrap();
        let module = root.path().join("mod/example@v1");
        std::fs::create_dir_all(&module).unwrap();
        std::fs::write(module.join("a.go"), "").unwrap();
        std::fs::set_permissions(&module, std::fs::Permissions::from_mode(0o555)).unwrap();
        super::remove(root.path()).unwrap();
        assert!(!root.path().exists());
        super::remove(root.path()).unwrap();
    }
}
