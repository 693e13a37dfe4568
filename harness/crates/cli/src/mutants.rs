//! `cargo stack mutants`: the suite's own score.

use std::fmt::Write as _;
use std::num::NonZero;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use harness::mutants::trial::{self, Sight, Suite, TrialLimits, Trials, Tried};
use harness::mutants::{charts, equivalent, faults::Catalogue, page};
use harness::project::Project;
use harness::release::stage_charts;
use harness::settings::Settings;
use harness::tools::{Tool, Tools};
use harness::{Error, Result, say, validate};

/// What of the charts' mutants must be caught, in percent.
const LEAST: usize = 80;

/// Which mutants are judged.
#[derive(Args)]
pub struct MutantsSelection {
    /// Only faults whose names contain one of these.
    filters: Vec<String>,
    /// The charts' mutants alone: no cluster, no engine, seconds.
    #[arg(long, conflicts_with_all = ["filters", "faults"])]
    charts: bool,
    /// Of the charts' mutants one in so many, the same ones each time: a look in seconds.
    #[arg(long, value_name = "N", default_value = "1", conflicts_with = "write")]
    one_in: NonZero<usize>,
    /// The faults on a cluster alone.
    #[arg(long)]
    faults: bool,
    /// How many copies of the checkout, each with a cluster of its own, judge faults side by side.
    #[arg(long, default_value_t = 1, value_name = "N")]
    jobs: usize,
    /// Begin no other fault after so many minutes; what is left is listed, and a failure.
    #[arg(long, value_name = "MINUTES")]
    minutes: Option<u64>,
    /// Write docs/mutants.md, or the part of it that was judged.
    #[arg(long, conflicts_with = "filters")]
    write: bool,
}

/// Judges mutants; fails when some survive that must not.
pub async fn run(settings: &Settings, options: MutantsSelection) -> Result<ExitCode> {
    crate::show(settings)?;
    let project = Project::find(settings)?;
    let mut wrong = Vec::new();
    let mut parts = Vec::new();
    if !options.faults && options.filters.is_empty() {
        parts.push(of_charts(settings, &project, options.one_in, &mut wrong).await?);
    }
    if !options.charts {
        parts.push(of_faults(settings, &project, &options, &mut wrong).await?);
    }
    if options.write {
        let path = project.root.join(page::FILE);
        let before = std::fs::read_to_string(&path).unwrap_or_default();
        let page = parts.iter().fold(before, |page, part| page::with(&page, part));
        std::fs::write(&path, page).map_err(Error::io(format!("write {}", path.display())))?;
        say!("wrote {}", page::FILE);
    }
    for what in &wrong {
        say!("{what}");
    }
    Ok(if wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn of_charts(
    settings: &Settings,
    project: &Project,
    one_in: NonZero<usize>,
    wrong: &mut Vec<String>,
) -> Result<String> {
    let tools = Tools::new(settings.tools());
    tools.require(&[Tool::Helm]).await?;
    let staged = stage_charts(&project.root, &settings.cache_root.join("charts"))?;
    let equivalents = equivalent::read(&project.root)?;
    let score = charts::score(&validate::renders(&tools, &staged).await?, &equivalents, one_in)?;
    for survivor in score.survivors() {
        say!("survives: {survivor}");
    }
    let tally = score.tally(|_| true);
    say!(
        "charts: {} of {} mutants are caught, {} %, by {} rules; {:.0} s",
        tally.caught,
        tally.of,
        tally.percent(),
        score.by_rule().len(),
        score.took.as_secs_f64()
    );
    if tally.percent() < LEAST {
        wrong.push(format!("charts: less than {LEAST} % of the mutants are caught"));
    }
    wrong.extend(score.wrong.iter().map(|entry| format!("{}: {entry}", equivalent::FILE)));
    wrong.extend(score.idle.iter().map(|rule| format!("the rule {rule} sees no mutant")));
    Ok(page::charts(&score, &equivalents))
}

async fn of_faults(
    settings: &Settings,
    project: &Project,
    options: &MutantsSelection,
    wrong: &mut Vec<String>,
) -> Result<String> {
    let catalogue = Catalogue::read(&project.root)?;
    let suite = Suite::compiled(settings, project).await?;
    wrong.extend(catalogue.gaps(&suite.scenarios(settings).await?));
    let MutantsSelection { filters, .. } = options;
    let is_meant = |name: &str| filters.is_empty() || filters.iter().any(|filter| name.contains(filter.as_str()));
    let faults: Vec<_> = catalogue.faults.iter().filter(|fault| is_meant(&fault.name)).cloned().collect();
    let tell = |tried: &Tried| say!("{}", line(tried));
    let limits =
        TrialLimits { jobs: options.jobs, time: options.minutes.map(|minutes| Duration::from_secs(minutes * 60)) };
    let trials = trial::run(settings, project, &suite, &faults, limits, &tell).await?;
    let Trials { tried, left, red_anyway } = &trials;
    let caught = tried.iter().filter(|tried| tried.is_caught()).count();
    say!("faults: {caught} of {} are caught", tried.len());
    wrong.extend(tried.iter().filter(|tried| !tried.is_caught()).map(|tried| format!("not caught: {}", tried.fault)));
    wrong.extend(left.iter().map(|fault| format!("not judged: {fault}")));
    wrong.extend(red_anyway.iter().map(|scenario| format!("{scenario} is red without any fault")));
    Ok(page::faults(&trials, &catalogue))
}

fn line(tried: &Tried) -> String {
    let mut line = format!(
        "{:<8} {} ({:.0} s)",
        if tried.is_caught() { "caught" } else { "survives" },
        tried.fault,
        tried.took.as_secs_f64()
    );
    for (scenario, sight) in &tried.sights {
        let _ = match sight {
            Sight::Caught => write!(line, "\n         {scenario} turned red"),
            Sight::Green => write!(line, "\n         {scenario} stayed green"),
            Sight::NotDeployed(why) => write!(line, "\n         {scenario} was never asked: {why}"),
            Sight::NotRun(why) => write!(line, "\n         {scenario} did not run: {why}"),
        };
    }
    line
}
