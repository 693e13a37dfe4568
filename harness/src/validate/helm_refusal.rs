//! Reads Helm's error output as findings with places.

use harness_manifest::PathStep;
use harness_manifest::template_sources::{TemplateSources, in_checkout, values_file};
use harness_manifest::{Finding, Place};

use crate::error::{Error, Result};
use crate::spec::spec;

/// Rule: `helm template` renders it.
pub const RENDER: &str = "helm-template";
/// Rule: `helm lint --strict` has nothing to say.
pub const LINT: &str = "helm-lint";
/// Rule: the values fit values.schema.json.
pub const SCHEMA: &str = "values-schema";

/// The findings of a failed call of Helm.
///
/// # Errors
/// The error itself when Helm did not speak about the charts.
pub fn findings(
    error: Error,
    rule: &'static str,
    values: &'static str,
    sources: &TemplateSources,
) -> Result<Vec<Finding>> {
    let Error::Command(failure) = &error else { return Err(error) };
    let found = read(&failure.tail, rule, values, sources);
    if found.is_empty() { Err(error) } else { Ok(found) }
}

/// Reads the findings from the text of Helm's errors.
fn read(text: &str, rule: &'static str, values: &'static str, sources: &TemplateSources) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut chart = None;
    let stage = || Place { file: values_file(values), line: None };
    for line in text.lines() {
        let line = line.trim_end();
        let message = ["Error: ", "[ERROR] ", "[WARNING] "].iter().find_map(|start| line.strip_prefix(start));
        if let Some(detail) = line.split_once("- at '").map(|(_, detail)| detail) {
            let Some((pointer, message)) = detail.split_once("': ") else { continue };
            let steps = pointer_steps(pointer, message);
            // Lint names the umbrella's findings twice: first without a chart's name, then below each chart.
            if let Some(chart) = chart.or((rule == LINT).then_some(spec().charts.umbrella)) {
                let place = sources.schema_place(chart, &steps, values).unwrap_or_else(stage);
                findings.push(Finding::at(SCHEMA, place, format!("{chart}{}: {message}", pointer.replace('/', "."))));
            }
        } else if let Some(message) = message.filter(|message| !is_frame(message)) {
            let of_stage = || message.contains(values).then(stage);
            let place = place_in(message).or_else(|| yaml_line(message, values)).or_else(of_stage);
            findings.push(Finding { place, ..Finding::at(rule, stage(), message) });
        } else if let Some(name) = line.strip_suffix(':') {
            chart = Some(name).filter(|name| !name.contains(' ')).or(chart);
        }
    }
    findings.into_iter().map(|finding| Finding { values: vec![values], ..finding }).collect()
}

/// Whether a line only introduces or counts other lines.
fn is_frame(message: &str) -> bool {
    message.contains("values don't meet the specifications") || message.contains("chart(s) linted")
}

/// A JSON pointer as path steps; a property that the message calls additional is the last step.
fn pointer_steps(pointer: &str, message: &str) -> Vec<PathStep> {
    let step = |text: &str| match text.parse() {
        Ok(index) => PathStep::Item(index, None),
        Err(_) => PathStep::Key(text.replace("~1", "/").replace("~0", "~")),
    };
    let additional = message.strip_prefix("additional properties '").and_then(|rest| rest.split('\'').next());
    pointer
        .split('/')
        .filter(|text| !text.is_empty())
        .map(step)
        .chain(additional.map(|key| PathStep::Key(key.to_owned())))
        .collect()
}

/// `… app/charts/backend/templates/api.yaml:12:34 …`: the template that a message names.
fn place_in(message: &str) -> Option<Place> {
    let start = ["templates/", "charts/"]
        .iter()
        .find_map(|folder| message.find(&format!("{}/{folder}", spec().charts.umbrella)))?;
    let name = message[start..].split(|letter: char| letter.is_whitespace() || "\"()<>,".contains(letter)).next()?;
    let mut parts = name.split(':');
    let file = in_checkout(parts.next()?)?;
    Some(Place { file, line: parts.next().and_then(|line| line.parse().ok()) })
}

/// The place in a values file that does not parse as YAML.
fn yaml_line(message: &str, values: &str) -> Option<Place> {
    let (_, rest) = message.split_once(values)?.1.split_once("yaml: line ")?;
    let line = rest.split(':').next()?.parse().ok()?;
    Some(Place { file: values_file(values), line: Some(line) })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::schema(
        "Error: values don't meet the specifications of the schema(s) in the following chart(s):\nbackend:\n\
         - at '/api': additional properties 'replica' not allowed\nfrontend:\n- at '/replicas': got string, want integer",
        "charts/app/values.live.yaml: values-schema: backend.api: additional properties 'replica' not allowed (values.live.yaml)\n\
         charts/app/values.live.yaml: values-schema: frontend.replicas: got string, want integer (values.live.yaml)"
    )]
    #[case::a_check_of_the_chart(
        "Error: execution error at (app/templates/checks.yaml:21:4): ingress.host is empty\n\nUse --debug flag to render out invalid YAML",
        "charts/app/templates/checks.yaml:21: helm-template: execution error at (app/templates/checks.yaml:21:4): ingress.host is empty (values.live.yaml)"
    )]
    #[case::template(
        "Error: parse error at (app/charts/backend/templates/api.yaml:102): missing value for if",
        "charts/backend/templates/api.yaml:102: helm-template: parse error at (app/charts/backend/templates/api.yaml:102): missing value for if (values.live.yaml)"
    )]
    #[case::rendered_yaml(
        "Error: YAML parse error on app/charts/backend/templates/api.yaml: error converting YAML to JSON: yaml: line 13: mapping values are not allowed in this context",
        "charts/backend/templates/api.yaml: helm-template: YAML parse error on app/charts/backend/templates/api.yaml: error converting YAML to JSON: yaml: line 13: mapping values are not allowed in this context (values.live.yaml)"
    )]
    #[case::no_place(
        "Error: error unpacking subchart redis in app: validation: chart.metadata.version is required",
        "helm-template: error unpacking subchart redis in app: validation: chart.metadata.version is required (values.live.yaml)"
    )]
    #[case::values_file(
        "Error: failed to parse /x/charts/app/values.live.yaml: error converting YAML to JSON: yaml: line 46: did not find expected node content",
        "charts/app/values.live.yaml:46: helm-template: failed to parse /x/charts/app/values.live.yaml: error converting YAML to JSON: yaml: line 46: did not find expected node content (values.live.yaml)"
    )]
    fn helms_words(#[case] text: &str, #[case] findings: &str) {
        let found = read(text, RENDER, "values.live.yaml", &TemplateSources::default());
        assert_eq!(found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"), findings);
    }

    #[test]
    fn of_a_lint() {
        let text = "==> Linting app\n[ERROR] values.yaml: - at '': additional properties 'ingres' not allowed\n\n\
                    [ERROR] templates/: values don't meet the specifications of the schema(s) in the following chart(s):\n\
                    app:\n- at '': additional properties 'ingres' not allowed\n\nError: 1 chart(s) linted, 1 chart(s) failed";
        let found = crate::validate::merge(read(text, LINT, "values.live.yaml", &TemplateSources::default()));
        assert_eq!(
            found.iter().map(ToString::to_string).collect::<Vec<_>>(),
            [
                "charts/app/values.live.yaml: values-schema: app: additional properties 'ingres' not allowed (values.live.yaml)"
            ]
        );
    }
}
