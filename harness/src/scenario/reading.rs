//! Scenarios that only read, by type: what a suite for the live site is made of.
//!
//! Written like any other; one that takes what could change something does not compile.

use std::future::Future;

use super::{Argument, Scenario, ScenarioResult};

/// What can change nothing but a session.
pub trait ReadOnly: Argument + sealed::Sealed {}

/// Only arguments of ours say of themselves that they read.
pub(crate) mod sealed {
    pub trait Sealed {}
}

/// Scenarios that only read.
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

/// Registers a function; its name is the scenario's.
pub fn scenario<A, F, Body>(function: F) -> ReadOnlyScenarios
where
    A: ReadOnly,
    F: Fn(A) -> Body + Send + Sync + 'static,
    Body: Future<Output = ScenarioResult> + Send + 'static,
{
    ReadOnlyScenarios(super::scenario(function))
}

/// Registers one scenario a row: `module::behaviour::row`.
pub fn each<A, Row, F, Body, const N: usize>(function: F, rows: [(&str, Row); N]) -> ReadOnlyScenarios
where
    A: ReadOnly,
    Row: Clone + Send + Sync + 'static,
    F: Fn(A, Row) -> Body + Clone + Send + Sync + 'static,
    Body: Future<Output = ScenarioResult> + Send + 'static,
{
    ReadOnlyScenarios(super::each(function, rows))
}
