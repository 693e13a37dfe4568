//! What piles up from run to run is removed by itself, while nobody uses the cluster: images of former builds, charts that
//! were staged, folders of runs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::descriptor::{BUILT, OWNER_LABEL};
use crate::engine::{Engine, Image, Mark, Owned};
use crate::error::{Error, Result};
use crate::run::Run;
use crate::settings::Settings;
use crate::{folders, release};

/// How many builds of an image stay, so that going back an edit or two builds nothing.
const BUILDS: usize = 3;
/// How many runs stay, whatever their age.
const RUNS: usize = 10;
/// How old charts and runs get.
const AGE: Duration = Duration::from_secs(7 * 24 * 3600);

/// Removes what nobody will ask for again; never anything that a process uses.
///
/// # Errors
/// The first error; what could be removed is gone.
pub async fn run(engine: &Engine, settings: &Settings) -> Result<()> {
    let now = SystemTime::now();
    let old =
        |changed: Option<SystemTime>| changed.and_then(|at| now.duration_since(at).ok()).is_some_and(|age| age > AGE);
    images(engine).await.and(runs(settings, &old)).and(charts(&settings.cache_root, &old))
}

/// Whether a name is one that our builds give: below our own host, or in a registry beside a cluster on this machine.
pub fn is_ours(name: &str) -> bool {
    name.starts_with("jetscale.internal/") || port(name).is_some()
}

/// The port of a registry beside a cluster.
fn port(name: &str) -> Option<u16> {
    name.strip_prefix("127.0.0.1:")?.split_once('/')?.0.parse().ok()
}

/// The titles that our Dockerfiles give, of what is built here.
pub fn titles() -> impl Iterator<Item = String> {
    BUILT.iter().flat_map(|image| [format!("jetscale-{}", image.name), format!("jetscale-{}-dev", image.name)])
}

async fn images(engine: &Engine) -> Result<()> {
    for title in titles() {
        let all = engine.all::<Image>(&Mark::titled(&title)).await?;
        let ports: BTreeSet<u16> = all.iter().flat_map(|image| image.object().names()).filter_map(port).collect();
        let mut live = BTreeSet::new();
        for port in ports {
            if engine.label_at_port(OWNER_LABEL, port).await?.is_some() {
                live.insert(port);
            }
        }
        for image in former(all, &live) {
            image.remove_if_unused(is_ours).await?;
        }
    }
    Ok(())
}

/// The images that no registry serves any more, and in each registry all but the newest builds.
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

fn runs(settings: &Settings, old: &dyn Fn(Option<SystemTime>) -> bool) -> Result<()> {
    // A folder that a setting names is its owner's to tidy.
    if settings.run_dir.get()?.is_some() {
        return Ok(());
    }
    let mut all = folders::marked_in(&Run::all(settings)?)?;
    all.sort_by_key(|run| std::cmp::Reverse(run.changed()));
    for run in all.into_iter().skip(RUNS) {
        if old(run.changed()) && !run.marker.process.lives() {
            run.remove()?;
        }
    }
    Ok(())
}

fn charts(cache: &Path, old: &dyn Fn(Option<SystemTime>) -> bool) -> Result<()> {
    let folder = cache.join(release::STAGED);
    let Ok(entries) = std::fs::read_dir(&folder) else { return Ok(()) };
    for entry in entries {
        let entry = entry.map_err(Error::io(format!("list {}", folder.display())))?;
        // Whoever stages them again says so by their time.
        if old(entry.metadata().and_then(|data| data.modified()).ok()) {
            folders::remove(&entry.path())?;
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
    #[case::dev("127.0.0.1:32784/jetscale.internal_backend-dev:tilt-1", true)]
    #[case::internal("jetscale.internal/kind/node:abc", true)]
    #[case::official("ghcr.io/jetscale/backend@sha256:abc", false)]
    #[case::tagged_by_somebody("backend:mine", false)]
    #[case::another_host("127.0.0.1.example.com:5000/backend", false)]
    fn names(#[case] name: &str, #[case] ours: bool) {
        assert_eq!(is_ours(name), ours);
    }
}
