//! Read-only scenarios, for suites that run against the live site.
//!
//! They are registered like others; a scenario whose argument could change something does not compile.

use std::future::Future;

use super::{Argument, Scenario, ScenarioResult};

/// An argument that only reads ([`Site`](crate::stack::Site), [`Account`](crate::stack::Account)): all that it changes is the
/// session of a sign-in. Sealed.
pub trait ReadOnly: Argument + sealed::Sealed {}

/// Keeps other crates from calling their arguments read-only.
pub(crate) mod sealed {
    pub trait Sealed {}
}

/// Read-only scenarios, as [`scenario`] and [`each`] register them.
#[derive(Debug)]
pub struct ReadOnlyScenarios(super::Scenarios);

impl ReadOnlyScenarios {
    /// Changes the deadline, in seconds from when the fixture is ready; the default is 60.
    #[must_use]
    pub fn within(self, seconds: u64) -> Self {
        Self(self.0.within(seconds))
    }
}

impl FromIterator<Self> for ReadOnlyScenarios {
    fn from_iter<T: IntoIterator<Item = Self>>(groups: T) -> Self {
        Self(super::Scenarios(groups.into_iter().flat_map(|group| group.0.0).collect()))
    }
}

impl From<ReadOnlyScenarios> for Vec<Scenario> {
    fn from(scenarios: ReadOnlyScenarios) -> Self {
        scenarios.0.0
    }
}

/// Registers a function as a read-only scenario named `module::function`.
pub fn scenario<A, F, Body>(function: F) -> ReadOnlyScenarios
where
    A: ReadOnly,
    F: Fn(A) -> Body + Send + Sync + 'static,
    Body: Future<Output = ScenarioResult> + Send + 'static,
{
    ReadOnlyScenarios(super::scenario(function))
}

/// Registers a function as one read-only scenario a row, named `module::function::row`.
pub fn each<A, Row, F, Body, const N: usize>(function: F, rows: [(&str, Row); N]) -> ReadOnlyScenarios
where
    A: ReadOnly,
    Row: Clone + Send + Sync + 'static,
    F: Fn(A, Row) -> Body + Clone + Send + Sync + 'static,
    Body: Future<Output = ScenarioResult> + Send + 'static,
{
    ReadOnlyScenarios(super::each(function, rows))
}
