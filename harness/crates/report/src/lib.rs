//! Reports of a run, read from the run's folder alone: verdicts, steps with their times, and measured values.
//!
//! | what | where |
//! |---|---|
//! | each scenario's verdict, as text | [`Outcome`] |
//! | the same as JUnit's XML, and as GitHub's annotations | [`Outcome::junit`], [`Outcome::annotations`] |
//! | the run's steps, with their times | [`Steps`] |
//! | the times that scenarios measured | [`Measured`] |
//!
//! ```
//! let run = tempfile::tempdir()?;
//! let event = r#"{"target":"verdict","scenario":"backend::answers","verdict":"passed"}"#;
//! std::fs::write(run.path().join(harness_base::events::FILE), event)?;
//! let outcome = harness_report::Outcome::read(run.path())?;
//! assert_eq!(outcome.failed().count(), 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use harness_base::text::harmless;
use harness_base::{Error, Result, events, folders, hash, secrets};
use serde::Deserialize;
use serde::de::DeserializeOwned;

mod github;
mod junit;
mod measured;
mod steps;

pub use measured::Measured;
pub use steps::Steps;

/// The verdicts of a run, by scenario.
#[derive(Debug, Default, PartialEq)]
pub struct Outcome(BTreeMap<String, JudgedScenario>);

/// The outcome of one scenario.
#[derive(Debug, PartialEq, Deserialize)]
struct JudgedScenario {
    verdict: ScenarioOutcome,
    /// The report of a failure, or the reason why the scenario was ignored.
    #[serde(default)]
    reason: String,
    /// Whether its body ran; false if its fixture could not be made.
    #[serde(default = "yes")]
    asked: bool,
    /// Its time in seconds, from the start of its fixture to the end of its teardown.
    #[serde(default)]
    seconds: f64,
    /// The values that it measured, each as text.
    #[serde(skip)]
    measured: Vec<String>,
}

/// The verdict of a scenario, as the run's record has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScenarioOutcome {
    /// Every expectation was met.
    Passed,
    /// An expectation was not met, or the fixture could not be made.
    Failed,
    /// The scenario did not apply.
    Ignored,
}

impl JudgedScenario {
    /// Redacts secrets again: the run's processes redacted those that they knew, and this process may know others.
    fn without_secrets(mut self) -> Self {
        self.reason = harmless(&secrets::redact(&self.reason)).into_owned();
        self
    }
}

fn yes() -> bool {
    true
}

impl ScenarioOutcome {
    fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Ignored => "ignored",
        }
    }
}

#[derive(Deserialize)]
struct Line {
    target: String,
    scenario: String,
    #[serde(flatten)]
    judged: JudgedScenario,
}

/// A value that a scenario measured.
#[derive(Deserialize)]
struct Measure {
    target: String,
    scenario: String,
    name: String,
    value: String,
}

impl Outcome {
    /// Reads the events of one run.
    ///
    /// # Errors
    /// [`harness_base::Error::Io`] when its folder has none.
    pub fn read(run: &Path) -> Result<Self> {
        Ok(Self::parse(&events_of(run)?))
    }

    fn parse(text: &str) -> Self {
        let verdicts = lines::<Line>(text).filter(|line| line.target == events::VERDICT);
        let mut outcome = Self(verdicts.map(|line| (line.scenario, line.judged.without_secrets())).collect());
        let measures = lines::<Measure>(text).filter(|measure| measure.target == events::MEASURE);
        for Measure { scenario, name, value, .. } in measures {
            if let Some(judged) = outcome.0.get_mut(&scenario) {
                judged.measured.push(format!("{name} {value}"));
            }
        }
        outcome
    }

    /// A line for each scenario that measured something, with its values; empty if none did.
    pub fn measures(&self) -> String {
        let measured = self.0.iter().filter(|(_, judged)| !judged.measured.is_empty());
        let line = |(name, judged): (&String, &JudgedScenario)| {
            format!("{:<8} {name}: {}\n", judged.verdict.word(), judged.measured.join(", "))
        };
        measured.map(line).collect()
    }

    /// The outcome of a scenario: its verdict, whether its body ran, and the reason; `None` where it is not in the record.
    pub fn scenario(&self, name: &str) -> Option<(ScenarioOutcome, bool, &str)> {
        self.0.get(name).map(|judged| (judged.verdict, judged.asked, judged.reason.as_str()))
    }

    /// The names of the scenarios that failed.
    pub fn failed(&self) -> impl Iterator<Item = &str> {
        self.of(ScenarioOutcome::Failed).map(|(name, _)| name)
    }

    fn of(&self, verdict: ScenarioOutcome) -> impl Iterator<Item = (&str, &JudgedScenario)> {
        let all = self.0.iter().filter(move |(_, judged)| judged.verdict == verdict);
        all.map(|(name, judged)| (name.as_str(), judged))
    }

    /// The differences between the ignored scenarios and a list of names, one a line (`#` starts a comment); `None` if there are
    /// none.
    pub fn unexpected(&self, list: &str) -> Option<String> {
        let names = list.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
        let expected: BTreeSet<&str> = names.filter(|name| !name.is_empty()).collect();
        let found: BTreeSet<&str> = self.of(ScenarioOutcome::Ignored).map(|(name, _)| name).collect();
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
        f.write_str(&self.measures())?;
        for (name, judged) in self.of(ScenarioOutcome::Failed) {
            writeln!(f, "failed   {name}: {}", judged.reason.lines().next().unwrap_or_default())?;
        }
        for (name, judged) in self.of(ScenarioOutcome::Ignored) {
            writeln!(f, "ignored  {name}: {}", judged.reason)?;
        }
        let count = |verdict| self.of(verdict).count();
        let (passed, failed, ignored) =
            (count(ScenarioOutcome::Passed), count(ScenarioOutcome::Failed), count(ScenarioOutcome::Ignored));
        writeln!(f, "{passed} passed, {failed} failed, {ignored} ignored")
    }
}

/// The lines of a record that parse as `T`; others, and one that a kill cut short, are skipped.
fn lines<T: DeserializeOwned>(text: &str) -> impl Iterator<Item = T> {
    text.lines().filter_map(|line| serde_json::from_str(line).ok())
}

fn events_of(run: &Path) -> Result<String> {
    let path = run.join(events::FILE);
    std::fs::read_to_string(&path).map_err(Error::io(format!("read {}", path.display())))
}

/// The folder of the latest run in a folder, or in its subfolders.
///
/// # Errors
/// [`harness_base::Error::Refused`] when there is none.
pub fn latest(runs: &Path) -> Result<PathBuf> {
    let files = if runs.is_dir() { hash::files(runs)? } else { Vec::new() };
    let events = files.into_iter().filter(|path| path.file_name().is_some_and(|name| name == events::FILE));
    let newest = events.max_by_key(|path| path.metadata().and_then(|data| data.modified()).ok());
    newest
        .and_then(|path| path.parent().map(Path::to_owned))
        .ok_or_else(|| Error::refused(format!("there is no run in {}", runs.display()), "cargo stack verify"))
}

/// Removes the folders of a checkout's runs in a folder, except those of running ones; returns how many.
///
/// # Errors
/// [`harness_base::Error::Io`] when one cannot be removed.
pub fn forget(runs: &Path, checkout: &Path) -> Result<usize> {
    let mut count = 0;
    for folder in folders::marked_in(runs)? {
        if folder.marker.checkout == checkout && !folder.marker.process.lives() {
            folder.remove()?;
            count += 1;
        }
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) const EVENTS: &str = "{\"target\":\"verdict\",\"scenario\":\"a::b\",\"verdict\":\"passed\"}\n\
        {\"target\":\"verdict\",\"scenario\":\"a::c\",\"verdict\":\"ignored\",\"reason\":\"no policy\"}\n\
        {\"target\":\"verdict\",\"scenario\":\"a::d\",\"verdict\":\"failed\",\"reason\":\"first\\nsecond\"}\n\
        {\"target\":\"harness\",\"message\":\"x\"}\n{\"target\":\"verd";

    #[test]
    fn reads_what_a_kill_left() {
        let text = Outcome::parse(EVENTS).to_string();
        assert_eq!(text, "failed   a::d: first\nignored  a::c: no policy\n1 passed, 1 failed, 1 ignored\n");
    }

    #[test]
    fn what_was_measured_stands_with_its_scenario() {
        let measure = |value: &str| {
            format!("{{\"target\":\"measure\",\"scenario\":\"a::b\",\"name\":\"{value}\",\"value\":\"7\"}}\n")
        };
        let outcome =
            Outcome::parse(&(measure("days left") + EVENTS.trim_end_matches("{\"target\":\"verd") + &measure("sent")));
        assert_eq!(outcome.measures(), "passed   a::b: days left 7, sent 7\n");
        assert!(outcome.to_string().starts_with("passed   a::b: days left 7, sent 7\nfailed   a::d: "));
        assert!(outcome.junit().unwrap().contains("<system-out>days left 7\nsent 7</system-out>"));
    }

    #[test]
    fn an_unexpected_list_names_both_sides() {
        let outcome = Outcome::parse(EVENTS);
        assert_eq!(outcome.unexpected("a::c # because\n"), None);
        assert_eq!(outcome.unexpected("x::y\n").unwrap(), "a::c was ignored, x::y was not");
    }
}
