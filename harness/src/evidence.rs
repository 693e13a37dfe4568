//! How a run ended, read from its folder alone.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::{Error, Result};
use crate::events;
use crate::hash;

/// The verdicts of a run.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// How many passed.
    pub passed: usize,
    /// Failed scenarios, with the first line of each report.
    pub failed: BTreeMap<String, String>,
    /// Ignored scenarios, with their reasons.
    pub ignored: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Line {
    target: String,
    scenario: Option<String>,
    verdict: Option<String>,
    reason: Option<String>,
}

impl Outcome {
    /// Reads the events of one run.
    ///
    /// # Errors
    /// [`Error::Io`] when its folder has none.
    pub fn read(run: &Path) -> Result<Self> {
        Ok(Self::parse(&events_of(run)?))
    }

    /// A line that a kill cut short is passed over.
    fn parse(text: &str) -> Self {
        let mut outcome = Self::default();
        for line in text.lines().filter_map(|line| serde_json::from_str::<Line>(line).ok()) {
            let (Some(scenario), Some(verdict)) = (line.scenario, line.verdict) else { continue };
            if line.target != events::VERDICT {
                continue;
            }
            let reason = line.reason.unwrap_or_default();
            match verdict.as_str() {
                "passed" => outcome.passed += 1,
                "ignored" => drop(outcome.ignored.insert(scenario, reason)),
                _ => drop(outcome.failed.insert(scenario, reason.lines().next().unwrap_or_default().to_owned())),
            }
        }
        outcome
    }

    /// How the ignored scenarios differ from a list of names, one a line (`#` starts a comment); `None`: not at all.
    pub fn unexpected(&self, list: &str) -> Option<String> {
        let names = list.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
        let expected: BTreeSet<&str> = names.filter(|name| !name.is_empty()).collect();
        let found: BTreeSet<&str> = self.ignored.keys().map(String::as_str).collect();
        let differences: Vec<String> = found
            .difference(&expected)
            .map(|name| format!("{name} was ignored"))
            .chain(expected.difference(&found).map(|name| format!("{name} was not")))
            .collect();
        (!differences.is_empty()).then(|| differences.join(", "))
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, reason) in &self.failed {
            writeln!(f, "failed   {name}: {reason}")?;
        }
        for (name, reason) in &self.ignored {
            writeln!(f, "ignored  {name}: {reason}")?;
        }
        writeln!(f, "{} passed, {} failed, {} ignored", self.passed, self.failed.len(), self.ignored.len())
    }
}

/// The long steps of a run, as they ended: provisioning, most of it.
#[derive(Debug, Default, PartialEq)]
pub struct Steps(Vec<Step>);

/// One of them.
#[derive(Debug, PartialEq)]
struct Step {
    /// Milliseconds since the epoch.
    began: f64,
    seconds: f64,
    what: String,
}

#[derive(Deserialize)]
struct StepLine {
    unix_ms: f64,
    step: Option<String>,
    seconds: Option<f64>,
}

impl Steps {
    /// Reads the events of one run.
    ///
    /// # Errors
    /// [`Error::Io`] when its folder has none.
    pub fn read(run: &Path) -> Result<Self> {
        Ok(Self::parse(&events_of(run)?))
    }

    fn parse(text: &str) -> Self {
        let lines = text.lines().filter_map(|line| serde_json::from_str::<StepLine>(line).ok());
        let mut steps: Vec<Step> = lines
            .filter_map(|line| {
                let (what, seconds) = (line.step?, line.seconds?);
                Some(Step { began: line.unix_ms - seconds * 1000.0, seconds, what })
            })
            .collect();
        steps.sort_by(|a, b| a.began.total_cmp(&b.began));
        Self(steps)
    }
}

impl fmt::Display for Steps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = self.0.first().map_or(0.0, |step| step.began);
        writeln!(f, "{:>8}  {:>8}  step", "began", "seconds")?;
        for Step { began, seconds, what } in &self.0 {
            writeln!(f, "{:>8.1}  {seconds:>8.1}  {what}", (began - first) / 1000.0)?;
        }
        Ok(())
    }
}

fn events_of(run: &Path) -> Result<String> {
    let path = run.join(events::FILE);
    std::fs::read_to_string(&path).map_err(Error::io(format!("read {}", path.display())))
}

/// The latest run among those in a folder, or in folders of it.
///
/// # Errors
/// [`Error::Refused`] when there is none.
pub fn latest(runs: &Path) -> Result<PathBuf> {
    let files = if runs.is_dir() { hash::files(runs)? } else { Vec::new() };
    let events = files.into_iter().filter(|path| path.file_name().is_some_and(|name| name == events::FILE));
    let newest = events.max_by_key(|path| path.metadata().and_then(|data| data.modified()).ok());
    newest
        .and_then(|path| path.parent().map(Path::to_owned))
        .ok_or_else(|| Error::refused(format!("there is no run in {}", runs.display()), "cargo stack verify"))
}

/// Removes the folders of all runs in a folder.
///
/// # Errors
/// [`Error::Io`] when one cannot be removed.
pub fn forget(runs: &Path) -> Result<()> {
    match std::fs::remove_dir_all(runs) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::io(format!("remove {}", runs.display()))(error))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENTS: &str = "{\"target\":\"verdict\",\"scenario\":\"a::b\",\"verdict\":\"passed\"}\n\
        {\"target\":\"verdict\",\"scenario\":\"a::c\",\"verdict\":\"ignored\",\"reason\":\"no policy\"}\n\
        {\"target\":\"verdict\",\"scenario\":\"a::d\",\"verdict\":\"failed\",\"reason\":\"first\\nsecond\"}\n\
        {\"target\":\"harness\",\"message\":\"x\"}\n{\"target\":\"verd";

    #[test]
    fn reads_what_a_kill_left() {
        let text = Outcome::parse(EVENTS).to_string();
        assert_eq!(text, "failed   a::d: first\nignored  a::c: no policy\n1 passed, 1 failed, 1 ignored\n");
    }

    #[test]
    fn steps_stand_in_the_order_in_which_they_began() {
        let text = "{\"unix_ms\":9000,\"step\":\"short\",\"seconds\":1.5}\n\
            {\"unix_ms\":9500,\"step\":\"long\",\"seconds\":8}\n{\"unix_ms\":1,\"message\":\"x\"}\n{\"uni";
        let shown = Steps::parse(text).to_string();
        let rows: Vec<Vec<&str>> = shown.lines().skip(1).map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows, [["0.0", "8.0", "long"], ["6.0", "1.5", "short"]]);
    }

    #[test]
    fn an_unexpected_list_names_both_sides() {
        let outcome = Outcome::parse(EVENTS);
        assert_eq!(outcome.unexpected("a::c # because\n"), None);
        assert_eq!(outcome.unexpected("x::y\n").unwrap(), "a::c was ignored, x::y was not");
    }
}
