//! `cargo stack mutants`: the suite's own score.

use std::process::ExitCode;

use harness::mutants::{charts, equivalent};
use harness::project::Project;
use harness::release::stage_charts;
use harness::settings::Settings;
use harness::tools::{Tool, Tools};
use harness::{Result, validate};

/// Judges the mutants of the charts.
pub async fn run(settings: &Settings) -> Result<ExitCode> {
    crate::show(settings)?;
    let project = Project::find(settings)?;
    let tools = Tools::new(settings);
    tools.require(&[Tool::Helm]).await?;
    let staged = stage_charts(&project.root, &settings.cache_root.join("charts"))?;
    let renders = validate::renders(&tools, &staged).await?;
    let score = charts::score(&renders, &equivalent::read(&project.root)?)?;
    for survivor in score.survivors() {
        println!("{survivor}");
    }
    for (rule, (all, alone)) in score.by_rule() {
        println!("{rule}: {all}, {alone} alone");
    }
    for operator in harness::mutants::Operator::ALL {
        let tally = score.tally(|judged| judged.operator == operator);
        println!("{}: {} of {}, {} %", operator.name(), tally.caught, tally.of, tally.percent());
    }
    let tally = score.tally(|_| true);
    println!("all: {} of {}, {} %, {:.1?}", tally.caught, tally.of, tally.percent(), score.took);
    println!("wrong {:?} idle {:?}", score.wrong, score.idle);
    Ok(ExitCode::SUCCESS)
}
