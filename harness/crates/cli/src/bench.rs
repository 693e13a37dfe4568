//! `cargo stack bench`: ours beside other tools.

use std::process::ExitCode;

use clap::Args;
use harness::bench::{self, BenchReport, FIGURES, Figure, page};
use harness::output::print;
use harness::project::Project;
use harness::settings::Settings;
use harness::{Error, Result, say};

/// What is measured.
#[derive(Args)]
pub struct BenchSelection {
    /// The figures; all of them without.
    figures: Vec<String>,
    /// Name the figures, and measure nothing.
    #[arg(long)]
    list: bool,
    /// How many rounds, instead of the figure's own number.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    rounds: Option<u16>,
    /// Let ours as it was at this revision take part as well: its charts, harness and suite, compiled first.
    #[arg(long, value_name = "REVISION")]
    against: Option<String>,
    /// Write docs/bench.md and its bars.
    #[arg(long)]
    write: bool,
}

/// Measures figures on one ground, one after another; the first that cannot be measured ends it.
pub async fn run(settings: &Settings, options: BenchSelection) -> Result<ExitCode> {
    if options.list {
        for figure in FIGURES {
            say!("{:<16} {} ({} rounds)", figure.name, figure.title, figure.rounds);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let figures = chosen(&options.figures)?;
    crate::show(settings)?;
    let project = Project::find(settings)?;
    let how = bench::BenchOptions { rounds: options.rounds.map(usize::from), against: options.against };
    let done = |report: &BenchReport| {
        print(&format!("\n{}", page::table(report)));
        say!("\nkept as {}\n", report.path(settings).display());
        if options.write { write(&project, report) } else { Ok(()) }
    };
    bench::run(settings, &project, &figures, &how, done).await?;
    Ok(ExitCode::SUCCESS)
}

/// Those named, in the order in which all are measured.
fn chosen(names: &[String]) -> Result<Vec<&'static Figure>> {
    if let Some(unknown) = names.iter().find(|name| Figure::named(name).is_none()) {
        let known: Vec<_> = FIGURES.iter().map(|figure| figure.name).collect();
        return Err(Error::refused(
            format!("there is no figure {unknown}"),
            format!("cargo stack bench, with any of {}", known.join(", ")),
        ));
    }
    let is_meant = |figure: &&Figure| names.is_empty() || names.iter().any(|name| name == figure.name);
    Ok(FIGURES.iter().filter(is_meant).collect())
}

fn write(project: &Project, report: &BenchReport) -> Result<()> {
    let path = project.root.join(page::FILE);
    let before = std::fs::read_to_string(&path).map_err(Error::io(format!("read {}", path.display())))?;
    let bars = project.root.join(page::BARS).join(format!("{}.svg", report.figure));
    let written = bars.parent().map_or(Ok(()), std::fs::create_dir_all);
    let written = written.and_then(|()| std::fs::write(&bars, page::svg(report)));
    written.map_err(Error::io(format!("write {}", bars.display())))?;
    std::fs::write(&path, page::with(&before, report)).map_err(Error::io(format!("write {}", path.display())))?;
    say!("wrote {} and {}", page::FILE, bars.strip_prefix(&project.root).unwrap_or(&bars).display());
    Ok(())
}
