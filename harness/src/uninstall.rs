//! `cargo stack clean --all`: removes all that the harness made on this machine, except what is in use, and names the rest.

use std::path::Path;
use std::time::Duration;

use crate::cluster::{ClusterState, reaper};
use crate::engine::{Engine, Image, Mark, uninstall_hint};
use crate::error::{Error, Result};
use crate::run::Run;
use crate::settings::Settings;
use crate::tools::Tools;
use crate::{folders, tidy};

/// The entries of the cache folder that the harness makes.
const CACHES: [&str; 8] =
    ["base-images", "bench", tidy::STAGED, "go", "host-packages.lock", "target", "tools", "venvs"];
/// The entries of the state folder that the harness makes, beside the clusters' folders.
const STATE: [&str; 9] = [
    "bench",
    "setup",
    "preview",
    "mutants",
    "engine.json",
    "engine.lock",
    "kind-network",
    tidy::BUILT_HERE,
    tidy::BUILT_HERE_LOCK,
];

/// The result of [`run`].
#[derive(Debug, Default)]
pub struct Uninstalled {
    /// What was removed.
    pub removed: Vec<String>,
    /// What was left, each with the reason.
    pub left: Vec<(String, String)>,
    /// How to remove what a person may remove besides: the engine, if the harness installed it.
    pub hint: Option<String>,
}

/// Removes the unused clusters of all of this user's checkouts, the images made here, the caches and the state. `wait`: how long
/// to wait for a cluster that is in use.
///
/// Pulled images, and images that also have another's name, stay. While a cluster is in use, caches and images stay too, since
/// its run needs them. What remains on cancel: what was not removed yet; calling again goes on.
///
/// # Errors
/// The error of the first thing that cannot be removed.
pub async fn run(settings: &Settings, wait: Option<Duration>) -> Result<Uninstalled> {
    let mut done = Uninstalled::default();
    for cluster_state in ClusterState::all(&settings.state_root)? {
        match reaper::clean(&cluster_state, settings, wait).await {
            Ok(removed) => {
                done.removed.extend(removed);
                let name = cluster_state.record().ok().and_then(|record| record.identity).map(|identity| identity.name);
                match name {
                    // The folder stays: its record has the network's name, the proof that the network is ours.
                    Some(name) => {
                        let why = "a container that is not ours is on it".to_owned();
                        done.left.push((format!("the network {name}"), why));
                    }
                    // The lock files go last: a process that waits for one begins again.
                    None => folders::remove(&cluster_state.folder)?,
                }
            }
            Err(error) => done.left.push((format!("the cluster {}", cluster_state.name), error.to_string())),
        }
    }
    if !done.left.is_empty() {
        let why = "a cluster was left, which may need them".to_owned();
        done.left.push(("images, caches and state".to_owned(), why));
        return Ok(done);
    }
    let tools = Tools::new(settings.tools());
    match Engine::connect(&tools, settings).await {
        Ok(engine) => {
            let count = remove_images(&engine, &settings.state_root, &mut done).await?;
            if count > 0 {
                done.removed.push(format!("{count} images"));
            }
        }
        Err(error) => done.left.push(("images".to_owned(), error.to_string())),
    }
    done.hint = uninstall_hint(settings);
    tools.unlink_buildx()?;
    remove_all(&settings.cache_root, &CACHES, "cache", &mut done)?;
    remove_runs(&settings.state_root.join("runs"), &mut done)?;
    // The runs' folder that a setting names, if one does.
    remove_runs(&Run::all(settings)?, &mut done)?;
    remove_all(&settings.state_root, &STATE, "state", &mut done)?;
    Ok(done)
}

async fn remove_images(engine: &Engine, state_root: &Path, done: &mut Uninstalled) -> Result<usize> {
    let mut count = 0;
    let built_here = tidy::built_here(state_root)?;
    // A recipe's label is proof by itself; an image built by hand has the title too.
    let is_proven = |mark: &Mark, image: &Image| *mark == Mark::made_here() || built_here.contains(&image.id);
    let marks = std::iter::once(Mark::made_here()).chain(tidy::titles().map(|title| Mark::titled(&title)));
    for mark in marks {
        for image in engine.all::<Image>(&mark).await? {
            let name = image.object().names().next().unwrap_or(&image.object().id).to_owned();
            if !is_proven(&mark, image.object()) {
                let why = format!("nothing says that it was built here: docker image rm {name}, if nobody needs it");
                done.left.push((format!("image {name}"), why));
                continue;
            }
            match image.remove_if_unused(tidy::is_ours).await? {
                true => count += 1,
                false => done.left.push((
                    format!("image {name}"),
                    "it has a name that is not ours, or a container was made of it".to_owned(),
                )),
            }
        }
    }
    Ok(count)
}

/// Removes the folders of runs that have ended.
fn remove_runs(folder: &Path, done: &mut Uninstalled) -> Result<()> {
    let mut any = false;
    for run in folders::marked_in(folder)? {
        if run.marker.process.lives() {
            done.left.push((run.path().display().to_string(), format!("{} goes on", run.marker.holds)));
        } else {
            any = true;
            run.remove()?;
        }
    }
    if any {
        done.removed.push(format!("runs in {}", folder.display()));
    }
    Ok(folders::remove_if_empty(folder)?)
}

/// Removes named entries of a folder of ours, then the folder itself if it is empty; notes the entries that are left.
fn remove_all(root: &Path, entries: &[&str], name: &str, done: &mut Uninstalled) -> Result<()> {
    let mut any = false;
    for entry in entries {
        let path = root.join(entry);
        any |= path.symlink_metadata().is_ok();
        folders::remove(&path)?;
    }
    folders::remove_if_empty(&root.join("clusters"))?;
    folders::remove_if_empty(root)?;
    if any {
        done.removed.push(format!("the {name} in {}", root.display()));
    }
    if root.is_dir() {
        let say = || format!("list {}", root.display());
        for entry in std::fs::read_dir(root).map_err(Error::io(say()))? {
            let path = entry.map_err(Error::io(say()))?.path();
            done.left.push((path.display().to_string(), "we did not make it".to_owned()));
        }
    }
    Ok(())
}
