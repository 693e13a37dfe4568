//! The figures: what is compared, and between which two events time is taken.

use super::bench_environment::{BenchEnvironment, Runner};
use super::peer::{self, Peer};
use super::report::{BenchReport, Row};
use super::verdict::{self, BenchTask};
use super::{condition, growth, load, red, suite};
use crate::error::Result;
use crate::spec::spec;
use crate::tools::Tool;

/// Rounds of a figure whose turns take less than half a minute.
const SHORT: usize = 7;
/// Rounds of the figure about the whole suite.
const SUITE: usize = 3;
/// Rounds of the figure about waits for a condition.
const TRANSITIONS: usize = 200;

/// A figure.
#[derive(Debug, Clone, Copy)]
pub struct Figure {
    /// Its name, as `cargo stack bench` takes it.
    pub name: &'static str,
    /// From what to what is measured.
    pub title: &'static str,
    /// The number of rounds, unless the options set another.
    pub rounds: usize,
    kind: FigureKind,
}

#[derive(Debug, Clone, Copy)]
enum FigureKind {
    Cold,
    ScenarioOutcome(BenchTask),
    Red(BenchTask),
    Condition,
    Load(BenchTask),
    OwnRelease,
    Suite,
    Growth,
}

const BACKEND_EDIT: BenchTask = BenchTask {
    edit: Some(|| &spec().bench.backend_edit),
    peers: &[peer::SKAFFOLD, peer::SKAFFOLD_DEFAULTS, peer::HELM, peer::TILT],
    ..UNCHANGED
};
const UNCHANGED: BenchTask = BenchTask {
    edit: None,
    judge: || &spec().bench.backend,
    runners: &[Runner::Nextest, Runner::CargoTest],
    peers: &[peer::SKAFFOLD],
};
const PAGE_EDIT: BenchTask =
    BenchTask { edit: Some(|| &spec().bench.page_edit), judge: || &spec().bench.page, ..UNCHANGED };
const VALUES_EDIT: BenchTask = BenchTask { edit: Some(|| &spec().bench.values_edit), ..UNCHANGED };
const BROKEN_IMPORT: BenchTask = BenchTask { edit: Some(|| &spec().bench.broken_import), ..UNCHANGED };

/// All figures, in the order in which they are measured: `cold` comes first, since it starts without a cluster.
pub const FIGURES: &[Figure] = &[
    Figure {
        name: "cold",
        title: "From no cluster, caches there, to the verdict of one scenario",
        rounds: 1,
        kind: FigureKind::Cold,
    },
    Figure {
        name: "backend-edit",
        title: "From a one-line edit of the backend to the verdict of one scenario",
        rounds: SHORT,
        kind: FigureKind::ScenarioOutcome(BACKEND_EDIT),
    },
    Figure {
        name: "unchanged",
        title: "From the command to the verdict of one scenario, nothing changed",
        rounds: SHORT,
        kind: FigureKind::ScenarioOutcome(UNCHANGED),
    },
    Figure {
        name: "page-edit",
        title: "From a one-line edit of the page to the verdict of one scenario",
        rounds: SHORT,
        kind: FigureKind::ScenarioOutcome(PAGE_EDIT),
    },
    Figure {
        name: "values-edit",
        title: "From an edit of a value that changes a pod's template to the verdict of one scenario",
        rounds: SHORT,
        kind: FigureKind::ScenarioOutcome(VALUES_EDIT),
    },
    Figure {
        name: "broken-import",
        title: "From an import that fails in the backend to its cause being printed, and to red",
        rounds: SHORT,
        kind: FigureKind::Red(BROKEN_IMPORT),
    },
    Figure {
        name: "condition",
        title: "From a condition being written in the cluster to the scenario going on",
        rounds: TRANSITIONS,
        kind: FigureKind::Condition,
    },
    Figure {
        name: "load",
        title: "From a changed image in the engine to the same in the node",
        rounds: SHORT,
        kind: FigureKind::Load(BACKEND_EDIT),
    },
    Figure {
        name: "own-release",
        title: "From the command to the verdict of scenarios with a release of their own",
        rounds: SHORT,
        kind: FigureKind::OwnRelease,
    },
    Figure {
        name: "suite",
        title: "From the command to the verdict of the whole suite",
        rounds: SUITE,
        kind: FigureKind::Suite,
    },
    Figure {
        name: "growth",
        title: "With more scenarios, and more objects beside the one that is awaited",
        rounds: SHORT,
        kind: FigureKind::Growth,
    },
];

impl Figure {
    /// The figure of a name.
    pub fn named(name: &str) -> Option<&'static Self> {
        FIGURES.iter().find(|figure| figure.name == name)
    }

    pub(super) async fn measure(&self, environment: &BenchEnvironment<'_>) -> Result<BenchReport> {
        let rounds = environment.options.rounds.unwrap_or(self.rounds);
        let rows = self.rows(environment, rounds).await?;
        let modules: &[(&str, &str)] = match self.kind {
            FigureKind::Condition => &[("e2e-framework", condition::E2E_FRAMEWORK), ("chainsaw", condition::CHAINSAW)],
            _ => &[],
        };
        environment.report((self.name, self.title), &self.tools(), modules, rows).await
    }

    async fn rows(&self, environment: &BenchEnvironment<'_>, rounds: usize) -> Result<Vec<Row>> {
        match &self.kind {
            FigureKind::Cold => suite::cold(environment, (BACKEND_EDIT.judge)().scenario, rounds).await,
            FigureKind::ScenarioOutcome(task) => verdict::measure(environment, task, rounds).await,
            FigureKind::Red(task) => red::measure(environment, task, rounds).await,
            FigureKind::Condition => condition::measure(environment, rounds).await,
            FigureKind::Load(task) => load::measure(environment, task, rounds).await,
            FigureKind::OwnRelease => suite::own_release(environment, rounds).await,
            FigureKind::Suite => suite::whole(environment, rounds).await,
            FigureKind::Growth => growth::measure(environment, rounds).await,
        }
    }

    /// The tools that take part: ours, and the peers'.
    fn tools(&self) -> Vec<Tool> {
        let peers: &[Peer] = match self.kind {
            FigureKind::ScenarioOutcome(task) | FigureKind::Red(task) => task.peers,
            _ => &[],
        };
        let ours = [Tool::Kind, Tool::Helm, Tool::Skaffold, Tool::Nextest];
        ours.into_iter().chain(peers.iter().flat_map(|peer| peer.tools).copied()).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_those_of_one_figure_each() {
        let names: BTreeSet<_> = FIGURES.iter().map(|figure| figure.name).collect();
        assert_eq!(names.len(), FIGURES.len());
        assert!(names.iter().all(|name| Figure::named(name).is_some()) && Figure::named("none").is_none());
    }

    #[test]
    fn every_peer_has_its_folder() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        for figure in FIGURES {
            let (FigureKind::ScenarioOutcome(task) | FigureKind::Red(task) | FigureKind::Load(task)) = figure.kind
            else {
                continue;
            };
            for peer in task.peers {
                assert!(root.join("bench").join(peer.folder).join("run").is_file(), "{}", peer.folder);
            }
        }
    }
}
