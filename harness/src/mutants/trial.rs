//! Faults on a real cluster: each is applied to a copy of the checkout, deployed from there by the suite itself, and the
//! scenarios that it names are run, each alone.
//!
//! A copy has a cluster of its own, as every checkout has, so that several are judged side by side and nothing of the
//! checkout's own is touched.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use harness_report::{Outcome, ScenarioOutcome};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use super::faults::Fault;
use crate::cluster::{ClusterState, reaper};
use crate::error::{Error, Result};
use crate::files::{self, private_folder, remove_file};
use crate::hash;
use crate::project::Project;
use crate::settings::{self, Settings};
use crate::spec::spec;
use crate::stage::Stage;
use crate::tools::{ChildKind, Command, Tools};

/// The deadline of one scenario, with provisioning and deploying: 600 s.
const SCENARIO: Duration = Duration::from_secs(600);
/// The deadline of the whole suite, run as the control.
const SUITE: Duration = Duration::from_secs(1800);
/// The deadline for compiling the suite.
const COMPILE: Duration = Duration::from_secs(1800);
/// How long the cluster of a killed trial is kept, in seconds.
const IDLE_SECS: &str = "120";

/// The outcome of one scenario under a fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sight {
    /// The scenario turned red by its own assertion.
    Caught,
    /// The scenario's body did not run, since its fixture could not be made; the first line of the error.
    NotDeployed(String),
    /// The scenario stayed green: it missed the fault.
    Green,
    /// The scenario was ignored, or did not run at all; the reason.
    NotRun(String),
}

/// The outcome of a fault.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Tried {
    /// The fault's name.
    pub fault: String,
    /// The fault's effect: who suffers what.
    pub suffers: String,
    /// The outcome of each scenario that it names, by the scenario's name.
    pub sights: Vec<(String, Sight)>,
    /// How long it took.
    pub took: Duration,
}

impl Tried {
    /// Whether each scenario that must catch it does.
    pub fn is_caught(&self) -> bool {
        self.sights.iter().all(|(_, sight)| *sight == Sight::Caught)
    }
}

/// The outcomes of all faults, and of the control.
#[derive(Debug, Default)]
pub struct Trials {
    /// The faults that were judged, in the order of the catalogue.
    pub tried: Vec<Tried>,
    /// The faults that there was no time for.
    pub left: Vec<String>,
    /// Scenarios that are red without any fault, in a copy in which faults were judged before.
    pub red_anyway: Vec<String>,
}

/// The compiled test binary of the suite.
#[derive(Debug, Clone)]
pub struct Suite(PathBuf);

impl Suite {
    /// Compiles the suite of a checkout; cargo does nothing where it is compiled already.
    ///
    /// # Errors
    /// [`Error::Command`] when it does not compile.
    pub async fn compiled(settings: &Settings, project: &Project) -> Result<Self> {
        #[derive(Deserialize)]
        struct Message {
            executable: Option<PathBuf>,
        }
        let cargo = Command::new("cargo").given(&settings.environment, ChildKind::Cargo).args([
            "test",
            "--package",
            "e2e",
            "--test",
            "e2e",
            "--no-run",
        ]);
        let cargo = cargo.args(["--message-format", "json"]).folder(&project.root).limit(COMPILE);
        let output = cargo.run().await?.stdout;
        let mut messages = output.lines().rev().filter_map(|line| serde_json::from_str::<Message>(line).ok());
        let binary = messages.find_map(|message| message.executable);
        binary.map(Self).ok_or_else(|| Error::refused("cargo made no suite", "cargo test --package e2e --no-run"))
    }

    /// The file that keeps the outcomes for this suite and checkout as they are judged, so that a stopped run can go on.
    ///
    /// # Errors
    /// [`harness_base::Error::Io`] when a file cannot be read.
    pub fn record(&self, settings: &Settings, project: &Project) -> Result<PathBuf> {
        let mut hashes = vec![hash::text(&self.0.display().to_string()), hash::file(&self.0)?];
        // A stack whose context is its whole checkout is told by its suite and skaffold.yaml alone: the rest holds what is compiled.
        let is_all = |folder: &Path| folder.components().eq(project.root.join(".").components());
        let built = spec().images.built.iter().map(|image| project.root.join(image.context));
        let own = [spec().charts.folder, "e2e"].map(|folder| project.root.join(folder));
        for folder in
            own.into_iter().chain([project.recipes()]).chain(built).filter(|folder| folder.is_dir() && !is_all(folder))
        {
            hashes.push(hash::folder(&folder)?);
        }
        hashes.push(hash::file(&project.root.join("skaffold.yaml"))?);
        let folder = settings.state_root.join("mutants");
        private_folder(&folder)?;
        Ok(folder.join(format!("{}.jsonl", hash::short(&hash::text(&hashes.concat())))))
    }

    /// The names of its scenarios.
    ///
    /// # Errors
    /// [`Error::Command`] when it cannot list them.
    pub async fn scenarios(&self, settings: &Settings) -> Result<Vec<String>> {
        let listed =
            Command::new(&self.0).given(&settings.environment, ChildKind::Suite).arg("--list").run().await?.stdout;
        Ok(listed.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect())
    }
}

/// How faults are judged.
#[derive(Debug, Clone, Copy)]
pub struct TrialLimits {
    /// How many copies of the checkout, each with a cluster, are used side by side; at least 1.
    pub jobs: usize,
    /// The time after which no other fault is begun; `None`: no limit.
    pub time: Option<Duration>,
}

/// Judges faults in copies of the checkout; `tell` is called for each as it ends. Faults that name a scenario that none before
/// them names come first, so that a short run covers each scenario.
///
/// Faults that were judged before, with the same suite and checkout, are taken from the record.
///
/// What remains on a kill: the record, a copy in the folder for temporary files, and its cluster for two minutes.
///
/// # Errors
/// [`Error`] when a copy or its cluster cannot be made or removed; never for what a fault does.
pub async fn run(
    settings: &Settings,
    project: &Project,
    suite: &Suite,
    faults: &[Fault],
    limits: TrialLimits,
    tell: &(dyn Fn(&Tried) + Sync),
) -> Result<Trials> {
    let started = Instant::now();
    let record = Record(suite.record(settings, project)?);
    let mut tried = record.read();
    tried.retain(|one| faults.iter().any(|fault| fault.name == one.fault));
    tried.iter().for_each(tell);
    let left = widest_first(faults.iter().filter(|fault| tried.iter().all(|one| one.fault != fault.name)));
    let queue = Mutex::new(left.iter().copied());
    let is_over = || limits.time.is_some_and(|time| started.elapsed() >= time);
    let worker = async |number: usize| -> Result<(Vec<Tried>, Vec<String>)> {
        let copy = Copy::of(settings, project, suite).await?;
        let outcome = async {
            let judged = copy.judge_all(|| next(&queue, &is_over), &record, tell).await?;
            // One control is enough: what faults leave behind, they leave in each copy.
            Ok((judged, if number == 0 { copy.control().await? } else { Vec::new() }))
        };
        let outcome: Result<_> = outcome.await;
        // A failure to judge is the first error, and leaves no cluster behind.
        let removed = copy.remove().await;
        let outcome = outcome?;
        removed.map(|()| outcome)
    };
    let workers = limits.jobs.clamp(1, left.len().max(1));
    let mut red_anyway = Vec::new();
    for outcome in futures::future::join_all((0..workers).map(worker)).await {
        let (judged, red) = outcome?;
        tried.extend(judged);
        red_anyway.extend(red);
    }
    let place = |one: &Tried| faults.iter().position(|fault| fault.name == one.fault);
    tried.sort_by_key(place);
    let left = queue.into_inner().unwrap_or_else(PoisonError::into_inner).map(|fault| fault.name.clone()).collect();
    Ok(Trials { tried, left, red_anyway })
}

/// The next fault, while there is time.
fn next<'a>(queue: &Mutex<impl Iterator<Item = &'a Fault>>, is_over: &impl Fn() -> bool) -> Option<&'a Fault> {
    if is_over() { None } else { queue.lock().unwrap_or_else(PoisonError::into_inner).next() }
}

/// The faults that name a scenario that none before them names, then the others; each in their order.
fn widest_first<'a>(faults: impl Iterator<Item = &'a Fault>) -> Vec<&'a Fault> {
    let mut seen = BTreeSet::new();
    // Counted, so that all of a fault's scenarios are noted, and not only up to the first new one.
    let is_new = |fault: &&Fault| fault.caught_by.iter().filter(|name| seen.insert((*name).clone())).count() > 0;
    let (mut first, rest): (Vec<_>, Vec<_>) = faults.partition(is_new);
    first.extend(rest);
    first
}

/// A file with a line for each fault that was judged.
struct Record(PathBuf);

impl Record {
    /// Reads the outcomes; a line that a kill cut short is skipped.
    fn read(&self) -> Vec<Tried> {
        let text = std::fs::read_to_string(&self.0).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    fn add(&self, tried: &Tried) -> Result<()> {
        let line = serde_json::to_string(tried).map_err(Error::malformed("write down a fault"))?;
        let file = std::fs::OpenOptions::new().create(true).append(true).open(&self.0);
        let written = file.and_then(|mut file| file.write_all(format!("{line}\n").as_bytes()));
        written.map_err(Error::io(format!("write {}", self.0.display())))
    }
}

/// A copy of the checkout, with a copy of the suite, which may be compiled anew meanwhile.
struct Copy<'a> {
    settings: &'a Settings,
    folder: TempDir,
}

impl<'a> Copy<'a> {
    async fn of(settings: &'a Settings, original: &Project, suite: &Suite) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("mutants-").tempdir();
        let folder = folder.map_err(Error::io("make a folder for a copy of the checkout"))?;
        let copy = Self { settings, folder };
        let root = copy.root();
        files::copy(&suite.0, &copy.suite_file())?;
        original.copied(&Tools::new(settings.tools()), &root).await?;
        Ok(copy)
    }

    /// The copy's folder: alone in a temporary folder, so that no sibling repository is beside it.
    fn root(&self) -> PathBuf {
        self.folder.path().join("checkout")
    }

    fn suite_file(&self) -> PathBuf {
        self.folder.path().join("suite")
    }

    /// Judges faults one after another, until there is no next one.
    async fn judge_all<'f>(
        &self,
        next: impl Fn() -> Option<&'f Fault>,
        record: &Record,
        tell: &(dyn Fn(&Tried) + Sync),
    ) -> Result<Vec<Tried>> {
        let mut all = Vec::new();
        while let Some(fault) = next() {
            let tried = self.judge(fault).await?;
            record.add(&tried)?;
            tell(&tried);
            all.push(tried);
        }
        Ok(all)
    }

    /// Runs the whole suite without any fault; returns the scenarios that are red.
    async fn control(&self) -> Result<Vec<String>> {
        let runs = self.folder.path().join("runs/control");
        // The exit status is ignored: the run's record says which scenarios are red.
        let _ = self.suite(&runs).limit(SUITE).run().await;
        let control = Outcome::read(&harness_report::latest(&runs)?)?;
        Ok(control.failed().map(str::to_owned).collect())
    }

    async fn judge(&self, fault: &Fault) -> Result<Tried> {
        let started = Instant::now();
        let mut before = Vec::new();
        for edit in &fault.edits {
            let file = self.root().join(&edit.file);
            before.push((file.clone(), if edit.from.is_empty() { None } else { Some(read(&file)?) }));
            write(&file, edit.apply(&self.root())?.as_bytes())?;
        }
        let mut sights = Vec::new();
        for scenario in &fault.caught_by {
            sights.push((scenario.clone(), self.look(&fault.name, scenario).await?));
        }
        // The last edit first: two may be of one file.
        for (file, text) in before.iter().rev() {
            text.as_ref().map_or_else(|| Ok(remove_file(file)?), |text| write(file, text))?;
        }
        Ok(Tried { fault: fault.name.clone(), suffers: fault.suffers.clone(), sights, took: started.elapsed() })
    }

    /// Runs one scenario alone, and returns its outcome.
    async fn look(&self, fault: &str, scenario: &str) -> Result<Sight> {
        let runs = self.folder.path().join("runs").join(fault).join(scenario.replace("::", "."));
        let run = self.suite(&runs).args(["--include-ignored", "--exact", scenario]).limit(SCENARIO).run().await;
        let first = |text: &str| text.lines().next().unwrap_or_default().to_owned();
        let outcome = match harness_report::latest(&runs) {
            Ok(run) => Outcome::read(&run)?,
            Err(_) => Outcome::default(),
        };
        Ok(match (outcome.scenario(scenario), run) {
            (Some((ScenarioOutcome::Failed, true, _)), _) => Sight::Caught,
            (Some((ScenarioOutcome::Failed, false, reason)), _) => Sight::NotDeployed(first(reason)),
            (Some((ScenarioOutcome::Passed, ..)), _) => Sight::Green,
            (Some((ScenarioOutcome::Ignored, _, reason)), _) => Sight::NotRun(first(reason)),
            (None, Err(error)) => Sight::NotRun(first(&error.report())),
            (None, Ok(_)) => Sight::NotRun("there is no such scenario".to_owned()),
        })
    }

    /// The command that runs the suite on the copy; the copy's cluster is kept for the next fault.
    fn suite(&self, runs: &Path) -> Command {
        let text = |path: PathBuf| path.display().to_string();
        Command::new(self.suite_file())
            .given(&self.settings.environment, ChildKind::Suite)
            .folder(&self.root())
            .env(settings::CARGO_MANIFEST_DIR, text(self.root().join("e2e")))
            .env(settings::RUN_DIR.name(), text(runs.to_owned()))
            .env(settings::STAGE.name(), Stage::Local.name())
            .env(settings::KEEP.name(), "always")
            .env(settings::IDLE_TTL_SECS.name(), IDLE_SECS)
            .env(settings::QUIET.name(), "1")
    }

    /// Removes the copy's cluster, and the copy.
    async fn remove(self) -> Result<()> {
        let project = Project { root: self.root() };
        let cluster_state = ClusterState::of(self.settings, &project, Stage::Local);
        reaper::clean(&cluster_state, self.settings, Some(SCENARIO)).await?;
        self.folder.close().map_err(Error::io("remove the copy of the checkout"))
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(Error::io(format!("read {}", path.display())))
}

/// Writes a file in place, so that its mode stays.
fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let written = path.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| std::fs::write(path, bytes));
    written.map_err(Error::io(format!("write {}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_scenario_is_asked_as_soon_as_can_be() {
        let fault = |name: &str, scenarios: &[&str]| Fault {
            name: name.to_owned(),
            suffers: String::new(),
            edits: Vec::new(),
            caught_by: scenarios.iter().map(|scenario| (*scenario).to_owned()).collect(),
        };
        let faults = [fault("a", &["x"]), fault("b", &["x"]), fault("c", &["x", "y"]), fault("d", &["z"])];
        let order: Vec<_> = widest_first(faults.iter()).iter().map(|fault| fault.name.as_str()).collect();
        assert_eq!(order, ["a", "c", "d", "b"]);
    }

    #[test]
    fn a_fault_is_caught_where_each_scenario_saw_it() {
        let tried = |sights: &[Sight]| Tried {
            fault: String::new(),
            suffers: String::new(),
            sights: sights.iter().map(|sight| (String::new(), sight.clone())).collect(),
            took: Duration::ZERO,
        };
        assert!(tried(&[Sight::Caught, Sight::Caught]).is_caught());
        for other in [Sight::Green, Sight::NotDeployed("why".into()), Sight::NotRun("why".into())] {
            assert!(!tried(&[Sight::Caught, other]).is_caught());
        }
    }
}
