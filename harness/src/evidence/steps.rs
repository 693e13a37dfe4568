//! The long steps of a run, as they ended.

use std::fmt;
use std::path::Path;

use serde::Deserialize;

use super::events_of;
use crate::error::Result;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_stand_in_the_order_in_which_they_began() {
        let text = "{\"unix_ms\":9000,\"step\":\"short\",\"seconds\":1.5}\n\
            {\"unix_ms\":9500,\"step\":\"long\",\"seconds\":8}\n{\"unix_ms\":1,\"message\":\"x\"}\n{\"uni";
        let shown = Steps::parse(text).to_string();
        let rows: Vec<Vec<&str>> = shown.lines().skip(1).map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows, [["0.0", "8.0", "long"], ["6.0", "1.5", "short"]]);
    }
}
