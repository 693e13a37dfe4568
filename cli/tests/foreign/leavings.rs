//! What a seat left behind: containers, networks, volumes, processes, files.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::docker::docker;
use super::place::Seat;

/// How long what was told to end may take: nothing tells when the last of it is gone.
const ENDS: Duration = Duration::from_secs(15);

pub struct Leavings {
    seat: Seat,
    /// What stands in the names of all that is the seat's.
    hash: String,
    /// Volumes that nobody uses, and staged charts, as they were before.
    before: BTreeSet<String>,
}

impl Leavings {
    /// To be asked for before the seat is used.
    pub async fn before(seat: &Seat) -> Self {
        Self { seat: seat.clone(), hash: seat.hash().await, before: unnamed().await }
    }

    /// Breaks the try unless what is there before `cargo stack clean` is seen: what is not seen is not missed.
    pub async fn are_seen(&self) {
        let found = self.found().await;
        for kind in ["the container ", "the network ", "the process ", "the file "] {
            assert!(found.iter().any(|text| text.starts_with(kind)), "{kind}of a cluster is not seen: {found:?}");
        }
    }

    /// Breaks the try if anything is left once what ends by itself has ended.
    pub async fn are_none(&self) {
        let mut left = Vec::new();
        let _ = tokio::time::timeout(ENDS, async {
            loop {
                left = self.found().await;
                if left.is_empty() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        })
        .await;
        assert!(left.is_empty(), "cargo stack clean left {}", left.join("; "));
    }

    async fn found(&self) -> Vec<String> {
        let place = self.seat.folder().to_string_lossy().into_owned();
        let ours = |text: &str| text.contains(&self.hash) || text.contains(&place);
        let mut found = Vec::new();
        for (kind, list) in [
            ("container", ["ps", "--all", "--no-trunc"].as_slice()),
            ("network", &["network", "ls"]),
            ("volume", &["volume", "ls"]),
        ] {
            let listed = docker(&[list, &["--format", "{{json .}}"]].concat()).await;
            found.extend(listed.lines().filter(|line| ours(line)).map(|line| format!("the {kind} {line}")));
        }
        found.extend(unnamed().await.difference(&self.before).map(Clone::clone));
        found.extend(processes().into_iter().filter(|text| ours(text)).map(|text| format!("the process {text}")));
        let folders = [self.seat.temporary(), self.seat.runs(), self.seat.state()];
        found
            .extend(folders.iter().flat_map(|folder| files(folder)).map(|path| format!("the file {}", path.display())));
        found
    }
}

/// What carries nobody's name: volumes that no container has, and charts that were being staged.
async fn unnamed() -> BTreeSet<String> {
    let volumes = docker(&["volume", "ls", "--quiet", "--filter", "dangling=true"]).await;
    let mut found: BTreeSet<String> = volumes.lines().map(|id| format!("the volume {id}")).collect();
    #[expect(clippy::disallowed_methods, reason = "where the cache is that all seats share")]
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map_or_else(|| PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache"), PathBuf::from);
    let staged = std::fs::read_dir(cache.join("jetscale-stack/charts")).into_iter().flatten().flatten();
    let staging = staged.filter(|entry| entry.file_name().to_string_lossy().starts_with("staging-"));
    found.extend(staging.map(|entry| format!("the folder {}", entry.path().display())));
    found
}

/// Of each process its number, what it was called with, where it is, and its environment.
fn processes() -> Vec<String> {
    let own = std::process::id().to_string();
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = entries.filter(|entry| entry.file_name().to_string_lossy().parse::<u32>().is_ok());
    let others = numbers.filter(|entry| entry.file_name().to_string_lossy() != own);
    let texts = others.map(|entry| {
        let read = |name: &str| {
            String::from_utf8_lossy(&std::fs::read(entry.path().join(name)).unwrap_or_default()).replace('\0', " ")
        };
        let folder = std::fs::read_link(entry.path().join("cwd")).unwrap_or_default();
        let number = entry.file_name();
        format!("{} {} in {} with {}", number.to_string_lossy(), read("cmdline"), folder.display(), read("environ"))
    });
    texts.collect()
}

/// The files below a folder, but for locks, which are never unlinked, and the record of the images that stay.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_none_or(|end| end != "lock")
            && folder.file_name() != Some("slots".as_ref())
            && !path.ends_with("images.json")
        {
            found.push(path);
        }
    }
    found
}
