//! buildx, the plugin by which the engine's client uses BuildKit: found in the client's plugin folders, and linked there when it
//! is in the toolbox or the cache.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::find::is_program;
use super::version::Version;
use super::{Found, Origin, Tool, Tools};
use crate::error::{Error, Result};

/// The deadline for the client to print its plugin's version.
const ASK: Duration = Duration::from_secs(20);

/// The system's folders of client plugins (docs.docker.com, "cli-plugins").
const SYSTEM: [&str; 4] = [
    "/usr/local/lib/docker/cli-plugins",
    "/usr/local/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
    "/usr/libexec/docker/cli-plugins",
];

impl Tools {
    /// The folders that the client searches for plugins, in its order.
    pub(super) fn plugin_folders(&self) -> Vec<PathBuf> {
        let own = self.inner.options.docker_config.join("cli-plugins");
        std::iter::once(own).chain(SYSTEM.map(PathBuf::from)).collect()
    }

    /// The plugin as the client itself finds it: its configuration may name further folders.
    #[expect(clippy::disallowed_methods, reason = "asks the client about itself, and the engine nothing")]
    pub(super) async fn plugin_by_client(&self, tool: Tool) -> Option<Found> {
        if tool != Tool::Buildx {
            return None;
        }
        let command = self.docker().ok()?.args(["buildx", "version"]).limit(ASK);
        let version = Version::said(&command.run().await.ok()?.stdout);
        let supported = version.is_none_or(|version| tool.supported().is_none_or(|range| range.contains(version)));
        let path = self.docker_program().ok()?;
        supported.then_some(Found { path, version, origin: Origin::Path })
    }

    /// Links a plugin from the toolbox or the cache into the client's first plugin folder. The link remains until
    /// [`Tools::unlink_buildx`].
    ///
    /// # Errors
    /// [`harness_base::Error::Refused`] when another plugin is in its place.
    pub(super) fn link_buildx(&self, found: &Found) -> Result<()> {
        let link = self.buildx_link();
        if found.origin == Origin::Path || link.canonicalize().ok() == found.path.canonicalize().ok() {
            return Ok(());
        }
        if link.symlink_metadata().is_ok() && !self.is_our_link(&link) {
            if is_program(&link) {
                // A plugin with a supported version would have been found before ours.
                return Err(Error::refused(
                    format!("{} is in the way of {}", link.display(), found.path.display()),
                    format!("mv {0} {0}.old, and run the same command again", link.display()),
                ));
            }
            tracing::info!("{} leads nowhere, and is replaced", link.display());
        }
        let say = || format!("link {} to {}", link.display(), found.path.display());
        let folder = link.parent().unwrap_or(Path::new("/"));
        std::fs::create_dir_all(folder).map_err(Error::io(say()))?;
        // Made beside its place and renamed, so that the client never misses it.
        let new = folder.join(format!(".docker-buildx.{}", std::process::id()));
        let _ = std::fs::remove_file(&new);
        std::os::unix::fs::symlink(&found.path, &new).map_err(Error::io(say()))?;
        std::fs::rename(&new, &link).map_err(Error::io(say()))
    }

    /// Removes the link that the harness made from the client's plugins; another plugin stays. Returns whether there was a link.
    ///
    /// # Errors
    /// [`harness_base::Error::Io`] when it cannot be removed.
    pub fn unlink_buildx(&self) -> Result<bool> {
        let link = self.buildx_link();
        if !self.is_our_link(&link) {
            return Ok(false);
        }
        std::fs::remove_file(&link).map_err(Error::io(format!("remove {}", link.display())))?;
        self.forget(Tool::Buildx);
        Ok(true)
    }

    fn buildx_link(&self) -> PathBuf {
        self.inner.options.docker_config.join("cli-plugins/docker-buildx")
    }

    /// Whether a link is ours: it leads into the cache or the toolbox, even if its target is gone.
    fn is_our_link(&self, link: &Path) -> bool {
        let ours = |target: PathBuf| {
            let toolbox = self.toolbox().is_some_and(|toolbox| target.starts_with(toolbox));
            toolbox || target.starts_with(self.cache_folder())
        };
        std::fs::read_link(link).is_ok_and(ours)
    }
}
