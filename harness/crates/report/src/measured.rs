//! The times that scenarios measured in a run, as a table.

use std::fmt;
use std::path::Path;

use harness_base::{Result, events};
use serde::Deserialize;

use super::{events_of, lines};

/// The times that scenarios measured, in the order of measuring.
#[derive(Debug, Default, PartialEq)]
pub struct Measured(Vec<MeasuredRow>);

/// One measure, with all of its values.
#[derive(Debug, PartialEq)]
struct MeasuredRow {
    what: String,
    seconds: Vec<f64>,
}

#[derive(Deserialize)]
struct MeasuredLine {
    target: String,
    name: String,
    seconds: f64,
}

impl Measured {
    /// Reads the events of one run.
    ///
    /// # Errors
    /// [`harness_base::Error::Io`] when its folder has none.
    pub fn read(run: &Path) -> Result<Self> {
        Ok(Self::parse(&events_of(run)?))
    }

    fn parse(text: &str) -> Self {
        let mut rows: Vec<MeasuredRow> = Vec::new();
        for MeasuredLine { name, seconds, .. } in
            lines::<MeasuredLine>(text).filter(|line| line.target == events::MEASURE)
        {
            match rows.iter_mut().find(|row| row.what == name) {
                Some(row) => row.seconds.push(seconds),
                None => rows.push(MeasuredRow { what: name, seconds: vec![seconds] }),
            }
        }
        for row in &mut rows {
            row.seconds.sort_by(f64::total_cmp);
        }
        Self(rows)
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| measured | times | median (s) | longest (s) |\n|---|---|---|---|")?;
        for MeasuredRow { what, seconds } in &self.0 {
            let (median, longest) = (seconds[seconds.len() / 2], seconds[seconds.len() - 1]);
            writeln!(f, "| {what} | {} | {median:.2} | {longest:.2} |", seconds.len())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_thing_is_one_row() {
        let line = |name, seconds| {
            format!("{{\"target\":\"measure\",\"name\":\"{name}\",\"value\":\"?\",\"seconds\":{seconds}}}\n")
        };
        let text = [line("a", 3.0), line("b", 1.0), line("a", 1.0), line("a", 2.0)].concat();
        let shown =
            Measured::parse(&(text + "{\"target\":\"measure\",\"name\":\"a\",\"value\":\"?\"}\n{\"tar")).to_string();
        let rows: Vec<&str> = shown.lines().skip(2).collect();
        assert_eq!(rows, ["| a | 3 | 2.00 | 3.00 |", "| b | 1 | 1.00 | 1.00 |"]);
    }
}
