//! `cargo stack validate`: prints what the harness finds in the charts.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Instant;

use harness::project::Project;
use harness::release::stage_charts;
use harness::settings::Settings;
use harness::tools::{Tool, Tools};
use harness::{Result, output, validate};

/// One line a finding, then one with what was looked at.
pub async fn run(settings: &Settings) -> Result<ExitCode> {
    crate::show(settings)?;
    let project = Project::find(settings)?;
    let tools = Tools::new(settings.tools());
    tools.require(&[Tool::Helm]).await?;
    let start = Instant::now();
    let charts = stage_charts(&project.root, &settings.cache_root.join("charts"))?;
    let report = validate::run(&tools, &project, &charts).await?;
    let mut text = String::new();
    for finding in &report.findings {
        let _ = writeln!(text, "{finding}");
        if settings.github_actions {
            let _ = writeln!(text, "{}", finding.annotation());
        }
    }
    let _ = writeln!(
        text,
        "{} in {} values files, {} objects, {} rules; {:.1} s",
        match report.findings.len() {
            0 => "no finding".to_owned(),
            1 => "1 finding".to_owned(),
            count => format!("{count} findings"),
        },
        report.files,
        report.objects,
        report.rules,
        start.elapsed().as_secs_f64()
    );
    output::print(&text);
    Ok(if report.findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
