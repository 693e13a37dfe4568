//! Benchmarks: ours and the tools below and beside it, in turn, on one cluster, with the same charts, values, bases and
//! checks.
//!
//! [`figure`] names what is compared; `rounds` lets the contenders take turns; `bench_environment` is what they stand on: a
//! copy of the checkout, its cluster, a namespace for each peer. `stats`, `table`, `svg` and [`page`] are pure: from seconds
//! to docs/bench.md.

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

/// Measures figures on one ground, and keeps in the state folder what it finds, as JSON; `done` is called for each.
///
/// What remains on a kill: a copy of the checkout in the folder for temporary files, and its cluster until nobody used it for
/// a quarter of an hour. On Ctrl-C nothing does.
///
/// # Errors
/// The first thing that could not be measured: ours that failed, or gave a wrong verdict, is no figure.
pub async fn run(
    settings: &Settings,
    project: &Project,
    figures: &[&Figure],
    options: &BenchOptions,
    mut done: impl FnMut(&BenchReport) -> Result<()>,
) -> Result<()> {
    let ground = BenchEnvironment::make(settings, project, options).await?;
    let mut all = async || {
        for figure in figures {
            tell!("{}: {}", figure.name, figure.title);
            let report = figure.measure(&ground).await?;
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
    let removed = ground.remove().await;
    outcome.and(removed)
}
