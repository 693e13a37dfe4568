//! A suite: scenarios as libtest trials, so that cargo test, nextest and IDEs see tests.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use harness_report::Outcome;
use libtest_mimic::{Completion, Failed, Trial};
use once_cell::sync::{Lazy, OnceCell};
use tokio::runtime::Runtime;

use crate::cluster::reaper;
use crate::error::{Error, Result};
use crate::events::{self, VERDICT};
use crate::runner_flags::{AskedFor, Ended, RunnerFlags};
use crate::scenario::{Scenario, Verdict};
use crate::session::{AccessPath, Session};
use crate::settings::Settings;
use crate::spec::{self, StackSpec};
use crate::stage::Stage;
use crate::{output, secrets, tell};

/// How many scenarios run at once by default: 8, more than the cores, since a scenario mostly waits.
const THREADS: usize = 8;

/// The process's tokio runtime, made with the first scenario; it outlives all, since clients are bound to it.
static RUNTIME: Lazy<std::io::Result<Runtime>> =
    Lazy::new(|| tokio::runtime::Builder::new_multi_thread().enable_all().build());

/// The reason with which a nightly scenario is ignored in other runs.
const NIGHTLY: &str = "it takes long: .ci/nightly runs it, and whoever gives --include-ignored";

/// The `main` of a suite of a stack. Listing scenarios does no I/O; provisioning begins with the first scenario that needs it.
/// `default` is the stage where the settings name none.
///
/// Exits with 0 when no scenario failed, 101 when one did or a flag is unknown, 2 when a setting is refused.
pub fn main(stack: &'static StackSpec, default: Stage, scenarios: impl Into<Vec<Scenario>>) -> ExitCode {
    main_through(stack, AccessPath::Router, default, scenarios)
}

/// [`main`] for a suite whose sites reach the release by another [`AccessPath`], in stages that the harness deploys.
pub fn main_through(
    stack: &'static StackSpec,
    through: AccessPath,
    default: Stage,
    scenarios: impl Into<Vec<Scenario>>,
) -> ExitCode {
    spec::of(stack);
    if let Some(code) = reaper::enter_if_asked() {
        return code;
    }
    output::redact_panics();
    let flags = match RunnerFlags::of_this_process() {
        Ok(flags) => flags,
        Err(code) => return code,
    };
    let settings = Settings::from_environment();
    // Names are the same in every stage: to list them asks for no setting.
    let stage = if flags.list { Ok(default) } else { stage_of(&settings, default) };
    let trials = stage.and_then(|stage| trials(scenarios.into(), (stage, through), flags.asked(), settings.clone()));
    let ended = trials.and_then(|trials| flags.run(trials, &settings, (THREADS, usize::MAX)));
    let conclusion = match ended {
        Ok(Ended::Ran(conclusion)) => conclusion,
        Ok(Ended::Listed(code)) => return code,
        Err(error) => {
            tell!("error: {}", error.report());
            return ExitCode::from(2);
        }
    };
    events::took_the_process("the suite");
    // nextest says itself how a run ended; each process of the run would say it again.
    if settings.run_id.is_none()
        && let Some(Ok(session)) = SESSION.get()
    {
        if let (false, Ok(outcome)) = (settings.quiet, Outcome::read(&session.run.folder)) {
            outcome.measures().lines().for_each(output::tell);
        }
        if let Ok(Some(text)) = session.farewell() {
            tell!("{text}");
        }
    }
    conclusion.exit_code()
}

/// The stage of this run, after a check that its settings are all allowed there.
fn stage_of(settings: &Settings, default: Stage) -> Result<Stage> {
    let stage = settings.stage.get()?.unwrap_or(default);
    settings.check(stage)?;
    Ok(stage)
}

static SESSION: OnceCell<Result<Arc<Session>, Arc<Error>>> = OnceCell::new();

fn trials(
    mut scenarios: Vec<Scenario>,
    place: (Stage, AccessPath),
    asked: AskedFor,
    settings: Settings,
) -> Result<Vec<Trial>> {
    // The longest first: else a run would wait for one last scenario that takes minutes.
    scenarios.sort_by_key(|scenario| Reverse(scenario.deadline));
    let mut names = BTreeSet::new();
    let settings = Arc::new(settings);
    scenarios
        .into_iter()
        .map(|scenario| {
            if !names.insert(scenario.name.clone()) {
                return Err(Error::refused(
                    format!("two scenarios are named {}", scenario.name),
                    "give one of them another name",
                ));
            }
            let settings = Arc::clone(&settings);
            let (name, flag) = (scenario.name.clone(), scenario.nightly && asked.flags_long());
            let run = move || judge(&scenario, place, asked, &settings);
            Ok(Trial::ignorable_test(name, run).with_ignored_flag(flag))
        })
        .collect()
}

/// Runs one scenario, writes its verdict down, and hands it to libtest.
fn judge(
    scenario: &Scenario,
    (stage, through): (Stage, AccessPath),
    asked: AskedFor,
    settings: &Settings,
) -> Result<Completion, Failed> {
    let runtime = RUNTIME.as_ref().map_err(|error| Failed::from(format!("cannot start the runtime: {error}")))?;
    let session = SESSION
        .get_or_init(|| {
            let session = Session::new(settings.clone(), stage);
            session.map(|session| Arc::new(session.through(through))).map_err(Arc::new)
        })
        .as_ref()
        .map_err(|error| Failed::from(error.report()))?;
    let started = Instant::now();
    let waits = (scenario.nightly && !asked.runs_long()).then_some(NIGHTLY);
    let verdict = match scenario.ignored_in(stage).or(waits) {
        Some(reason) => Verdict::Ignored(reason.to_owned()),
        None => runtime.block_on(scenario.run(Arc::clone(session))),
    };
    let was_asked = !matches!(verdict, Verdict::NoFixture(_));
    let name = scenario.name.as_str();
    let seconds = started.elapsed().as_secs_f64();
    match verdict {
        Verdict::Passed => {
            tracing::info!(target: VERDICT, scenario = name, verdict = "passed", seconds);
            Ok(Completion::Completed)
        }
        Verdict::Ignored(reason) => {
            tracing::info!(target: VERDICT, scenario = name, verdict = "ignored", seconds, reason = reason.as_str());
            Ok(Completion::ignored_with(secrets::redact(&reason)))
        }
        Verdict::Failed(error) | Verdict::NoFixture(error) => {
            let report = error.report();
            tracing::info!(target: VERDICT, scenario = name, verdict = "failed", asked = was_asked, seconds, reason = report.as_str());
            if let Err(second) = session.note_failure() {
                tracing::warn!("{}", second.report());
            }
            Err(Failed::from(report))
        }
    }
}
