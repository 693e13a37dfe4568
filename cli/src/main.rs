//! `cargo stack`: the tasks that a person repeats. Thin: parses, calls the harness, prints.

#![expect(clippy::print_stdout, reason = "what a command was asked for goes to standard output")]

use std::path::PathBuf;
use std::process::{ExitCode, Stdio};
use std::sync::Arc;
use std::time::Duration;

use clap::{Parser, Subcommand};
use harness::cluster::{Home, Phase, ReleaseRecord, holders, reaper};
use harness::fixture::Fixtures;
use harness::project::Project;
use harness::run::Run;
use harness::settings::Settings;
use harness::stage::Stage;
use harness::{Error, Result, evidence};

/// Takes the stack from a laptop to production, and proves each stage.
#[derive(Parser)]
#[command(name = "cargo stack", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Provision, build, deploy, run the scenarios, print the verdict.
    ///
    /// Runs nextest where it is installed, else cargo test, and says which.
    ///
    /// Example: cargo stack verify backend::docs_are_served
    Verify {
        /// Only scenarios whose names contain this.
        filter: Option<String>,
    },
    /// Provision, build and deploy the stage's release, and leave it to the next run.
    ///
    /// Example: JETSCALE_KEEP=always cargo stack up
    Up,
    /// Show what of ours there is: clusters, releases, who uses them, when they go.
    Status,
    /// Print how a run ended: the scenarios that failed, and those ignored, each with its reason.
    ///
    /// Reads the latest run of those in JETSCALE_RUN_DIR, or in the state folder.
    ///
    /// Example: cargo stack report --expect-ignored .ci/ignored.txt
    Report {
        /// A file of scenario names, one a line: fail unless exactly these were ignored.
        #[arg(long)]
        expect_ignored: Option<PathBuf>,
    },
    /// Remove this checkout's clusters, registries, kubeconfigs and runs.
    ///
    /// Example: cargo stack clean --wait
    Clean {
        /// Wait for runs that still use a cluster (at most ten minutes) instead of giving up.
        #[arg(long)]
        wait: bool,
    },
}

fn main() -> ExitCode {
    if let Some(code) = reaper::enter_if_asked() {
        return code;
    }
    let task = Cli::parse().task;
    let outcome = Settings::from_environment().and_then(|settings| {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Error::io("start the runtime"))?;
        let outcome = runtime.block_on(run(task, settings));
        runtime.shutdown_background();
        outcome
    });
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {}", error.report());
            ExitCode::FAILURE
        }
    }
}

async fn run(task: Task, settings: Settings) -> Result<ExitCode> {
    match task {
        Task::Verify { filter } => verify(settings, filter).await,
        Task::Up => up(settings).await,
        Task::Status => status(&settings),
        Task::Report { expect_ignored } => report(&settings, expect_ignored),
        Task::Clean { wait } => clean(&settings, wait).await,
    }
}

async fn up(settings: Settings) -> Result<ExitCode> {
    let stage = settings.stage.unwrap_or(Stage::Local);
    if let Some(why) = stage.missing() {
        return Err(Error::refused(why, "set JETSCALE_STAGE=local, or unset it"));
    }
    let fixtures = Arc::new(Fixtures::new(settings, stage)?);
    let shared = fixtures.release().await?;
    eprintln!("release {} in context {} is ready", shared.plan.release, shared.cluster.context);
    Ok(ExitCode::SUCCESS)
}

async fn verify(settings: Settings, filter: Option<String>) -> Result<ExitCode> {
    let project = Project::find(&settings)?;
    let runs = Run::all(&settings).join(format!("verify-{}", std::process::id()));
    let cargo = |args: &[&str]| {
        let mut command = tokio::process::Command::new("cargo");
        command.args(args).current_dir(&project.root).env(harness::settings::RUN_DIR, &runs);
        command
    };
    let probe = cargo(&["nextest", "--version"]).stdout(Stdio::null()).stderr(Stdio::null()).status().await;
    let (with, args): (_, &[&str]) = match probe {
        Ok(status) if status.success() => ("cargo nextest run", &["nextest", "run", "--package", "e2e"]),
        _ => ("cargo test, since nextest is not installed", &["test", "--package", "e2e", "--"]),
    };
    eprintln!("running the scenarios with {with}");
    let status = cargo(args).args(filter).status().await.map_err(Error::io("run cargo"))?;
    print!("{}", evidence::Outcome::read(&evidence::latest(&runs)?)?);
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn status(settings: &Settings) -> Result<ExitCode> {
    let homes = Home::all(&settings.state_root)?;
    let mut any = false;
    for home in homes {
        let record = home.record()?;
        if record.cluster == Phase::Absent {
            continue;
        }
        any = true;
        let cluster = match record.cluster {
            Phase::Ready { .. } => "ready",
            _ => "being made, or left half made",
        };
        let release = match record.release {
            ReleaseRecord::Absent => "none",
            ReleaseRecord::Changing(_) => "changing, or left half changed",
            ReleaseRecord::Deployed(_) => "deployed",
        };
        let idle = record
            .keeping
            .idle(home.has_failed())
            .map_or("stays".to_owned(), |idle| format!("goes {idle:.0?} after its last user"));
        println!("{}\n  cluster:  {cluster}, {idle}\n  release:  {release}", home.cluster);
        println!("  users:    {}\n  kubectl:  --kubeconfig {}", holders(&home.use_lock()), home.kubeconfig().display());
    }
    if !any {
        println!("nothing of ours is running");
    }
    Ok(ExitCode::SUCCESS)
}

fn report(settings: &Settings, expect_ignored: Option<PathBuf>) -> Result<ExitCode> {
    let outcome = evidence::Outcome::read(&evidence::latest(&Run::all(settings))?)?;
    print!("{outcome}");
    let Some(path) = expect_ignored else { return Ok(ExitCode::SUCCESS) };
    let expected = std::fs::read_to_string(&path).map_err(Error::io(format!("read {}", path.display())))?;
    match outcome.unexpected(&expected) {
        None => Ok(ExitCode::SUCCESS),
        Some(difference) => Err(Error::refused(
            format!("the ignored scenarios are not those that {} lists: {difference}", path.display()),
            format!("find out why, or correct {}", path.display()),
        )),
    }
}

async fn clean(settings: &Settings, wait: bool) -> Result<ExitCode> {
    let project = Project::find(settings)?;
    let wait = wait.then_some(Duration::from_secs(600));
    for stage in Stage::ALL.into_iter().filter(|stage| stage.has_own_cluster()) {
        let home = Home::of(settings, &project, stage)?;
        let removed = reaper::clean(&home, settings, wait).await?;
        println!("{}: {}", home.cluster, if removed { "removed" } else { "nothing was there" });
    }
    evidence::forget(&Run::all(settings))?;
    Ok(ExitCode::SUCCESS)
}
