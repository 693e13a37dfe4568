//! The steps of a run, with their times, each below the step that it is part of; and the time that belongs to no step.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use harness_base::Result;
use serde::Deserialize;

use super::{events_of, lines};

/// The least time that belongs to no step and gets a line of its own, in seconds.
const UNNAMED: f64 = 0.2;
/// Shorter steps, in seconds, share one line.
const SHORT: f64 = 0.1;

/// The steps of a run's processes.
#[derive(Debug, Default, PartialEq)]
pub struct Steps(Vec<RunStep>);

/// One step; times in seconds since 1970.
#[derive(Debug, Clone, PartialEq)]
struct RunStep {
    what: String,
    began: f64,
    ended: f64,
    parts: Vec<RunStep>,
}

#[derive(Deserialize)]
struct StepLine {
    unix_ms: f64,
    pid: u64,
    step: String,
    /// How many seconds before its line was written the step began.
    ago: f64,
    seconds: f64,
    number: u64,
    part_of: u64,
}

impl Steps {
    /// Reads the events of one run.
    ///
    /// # Errors
    /// [`harness_base::Error::Io`] when its folder has none.
    pub fn read(run: &Path) -> Result<Self> {
        Ok(Self::parse(&events_of(run)?))
    }

    /// Parses the events; parts of a step that never ended take that step's place.
    fn parse(text: &str) -> Self {
        let mut processes: BTreeMap<u64, Vec<StepLine>> = BTreeMap::new();
        for line in lines::<StepLine>(text) {
            processes.entry(line.pid).or_default().push(line);
        }
        let mut all: Vec<RunStep> = processes.into_values().flat_map(process).collect();
        all.sort_by(|a, b| a.began.total_cmp(&b.began));
        Self(all)
    }

    /// The run's wall-clock time, and the part of it that belongs to no step, in seconds.
    fn whole(&self) -> (f64, f64) {
        let Some(began) = self.0.iter().map(|step| step.began).min_by(f64::total_cmp) else { return (0.0, 0.0) };
        let ended = self.0.iter().map(|step| step.ended).fold(began, f64::max);
        let between: f64 = gaps(&self.0, began, ended).iter().map(|(from, to)| to - from).sum();
        (ended - began, between + self.0.iter().map(RunStep::unnamed).sum::<f64>())
    }
}

/// The steps of one process, as a tree: number 0 is the process itself, where it came to its end.
fn process(lines: Vec<StepLine>) -> Vec<RunStep> {
    let (whole, lines): (Vec<StepLine>, Vec<StepLine>) = lines.into_iter().partition(|line| line.number == 0);
    let mut parts: BTreeMap<u64, Vec<StepLine>> = BTreeMap::new();
    let known: BTreeSet<u64> = lines.iter().map(|line| line.number).collect();
    for line in lines {
        let part_of = if known.contains(&line.part_of) { line.part_of } else { 0 };
        parts.entry(part_of).or_default().push(line);
    }
    let top = parts_of(0, &mut parts);
    match whole.into_iter().next() {
        Some(line) => vec![RunStep { parts: top, ..RunStep::of(&line) }],
        None => top,
    }
}

fn parts_of(number: u64, parts: &mut BTreeMap<u64, Vec<StepLine>>) -> Vec<RunStep> {
    let lines = parts.remove(&number).unwrap_or_default();
    let mut steps: Vec<RunStep> =
        lines.iter().map(|line| RunStep { parts: parts_of(line.number, parts), ..RunStep::of(line) }).collect();
    steps.sort_by(|a, b| a.began.total_cmp(&b.began));
    steps
}

/// The gaps between `from` and `to` in which none of the steps, sorted by their beginning, was running.
fn gaps(steps: &[RunStep], from: f64, to: f64) -> Vec<(f64, f64)> {
    let (mut found, mut until) = (Vec::new(), from);
    for step in steps {
        if step.began > until {
            found.push((until, step.began.min(to)));
        }
        until = until.max(step.ended);
    }
    if to > until {
        found.push((until, to));
    }
    found
}

impl RunStep {
    fn of(line: &StepLine) -> Self {
        let began = line.unix_ms / 1000.0 - line.ago;
        Self { what: line.step.clone(), began, ended: began + line.seconds, parts: Vec::new() }
    }

    fn seconds(&self) -> f64 {
        self.ended - self.began
    }

    /// The time of a step and its parts in which none of their parts was running; 0 for a step without parts.
    fn unnamed(&self) -> f64 {
        if self.parts.is_empty() {
            return 0.0;
        }
        let own = gaps(&self.parts, self.began, self.ended);
        own.iter().map(|(from, to)| to - from).sum::<f64>() + self.parts.iter().map(Self::unnamed).sum::<f64>()
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, first: f64, depth: usize) -> fmt::Result {
        row(f, self.began - first, self.seconds(), depth, &self.what)?;
        write_all(f, &self.parts, (self.began, self.ended), first, depth + 1)
    }
}

fn row(f: &mut fmt::Formatter<'_>, began: f64, seconds: f64, depth: usize, what: &str) -> fmt::Result {
    writeln!(f, "{began:>8.1}  {seconds:>8.1}  {:width$}{what}", "", width = 2 * depth)
}

/// Steps that are parts of one, in the order in which they began, and the time between them that none of them names.
fn write_all(
    f: &mut fmt::Formatter<'_>,
    steps: &[RunStep],
    (from, to): (f64, f64),
    first: f64,
    depth: usize,
) -> fmt::Result {
    if steps.is_empty() {
        return Ok(());
    }
    let mut gaps: Vec<_> = gaps(steps, from, to).into_iter().filter(|(from, to)| to - from >= UNNAMED).collect();
    gaps.reverse();
    for step in steps.iter().filter(|step| step.seconds() >= SHORT) {
        while let Some((from, to)) = gaps.pop_if(|(from, _)| *from <= step.began) {
            row(f, from - first, to - from, depth, "(no step names it)")?;
        }
        step.write(f, first, depth)?;
    }
    while let Some((from, to)) = gaps.pop() {
        row(f, from - first, to - from, depth, "(no step names it)")?;
    }
    let short: Vec<f64> = steps.iter().map(RunStep::seconds).filter(|seconds| *seconds < SHORT).collect();
    match short.len() {
        0 => Ok(()),
        count => {
            let all: f64 = short.iter().sum();
            writeln!(f, "{:>8}  {all:>8.1}  {:width$}({count} of less than {SHORT} s)", "", "", width = 2 * depth)
        }
    }
}

impl fmt::Display for Steps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = self.0.first().map_or(0.0, |step| step.began);
        let (whole, unnamed) = self.whole();
        writeln!(f, "{:>8}  {:>8}  step", "began", "seconds")?;
        write_all(f, &self.0, (first, first + whole), first, 0)?;
        writeln!(f, "{whole:.1} s in all, {unnamed:.1} s of them without a name")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(ended: f64, seconds: f64, (number, part_of): (u64, u64), step: &str) -> String {
        serde_json::json!({"unix_ms": ended * 1000.0, "pid": 7, "step": step, "ago": seconds, "seconds": seconds,
            "number": number, "part_of": part_of})
        .to_string()
    }

    fn shown(lines: &[String]) -> Vec<String> {
        let text = lines.join("\n") + "\n{\"unix_ms\":1,\"message\":\"x\"}\n{\"uni";
        let shown = Steps::parse(&text).to_string();
        shown.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    }

    #[test]
    fn parts_stand_in_their_step_and_what_none_names_beside_them() {
        let run = [
            line(13.0, 2.0, (3, 2), "helm upgrade"),
            line(14.05, 0.05, (4, 2), "list pods"),
            line(18.0, 3.5, (5, 2), "waiting"),
            line(18.0, 7.0, (2, 0), "the deploy"),
            line(20.0, 10.0, (0, 0), "the suite"),
        ];
        assert_eq!(
            shown(&run),
            [
                "0.0 10.0 the suite",
                "0.0 1.0 (no step names it)",
                "1.0 7.0 the deploy",
                "1.0 2.0 helm upgrade",
                "3.0 1.0 (no step names it)",
                "4.1 0.4 (no step names it)",
                "4.5 3.5 waiting",
                "0.1 (1 of less than 0.1 s)",
                "8.0 2.0 (no step names it)",
                "10.0 s in all, 4.4 s of them without a name",
            ]
            .map(String::from)
        );
    }

    #[test]
    fn steps_side_by_side_name_their_time_once() {
        let run = [
            line(5.0, 4.0, (1, 0), "the cluster"),
            line(6.0, 5.0, (2, 0), "the images"),
            line(6.0, 5.0, (0, 0), "the suite"),
        ];
        assert_eq!(shown(&run).last().map(String::as_str), Some("5.0 s in all, 0.0 s of them without a name"));
    }

    #[test]
    fn parts_of_a_step_that_never_ended_are_shown() {
        assert_eq!(
            shown(&[line(5.0, 4.0, (9, 8), "kind create")]),
            ["0.0 4.0 kind create", "4.0 s in all, 0.0 s of them without a name"].map(String::from)
        );
    }
}
