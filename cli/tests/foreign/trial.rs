//! A try: its body, its deadline, its teardown, and what is told of its end.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use harness::runner_flags::RunnerFlags;
use harness::settings::Settings;
use libtest_mimic::{Completion, Failed, Trial};
use tokio::runtime::Runtime;

use super::binaries;
use super::place::Place;
use super::planted::Bystanders;
use super::table::{self, Table};

/// How long a try takes, about; each has a deadline by it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Cost {
    /// Runs in `cargo test`.
    Seconds,
    /// Builds images, or waits for a deadline; has no cluster.
    Minute,
    /// Waits for time-outs, or has several rounds.
    Minutes,
    /// Makes a Kind cluster.
    Cluster,
}

impl Cost {
    fn deadline(self) -> Duration {
        Duration::from_secs(match self {
            Self::Seconds => 90,
            Self::Minute => 300,
            Self::Minutes => 900,
            Self::Cluster => 1200,
        })
    }

    fn reason(self) -> Option<&'static str> {
        match self {
            Self::Seconds => None,
            Self::Minute => Some("it takes about a minute: --include-ignored runs it"),
            Self::Minutes => Some("it takes some minutes: --include-ignored runs it"),
            Self::Cluster => Some("it makes a Kind cluster: --include-ignored runs it"),
        }
    }
}

/// What a try says of itself: what was shown, in a few words, or why nothing could be shown here.
pub enum Shown {
    That(String),
    Nothing(&'static str),
}

impl<T: Into<String>> From<T> for Shown {
    fn from(text: T) -> Self {
        Self::That(text.into())
    }
}

/// What a try does; it panics where a rule is broken, and the first line of that is the table's.
pub type Body = Box<dyn for<'a> Fn(&'a Place) -> Doing<'a> + Send + Sync>;
pub type Doing<'a> = Pin<Box<dyn Future<Output = Shown> + Send + 'a>>;

pub struct Try {
    pub name: String,
    /// The table of docs/reliability.md that it stands in.
    pub table: Table,
    /// What stands beside its name there: the rule that it is about, or the signal.
    pub about: String,
    pub cost: Cost,
    pub body: Body,
}

/// Runs the tries one after another: each looks at the one engine.
pub fn run(tries: Vec<Try>, flags: &RunnerFlags) -> ExitCode {
    let asked = flags.asked();
    let runtime = Arc::new(tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap());
    let names: Arc<[String]> = tries.iter().map(|tried| tried.name.clone()).collect();
    let trials = tries.into_iter().map(|tried| {
        let (runtime, names) = (Arc::clone(&runtime), Arc::clone(&names));
        let name = tried.name.clone();
        let is_long = tried.cost != Cost::Seconds;
        Trial::ignorable_test(name, move || match tried.cost.reason() {
            Some(reason) if !asked.runs_long() => Ok(Completion::ignored_with(reason)),
            _ => judge(&runtime, &tried, &names),
        })
        .with_ignored_flag(is_long && asked.flags_long())
    });
    std::panic::set_hook(Box::new(|panic| {
        // What it said is told with the verdict; libtest prints that, and no backtrace belongs there.
        *WHERE.lock().unwrap_or_else(PoisonError::into_inner) = panic.location().map(ToString::to_string);
    }));
    let ended = flags.run(trials.collect(), &Settings::from_environment(), (1, 1));
    runtime.block_on(Bystanders::remove());
    match ended {
        Ok(ended) => ended.exit_code(),
        Err(error) => panic!("{}", error.report()),
    }
}

fn judge(runtime: &Runtime, tried: &Try, names: &[String]) -> Result<Completion, Failed> {
    let outcome = runtime.block_on(outcome(tried));
    let cell = match &outcome {
        Ok(Shown::That(text)) => format!("holds: {text}"),
        Ok(Shown::Nothing(why)) => format!("not shown: {why}"),
        Err(text) => format!("**broken**: {}", text.lines().next().unwrap_or_default()),
    };
    if let Some((page, column)) = binaries::get().table.as_ref() {
        table::note(page, *column, tried, &cell, names);
    }
    match outcome {
        Ok(Shown::That(_)) => Ok(Completion::Completed),
        Ok(Shown::Nothing(why)) => Ok(Completion::ignored_with(why)),
        Err(text) => Err(Failed::from(text)),
    }
}

/// The try, then what was planted, then the teardown; the first error counts.
async fn outcome(tried: &Try) -> Result<Shown, String> {
    let bystanders = Bystanders::get().await;
    let place = Place::make(&tried.name).await;
    let deadline = tried.cost.deadline();
    // A broken rule is a panic: what was planted is compared, and taken away, all the same.
    let body = tokio::time::timeout(deadline, AssertUnwindSafe((tried.body)(&place)).catch_unwind());
    let outcome = match body.await {
        Ok(outcome) => outcome.map_err(|panic| text_of(panic.as_ref())),
        Err(_) => Err(format!("it did not end within {deadline:.0?}")),
    };
    let planted = place.changes().await.into_iter().chain(bystanders.changes().await).collect::<Vec<_>>();
    place.tear_down().await;
    let outcome = outcome?;
    match planted.as_slice() {
        [] => Ok(outcome),
        changes => Err(changes.join("\n")),
    }
}

/// Where the latest panic was.
static WHERE: Mutex<Option<String>> = Mutex::new(None);

/// What a panic said, and where it was.
fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    let text = text
        .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .unwrap_or_else(|| "it panicked".to_owned());
    // How it was asserted is no matter to a reader.
    let text = text.split_once("` failed: ").map_or(text.clone(), |(_, said)| said.to_owned());
    let place = WHERE.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default();
    format!("{text}\n(at {place})")
}
