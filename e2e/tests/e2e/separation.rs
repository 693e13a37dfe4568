//! Stage dev is deployed by Tilt, every other stage by Skaffold or Helm: no file of one names what belongs to the other.

use harness::scenario::{ScenarioResult, Scenarios, each, scenario};
use harness::spec::ValuesFile;
use harness::stack::Charts;
use harness::validate::{Finding, TemplateSources, expect_none, policy, separation};
use harness::{expect, expect_eq};
use jetscale::values::{DEV, E2E, LIVE, MANAGED, PREVIEW};

const DEV_VALUES: &str = DEV.file;
/// What a configuration of Skaffold may look like.
const SKAFFOLD: &str = include_str!("../fixtures/skaffold.yaml");
/// What a values file may look like.
const VALUES: &str = include_str!("../fixtures/values.yaml");

pub fn scenarios() -> Vec<Scenarios> {
    vec![
        scenario(the_tiltfile_skaffold_yaml_and_values_files_keep_apart),
        each(no_command_is_overridden, [("e2e", E2E), ("preview", PREVIEW), ("managed", MANAGED), ("live", LIVE)]),
        each(
            a_tiltfile_that_runs_skaffold_is_caught,
            [
                ("by_local", "local('skaffold run --profile=local')"),
                ("by_path", "local('cd .. && exec ~/bin/skaffold dev')"),
                ("by_local_resource", "local_resource('stack', cmd='skaffold run', deps=['charts'])"),
                ("by_a_list", "custom_build('backend', ['skaffold', 'build'], ['apps/backend'])"),
                ("by_several_lines", "local(\"\"\"\n  set -e\n  skaffold run\n\"\"\")"),
                ("by_an_extension", "load('ext://skaffold', 'skaffold_build')"),
                ("by_another_file", "include('./stack/Tiltfile')"),
                ("by_the_harness", "local_resource('stack', cmd=['cargo stack up'])"),
                ("by_the_harness_in_a_list", "local_resource('stack', cmd=['cargo', 'stack', 'verify'])"),
            ],
        ),
        each(
            a_tiltfile_that_speaks_of_skaffold_is_not,
            [
                ("in_a_comment", "# Never runs Skaffold: 'skaffold run' is for other stages.\nk8s_yaml('x.yaml')"),
                ("behind_code", "docker_build('backend-dev', '.') # skaffold builds the others"),
                ("in_a_message", "fail('this context is of Skaffold\\'s cluster')"),
            ],
        ),
        each(
            a_skaffold_yaml_that_names_dev_is_caught,
            [
                ("a_target", ("target: backend", "target: backend-dev")),
                ("an_image", ("image: backend", "image: jetscale.internal/backend-dev")),
                ("values", ("values.local.e2e.yaml", "values.local.dev.yaml")),
                ("the_mode", ("ingress.enabled: true", "global.devMode: true")),
                ("a_tag", ("'{{.IMAGE_DIGEST_backend}}'", "backend:dev")),
            ],
        ),
        each(
            a_values_file_that_names_dev_is_caught,
            [
                ("the_mode", ("devMode: false", "devMode: true")),
                ("the_mode_by_a_word", ("devMode: false", "devMode: \"yes\"")),
                ("an_image", ("repository: backend", "repository: jetscale.internal/backend-dev")),
                ("an_image_with_a_tag", ("repository: backend", "repository: backend-dev:latest")),
                ("a_tag", ("tag: \"\"", "tag: dev")),
            ],
        ),
        each(
            a_command_in_a_release_is_caught,
            [("of_the_api", "backend.api.command={sh}"), ("of_the_frontend", "frontend.command={nginx-debug}")],
        ),
    ]
}

/// The working tree as it is; a Tiltfile that is not there runs nothing.
async fn the_tiltfile_skaffold_yaml_and_values_files_keep_apart(charts: Charts) -> ScenarioResult {
    let sources = TemplateSources::read(charts.root(), &[separation::TILTFILE, separation::SKAFFOLD_YAML])?;
    expect!(sources.text(separation::SKAFFOLD_YAML).is_some(), "no skaffold.yaml was read")?;
    expect_none(&harness::validate::beside(&sources))
}

async fn no_command_is_overridden(charts: Charts, file: ValuesFile) -> ScenarioResult {
    expect_none(&policy::COMMAND.check(&charts.rendered(&charts.with_values(&file), &file).await?))
}

async fn a_tiltfile_that_runs_skaffold_is_caught(_: Charts, text: &'static str) -> ScenarioResult {
    let second_line = format!("# Tilt, not Skaffold\n{text}");
    caught(&separation::tiltfile(&second_line), "Tiltfile:2")
}

async fn a_tiltfile_that_speaks_of_skaffold_is_not(_: Charts, text: &'static str) -> ScenarioResult {
    expect_none(&separation::tiltfile(text))
}

type Change = (&'static str, &'static str);

async fn a_skaffold_yaml_that_names_dev_is_caught(_: Charts, change: Change) -> ScenarioResult {
    expect_none(&separation::skaffold(SKAFFOLD, DEV_VALUES))?;
    let (text, place) = planted(SKAFFOLD, change, "skaffold.yaml")?;
    caught(&separation::skaffold(&text, DEV_VALUES), &place)
}

async fn a_values_file_that_names_dev_is_caught(_: Charts, change: Change) -> ScenarioResult {
    expect_none(&separation::values(VALUES, "values.yaml", DEV_VALUES))?;
    let (text, place) = planted(VALUES, change, "values.yaml")?;
    caught(&separation::values(&text, "values.yaml", DEV_VALUES), &place)
}

/// Stage dev's values alone may set a command; the charts' schema refuses it elsewhere, so dev mode is rendered here.
async fn a_command_in_a_release_is_caught(charts: Charts, command: &'static str) -> ScenarioResult {
    let plan = charts.with_values(&DEV).with(command);
    let mut rendered = charts.rendered(&plan, &DEV).await?;
    expect_none(&policy::COMMAND.check(&rendered))?;
    rendered.dev = false;
    let found = policy::COMMAND.check(&rendered);
    expect_eq!(found.len(), 1)
}

/// The text with the change, and the place of it.
fn planted(text: &str, (from, to): Change, file: &str) -> harness::Result<(String, String)> {
    let at = text.find(from).ok_or_else(|| harness::Error::Unmet(format!("the fixture has no {from}")))?;
    Ok((text.replacen(from, to, 1), format!("{file}:{}", text[..at].matches('\n').count() + 1)))
}

fn caught(findings: &[Finding], place: &str) -> ScenarioResult {
    let places: Vec<_> = findings.iter().filter_map(|finding| Some(finding.place.as_ref()?.to_string())).collect();
    expect_eq!(places, [place])
}
