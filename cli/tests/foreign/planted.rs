//! What strangers have on the machine, as it is now: normalised for health, times and addresses, and compared afterwards.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sha2::Digest;
use tokio::sync::OnceCell;

use super::docker::{docker, inspect, node_image, tried};

/// One thing of a stranger's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Thing {
    /// By its ID.
    Container(String),
    /// By its ID.
    Network(String),
    /// By its name; when it was made tells it from another of that name.
    Volume(String),
    /// By one of its names.
    Image(String),
    /// A folder with all that is in it.
    Folder(PathBuf),
    /// One file.
    File(PathBuf),
}

impl Thing {
    /// What can be told of it; `None` when it is gone.
    async fn state(&self) -> Option<String> {
        let value = match self {
            Self::Container(id) => container(&inspect("container", id).await?),
            Self::Network(id) => network(&inspect("network", id).await?),
            Self::Volume(name) => {
                let found = inspect("volume", name).await?;
                json!({"name": found["Name"], "labels": found["Labels"], "made": found["CreatedAt"]})
            }
            Self::Image(name) => json!({"id": inspect("image", name).await?["Id"]}),
            Self::Folder(path) => return path.is_dir().then(|| files(path)),
            Self::File(path) => return path.is_file().then(|| hash(path)),
        };
        Some(serde_json::to_string_pretty(&value).unwrap())
    }

    fn what(&self) -> String {
        match self {
            Self::Container(id) => format!("container {}", &id[..12]),
            Self::Network(id) => format!("network {}", &id[..12]),
            Self::Volume(name) => format!("volume {name}"),
            Self::Image(name) => format!("image {name}"),
            Self::File(path) => format!("file {}", path.display()),
            Self::Folder(path) => format!("folder {}", path.file_name().unwrap_or_default().to_string_lossy()),
        }
    }

    async fn remove(&self) -> Result<String, String> {
        match self {
            Self::Container(id) => tried(&["rm", "--force", "--volumes", id]).await,
            Self::Network(id) => tried(&["network", "rm", id]).await,
            Self::Volume(name) => tried(&["volume", "rm", name]).await,
            Self::Image(name) => tried(&["image", "rm", "--no-prune", name]).await,
            Self::Folder(_) | Self::File(_) => Ok(String::new()),
        }
    }
}

/// Without health, times and addresses, which change by themselves.
fn container(found: &Value) -> Value {
    let networks = found["NetworkSettings"]["Networks"].as_object().cloned().unwrap_or_default();
    let networks: BTreeMap<_, _> = networks.into_iter().map(|(name, on)| (name, on["NetworkID"].clone())).collect();
    let mounts = found["Mounts"].as_array().cloned().unwrap_or_default();
    let mounts: Vec<_> =
        mounts.iter().map(|mount| json!([mount["Name"], mount["Source"], mount["Destination"]])).collect();
    json!({
        "name": found["Name"], "image": found["Image"], "labels": found["Config"]["Labels"],
        "state": found["State"]["Status"], "networks": networks, "mounts": mounts,
    })
}

/// With its endpoints, by the containers' IDs.
fn network(found: &Value) -> Value {
    let endpoints = found["Containers"].as_object().cloned().unwrap_or_default();
    let mut endpoints: Vec<_> = endpoints.into_iter().map(|(id, _)| id).collect();
    endpoints.sort();
    json!({"name": found["Name"], "driver": found["Driver"], "labels": found["Labels"], "endpoints": endpoints})
}

/// Each file by its hash, each link by where it leads, each with its permissions.
fn files(folder: &Path) -> String {
    let mut text = String::new();
    let mut names: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    for path in names {
        let data = path.symlink_metadata().unwrap();
        let mode = data.permissions().mode() & 0o7777;
        let holds = match (data.is_symlink(), data.is_dir()) {
            (true, _) => format!("-> {}", std::fs::read_link(&path).unwrap().display()),
            (_, true) => format!("/\n{}", files(&path)),
            _ => hash(&path),
        };
        writeln!(text, "{mode:o} {} {holds}", path.display()).unwrap();
    }
    text
}

fn hash(file: &Path) -> String {
    hex::encode(sha2::Sha256::digest(std::fs::read(file).unwrap()))
}

/// Things of strangers', each as it was when it was planted.
#[derive(Default)]
pub struct Planted {
    things: Vec<(Thing, String)>,
}

impl Planted {
    /// Takes a thing as it is now for what it has to stay.
    pub async fn note(&mut self, thing: Thing) {
        let state = thing.state().await.unwrap_or_else(|| panic!("the {} is not there to be noted", thing.what()));
        self.things.push((thing, state));
    }

    /// The same anew, for whoever changed one himself since.
    pub async fn note_again(&mut self) {
        for (thing, state) in &mut self.things {
            *state = thing.state().await.unwrap_or_else(|| panic!("the {} is not there to be noted", thing.what()));
        }
    }

    /// What became of it: a line for each thing that is gone or another one.
    pub async fn changes(&self) -> Vec<String> {
        let mut changes = Vec::new();
        for (thing, before) in &self.things {
            match thing.state().await {
                Some(now) if &now == before => {}
                Some(now) => {
                    let of = |text: &str, other: &str| {
                        let lines = text.lines().filter(|line| !other.lines().any(|there| there == *line));
                        lines.map(str::trim).collect::<Vec<_>>().join("; ")
                    };
                    let (was, is) = (of(before, &now), of(&now, before));
                    changes.push(format!("a stranger's {} was changed: was {was}, is {is}", thing.what()));
                }
                None => changes.push(format!("a stranger's {} was removed", thing.what())),
            }
        }
        changes
    }

    /// Takes it away again, newest first: by ID, and nothing else.
    pub async fn remove(&mut self) {
        for (thing, _) in self.things.drain(..).rev() {
            if thing.state().await.is_some()
                && let Err(error) = thing.remove().await
            {
                eprintln!("the {} stays, take it away by hand: {error}", thing.what());
            }
        }
    }
}

/// Strangers that are there during every try: a container on a network of its own with a volume, one that is paused, one
/// that ended, and an image.
pub struct Bystanders {
    planted: Planted,
}

static BYSTANDERS: OnceCell<tokio::sync::Mutex<Bystanders>> = OnceCell::const_new();

impl Bystanders {
    pub async fn get() -> tokio::sync::MutexGuard<'static, Self> {
        BYSTANDERS.get_or_init(|| async { tokio::sync::Mutex::new(Self::plant().await) }).await.lock().await
    }

    async fn plant() -> Self {
        let mut planted = Planted::default();
        // The user's own: kubeconfigs of ours lie elsewhere.
        let home = super::binaries::variable("HOME").map(PathBuf::from).unwrap_or_default();
        for name in [".kube/config", ".gitconfig"] {
            if home.join(name).is_file() {
                planted.note(Thing::File(home.join(name))).await;
            }
        }
        let name = format!("stranger-{}", std::process::id());
        planted.note(Thing::Image(image(&format!("{name}:1"), &[]).await)).await;
        let network = docker(&["network", "create", &name]).await;
        docker(&["volume", "create", &name]).await;
        planted.note(Thing::Volume(name.clone())).await;
        let mut containers = Vec::new();
        for state in ["running", "paused", "exited"] {
            let volume = format!("{name}:/data");
            let with = ["--network", &network, "--volume", &volume];
            containers.push(sleeper(&format!("{name}-{state}"), &with).await);
        }
        docker(&["pause", &containers[1]]).await;
        docker(&["kill", &containers[2]]).await;
        docker(&["wait", &containers[2]]).await;
        // The network goes last, so it is noted first; by then, it has its endpoints.
        planted.note(Thing::Network(network)).await;
        for id in containers {
            planted.note(Thing::Container(id)).await;
        }
        Self { planted }
    }

    pub async fn changes(&self) -> Vec<String> {
        self.planted.changes().await
    }

    /// Once no try is left.
    pub async fn remove() {
        if let Some(bystanders) = BYSTANDERS.get() {
            bystanders.lock().await.planted.remove().await;
        }
    }
}

/// Starts a container that does nothing, and gives its ID.
pub async fn sleeper(name: &str, with: &[&str]) -> String {
    let image = node_image().await;
    let mut args = vec!["run", "--detach", "--name", name, "--entrypoint", "sleep"];
    args.extend(with);
    args.extend([image.as_str(), "infinity"]);
    docker(&args).await
}

/// Makes an image with one small file and these labels, and gives its name.
pub async fn image(name: &str, labels: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), name).unwrap();
    let archive = folder.path().join("image.tar").to_string_lossy().into_owned();
    let place = folder.path().to_string_lossy().into_owned();
    super::docker::run(super::docker::tool("tar").args([
        "--create",
        "--file",
        &archive,
        "--directory",
        &place,
        "file",
    ]))
    .await
    .unwrap();
    let changes = labels.iter().map(|label| format!("LABEL {label}")).collect::<Vec<_>>();
    let mut args = vec!["import"];
    for change in &changes {
        args.extend(["--change", change]);
    }
    args.extend([archive.as_str(), name]);
    docker(&args).await;
    name.to_owned()
}
