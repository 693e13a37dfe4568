//! A scenario: a plain async function whose argument's type says what it may touch.

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

/// The default deadline of a scenario's body, in seconds; [`Scenarios::within`] changes it.
const DEADLINE_SECS: u64 = 60;
/// The deadline of a scenario's teardown: 600 s.
const TEARDOWN: Duration = Duration::from_secs(600);

/// What a scenario's body returns.
pub type ScenarioResult = Result<()>;

/// How a scenario ended.
#[derive(Debug)]
pub enum Verdict {
    /// Every expectation was met.
    Passed,
    /// An expectation was not met, or the teardown failed: the first error.
    Failed(Error),
    /// The fixture could not be made, so that the body did not run; the reason.
    NoFixture(Error),
    /// The scenario does not apply in this stage or release; the reason.
    Ignored(String),
}

/// What a scenario may touch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Rendered manifests.
    Charts,
    /// Built images in the engine.
    Images,
    /// A site, read-only.
    Site,
    /// A site, read-only, with a signed-in account.
    Account,
    /// The stage's shared release.
    Stack,
    /// An isolated release for this scenario alone.
    OwnStack,
    /// The run's Tilt, and the files that it watches.
    Dev,
}

impl Needs {
    /// The reason why a scenario with this need cannot run in a stage; `None` if it can.
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
    /// The argument that the body is called with.
    pub argument: A,
    /// The teardown that runs after the body, however the body ended.
    pub teardown: Box<dyn Teardown>,
}

impl<A> std::fmt::Debug for Fixture<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Fixture")
    }
}

/// The teardown of a fixture: evidence for a failure, then removal. Runs after a body, also after a panic or a deadline.
pub trait Teardown: Send {
    /// Gathers the evidence that is shown beside a failure; called before [`Teardown::remove`], and only when the body failed.
    fn diagnose(&self) -> Pin<Box<dyn Future<Output = Option<String>> + Send + '_>> {
        Box::pin(async { None })
    }

    /// Removes what was made for this scenario alone; may take 600 s. `passed`: the body met every expectation, so that the
    /// state of what it had is known, and another scenario may go on with it.
    ///
    /// # Errors
    /// Fails the scenario, unless its body failed first.
    fn remove(self: Box<Self>, _passed: bool) -> Pin<Box<dyn Future<Output = Result<()>> + Send>> {
        Box::pin(async { Ok(()) })
    }
}

/// A teardown that does nothing: for fixtures that are shared, or that end when they are dropped.
#[derive(Debug)]
pub struct NoTeardown;

impl Teardown for NoTeardown {}

/// The argument of a scenario's function: a handle from [`crate::stack`].
pub trait Argument: Sized + Send + 'static {
    /// The need that this argument stands for; decides in which stages the scenario runs.
    const NEEDS: Needs;

    /// Makes the fixture for the scenario of that name. The future is boxed, so that it is compiled once, in this crate, and
    /// not again in each suite.
    ///
    /// # Errors
    /// [`Error::NotApplicable`] ignores the scenario; any other error fails it without running its body.
    fn make(session: Arc<Session>, scenario: &str) -> BoxFuture<'_, Result<Fixture<Self>>>;
}

/// A scenario whose fixture is made: its body, not started yet, and its teardown.
type Begun = (BoxFuture<'static, ScenarioResult>, Box<dyn Teardown>);

/// A function that makes a scenario's fixture and binds its body to it.
type BeginScenario = Arc<dyn Fn(Arc<Session>) -> BoxFuture<'static, Result<Begun>> + Send + Sync>;

/// A scenario: a named function, its need, its deadline, and the stages that it runs in.
#[derive(Clone)]
pub struct Scenario {
    /// `module::behaviour`, or `module::behaviour::row`.
    pub name: String,
    /// The fixture that it needs.
    pub needs: Needs,
    /// The deadline of its body, counted from when its fixture is ready; 60 s by default.
    pub deadline: Duration,
    /// A stage in which it is ignored although its argument could be had there, with the reason.
    pub except: Option<(Stage, &'static str)>,
    /// Whether it takes too long for each run: it runs with `--include-ignored` or `--ignored` alone, as `.ci/nightly` gives.
    pub nightly: bool,
    begin: BeginScenario,
}

impl std::fmt::Debug for Scenario {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Scenario({}, {:?})", self.name, self.needs)
    }
}

/// What [`scenario`] and [`each`] register: one scenario, or one a row.
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

    /// Ignores the scenarios in a stage where their argument could be had, with a reason that the report shows.
    #[must_use]
    pub fn not_in(mut self, stage: Stage, reason: &'static str) -> Self {
        for scenario in &mut self.0 {
            scenario.except = Some((stage, reason));
        }
        self
    }

    /// Marks the scenarios as too long for each run: `.ci/nightly` runs them, and so does `--include-ignored` (under nextest
    /// `--run-ignored all`).
    #[must_use]
    pub fn nightly(mut self) -> Self {
        for scenario in &mut self.0 {
            scenario.nightly = true;
        }
        self
    }
}

/// Registers a function as a scenario named `module::function`: the name is the function's path, so that it cannot drift.
pub fn scenario<A, F, Body>(function: F) -> Scenarios
where
    A: Argument,
    F: Fn(A) -> Body + Send + Sync + 'static,
    Body: Future<Output = ScenarioResult> + Send + 'static,
{
    Scenarios(vec![named::<A>(path_of::<F>(), Box::new(move |argument| Box::pin(function(argument))))])
}

/// Registers a function as one scenario a row, named `module::function::row`.
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
        named::<A>(format!("{path}::{name}"), Box::new(move |argument| Box::pin(function(argument, row.clone()))))
    };
    Scenarios(rows.into_iter().map(row).collect())
}

/// The path of a function without its crate: `module::function`.
fn path_of<F>() -> String {
    let full = type_name::<F>();
    full.split_once("::").map_or(full, |(_, path)| path).to_owned()
}

/// A scenario's function, bound to its row. Only this closure is compiled for each scenario; [`named`] is once for each type of
/// argument.
type ScenarioFunction<A> = Box<dyn Fn(A) -> BoxFuture<'static, ScenarioResult> + Send + Sync>;

fn named<A: Argument>(name: String, function: ScenarioFunction<A>) -> Scenario {
    let function = Arc::new(function);
    let scenario: Arc<str> = name.as_str().into();
    let begin: BeginScenario = Arc::new(move |session| {
        let (function, scenario) = (Arc::clone(&function), Arc::clone(&scenario));
        Box::pin(async move {
            let Fixture { argument, teardown } = A::make(session, &scenario).await?;
            let body = async move { function(argument).await };
            Ok((Box::pin(body) as BoxFuture<_>, teardown))
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

/// Runs a body to its deadline. A panic becomes an error like others, so that evidence and teardown follow it.
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

async fn finish(outcome: ScenarioResult, teardown: Box<dyn Teardown>) -> Verdict {
    let verdict = match outcome {
        Ok(()) => Verdict::Passed,
        Err(Error::NotApplicable(reason)) => Verdict::Ignored(reason),
        Err(error) => match teardown.diagnose().await {
            Some(diagnosis) => Verdict::Failed(error.diagnosed(diagnosis)),
            None => Verdict::Failed(error),
        },
    };
    let passed = matches!(verdict, Verdict::Passed);
    let removed = tokio::time::timeout(TEARDOWN, teardown.remove(passed)).await.unwrap_or_else(|_| {
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
    /// The reason why this scenario is ignored in a stage; `None` if it runs there.
    pub fn ignored_in(&self, stage: Stage) -> Option<&'static str> {
        let except = self.except.filter(|(except, _)| *except == stage).map(|(_, reason)| reason);
        self.needs.unmet_in(stage).or(except)
    }

    /// Runs the scenario to its verdict: fixture, body, evidence, teardown. Cancelled, it skips what comes next, the teardown
    /// too; what a fixture made is then removed by the next run or the reaper.
    pub async fn run(&self, session: Arc<Session>) -> Verdict {
        let name = &self.name;
        let (body, teardown) = match events::step(format!("{name}: fixture"), (self.begin)(session)).await {
            Ok(begun) => begun,
            Err(Error::NotApplicable(reason)) => return Verdict::Ignored(reason),
            Err(error) => return Verdict::NoFixture(error),
        };
        let outcome = events::step(format!("{name}: body"), bounded(self.deadline, body)).await;
        events::step(format!("{name}: teardown"), finish(outcome, teardown)).await
    }
}

/// Expects a condition: `Ok(())`, else [`Error::Unmet`](crate::Error::Unmet) with the message that the further arguments format.
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

/// Expects two values to be equal: `Ok(())`, else [`Error::Unmet`](crate::Error::Unmet) with both expressions and values.
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

/// Declares the modules of a suite, and the function `scenarios` that collects what each module's own `scenarios` registers.
/// With `read_only:`, the modules can register only scenarios that change nothing ([`reading`](crate::scenario::reading)).
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
        type Removed = std::sync::Arc<std::sync::Mutex<Vec<bool>>>;
        struct Failing(Removed);
        impl Teardown for Failing {
            fn remove(self: Box<Self>, passed: bool) -> Pin<Box<dyn Future<Output = Result<()>> + Send>> {
                self.0.lock().unwrap().push(passed);
                Box::pin(async { Err(Error::Unmet("second".into())) })
            }
        }
        let removed = Removed::default();
        let teardown = || Box::new(Failing(std::sync::Arc::clone(&removed)));
        let Verdict::Failed(error) = finish(Err(Error::Unmet("first".into())), teardown()).await else { panic!() };
        assert_eq!(error.report(), "first");
        let Verdict::Failed(error) = finish(Ok(()), teardown()).await else { panic!() };
        assert_eq!(error.report(), "second");
        // A body that ended half way, because it does not apply, did not pass.
        finish(Err(Error::NotApplicable("no such thing here".into())), teardown()).await;
        assert_eq!(*removed.lock().unwrap(), [false, true, false]);
    }

    #[test]
    fn live_has_a_site_and_nothing_else() {
        assert_eq!(Needs::Site.unmet_in(Stage::Live), None);
        for needs in [Needs::Stack, Needs::OwnStack, Needs::Images, Needs::Dev] {
            assert!(needs.unmet_in(Stage::Live).is_some(), "{needs:?}");
        }
    }
}
