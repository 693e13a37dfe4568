//! Automatic removal of what piles up from run to run, while no process uses the cluster: images of former builds, staged charts,
//! folders of runs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, SystemTime};

use harness_base::files::{read_json, write_json};
use harness_base::folders;
use harness_base::lock::{Lock, Mode};
use harness_settings::marks::{DOMAIN, OWNER_LABEL};
use harness_settings::settings::Settings;
use harness_settings::spec::spec;

use crate::engine::{Engine, Image, Mark, Owned};
use crate::error::Result;
use crate::run::Run;

/// The file in the state folder with the IDs of images that were built here.
pub const BUILT_HERE: &str = "images.json";
/// The lock on it.
pub const BUILT_HERE_LOCK: &str = "images.lock";
/// The folder of the cache in which charts are staged.
pub const STAGED: &str = "charts";
/// How long to wait for the lock on the file of built images.
const NOTED: Duration = Duration::from_secs(30);
/// How many builds of an image stay, so that going back an edit or two builds nothing.
const BUILDS: usize = 3;
/// How many runs stay, whatever their age.
const RUNS: usize = 10;
/// How many staged charts stay, whatever their age.
const CHARTS: usize = 20;
/// The age at which runs, and charts among the newest, are removed: 7 days.
const AGE: Duration = Duration::from_secs(7 * 24 * 3600);
/// The age at which other charts are removed: 2 h, longer than a run that deploys them may take.
const USED: Duration = Duration::from_secs(2 * 3600);

/// Removes old images, charts and runs; never anything that a process uses.
///
/// # Errors
/// The first error; everything else is removed all the same.
pub async fn run(engine: &Engine, settings: &Settings) -> Result<()> {
    let now = SystemTime::now();
    let older = |changed: Option<SystemTime>, than: Duration| {
        changed.and_then(|at| now.duration_since(at).ok()).is_some_and(|age| age > than)
    };
    let images = images(engine, &settings.state_root).await;
    images.and(runs(settings, &older)).and(charts(&settings.cache_root, &older))
}

/// Notes as built here all images with one of our titles and a name below `registry`, the address of a registry of ours. Called
/// while that registry runs: later, another registry may have the address, and the names be another's.
///
/// # Errors
/// [`crate::Error::Command`] when the engine does not list its images; [`harness_base::Error::Damaged`] when the record does not
/// parse.
pub async fn note(engine: &Engine, state_root: &Path, registry: &str) -> Result<()> {
    let start = format!("{registry}/");
    let mut found = BTreeSet::new();
    for title in titles() {
        let all = engine.all::<Image>(&Mark::titled(&title)).await?;
        let named = all.iter().filter(|image| image.object().names().any(|name| name.starts_with(&start)));
        found.extend(named.map(|image| image.object().id.clone()));
    }
    change(state_root, |noted| noted.extend(found)).await
}

/// The IDs of the images that were built here.
///
/// # Errors
/// [`harness_base::Error::Damaged`] when the record does not parse.
pub fn built_here(state_root: &Path) -> Result<BTreeSet<String>> {
    let path = state_root.join(BUILT_HERE);
    Ok(read_json(&path, &format!("rm {}", path.display()))?.unwrap_or_default())
}

async fn change(state_root: &Path, edit: impl FnOnce(&mut BTreeSet<String>)) -> Result<()> {
    let _lock = Lock::take(&state_root.join(BUILT_HERE_LOCK), Mode::Exclusive, NOTED).await?;
    let before = built_here(state_root)?;
    let mut noted = before.clone();
    edit(&mut noted);
    if noted == before { Ok(()) } else { Ok(write_json(&state_root.join(BUILT_HERE), &noted)?) }
}

/// Whether an image's name is one that our builds give: below our own host, or in a registry at a port of 127.0.0.1.
pub fn is_ours(name: &str) -> bool {
    [DOMAIN, spec().dev.image_host].iter().any(|host| name.starts_with(&format!("{host}/"))) || port(name).is_some()
}

/// The port of 127.0.0.1 in an image's name.
fn port(name: &str) -> Option<u16> {
    name.strip_prefix("127.0.0.1:")?.split_once('/')?.0.parse().ok()
}

/// The titles (`org.opencontainers.image.title`) that the stack's Dockerfiles give to the images built here.
pub fn titles() -> impl Iterator<Item = String> {
    spec().images.built.iter().flat_map(|image| {
        let title = format!("{}-{}", spec().name, image.name);
        [format!("{title}-dev"), title]
    })
}

async fn images(engine: &Engine, state_root: &Path) -> Result<()> {
    let built_here = built_here(state_root)?;
    let mut gone = BTreeSet::new();
    for title in titles() {
        let mut all = engine.all::<Image>(&Mark::titled(&title)).await?;
        // An image that was built by hand has the same title.
        all.retain(|image| built_here.contains(&image.object().id));
        let ports: BTreeSet<u16> = all.iter().flat_map(|image| image.object().names()).filter_map(port).collect();
        let mut live = BTreeSet::new();
        for port in ports {
            if engine.label_at_port(OWNER_LABEL, port).await?.is_some() {
                live.insert(port);
            }
        }
        for image in former(all, &live) {
            let id = image.object().id.clone();
            if image.remove_if_unused(is_ours).await? {
                gone.insert(id);
            }
        }
    }
    change(state_root, |noted| noted.retain(|id| !gone.contains(id))).await
}

/// The images to remove: those that no live registry serves, and in each registry all but the newest builds.
fn former(mut all: Vec<Owned<Image>>, live: &BTreeSet<u16>) -> Vec<Owned<Image>> {
    all.sort_by(|a, b| b.object().created.cmp(&a.object().created));
    let mut newer: BTreeMap<u16, usize> = BTreeMap::new();
    all.retain(|image| {
        let ports: BTreeSet<u16> = image.object().names().filter_map(port).collect();
        let mut wanted = ports.is_empty();
        for port in ports.into_iter().filter(|port| live.contains(port)) {
            let count = newer.entry(port).or_default();
            *count += 1;
            wanted |= *count <= BUILDS;
        }
        !wanted
    });
    all
}

/// Whether something that was changed at a time is older than an age.
type Older<'a> = &'a dyn Fn(Option<SystemTime>, Duration) -> bool;

fn runs(settings: &Settings, older: Older<'_>) -> Result<()> {
    let mut all = folders::marked_in(&Run::all(settings)?)?;
    all.retain(|run| !run.marker.process.lives());
    // A process removes its temporary files when it ends; a killed one left them.
    all.iter().try_for_each(|run| crate::run::remove_temporary(run.path()))?;
    // The rest of a folder that a setting names is its owner's to tidy.
    if settings.run_dir.get()?.is_some() {
        return Ok(());
    }
    all.sort_by_key(|run| std::cmp::Reverse(run.changed()));
    Ok(all.into_iter().skip(RUNS).filter(|run| older(run.changed(), AGE)).try_for_each(folders::Marked::remove)?)
}

fn charts(cache: &Path, older: Older<'_>) -> Result<()> {
    let folder = cache.join(STAGED);
    let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
    // Staging the same charts again updates their time.
    let time = |entry: &std::fs::DirEntry| entry.metadata().and_then(|data| data.modified()).ok();
    let mut all: Vec<_> = entries.map(|entry| (time(&entry), entry.path())).collect();
    all.sort_by_key(|(changed, _)| std::cmp::Reverse(*changed));
    for (place, (changed, path)) in all.into_iter().enumerate() {
        if older(changed, if place < CHARTS { AGE } else { USED }) {
            folders::remove(&path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::beside("127.0.0.1:32769/backend:abc", true)]
    #[case::dev("127.0.0.1:32784/shop.internal_backend-dev:tilt-1", true)]
    #[case::made_here("harness.internal/kind/node:abc", true)]
    #[case::official("ghcr.io/shop/backend@sha256:abc", false)]
    #[case::tagged_by_somebody("backend:mine", false)]
    #[case::another_host("127.0.0.1.example.com:5000/backend", false)]
    fn names(#[case] name: &str, #[case] ours: bool) {
        assert_eq!(is_ours(name), ours);
    }
}
