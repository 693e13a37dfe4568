//! `cargo stack doctor`: checks whether this machine has what stage local needs; changes nothing.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

mod engine;
mod host;
pub mod ports;
mod sources;
mod tools;

use crate::engine::Host;
use crate::error::{Error, Result};
use crate::tools::Tools;
use harness_settings::settings::Settings;

/// The deadline of each check: 5 s.
const LIMIT: Duration = Duration::from_secs(5);

/// The results of all checks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DoctorReport {
    /// The checks, in the order in which they are shown.
    pub checks: Vec<Check>,
}

/// The result of one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Its group: `settings`, `tools`, `engine`, `host`, `ports` or `sources`.
    pub group: &'static str,
    /// The name of what was checked.
    pub name: String,
    /// The finding: version and path, size, or a port's holder; may have several lines.
    pub value: String,
    /// The finding's severity.
    pub verdict: Severity,
    /// The command or change that would mend it.
    pub remedy: Option<String>,
}

/// The severity of a finding for stage local.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// As it should be.
    Ok,
    /// Stage local can run, perhaps slower.
    Note,
    /// Stage local cannot run.
    Problem,
}

impl DoctorReport {
    /// Whether a check found a problem, so that stage local cannot run.
    pub fn has_problems(&self) -> bool {
        self.checks.iter().any(|check| check.verdict == Severity::Problem)
    }

    /// The report as JSON: `checks`, each with `group`, `name`, `value`, `verdict` (`ok`, `note`, `problem`) and `remedy`.
    ///
    /// # Errors
    /// [`harness_base::Error::Malformed`], never in practice.
    pub fn json(&self) -> Result<String> {
        serde_json::to_string_pretty(self).map_err(Error::malformed("write the report as JSON"))
    }
}

impl Check {
    fn new(group: &'static str, name: impl Into<String>, verdict: Severity, value: impl Into<String>) -> Self {
        Self { group, name: name.into(), value: value.into(), verdict, remedy: None }
    }

    fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// Runs a check; a note if it takes longer than 5 s.
    async fn within(group: &'static str, name: &str, check: impl Future<Output = Self>) -> Self {
        let late = || Self::new(group, name, Severity::Note, format!("no answer within {} s", LIMIT.as_secs()));
        tokio::time::timeout(LIMIT, check).await.unwrap_or_else(|_| late())
    }
}

/// Checks the settings, the tools, the engine, the machine, the ports of stage dev and the sources of images and packages.
///
/// The checks run side by side, each for 5 s at most. Starts and installs nothing.
pub async fn examine(settings: &Settings) -> DoctorReport {
    let host = Host::look(settings);
    let tools = Tools::new(settings.tools());
    let (tools, engine, sources) = tokio::join!(
        tools::examine(&tools, settings, &host),
        engine::examine(&tools, settings, &host),
        sources::examine(settings, &host),
    );
    let mut checks: Vec<Check> = settings.refused().map(refused).collect();
    checks.extend(tools);
    checks.extend(engine.checks);
    checks.extend(host::examine(settings, &host, engine.data_root.as_deref()));
    checks.extend(ports::examine());
    checks.extend(sources);
    DoctorReport { checks }
}

/// The problem of a setting that a run would refuse.
fn refused((name, what, next): (&str, &str, &str)) -> Check {
    Check::new("settings", name, Severity::Problem, what).remedy(next)
}

impl fmt::Display for DoctorReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widest = self.checks.iter().map(|check| check.name.chars().count()).max().unwrap_or_default();
        let mut group = "";
        for check in &self.checks {
            if check.group != group {
                group = check.group;
                writeln!(f, "{group}")?;
            }
            let (mark, word) = match check.verdict {
                Severity::Ok => ("✓", "ok"),
                Severity::Note => ("!", "note"),
                Severity::Problem => ("✗", "problem"),
            };
            // A few lines at most, each below the first.
            let indent = format!("\n{:1$}", "", widest + 16);
            let value = check.value.trim().replace('\n', &indent);
            let pad = widest - check.name.chars().count();
            writeln!(f, "  {mark} {word:<8}  {}{:pad$}  {value}", check.name, "")?;
            if let Some(remedy) = &check.remedy {
                writeln!(f, "{}next: {}", &indent[1..], remedy.replace('\n', &indent))?;
            }
        }
        let count = |verdict| self.checks.iter().filter(|check| check.verdict == verdict).count();
        match (count(Severity::Problem), count(Severity::Note)) {
            (0, 0) => writeln!(f, "\nstage local can run"),
            (0, notes) => writeln!(f, "\nstage local can run; notes: {notes}"),
            (problems, notes) => writeln!(f, "\nstage local cannot run; problems: {problems}, notes: {notes}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_aligned_and_says_what_to_do() {
        let report = DoctorReport {
            checks: vec![
                Check::new("tools", "kind", Severity::Ok, "0.33.0  /usr/bin/kind"),
                Check::new("tools", "skaffold", Severity::Problem, "missing").remedy("install it"),
                Check::new("host", "memory", Severity::Note, "2 GiB\nof 4 GiB"),
            ],
        };
        assert!(report.has_problems());
        insta::assert_snapshot!(report.to_string(), @r"
        tools
          ✓ ok        kind      0.33.0  /usr/bin/kind
          ✗ problem   skaffold  missing
                                next: install it
        host
          ! note      memory    2 GiB
                                of 4 GiB

        stage local cannot run; problems: 1, notes: 1
        ");
        insta::assert_snapshot!(serde_json::to_string(&report.checks[1]).unwrap(), @r#"{"group":"tools","name":"skaffold","value":"missing","verdict":"problem","remedy":"install it"}"#);
    }
}
