//! Checks that stage dev (Tilt's) and the other stages (Skaffold's or Helm's) do not name each other's parts. Pure.

use crate::finding::{Finding, Place};

/// Rule: the Tiltfile never runs Skaffold.
pub const TILT: &str = "tilt-without-skaffold";
/// Rule: files of other stages name no image, target, values file or mode of stage dev.
pub const DEV: &str = "no-dev-outside-dev";

/// The Tiltfile's path in the checkout.
pub const TILTFILE: &str = "Tiltfile";
/// The path of Skaffold's configuration in the checkout.
pub const SKAFFOLD_YAML: &str = "skaffold.yaml";

/// Calls that run another Starlark file (docs.tilt.dev, "API reference").
const LOADS: [&str; 3] = ["load(", "load_dynamic(", "include("];
/// The harness's tasks that run Skaffold.
const RUNS_SKAFFOLD: [&str; 3] = ["cargo stack up", "cargo stack verify", "cargo stack artifacts"];

/// The findings about a Tiltfile that runs Skaffold in a text literal; comments may name it. A loaded file could run it too:
/// since it is not read, loading one is a finding.
pub fn tiltfile(text: &str) -> Vec<Finding> {
    let finding = |literal: &Literal| {
        let place = Place { file: TILTFILE.to_owned(), line: Some(literal.line) };
        let what = match runs_skaffold(&literal.text) {
            Some(what) => format!("it runs {what}: stage dev is Tilt's alone"),
            None if literal.is_loaded && !literal.text.starts_with("ext://") => {
                format!("it loads {:?}, and nobody looks whether that runs skaffold: put it here", literal.text)
            }
            None => return None,
        };
        Some(Finding::at(TILT, place, what))
    };
    literals(text).iter().filter_map(finding).collect()
}

/// A text literal of a Starlark file.
struct Literal {
    /// The line on which it starts, from 1.
    line: usize,
    text: String,
    /// Whether it names a Starlark file that is run.
    is_loaded: bool,
}

/// `skaffold`, or the task that runs it; `None` where the literal names neither.
fn runs_skaffold(literal: &str) -> Option<&'static str> {
    let words: Vec<_> = literal.split(|letter: char| !letter.is_alphanumeric() && !"-_.".contains(letter)).collect();
    if words.contains(&"skaffold") {
        return Some("skaffold");
    }
    let line = words.join(" ");
    RUNS_SKAFFOLD.into_iter().find(|task| line.contains(task))
}

/// The text literals of a Starlark file; those of a list are joined, as a command's words are.
fn literals(text: &str) -> Vec<Literal> {
    let mut found: Vec<Literal> = Vec::new();
    let mut rest = text;
    let mut in_list = false;
    let line = |rest: &str| text[..text.len() - rest.len()].matches('\n').count() + 1;
    while let Some(at) = rest.find(['#', '"', '\'']) {
        let between = rest[..at].trim();
        in_list = (in_list && between == ",") || between.ends_with('[');
        let is_call = |before: &str| !before.ends_with(|sign: char| sign.is_alphanumeric() || "_.".contains(sign));
        let is_loaded = LOADS.iter().any(|call| between.strip_suffix(call).is_some_and(is_call));
        rest = &rest[at..];
        if rest.starts_with('#') {
            rest = rest.find('\n').map_or("", |end| &rest[end..]);
            continue;
        }
        let quote = if rest.starts_with("\"\"\"") || rest.starts_with("'''") { &rest[..3] } else { &rest[..1] };
        let inner = &rest[quote.len()..];
        let end = closing(inner, quote).unwrap_or(inner.len());
        match found.last_mut() {
            Some(list) if in_list && between == "," => list.text.extend([" ", &inner[..end]]),
            _ => found.push(Literal { line: line(rest), text: inner[..end].to_owned(), is_loaded }),
        }
        rest = inner.get(end + quote.len()..).unwrap_or_default();
    }
    found
}

/// The end of a literal: its quote, unless a backslash stands before it.
fn closing(inner: &str, quote: &str) -> Option<usize> {
    let mut at = 0;
    while let Some(letter) = inner[at..].chars().next() {
        if inner[at..].starts_with(quote) {
            return Some(at);
        }
        let escaped = if letter == '\\' { inner[at + 1..].chars().next().map_or(0, char::len_utf8) } else { 0 };
        at += letter.len_utf8() + escaped;
    }
    None
}

/// The findings about names of stage dev in Skaffold's configuration.
pub fn skaffold(text: &str, dev_values: &str) -> Vec<Finding> {
    named_dev(text, SKAFFOLD_YAML, dev_values, |_| true)
}

/// The findings about images or the mode of stage dev in a values file of other stages; `devMode: false` is none.
pub fn values(text: &str, file: &str, dev_values: &str) -> Vec<Finding> {
    named_dev(text, file, dev_values, |line| {
        let value = line.split_once("devMode").map(|(_, rest)| rest.trim_start_matches(['"', '\'', ':', ' ']));
        !value.is_some_and(|value| value.starts_with("false"))
    })
}

fn named_dev(text: &str, file: &str, dev_values: &str, dev_mode: impl Fn(&str) -> bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = without_comment(line);
        let place = || Place { file: file.to_owned(), line: Some(at + 1) };
        let mut found =
            |what: &str| findings.push(Finding::at(DEV, place(), format!("{what}, which is stage dev's alone")));
        if line.contains("devMode") && dev_mode(line) {
            found("it sets devMode");
        }
        for word in line.split(|letter: char| !letter.is_alphanumeric() && !"-_./:@".contains(letter)) {
            let word = word.trim_end_matches(':');
            if word.ends_with(dev_values) {
                found(&format!("it names {word}"));
            } else if is_dev(word) {
                found(&format!("it names {word:?}"));
            }
        }
    }
    findings
}

/// Whether a word names an image or target of stage dev: `dev`, `backend-dev`, `registry/backend-dev:tag`, `backend:dev`.
fn is_dev(word: &str) -> bool {
    let name = word.split_once('@').map_or(word, |(name, _)| name);
    let last = name.rsplit('/').next().unwrap_or_default();
    last == "dev" && last == word || last.split(':').any(|part| part.ends_with("-dev")) || last.ends_with(":dev")
}

/// A line of YAML without its comment.
fn without_comment(line: &str) -> &str {
    let mut quote = None;
    let mut before = ' ';
    for (at, letter) in line.char_indices() {
        match (quote, letter) {
            (None, '#') if before.is_whitespace() => return &line[..at],
            (None, '"' | '\'') => quote = Some(letter),
            (Some(open), _) if open == letter => quote = None,
            _ => {}
        }
        before = letter;
    }
    line
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::comment("# Tilt never runs skaffold\n", &[])]
    #[case::comment_after_code("x = 1 # not 'skaffold'\n", &[])]
    #[case::prose("fail('Skaffold is for other stages')", &[])]
    #[case::its_file("watch_file('skaffold.yaml')", &[])]
    #[case::hash_in_a_literal("local('echo # skaffold')", &[1])]
    #[case::escaped_quote("x = 'it\\'s'\nlocal('skaffold')", &[2])]
    #[case::several_lines("local(\n  \"\"\"set -e\n  skaffold run\"\"\")", &[2])]
    #[case::another_call("x = reload('./more.star')", &[])]
    #[case::extension("load('ext://helm_resource', 'helm_resource')", &[])]
    #[case::loaded("# x\nload('./more.star', 'f')\ninclude('other/Tiltfile')", &[2, 3])]
    #[case::harness("local_resource('up', cmd=['cargo', 'stack', 'up'])\nlocal('cargo stack up')", &[1, 2])]
    fn tiltfiles(#[case] text: &str, #[case] lines: &[usize]) {
        let found = tiltfile(text).into_iter().filter_map(|finding| finding.place?.line);
        assert_eq!(found.collect::<Vec<_>>(), lines);
    }

    #[rstest]
    #[case("backend-dev", true)]
    #[case("r.internal:5000/backend-dev:x", true)]
    #[case("backend:dev", true)]
    #[case("backend-dev@sha256:00", true)]
    #[case("dev", true)]
    #[case("/dev", false)]
    #[case("backend", false)]
    #[case("device", false)]
    #[case("backend-devices", false)]
    fn dev_names(#[case] word: &str, #[case] dev: bool) {
        assert_eq!(is_dev(word), dev);
    }
}
