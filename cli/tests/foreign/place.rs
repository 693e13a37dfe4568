//! Where a try happens: folders of its own, copies of the checkout, and whatever it planted; all of it goes afterwards.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use harness::cluster::ClusterState;
use harness::project::Project;
use harness::settings::Settings;
use harness::stage::Stage;
use tokio::process::Command;
use tokio::sync::Mutex;

use super::binaries::{self, Binaries};
use super::docker::{containers, docker, inspect, run, tool, tried};
use super::planted::{Planted, Thing, sleeper};
use super::process::Call;
use super::proxy::Proxy;

/// The user that has nothing.
const NOBODY: u32 = 65534;
/// How long a call may take unless a try says otherwise.
const LIMIT: Duration = Duration::from_secs(240);

pub struct Place {
    folder: tempfile::TempDir,
    planted: Mutex<Planted>,
    seats: Mutex<Vec<Seat>>,
    images: BTreeSet<String>,
}

impl Place {
    pub async fn make(name: &str) -> Self {
        let beginning = format!("foreign-{}-", name.rsplit("::").next().unwrap().chars().take(24).collect::<String>());
        let folder = tempfile::Builder::new().prefix(&beginning).tempdir().unwrap();
        Self { folder, planted: Mutex::default(), seats: Mutex::default(), images: pushed_images().await }
    }

    /// A path in the try's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Somebody at this machine, with a state folder and a checkout of his own.
    pub async fn seat(&self, name: &str) -> Seat {
        let checkout = self.path(name).join("checkout");
        copy_checkout(&checkout).await;
        self.seat_in(name, &checkout).await
    }

    /// Somebody whose engine is behind a proxy, with caches and a client's configuration of his own: what an uninstall
    /// removes is his.
    pub async fn seat_apart(&self, name: &str, proxy: &Proxy) -> Seat {
        std::fs::create_dir_all(self.path("docker")).unwrap();
        let seat = self.seat(name).await.with("DOCKER_HOST", &proxy.address);
        let seat = seat.with("XDG_CACHE_HOME", self.path("cache").to_string_lossy());
        seat.with("DOCKER_CONFIG", self.path("docker").to_string_lossy())
    }

    /// Somebody without root, who may use the engine by its socket's group, and what he needs of what root alone can read;
    /// `None` where this test is not root, or reaches the engine in another way.
    pub async fn seat_without_root(&self, name: &str) -> Option<Seat> {
        use std::os::unix::fs::MetadataExt;
        let group = super::docker::socket().await?.metadata().ok()?.gid();
        if std::fs::metadata("/proc/self").ok()?.uid() != 0 || group == 0 {
            return None;
        }
        let mut seat = self.seat(name).await;
        let programs = seat.folder.join("programs");
        let plugins = seat.folder.join(".docker/cli-plugins");
        for folder in [&programs, &plugins] {
            std::fs::create_dir_all(folder).unwrap();
        }
        let Binaries { stack, suite, path, .. } = binaries::get();
        let found = |tool: &str| path.split(':').map(|folder| Path::new(folder).join(tool)).find(|path| path.is_file());
        let tools = ["kind", "helm", "skaffold"].into_iter().filter_map(found);
        for program in tools.chain([stack.clone(), suite.clone()]) {
            std::fs::copy(&program, programs.join(program.file_name().unwrap())).unwrap();
        }
        let plugin = docker(&[
            "info",
            "--format",
            "{{range .ClientInfo.Plugins}}{{if eq .Name \"buildx\"}}{{.Path}}{{end}}{{end}}",
        ]);
        std::fs::copy(plugin.await, plugins.join("docker-buildx")).unwrap();
        let owner = format!("{NOBODY}:{group}");
        run(tool("chown").args(["--recursive", &owner]).arg(self.folder.path())).await.unwrap();
        seat.without_root = Some(group);
        self.seats.lock().await.push(seat.clone());
        Some(seat)
    }

    /// The same with another's checkout.
    pub async fn seat_in(&self, name: &str, checkout: &Path) -> Seat {
        let folder = self.path(name);
        for part in ["state", "runs"] {
            std::fs::create_dir_all(folder.join(part)).unwrap();
        }
        let (variables, under) = (Vec::new(), Vec::new());
        let seat = Seat { folder, checkout: checkout.to_owned(), variables, under, without_root: None };
        self.seats.lock().await.push(seat.clone());
        seat
    }

    /// Plants a container that does nothing, and gives its ID.
    pub async fn plant(&self, name: &str, with: &[&str]) -> String {
        let id = sleeper(name, with).await;
        self.note(Thing::Container(id.clone())).await;
        id
    }

    /// Plants what looks like a node of another's Kind cluster.
    pub async fn plant_node(&self, cluster: &str, with: &[&str]) -> String {
        let label = format!("io.x-k8s.kind.cluster={cluster}");
        let labels = ["--label", label.as_str(), "--label", "io.x-k8s.kind.role=control-plane"];
        self.plant(&format!("{cluster}-control-plane"), &[&labels, with].concat()).await
    }

    /// Plants a folder with a file, a folder in it, and a link.
    pub async fn plant_folder(&self, path: &Path) {
        std::fs::create_dir_all(path.join("thesis")).unwrap();
        std::fs::write(path.join("notes.txt"), "mine").unwrap();
        std::fs::write(path.join("thesis/chapter.txt"), "also mine").unwrap();
        std::os::unix::fs::symlink("notes.txt", path.join("link")).unwrap();
        self.note(Thing::Folder(path.to_owned())).await;
    }

    /// Takes a thing of a stranger's as it is now for what it has to stay.
    pub async fn note(&self, thing: Thing) {
        self.planted.lock().await.note(thing).await;
    }

    /// The same for all of them anew, once the try itself changed one.
    pub async fn note_again(&self) {
        self.planted.lock().await.note_again().await;
    }

    /// Nothing that was planted is looked at any more, nor taken away: the try itself let it go.
    pub async fn forget(&self) {
        *self.planted.lock().await = Planted::default();
    }

    /// What became of what was planted.
    pub async fn changes(&self) -> Vec<String> {
        self.planted.lock().await.changes().await
    }

    /// Takes away what was planted, and then, by its own command, what is ours; what that leaves goes by ID.
    pub async fn tear_down(self) {
        self.planted.lock().await.remove().await;
        for seat in self.seats.lock().await.iter() {
            seat.clean_up().await;
        }
        // Names of ours in the engine that came with this try: pushes to registries that are gone by now.
        for name in pushed_images().await.difference(&self.images) {
            // A registry that serves is somebody's who runs beside this try.
            let port = name.split([':', '/']).nth(1).unwrap();
            if !docker(&["ps", "--quiet", "--filter", &format!("publish={port}")]).await.is_empty() {
                continue;
            }
            let _ = tried(&["image", "rm", "--no-prune", name]).await;
        }
    }
}

/// The engine's names of images that were pushed to a registry on this machine.
async fn pushed_images() -> BTreeSet<String> {
    let listed = docker(&["images", "--format", "{{.Repository}}:{{.Tag}}"]).await;
    let names = listed.lines().filter(|name| name.starts_with("127.0.0.1:") && !name.ends_with("<none>"));
    names.map(str::to_owned).collect()
}

/// What git knows of the working tree, and what it would add: with a history, and changes where there are some.
async fn copy_checkout(to: &Path) {
    let from = binaries::checkout();
    let clone = ["clone", "--quiet", "--no-hardlinks"];
    run(tool("git").args(clone).arg(from).arg(to)).await.unwrap();
    let listed = ["ls-files", "--modified", "--others", "--exclude-standard"];
    let changed = run(tool("git").args(listed).current_dir(from)).await.unwrap();
    for name in changed.lines() {
        let (from, to) = (from.join(name), to.join(name));
        if from.is_file() {
            std::fs::create_dir_all(to.parent().unwrap()).unwrap();
            std::fs::copy(from, to).unwrap();
        }
    }
}

/// Somebody at this machine: a state folder, a folder for runs, a checkout, and variables.
#[derive(Clone)]
pub struct Seat {
    folder: PathBuf,
    pub checkout: PathBuf,
    variables: Vec<(String, String)>,
    /// What starts the programs instead of a shell, and is given them.
    under: Vec<String>,
    /// The group of the engine's socket, where the programs run as nobody.
    without_root: Option<u32>,
}

impl Seat {
    /// The same with another variable; an empty one counts as not set.
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.variables.push((name.to_owned(), value.into()));
        self
    }

    /// The same, whose programs a program starts that sets them limits.
    pub fn under(mut self, command: &[&str]) -> Self {
        self.under = command.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    pub fn state(&self) -> PathBuf {
        self.folder.join("state")
    }

    /// Where all of it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// For temporary files; made by who sets TMPDIR to it.
    pub fn temporary(&self) -> PathBuf {
        self.folder.join("tmp")
    }

    pub fn runs(&self) -> PathBuf {
        self.folder.join("runs")
    }

    /// `cargo stack`.
    pub fn stack(&self, args: &[&str]) -> Call {
        self.call(&binaries::get().stack, args, "none")
    }

    /// The suite, with these scenarios.
    pub fn suite(&self, args: &[&str]) -> Call {
        self.suite_at(&binaries::get().suite, args)
    }

    /// The same of this program.
    pub fn suite_at(&self, program: &Path, args: &[&str]) -> Call {
        static RUN: AtomicU32 = AtomicU32::new(0);
        let run = format!("foreign-{}-{}", std::process::id(), RUN.fetch_add(1, Ordering::Relaxed));
        let mut call = self.call(program, args, &run);
        call.command.env("NEXTEST_RUN_ID", &run);
        call
    }

    fn call(&self, program: &Path, args: &[&str], run: &str) -> Call {
        // As from a terminal: what a shell without one starts in the background is deaf to SIGINT, and so are its children.
        let mut command = Command::new("env");
        command.arg("--default-signal=INT").args(&self.under);
        match self.without_root {
            None => command.arg(program),
            Some(group) => {
                let group = format!("--regid={group}");
                command.args(["setpriv", &format!("--reuid={NOBODY}"), &group, "--clear-groups"]);
                command.arg(self.folder.join("programs").join(program.file_name().unwrap()))
            }
        };
        for name in binaries::of_this_test() {
            command.env_remove(name);
        }
        let path = &binaries::get().path;
        match self.without_root {
            None => command.env("PATH", path),
            Some(_) => {
                command.env("HOME", &self.folder).env_remove("XDG_CACHE_HOME");
                command.env("PATH", format!("{}:{path}", self.folder.join("programs").display()))
            }
        };
        command
            .args(args)
            .current_dir(&self.checkout)
            .env("XDG_STATE_HOME", self.state())
            .env("JETSCALE_RUN_DIR", self.runs())
            // A try says what is there: nothing is to be set up by the way.
            .env("JETSCALE_SETUP", "never")
            .env("JETSCALE_KEEP", "always")
            .env("JETSCALE_IDLE_TTL_SECS", "600")
            .env("NO_COLOR", "1")
            .envs(self.variables.iter().map(|(name, value)| (name, value)));
        let runs = self.variables.iter().rfind(|(name, _)| name == "JETSCALE_RUN_DIR");
        let runs = runs.map_or_else(|| self.runs(), |(_, value)| value.into());
        Call { command, events: runs.join(run).join("events.jsonl"), limit: LIMIT }
    }

    /// The names of its state folders: those of its clusters begin with them.
    pub fn names(&self) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.state().join("jetscale-stack/clusters")) else { return Vec::new() };
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// The name of stage local's, whether it is there or not.
    pub async fn name(&self) -> String {
        let variables = self.variables.iter().cloned().collect();
        let project = Project { root: self.checkout.clone() };
        ClusterState::of(&Settings::parse(&variables), &project, Stage::Local).name
    }

    /// What stands in the names of its clusters, of whichever stage, and in nobody else's.
    pub async fn hash(&self) -> String {
        self.name().await.rsplit('-').next().unwrap().to_owned()
    }

    /// Its containers on the engine: IDs and names.
    pub async fn containers(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        for name in self.names() {
            found.extend(containers(&name).await);
        }
        found
    }

    /// The one whose name ends with this, if there is one: its ID and name.
    pub async fn container(&self, end: &str) -> Option<(String, String)> {
        self.containers().await.into_iter().find(|(_, name)| name.ends_with(end))
    }

    /// Builds the images, so that there is a registry; gives its ID and name.
    pub async fn registry(&self) -> (String, String) {
        self.suite(&IMAGES).run().await.passes("a scenario about images");
        self.container("-registry").await.expect("no registry was started")
    }

    /// Stops what watches, removes what is there: by the product, and by ID where that failed.
    async fn clean_up(&self) {
        if self.names().is_empty() {
            return;
        }
        let plain = Self { variables: Vec::new(), under: Vec::new(), ..self.clone() };
        let _ = plain.stack(&["clean"]).run().await;
        self.end_reapers().await;
        for (id, name) in self.containers().await {
            eprintln!("{name} was left behind, and is removed by its ID");
            let _ = tried(&["rm", "--force", "--volumes", &id]).await;
        }
        for name in self.names() {
            let of_that_name = format!("name={name}");
            let listed = docker(&["network", "ls", "--quiet", "--no-trunc", "--filter", &of_that_name]).await;
            for id in listed.lines() {
                let found = inspect("network", id).await;
                if found.is_some_and(|found| found["Name"].as_str().unwrap().starts_with(&name)) {
                    let _ = tried(&["network", "rm", id]).await;
                }
            }
        }
    }

    /// Ends reapers of this state folder.
    async fn end_reapers(&self) {
        for pid in self.reapers() {
            let _ = run(tool("kill").arg(pid)).await;
        }
    }

    /// The reapers of this state folder: told by the argument that names the cluster, and by the environment.
    pub fn reapers(&self) -> Vec<String> {
        let mut found = Vec::new();
        let state = format!("XDG_STATE_HOME={}", self.state().display());
        for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
            let read = |name: &str| std::fs::read(entry.path().join(name)).unwrap_or_default();
            let holds = |bytes: &[u8], part: &str| bytes.split(|byte| *byte == 0).any(|word| word == part.as_bytes());
            if holds(&read("cmdline"), "__reaper") && holds(&read("environ"), &state) {
                found.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
        found
    }
}

/// A scenario that needs images and their registry, and no cluster.
pub const IMAGES: [&str; 2] = ["images::runs_as_non_root::backend", "--exact"];
/// A scenario that needs nothing but Helm.
pub const CHARTS: [&str; 2] = ["charts::lint_with::e2e", "--exact"];
/// A scenario that needs the stage's release on its cluster.
pub const RELEASE: [&str; 2] = ["backend::docs_are_served", "--exact"];
