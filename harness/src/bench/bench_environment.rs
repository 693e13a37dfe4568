//! The environment that contenders share: a copy of the checkout to edit, the cluster that the suite makes for it, and what
//! peers need of that cluster.

use crate::spec::{Built, spec};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use harness_report::{Outcome, ScenarioOutcome};
use serde::Deserialize;
use tempfile::TempDir;
use tokio::sync::OnceCell;

use super::machine::Machine;
use super::report::{BenchReport, Row};
use crate::artifacts::{Bases, Registry, wanted};
use crate::cluster::{self, Cluster, ClusterState, reaper};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::files::{MENDS, private_folder, read_json};
use crate::lock::{Lock, Mode};
use crate::project::Project;
use crate::release::Plan;
use crate::settings::{self, Settings};
use crate::source::ProvisionSource;
use crate::stage::Stage;
use crate::tell;
use crate::tidy;
use crate::tools::{ChildKind, Command, Look, Tool, Tools, Version};

/// The deadline of a run of one scenario; the first run makes the cluster.
const SCENARIO: Duration = Duration::from_secs(900);
/// The deadline of the whole suite.
const SUITE: Duration = Duration::from_secs(2400);
/// The deadline for compiling another revision's suite, with its dependencies.
const COMPILE: Duration = Duration::from_secs(3600);
/// How long a clean-up waits for interrupted processes to end.
const END: Duration = Duration::from_secs(300);
/// How long the cluster stays unused when this process is killed, in seconds: longer than any turn of a peer.
const IDLE_SECS: &str = "900";

/// The options of a benchmark.
#[derive(Debug, Clone, Default)]
pub struct BenchOptions {
    /// The number of rounds; `None`: the figure's own number.
    pub rounds: Option<usize>,
    /// A revision whose charts, harness and suite take part as another contender, on a cluster of their own.
    pub against: Option<String>,
}

/// A runner of a suite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runner {
    /// `cargo nextest run`.
    Nextest,
    /// `cargo test`.
    CargoTest,
}

impl Runner {
    /// The name of the harness's row with this runner.
    pub fn title(self) -> &'static str {
        match self {
            Self::Nextest => "ours",
            Self::CargoTest => "ours, cargo test",
        }
    }

    /// The command that a user types for one scenario.
    pub fn command(self, scenario: &str) -> String {
        match self {
            Self::Nextest => format!("cargo nextest run -p e2e {scenario}"),
            Self::CargoTest => format!("cargo test -p e2e --test e2e -- {scenario}"),
        }
    }
}

/// A checkout that the bench may edit.
pub(super) struct Checkout {
    /// Its folder.
    pub root: PathBuf,
    /// The target folder in which cargo compiles its suite; `None`: it uses the original's suite, compiled already.
    target: Option<PathBuf>,
    /// The files that were edited, as they were before.
    pristine: Mutex<BTreeMap<PathBuf, String>>,
}

impl Checkout {
    fn new(root: PathBuf, target: Option<PathBuf>) -> Self {
        Self { root, target, pristine: Mutex::default() }
    }

    pub fn project(&self) -> Project {
        Project { root: self.root.clone() }
    }

    /// A file as it was before any edit.
    ///
    /// # Errors
    /// [`harness_base::Error::Io`] when it cannot be read.
    pub fn pristine(&self, file: &str) -> Result<String> {
        let path = self.root.join(file);
        let mut known = self.pristine.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(text) = known.get(&path) {
            return Ok(text.clone());
        }
        let text = std::fs::read_to_string(&path).map_err(Error::io(format!("read {}", path.display())))?;
        known.insert(path, text.clone());
        Ok(text)
    }

    /// Writes a file of the checkout.
    ///
    /// # Errors
    /// [`harness_base::Error::Io`] when it cannot be written.
    pub fn write(&self, file: &str, text: &str) -> Result<()> {
        let path = self.root.join(file);
        std::fs::write(&path, text).map_err(Error::io(format!("write {}", path.display())))
    }
}

/// The cluster of a checkout, with the release that the suite deployed.
pub(super) struct Warm {
    pub cluster: Cluster,
    /// The address on this host of the registry beside it.
    pub registry: String,
    /// The plan that the suite deployed.
    pub plan: Plan,
    /// The build arguments that name base images, with their references.
    pub bases: Vec<(String, String)>,
}

/// The environment that contenders share.
pub(super) struct BenchEnvironment<'a> {
    pub settings: &'a Settings,
    pub options: &'a BenchOptions,
    pub tools: Tools,
    /// The checkout that is never edited, where cargo has compiled.
    original: &'a Project,
    folder: TempDir,
    pub copy: Checkout,
    pub against: Option<Checkout>,
    /// cargo's variable for the program that starts what cargo compiled.
    runner: String,
    machine: Machine,
    turns: AtomicU32,
    warm: OnceCell<Warm>,
    /// Held while the checkout at another revision is used.
    _lock: Option<Lock>,
}

impl<'a> BenchEnvironment<'a> {
    /// Copies the checkout, and with `against` clones it at that revision; nothing is provisioned yet.
    ///
    /// # Errors
    /// [`Error::Command`] when git refuses, or there is no such revision.
    pub async fn make(settings: &'a Settings, original: &'a Project, options: &'a BenchOptions) -> Result<Self> {
        let tools = Tools::new(settings.tools());
        tools.require(&[Tool::Kind, Tool::Helm, Tool::Helm3, Tool::Skaffold, Tool::Buildx, Tool::Nextest]).await?;
        let folder = tempfile::Builder::new().prefix("bench-").tempdir();
        let folder = folder.map_err(Error::io("make a folder for a copy of the checkout"))?;
        let copy = original.copied(&tools, &folder.path().join("checkout")).await?;
        let (against, lock) = match &options.against {
            Some(revision) => Some(at(settings, &tools, original, revision).await?),
            None => None,
        }
        .unzip();
        let runner = runner_variable(&tools).await?;
        Ok(Self {
            settings,
            options,
            tools,
            original,
            copy: Checkout::new(copy.root, None),
            against,
            folder,
            runner,
            machine: Machine::this(),
            turns: AtomicU32::new(0),
            warm: OnceCell::new(),
            _lock: lock,
        })
    }

    /// Makes a folder of that name in the bench's temporary folder.
    ///
    /// # Errors
    /// [`harness_base::Error::Io`] when it cannot be made.
    pub fn scratch(&self, name: &str) -> Result<PathBuf> {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(&path).map_err(Error::io(format!("make the folder {}", path.display())))?;
        Ok(path)
    }

    /// A number that no turn of this bench had before.
    pub fn number(&self) -> u32 {
        self.turns.fetch_add(1, Ordering::Relaxed)
    }

    /// The command by which a user runs one scenario, for a checkout of the bench's; its run's folder is below `runs`.
    pub fn suite(&self, of: &Checkout, runner: Runner, scenario: &str, runs: &Path) -> Command {
        let args: &[&str] = match runner {
            Runner::Nextest => &["nextest", "run", "--package", "e2e"],
            Runner::CargoTest => &["test", "--package", "e2e", "--test", "e2e", "--"],
        };
        settled(self.cargo(of).args(args.iter().copied()).arg(scenario), runs).limit(SCENARIO)
    }

    /// The command `cargo`, such that a suite that it starts uses a checkout of the bench's. For the copy, the suite is the
    /// original's, which is compiled: cargo checks that it is up to date, as it does for a user.
    fn cargo(&self, of: &Checkout) -> Command {
        let cargo = self.tools.program("cargo", ChildKind::Suite);
        let cargo = match &of.target {
            Some(target) => cargo.folder(&of.root).env("CARGO_TARGET_DIR", target.to_string_lossy()),
            None => {
                let manifest = of.root.join("e2e");
                let start = format!("env {}={}", settings::CARGO_MANIFEST_DIR, manifest.display());
                cargo.folder(&self.original.root).env(&self.runner, start)
            }
        };
        // Images are built from the checkout of the bench, whatever the user's own settings name.
        let place = |image: &Built| (settings::image_dir(image), of.root.join(image.context).display().to_string());
        cargo.envs(spec().images.built.iter().map(place))
    }

    /// Runs a scenario once, and returns its run's folder.
    ///
    /// # Errors
    /// [`harness_base::Error::Refused`] unless it passed.
    pub async fn passes(&self, of: &Checkout, runner: Runner, scenario: &str) -> Result<PathBuf> {
        let runs = self.scratch(&format!("runs/{}", self.number()))?;
        self.suite(of, runner, scenario, &runs).run().await?;
        let run = harness_report::latest(&runs)?;
        match Outcome::read(&run)?.scenario(scenario) {
            Some((ScenarioOutcome::Passed, ..)) => Ok(run),
            other => Err(Error::refused(
                format!("{scenario} did not pass: {other:?}"),
                format!("cargo test --package e2e -- {scenario}"),
            )),
        }
    }

    /// Runs scenarios: named ones by nextest, which takes several names; with no names, all of them by `cargo test`.
    ///
    /// # Errors
    /// [`harness_base::Error::Refused`] with the failed ones' names and the first one's reason, or the one that did not run;
    /// [`Error::Command`] when the runner itself failed.
    pub async fn all_pass(&self, scenarios: &[&str]) -> Result<()> {
        let runs = self.scratch(&format!("runs/{}", self.number()))?;
        let cargo = self.cargo(&self.copy);
        let command = match scenarios {
            [] => cargo.args(["test", "--package", "e2e", "--test", "e2e"]),
            names => {
                let named = names.iter().map(|name| format!("test(={name})")).collect::<Vec<_>>().join(" | ");
                cargo.args(["nextest", "run", "--package", "e2e", "--filterset"]).arg(named)
            }
        };
        let ended = settled(command, &runs).limit(SUITE).run().await;
        let outcome = harness_report::latest(&runs).and_then(|run| Outcome::read(&run));
        // The end of a runner's output is seldom the cause; a scenario's own error is.
        let outcome = match (ended, outcome) {
            (Ok(_), outcome) => outcome?,
            (Err(_), Ok(outcome)) if outcome.failed().next().is_some() => outcome,
            (Err(why), _) => return Err(why.into()),
        };
        let failed: Vec<&str> = outcome.failed().collect();
        if let Some(first) = failed.first() {
            let why = outcome.scenario(first).map(|(.., reason)| reason).unwrap_or_default();
            return Err(Error::refused(
                format!("{} did not pass; {first}: {why}", failed.join(", ")),
                format!("cargo test -p e2e -- {first}"),
            ));
        }
        let passed = |name: &&&str| matches!(outcome.scenario(name), Some((ScenarioOutcome::Passed, ..)));
        match scenarios.iter().find(|name| !passed(name)) {
            Some(name) => Err(Error::refused(format!("{name} did not run"), format!("cargo test -p e2e -- {name}"))),
            None => Ok(()),
        }
    }

    /// Runs the example bench/growth with these variables, and returns its output.
    ///
    /// # Errors
    /// [`Error::Command`] unless all passed.
    pub async fn growth(&self, variables: &[(&str, &str)]) -> Result<String> {
        let runs = self.scratch(&format!("runs/{}", self.number()))?;
        let run = ["run", "--quiet", "--package", "e2e", "--features", "growth", "--example", "growth"];
        let command = settled(self.cargo(&self.copy).args(run), &runs)
            .envs(variables.iter().map(|(name, value)| (*name, (*value).to_owned())));
        Ok(command.limit(SUITE).run().await?.stdout)
    }

    /// Removes the copy's cluster, its registry and what that holds; the images that were built stay with the engine.
    ///
    /// # Errors
    /// As [`reaper::clean`].
    pub async fn without_cluster(&self) -> Result<()> {
        let cluster_state = ClusterState::of(self.settings, &self.copy.project(), Stage::Local);
        reaper::clean(&cluster_state, self.settings, Some(END)).await?;
        Ok(())
    }

    /// Compiles a checkout's suite; cargo does nothing where it is compiled already.
    ///
    /// # Errors
    /// [`Error::Command`] when it does not compile.
    pub async fn compiled(&self, of: &Checkout) -> Result<()> {
        if let Some(target) = &of.target {
            self.seed(target).await?;
        }
        for args in [&["build", "--package", "cli"][..], &["test", "--package", "e2e", "--test", "e2e", "--no-run"]] {
            self.cargo(of).args(args.iter().copied()).limit(COMPILE).run().await?;
        }
        Ok(())
    }

    /// Copies cargo's output for the original into an empty target folder: most dependencies are the same, and to compile them
    /// takes minutes.
    async fn seed(&self, target: &Path) -> Result<()> {
        #[derive(Deserialize)]
        struct Metadata {
            target_directory: PathBuf,
        }
        let debug = target.join("debug");
        if debug.is_dir() {
            return Ok(());
        }
        let cargo =
            self.tools.program("cargo", ChildKind::Cargo).args(["metadata", "--no-deps", "--format-version", "1"]);
        let said = cargo.folder(&self.original.root).run().await?.stdout;
        let from: Metadata = serde_json::from_str(&said).map_err(Error::malformed("read what cargo metadata says"))?;
        private_folder(target)?;
        // Copied beside and then renamed, so that a kill leaves no partial copy.
        let part = tempfile::tempdir_in(target).map_err(Error::io(format!("make a folder in {}", target.display())))?;
        for folder in ["deps", "build", ".fingerprint"] {
            let from = from.target_directory.join("debug").join(folder);
            let copy = self.tools.program("cp", ChildKind::Program).arg("-a").arg(from).arg(part.path());
            copy.limit(COMPILE).run().await?;
        }
        std::fs::rename(part.path(), &debug).map_err(Error::io(format!("make {}", debug.display())))?;
        drop(part.keep());
        Ok(())
    }

    /// The copy's cluster and release, made by the suite itself when they are first asked for.
    ///
    /// # Errors
    /// As [`BenchEnvironment::passes`].
    pub async fn warm(&self) -> Result<&Warm> {
        self.warm.get_or_try_init(|| self.warmed()).await
    }

    async fn warmed(&self) -> Result<Warm> {
        let of = &self.copy;
        tell!("compiling the suite, and making the cluster by it");
        self.compiled(of).await?;
        let run = self.passes(of, Runner::Nextest, spec().bench.backend.scenario).await?;
        let plan: Option<Plan> = read_json(&run.join("plan.json"), MENDS)?;
        let plan = plan.ok_or_else(|| Error::refused("the run wrote down no plan", "run the same command again"))?;
        let (project, engine) = (of.project(), Engine::connect(&self.tools, self.settings).await?);
        let cluster_state = ClusterState::of(self.settings, &project, Stage::Local);
        let cluster = cluster::find(&cluster_state, &cluster_state.record()?, &self.tools).await?;
        let registry = Registry::address(&engine, &cluster.name).await?;
        let from = Bases {
            engine: &engine,
            project: &project,
            may_set_up: self.settings.may_set_up(),
            from: ProvisionSource::Auto,
        };
        let held = from.ensure(&wanted()).await?;
        let arguments = spec().images.built.iter().filter_map(|image| image.base).map(|base| base.argument.to_owned());
        let bases = arguments.zip(held.into_iter().map(|held| held.reference)).collect();
        // Peers deploy the same charts from the copy, where Helm wants the subcharts inside.
        let chart = format!("{}/{}", spec().charts.folder, spec().charts.umbrella);
        let helm = self.tools.command(Tool::Helm).await?.args(["dependency", "build", &chart]);
        helm.folder(&of.root).run().await?;
        Ok(Warm { cluster, registry, plan, bases })
    }

    /// A report of a figure that was measured in this environment.
    ///
    /// # Errors
    /// [`Error::Command`] when git does not say the commit.
    pub async fn report(
        &self,
        (figure, title): (&str, &str),
        tools: &[Tool],
        more: &[(&str, &str)],
        rows: Vec<Row>,
    ) -> Result<BenchReport> {
        let pair = |(tool, version): &(&str, &str)| ((*tool).to_owned(), (*version).to_owned());
        let mut versions: BTreeMap<String, String> = more.iter().map(pair).collect();
        for tool in tools {
            if let Look::Found(found) = self.tools.look(*tool).await? {
                let version = match found.version {
                    // Any version of this tool is supported, so it was not asked for yet.
                    None => self.tools.command(*tool).await?.arg("version").run().await.ok(),
                    Some(_) => None,
                };
                let version = found.version.or_else(|| Version::said(&version?.stdout));
                versions.insert(tool.to_string(), version.map_or("(no version)".to_owned(), |v| v.to_string()));
            }
        }
        let git = async |args: &[&str]| {
            let git = self.tools.git(&self.original.root).await?.args(args.iter().copied());
            Ok::<_, Error>(git.run().await?.stdout.trim().to_owned())
        };
        let mut commit = git(&["rev-parse", "--short=12", "HEAD"]).await?;
        // Figures that were written before this one do not make the measured tree dirty.
        let measured = ["status", "--porcelain", "--", ".", ":!docs/bench.md", ":!docs/bench"];
        if !git(&measured).await?.is_empty() {
            commit.push_str("-dirty");
        }
        Ok(BenchReport {
            figure: figure.to_owned(),
            title: title.to_owned(),
            rows,
            notes: Vec::new(),
            at: httpdate::fmt_http_date(SystemTime::now()),
            commit,
            machine: self.machine.clone(),
            versions,
        })
    }

    /// Removes the clusters and the copy; another revision's checkout and its compiled suite stay in the cache.
    ///
    /// # Errors
    /// The first error; what could be removed is gone.
    pub async fn remove(self) -> Result<()> {
        let mut removed = Ok(());
        let engine = Engine::connect(&self.tools, self.settings).await?;
        if let Some(warm) = self.warm.get() {
            // Images that peers built have names as ours have, and are removed in the same way.
            removed = tidy::note(&engine, &self.settings.state_root, &warm.registry).await.map_err(Error::from);
        }
        for checkout in [Some(&self.copy), self.against.as_ref()].into_iter().flatten() {
            let cluster_state = ClusterState::of(self.settings, &checkout.project(), Stage::Local);
            removed = removed
                .and(reaper::clean(&cluster_state, self.settings, Some(END)).await.map(drop).map_err(Error::from));
        }
        // After the registries are gone: images that one serves are kept.
        removed = removed.and(tidy::run(&engine, self.settings).await.map_err(Error::from));
        removed.and(self.folder.close().map_err(Error::io("remove the copy of the checkout")))
    }
}

/// Makes the folder in the cache that is kept from one bench to the next.
pub(super) fn kept(settings: &Settings) -> Result<PathBuf> {
    let folder = settings.cache_root.join("bench");
    private_folder(&folder)?;
    Ok(folder)
}

/// A command with the settings of every run of the bench.
fn settled(command: Command, runs: &Path) -> Command {
    command
        .env(settings::RUN_DIR.name(), runs.to_string_lossy())
        .env(settings::STAGE, Stage::Local.name())
        .env(settings::KEEP, "always")
        .env(settings::IDLE_TTL_SECS, IDLE_SECS)
}

/// The checkout at another revision, with the lock on it. The clone and cargo's output stay in the cache: to compile it again
/// takes minutes.
async fn at(settings: &Settings, tools: &Tools, original: &Project, revision: &str) -> Result<(Checkout, Lock)> {
    let cache = kept(settings)?;
    let lock = Lock::try_take(&cache.join("against.lock"), Mode::Exclusive)?.ok_or_else(|| {
        Error::refused("another bench measures against a revision", "run the same command again when it is done")
    })?;
    let commit = tools.git(&original.root).await?.args(["rev-parse", "--verify", "--end-of-options"]);
    let commit = commit.arg(format!("{revision}^{{commit}}")).run().await?.stdout;
    let root = cache.join(format!("at-{:.12}", commit.trim()));
    if !root.is_dir() {
        let part = tempfile::tempdir_in(&cache).map_err(Error::io(format!("make a folder in {}", cache.display())))?;
        let clone = ["clone", "--quiet", "--no-hardlinks", "--no-checkout", "--"];
        tools.git(&cache).await?.args(clone).arg(&original.root).arg(part.path()).run().await?;
        std::fs::rename(part.path(), &root).map_err(Error::io(format!("make {}", root.display())))?;
        drop(part.keep());
    }
    // Writes only files that a killed bench left edited, so that cargo compiles nothing anew.
    tools.git(&root).await?.args(["checkout", "--quiet", "--force", "--detach", commit.trim()]).run().await?;
    Ok((Checkout::new(root, Some(cache.join("target"))), lock))
}

/// The name of cargo's variable for the program that starts what was compiled for this host (doc.rust-lang.org/cargo,
/// `target.<triple>.runner`).
async fn runner_variable(tools: &Tools) -> Result<String> {
    let said = tools.program("rustc", ChildKind::Cargo).arg("-vV").run().await?.stdout;
    let host = said.lines().find_map(|line| line.strip_prefix("host: "));
    let host = host.ok_or_else(|| Error::refused("rustc does not say its host", "rustc -vV"))?;
    Ok(format!("CARGO_TARGET_{}_RUNNER", host.trim().to_uppercase().replace(['-', '.'], "_")))
}
