//! Benchmarks: the harness and other tools, in turn, on one cluster, with the same charts, values, base images and checks.
//!
//! [`figure`] names the comparisons; `rounds` lets the contenders take turns; `bench_environment` is what they share: a copy of
//! the checkout, its cluster, a namespace for each peer. `stats`, `table`, `svg` and [`page`] do no I/O: they turn seconds into
//! docs/bench.md.

mod bench_environment;
mod condition;
pub mod figure;
mod growth;
mod load;
mod machine;
pub mod page;
mod peer;
mod red;
mod report;
mod rounds;
mod stats;
mod suite;
mod svg;
mod table;
mod verdict;

pub use bench_environment::BenchOptions;
pub use figure::{FIGURES, Figure};
pub use report::{BenchReport, Row};

use crate::error::{Error, Result};
use crate::project::Project;
use crate::settings::Settings;
use crate::tell;
use bench_environment::BenchEnvironment;

/// Measures figures in one environment, and keeps each report as JSON in the state folder; `done` is called for each.
///
/// What remains on a kill: a copy of the checkout in the folder for temporary files, and its cluster until it has been unused
/// for 900 s. On Ctrl-C nothing remains.
///
/// # Errors
/// The first figure that could not be measured: a run of the harness that fails, or gives a wrong verdict, is no figure.
pub async fn run(
    settings: &Settings,
    project: &Project,
    figures: &[&Figure],
    options: &BenchOptions,
    mut done: impl FnMut(&BenchReport) -> Result<()>,
) -> Result<()> {
    let environment = BenchEnvironment::make(settings, project, options).await?;
    let mut all = async || {
        for figure in figures {
            tell!("{}: {}", figure.name, figure.title);
            let report = figure.measure(&environment).await?;
            report.keep(settings)?;
            done(&report)?;
        }
        Ok(())
    };
    let outcome = tokio::select! {
        outcome = all() => outcome,
        _ = tokio::signal::ctrl_c() => Err(Error::refused("interrupted", "run the same command again")),
    };
    tell!("removing the copy of the checkout, and its cluster");
    // The first error counts, and leaves no cluster behind either.
    let removed = environment.remove().await;
    outcome.and(removed)
}
