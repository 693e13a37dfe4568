//! The source line of a rendered object's field: in a template, a `define` block or a values file.
//!
//! Templates are no YAML: lines are read by their indentation, and for a field that is not found the nearest line above
//! counts.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path as Folder;

use harness_base::hash;
use harness_base::{Error, Result};
use harness_settings::spec::spec;

use crate::chart_ignore::ChartIgnore;
use crate::finding::{Finding, Place, Subject};
use crate::path::{Path, PathStep};
use crate::types::FIELDS;

/// The most levels of `include` that are followed.
const DEPTH: usize = 4;

/// The source texts of findings, by their path in the checkout.
#[derive(Debug, Default)]
pub struct TemplateSources(BTreeMap<String, String>);

impl TemplateSources {
    /// Reads all files of the charts' folder, and the files `beside` them, named by their path in the checkout.
    ///
    /// # Errors
    /// [`harness_base::Error::Io`] when a file cannot be read.
    pub fn read(checkout: &Folder, beside: &[&str]) -> Result<Self> {
        let charts = hash::files(&checkout.join(spec().charts.folder))?;
        let beside = beside.iter().map(|name| checkout.join(name)).filter(|path| path.is_file());
        let mut texts = BTreeMap::new();
        let leavings = ChartIgnore::leavings();
        let charts =
            charts.into_iter().filter(|path| !leavings.has(path.strip_prefix(checkout).unwrap_or(path), false));
        for path in charts.chain(beside) {
            let bytes = std::fs::read(&path).map_err(Error::io(format!("read {}", path.display())))?;
            let name = path.strip_prefix(checkout).unwrap_or(&path).to_string_lossy().into_owned();
            texts.insert(name, String::from_utf8_lossy(&bytes).into_owned());
        }
        Ok(Self(texts))
    }

    /// The text of a file, by its path in the checkout; `None` when it was not read.
    pub fn text(&self, file: &str) -> Option<&str> {
        self.0.get(file).map(String::as_str)
    }

    /// The files' paths and texts.
    pub fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, text)| (name.as_str(), text.as_str()))
    }

    /// The finding with a place in the checkout instead of Helm's template name; `values` is the stage's values file.
    #[must_use]
    pub fn locate(&self, finding: Finding, values: &str) -> Finding {
        let Some(Place { file: template, line: None }) = &finding.place else { return finding };
        let place = self.place(template, &finding, values);
        Finding { place, ..finding }
    }

    fn place(&self, template: &str, finding: &Finding, values: &str) -> Option<Place> {
        let path = &finding.path;
        let file = in_checkout(template)?;
        let Some(text) = self.text(&file) else { return Some(Place { file, line: None }) };
        let lines: Vec<&str> = text.lines().collect();
        let Some(subject) = &finding.subject else { return Some(Place { file, line: None }) };
        let (found, file) = self.follow(&lines, document(&lines, subject), &file, &path.0, DEPTH);
        let line = self.text(&file).and_then(|text| text.lines().nth(found.line)).unwrap_or_default();
        let rest = &path.0[found.matched..];
        // A field's name is in the template, even where its content comes from a value.
        let of_name = finding.rule == FIELDS && rest.is_empty();
        let of_values = value_path(line).filter(|_| found.matched > 0 && !of_name);
        of_values
            .and_then(|keys| self.value(&file, &keys, rest, values))
            .or(Some(Place { file, line: Some(found.line + 1) }))
    }

    /// The line of the deepest step of a path that is found, in a template or in the `define` blocks that it includes.
    fn follow(
        &self,
        lines: &[&str],
        range: Range<usize>,
        file: &str,
        steps: &[PathStep],
        depth: usize,
    ) -> (FoundTemplate, String) {
        let found = deepest(lines, range, steps);
        let rest = &steps[found.matched..];
        if !rest.is_empty() && depth > 0 {
            let own = lines.get(found.line).into_iter().chain(lines.get(found.below.clone()).into_iter().flatten());
            for name in own.flat_map(|line| includes(line)) {
                let Some((other, text, block)) = self.define(file, name) else { continue };
                let (inner, place) = self.follow(&text, block, &other, rest, depth - 1);
                if inner.matched > 0 {
                    return (FoundTemplate { matched: found.matched + inner.matched, ..inner }, place);
                }
            }
        }
        (found, file.to_owned())
    }

    /// The block that defines a named template, in the chart of `file`.
    fn define(&self, file: &str, name: &str) -> Option<(String, Vec<&str>, Range<usize>)> {
        let folder = file.rsplit_once('/')?.0;
        let opens = [format!("define \"{name}\""), format!("define '{name}'")];
        self.files().filter(|(other, _)| other.starts_with(folder)).find_map(|(other, text)| {
            let lines: Vec<&str> = text.lines().collect();
            let start = lines.iter().position(|line| opens.iter().any(|open| line.contains(open)))?;
            let next = lines[start + 1..].iter().position(|line| line.contains("define "));
            let end = next.map_or(lines.len(), |next| start + 1 + next);
            Some((other.to_owned(), lines, start + 1..end))
        })
    }

    /// The place of a value that a template reads: in the stage's values file, else in the chart's own.
    fn value(&self, template: &str, keys: &[&str], rest: &[PathStep], values: &str) -> Option<Place> {
        let chart = template.split('/').nth(1)?;
        let key = |key: &&str| PathStep::Key((*key).to_owned());
        let own: Vec<PathStep> = keys.iter().map(key).chain(rest.iter().cloned()).collect();
        let in_umbrella: Vec<PathStep> = match chart {
            _ if chart == spec().charts.umbrella => own.clone(),
            subchart => [PathStep::Key(subchart.to_owned())].into_iter().chain(own.iter().cloned()).collect(),
        };
        let candidates =
            [(values_file(values), in_umbrella), (format!("{}/{chart}/values.yaml", spec().charts.folder), own)];
        candidates.into_iter().find_map(|(file, steps)| {
            let (line, matched) = line_in_yaml(self.text(&file)?, &steps)?;
            (matched + rest.len() >= steps.len()).then_some(Place { file, line: Some(line) })
        })
    }

    /// The place of a chart's value, for an error of its schema; `chart` is the name that Helm uses.
    pub fn schema_place(&self, chart: &str, steps: &[PathStep], values: &str) -> Option<Place> {
        let prefix = (chart != spec().charts.umbrella).then(|| PathStep::Key(chart.to_owned()));
        let whole: Vec<PathStep> = prefix.into_iter().chain(steps.iter().cloned()).collect();
        let file = values_file(values);
        let text = self.text(&file)?;
        let line = line_in_yaml(text, &whole).filter(|(_, matched)| *matched == whole.len()).map(|(line, _)| line);
        Some(Place { file, line })
    }
}

/// The path of a stage's values file in the checkout.
pub fn values_file(name: &str) -> String {
    format!("{}/{}/{name}", spec().charts.folder, spec().charts.umbrella)
}

/// The path in the checkout of a template that Helm names: `charts/backend/templates/api.yaml` for
/// `app/charts/backend/templates/api.yaml`.
pub fn in_checkout(template: &str) -> Option<String> {
    let rest = template.strip_prefix(spec().charts.umbrella)?.strip_prefix('/')?;
    Some(match rest.strip_prefix("charts/") {
        Some(subchart) => format!("{}/{subchart}", spec().charts.folder),
        None => format!("{}/{}/{rest}", spec().charts.folder, spec().charts.umbrella),
    })
}

/// The line of a path in plain YAML, from 1, and how many of its steps were found; `None` when none was.
pub fn line_in_yaml(text: &str, steps: &[PathStep]) -> Option<(usize, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let found = deepest(&lines, 0..lines.len(), steps);
    (found.matched > 0).then_some((found.line + 1, found.matched))
}

/// The result of a search for a path.
#[derive(Debug)]
struct FoundTemplate {
    /// The line of the deepest found step, from 0.
    line: usize,
    /// How many steps of the path were found.
    matched: usize,
    /// The lines below that step.
    below: Range<usize>,
}

/// Searches a path step by step, by indentation.
fn deepest(lines: &[&str], range: Range<usize>, steps: &[PathStep]) -> FoundTemplate {
    let first = range.clone().find(|at| !is_empty(lines[*at])).unwrap_or(range.start);
    let mut found = FoundTemplate { line: first, matched: 0, below: range };
    for (at, step) in steps.iter().enumerate() {
        // The content of a flow map, `{type: RuntimeDefault}`, is on its key's line.
        if at > 0 && has_inline(lines, found.line, step) {
            found = FoundTemplate { matched: at + 1, ..found };
            continue;
        }
        let next = match step {
            PathStep::Key(key) => key_line(lines, found.below.clone(), key),
            PathStep::Item(index, name) => item_line(lines, found.below.clone(), *index, name.as_deref()),
        };
        let Some(line) = next else { break };
        found = FoundTemplate { line, matched: at + 1, below: extent(lines, line, found.below.end, step) };
    }
    found
}

fn has_inline(lines: &[&str], line: usize, step: &PathStep) -> bool {
    let Some((_, flow)) = lines.get(line).and_then(|line| line.split_once(['{', '['])) else { return false };
    match step {
        PathStep::Key(key) => flow.contains(&format!("{key}:")) && !flow.starts_with('{'),
        PathStep::Item(_, Some(name)) => flow.contains(&format!("name: {name}")),
        PathStep::Item(..) => !flow.starts_with('{'),
    }
}

/// The indentation of a line's content, with the dashes of list items, and the content.
fn content(line: &str) -> (usize, &str) {
    let mut rest = line.trim_start();
    while let Some(inner) = rest.strip_prefix("- ") {
        rest = inner.trim_start();
    }
    (line.len() - rest.len(), rest)
}

/// Whether a line is blank, a comment, or an action that renders no line of its own.
fn is_empty(line: &str) -> bool {
    let text = line.trim();
    text.is_empty() || text.starts_with('#') || text.starts_with("{{") || text == "---"
}

/// The line of a key, among the least indented lines: deeper ones belong to other keys.
fn key_line(lines: &[&str], range: Range<usize>, key: &str) -> Option<usize> {
    let full = || range.clone().filter(|at| !is_empty(lines[*at]));
    let margin = full().map(|at| content(lines[at]).0).min()?;
    let is_key = |at: &usize| {
        let rest = content(lines[*at]).1.trim_start_matches(['"', '\'', '{']);
        let rest = rest.strip_prefix(key).map(|rest| rest.trim_start_matches(['"', '\'']));
        rest.is_some_and(|rest| rest.starts_with(':'))
    };
    full().filter(|at| content(lines[*at]).0 == margin).find(is_key)
}

/// The line of a list's item: the one with this name, else the one at this index.
fn item_line(lines: &[&str], range: Range<usize>, index: usize, name: Option<&str>) -> Option<usize> {
    let dashes: Vec<usize> = range.clone().filter(|at| lines[*at].trim_start().starts_with("- ")).collect();
    let margin = dashes.iter().map(|at| lines[*at].len() - lines[*at].trim_start().len()).min()?;
    let items = dashes.into_iter().filter(|at| lines[*at].len() - lines[*at].trim_start().len() == margin);
    let Some(name) = name else { return items.into_iter().nth(index) };
    let names = |text: &str| {
        let value = text.split_once("name:").map(|(_, value)| value.trim_start().trim_matches(['"', '\'']));
        value.is_some_and(|value| value.split([',', '}', ' ', '"', '\'']).next() == Some(name))
    };
    items.into_iter().find(|at| names(lines[*at]))
}

/// The lines of the key or item that starts on a line.
fn extent(lines: &[&str], line: usize, end: usize, step: &PathStep) -> Range<usize> {
    let indent = match step {
        PathStep::Key(_) => content(lines[line]).0,
        PathStep::Item(..) => lines[line].len() - lines[line].trim_start().len(),
    };
    let dashed = |text: &str| matches!(step, PathStep::Key(_)) && text.trim_start().starts_with("- ");
    let outside = |at: &usize| {
        let own = lines[*at].len() - lines[*at].trim_start().len();
        !is_empty(lines[*at]) && (own < indent || (own == indent && !dashed(lines[*at])))
    };
    let start = if matches!(step, PathStep::Item(..)) { line } else { line + 1 };
    start..(line + 1..end).find(outside).unwrap_or(end)
}

/// The document of a template that renders an object: by kind, then by the literal end of its name.
fn document(lines: &[&str], subject: &Subject) -> Range<usize> {
    let mut starts: Vec<usize> = (0..lines.len()).filter(|at| lines[*at].trim() == "---").map(|at| at + 1).collect();
    starts.insert(0, 0);
    let ends = starts.iter().skip(1).map(|start| start - 1).chain([lines.len()]);
    let documents: Vec<Range<usize>> = starts.iter().zip(ends).map(|(start, end)| *start..end).collect();
    let kind = format!("kind: {}", subject.kind);
    let of_kind = documents.into_iter().filter(|range| range.clone().any(|at| lines[at].trim_end() == kind));
    let literal = |range: &Range<usize>| {
        let found = deepest(lines, range.clone(), &Path::default().key("metadata").key("name").0);
        let text = lines[found.line].rsplit(['}', ' ']).next().filter(|_| found.matched == 2).unwrap_or_default();
        if subject.name.ends_with(text) { text.len() } else { 0 }
    };
    // The first of equal ones.
    of_kind.reduce(|best, other| if literal(&other) > literal(&best) { other } else { best }).unwrap_or(0..lines.len())
}

/// The named templates that a line includes.
fn includes(line: &str) -> impl Iterator<Item = &str> {
    let after = line.match_indices("include ").map(|(at, word)| line[at + word.len()..].trim_start());
    after.filter_map(|rest| rest.strip_prefix('"').or_else(|| rest.strip_prefix('\''))?.split(['"', '\'']).next())
}

/// The path of the one value that a line renders: `resources: {{- toYaml .Values.api.resources | nindent 12 }}`.
fn value_path(line: &str) -> Option<Vec<&str>> {
    let (_, action) = line.split_once(": {{")?;
    let (_, rest) = action.split_once(".Values.")?;
    let path = rest.split(|letter: char| !letter.is_alphanumeric() && letter != '.').next()?;
    (!rest.contains(".Values.")).then(|| path.trim_end_matches('.').split('.').collect())
}

#[cfg(test)]
mod tests;
