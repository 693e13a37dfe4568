//! What a scenario is: a plain async function whose argument's type says what it may touch.

use std::any::type_name;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;

use crate::error::{Error, Result};
use crate::events;
use crate::session::Session;
use crate::stage::Stage;

pub mod reading;

/// How long a scenario's body may take unless it says otherwise, in seconds.
const DEADLINE_SECS: u64 = 60;
/// How long its teardown may take.
const TEARDOWN: Duration = Duration::from_secs(600);

/// What a scenario's body returns.
pub type ScenarioResult = Result<()>;

/// How a scenario ended.
#[derive(Debug)]
pub enum Verdict {
    /// Every expectation was met.
    Passed,
    /// The first error.
    Failed(Error),
    /// What kept its fixture from being made: it was never asked.
    NoFixture(Error),
    /// It does not apply here, and why.
    Ignored(String),
}

/// What a scenario may touch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Rendered manifests.
    Charts,
    /// Built images in the engine.
    Images,
    /// An address that answers, read-only.
    Site,
    /// The same as somebody who is signed in.
    Account,
    /// The stage's shared release.
    Stack,
    /// A release of its own.
    OwnStack,
    /// The run's Tilt, and the files that it watches.
    Dev,
}

impl Needs {
    /// Why a scenario with this need cannot run in a stage, if so.
    pub fn unmet_in(self, stage: Stage) -> Option<&'static str> {
        match (self, stage) {
            (Self::Dev, Stage::Dev) | (Self::Stack, Stage::Dev) => None,
            (Self::Dev, _) => Some("stage dev alone has a Tilt"),
            (Self::Images, Stage::Dev) => Some("stage dev has no artifact set: Tilt builds its images"),
            (Self::OwnStack, Stage::Dev) => Some("stage dev has the one release that Tilt deploys"),
            (Self::Site | Self::Account | Self::Charts, _) | (_, Stage::Local | Stage::Ci) => None,
            (Self::Stack, Stage::Preview) => None,
            (Self::Images, Stage::Preview) => {
                Some("stage preview needs no engine: its images are the cluster's to pull")
            }
            (Self::OwnStack, Stage::Preview) => Some("a preview is one namespace with one release, which is shared"),
            (_, Stage::Live) => Some("stage live is read-only: it has a Site, and an Account if it is given one"),
        }
    }
}

/// A fixture made for one scenario, and what has to be done after it.
pub struct Fixture<A> {
    /// What the body gets.
    pub argument: A,
    /// What is gathered and removed after the body.
    pub aftercare: Box<dyn Teardown>,
}

impl<A> std::fmt::Debug for Fixture<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Made")
    }
}

/// What has to be done after a body, however it ended.
pub trait Teardown: Send {
    /// What to show beside a failure; taken before anything is removed.
    fn diagnose(&self) -> Pin<Box<dyn Future<Output = Option<String>> + Send + '_>> {
        Box::pin(async { None })
    }

    /// Removes what was made for this scenario alone.
    fn remove(self: Box<Self>) -> Pin<Box<dyn Future<Output = Result<()>> + Send>> {
        Box::pin(async { Ok(()) })
    }
}

/// For what is shared, or drops by itself.
#[derive(Debug)]
pub struct NoTeardown;

impl Teardown for NoTeardown {}

/// What a scenario's function may take.
pub trait Argument: Sized + Send + 'static {
    /// What it stands for.
    const NEEDS: Needs;

    /// Makes it for the scenario of that name. Boxed, so that it is compiled once, with what makes it, and not with each suite.
    fn make(session: Arc<Session>, scenario: &str) -> BoxFuture<'_, Result<Fixture<Self>>>;
}

/// What a scenario begins with: its body, which has its fixture and did not start yet, and what has to be done after it.
type Begun = (BoxFuture<'static, ScenarioResult>, Box<dyn Teardown>);

/// Makes the fixture of a scenario.
type Begin = Arc<dyn Fn(Arc<Session>) -> BoxFuture<'static, Result<Begun>> + Send + Sync>;

/// A named function, its need, and its deadline.
#[derive(Clone)]
pub struct Scenario {
    /// `module::behaviour`, or `module::behaviour::row`.
    pub name: String,
    /// What it may touch.
    pub needs: Needs,
    /// How long its body may take, once its fixture is ready.
    pub deadline: Duration,
    /// The stage that it is not about, though its argument could be had there, and why.
    pub except: Option<(Stage, &'static str)>,
    /// Whether it takes too long for each run: it waits for `--include-ignored` or `--ignored`, as `.ci/nightly` gives.
    pub nightly: bool,
    begin: Begin,
}

impl std::fmt::Debug for Scenario {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Scenario({}, {:?})", self.name, self.needs)
    }
}

/// One scenario, or one a row.
#[derive(Debug)]
pub struct Scenarios(pub Vec<Scenario>);

impl Scenarios {
    /// Changes the deadline, in seconds from when the fixture is ready; the default is 60.
    #[must_use]
    pub fn within(mut self, seconds: u64) -> Self {
        for scenario in &mut self.0 {
            scenario.deadline = Duration::from_secs(seconds);
        }
        self
    }

    /// Leaves them out of a stage whose argument could be had, and says why.
    #[must_use]
    pub fn not_in(mut self, stage: Stage, reason: &'static str) -> Self {
        for scenario in &mut self.0 {
            scenario.except = Some((stage, reason));
        }
        self
    }

    /// Keeps them out of each run, for they take long: `.ci/nightly` runs them, and whoever gives `--include-ignored`
    /// (under nextest `--run-ignored all`).
    #[must_use]
    pub fn nightly(mut self) -> Self {
        for scenario in &mut self.0 {
            scenario.nightly = true;
        }
        self
    }
}

/// Registers a function; its name is the scenario's, so that it cannot drift.
pub fn scenario<A, F, Body>(function: F) -> Scenarios
where
    A: Argument,
    F: Fn(A) -> Body + Send + Sync + 'static,
    Body: Future<Output = ScenarioResult> + Send + 'static,
{
    Scenarios(vec![named(path_of::<F>(), function)])
}

/// Registers one scenario a row: `module::behaviour::row`.
pub fn each<A, Row, F, Body, const N: usize>(function: F, rows: [(&str, Row); N]) -> Scenarios
where
    A: Argument,
    Row: Clone + Send + Sync + 'static,
    F: Fn(A, Row) -> Body + Clone + Send + Sync + 'static,
    Body: Future<Output = ScenarioResult> + Send + 'static,
{
    let path = path_of::<F>();
    let row = |(name, row): (&str, Row)| {
        let function = function.clone();
        named(format!("{path}::{name}"), move |argument| function(argument, row.clone()))
    };
    Scenarios(rows.into_iter().map(row).collect())
}

/// `crate::module::function` without the crate.
fn path_of<F>() -> String {
    let full = type_name::<F>();
    full.split_once("::").map_or(full, |(_, path)| path).to_owned()
}

fn named<A, F, Body>(name: String, function: F) -> Scenario
where
    A: Argument,
    F: Fn(A) -> Body + Send + Sync + 'static,
    Body: Future<Output = ScenarioResult> + Send + 'static,
{
    let function = Arc::new(function);
    let scenario: Arc<str> = name.as_str().into();
    // All that is compiled once for each scenario: the rest of its life is the same for all.
    let begin: Begin = Arc::new(move |session| {
        let (function, scenario) = (Arc::clone(&function), Arc::clone(&scenario));
        Box::pin(async move {
            let Fixture { argument, aftercare } = A::make(session, &scenario).await?;
            let body = async move { function(argument).await };
            Ok((Box::pin(body) as BoxFuture<_>, aftercare))
        })
    });
    Scenario {
        name,
        needs: A::NEEDS,
        deadline: Duration::from_secs(DEADLINE_SECS),
        except: None,
        nightly: false,
        begin,
    }
}

/// The body's outcome; a panic is an error like others, so that evidence and teardown follow it.
async fn bounded(deadline: Duration, body: BoxFuture<'static, ScenarioResult>) -> ScenarioResult {
    match tokio::time::timeout(deadline, AssertUnwindSafe(body).catch_unwind()).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(panic)) => Err(Error::Unmet(format!("the scenario panicked: {}", message(&*panic)))),
        Err(_) => Err(harness_base::Error::Deadline {
            awaited: "the scenario's end".to_owned(),
            after: deadline,
            last: "its body still ran; `.within(seconds)` changes the deadline".to_owned(),
        }
        .into()),
    }
}

fn message(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a message")
}

async fn finish(outcome: ScenarioResult, aftercare: Box<dyn Teardown>) -> Verdict {
    let verdict = match outcome {
        Ok(()) => Verdict::Passed,
        Err(Error::NotApplicable(reason)) => Verdict::Ignored(reason),
        Err(error) => match aftercare.diagnose().await {
            Some(diagnosis) => Verdict::Failed(error.diagnosed(diagnosis)),
            None => Verdict::Failed(error),
        },
    };
    let removed = tokio::time::timeout(TEARDOWN, aftercare.remove()).await.unwrap_or_else(|_| {
        let awaited = "the teardown's end".to_owned();
        Err(harness_base::Error::Deadline { awaited, after: TEARDOWN, last: "it still ran".to_owned() }.into())
    });
    match (verdict, removed) {
        // The first error is the one reported.
        (Verdict::Failed(first), Err(second)) => {
            tracing::warn!("the teardown failed too: {}", second.report());
            Verdict::Failed(first)
        }
        (_, Err(error)) => Verdict::Failed(error),
        (verdict, Ok(())) => verdict,
    }
}

impl Scenario {
    /// Why it does not run in a stage, if so.
    pub fn ignored_in(&self, stage: Stage) -> Option<&'static str> {
        let except = self.except.filter(|(except, _)| *except == stage).map(|(_, reason)| reason);
        self.needs.unmet_in(stage).or(except)
    }

    /// Runs it to its verdict: fixture, body, evidence, teardown.
    pub async fn run(&self, session: Arc<Session>) -> Verdict {
        let name = &self.name;
        let (body, aftercare) = match events::step(format!("{name}: fixture"), (self.begin)(session)).await {
            Ok(begun) => begun,
            Err(Error::NotApplicable(reason)) => return Verdict::Ignored(reason),
            Err(error) => return Verdict::NoFixture(error),
        };
        let outcome = events::step(format!("{name}: body"), bounded(self.deadline, body)).await;
        events::step(format!("{name}: teardown"), finish(outcome, aftercare)).await
    }
}

/// Fails the scenario unless the condition holds; further arguments say what is wrong.
#[macro_export]
macro_rules! expect {
    ($condition:expr, $($message:tt)+) => {
        if $condition {
            Ok(())
        } else {
            Err($crate::Error::Unmet(format!($($message)+)))
        }
    };
}

/// Fails the scenario unless both are equal, showing both.
#[macro_export]
macro_rules! expect_eq {
    ($got:expr, $wanted:expr) => {
        match (&$got, &$wanted) {
            (got, wanted) if got == wanted => Ok(()),
            (got, wanted) => Err($crate::Error::Unmet(format!(
                "{} is not {}\n  got:    {got:?}\n  wanted: {wanted:?}",
                stringify!($got),
                stringify!($wanted)
            ))),
        }
    };
}

/// Makes the `mod` lines of a suite and the function `scenarios` that collects what its modules register;
/// with `read_only:` of modules that can register only what changes nothing.
#[macro_export]
macro_rules! modules {
    (read_only: $($name:ident),+ $(,)?) => {
        $(mod $name;)+

        fn scenarios() -> $crate::scenario::reading::ReadOnlyScenarios {
            [$($name::scenarios()),+].into_iter().flatten().collect()
        }
    };
    ($($name:ident),+ $(,)?) => {
        $(mod $name;)+

        /// The suite's modules, as a scenario compares them with the folder.
        pub const MODULES: &[&str] = &[$(stringify!($name)),+];

        fn scenarios() -> Vec<$crate::scenario::Scenario> {
            [$($name::scenarios()),+].into_iter().flatten().flat_map(|group| group.0).collect()
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_and_a_deadline_are_errors_like_others() {
        let panicked = bounded(Duration::from_secs(5), Box::pin(async { panic!("no {}", "way") })).await.unwrap_err();
        assert!(panicked.report().contains("no way"));
        let late = bounded(Duration::from_millis(10), Box::pin(std::future::pending())).await.unwrap_err();
        assert!(late.report().contains("10.0ms"), "{}", late.report());
    }

    #[tokio::test]
    async fn the_first_error_is_reported_and_the_teardown_runs() {
        struct Failing(std::sync::Arc<std::sync::atomic::AtomicBool>);
        impl Teardown for Failing {
            fn remove(self: Box<Self>) -> Pin<Box<dyn Future<Output = Result<()>> + Send>> {
                self.0.store(true, std::sync::atomic::Ordering::SeqCst);
                Box::pin(async { Err(Error::Unmet("second".into())) })
            }
        }
        let removed = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let aftercare = || Box::new(Failing(std::sync::Arc::clone(&removed)));
        let Verdict::Failed(error) = finish(Err(Error::Unmet("first".into())), aftercare()).await else { panic!() };
        assert_eq!(error.report(), "first");
        assert!(removed.load(std::sync::atomic::Ordering::SeqCst));
        let Verdict::Failed(error) = finish(Ok(()), aftercare()).await else { panic!() };
        assert_eq!(error.report(), "second");
    }

    #[test]
    fn live_has_a_site_and_nothing_else() {
        assert_eq!(Needs::Site.unmet_in(Stage::Live), None);
        for needs in [Needs::Stack, Needs::OwnStack, Needs::Images, Needs::Dev] {
            assert!(needs.unmet_in(Stage::Live).is_some(), "{needs:?}");
        }
    }
}
