//! Validation of the charts before anything is deployed: takes seconds, needs no cluster.
//!
//! Every values file is linted, rendered, and its objects are checked against Kubernetes' own types and against
//! [`policy`]; texts are checked for the separation of stage dev from the others.

mod administrators_chart;
mod helm_refusal;

use futures::future::join_all;

pub use administrators_chart::check as administrators;
use harness_manifest::against_spec::{self, SpecText};
pub use harness_manifest::{
    Finding, Object, Path, PathStep, Place, Rendered, Subject, TemplateSources, merge, nginx, policy, separation, types,
};
use harness_manifest::{object, template_sources};

use crate::artifacts::ArtifactSet;
use crate::error::{Error, Result};
use crate::project::Project;
use crate::release::{self, Plan, Staged};
use crate::settings::Deployer;
use crate::spec::{ValuesFile, spec};
use crate::stage::Stage;
use crate::tools::Tools;

/// Rule: every values file of the umbrella chart is listed in the spec, and so is checked.
const LISTED: &str = "values-listed";

/// Rules about rendered objects beside those of [`policy`].
pub const OF_OBJECTS: [&str; 2] = [types::TYPES, types::FIELDS];

/// Rules about texts and calls.
const OTHERS: [&str; 8] = [
    against_spec::SPEC,
    helm_refusal::LINT,
    helm_refusal::RENDER,
    helm_refusal::SCHEMA,
    object::WELL_FORMED,
    separation::TILT,
    separation::DEV,
    LISTED,
];

/// The result of a validation.
#[derive(Debug)]
pub struct ValidationReport {
    /// The findings, by place; none if the charts are valid.
    pub findings: Vec<Finding>,
    /// How many values files were rendered.
    pub files: usize,
    /// How many objects they render to.
    pub objects: usize,
    /// How many rules there are.
    pub rules: usize,
}

/// The plan that renders a values file, with placeholder images or, in stage dev, the file's own.
pub fn plan(charts: Staged, file: &ValuesFile) -> Plan {
    let mut artifacts = ArtifactSet::placeholder();
    if file.dev {
        artifacts.builds.clear();
    }
    let plan = Plan::shared(charts, artifacts, Deployer::Helm, Stage::Local);
    let plan = Plan { values: file.file.to_owned(), ..plan };
    file.set.iter().fold(plan, |plan, value| plan.with(value))
}

/// Renders a plan of [`plan`].
///
/// # Errors
/// [`Error::Command`] when it does not render.
pub async fn render(tools: &Tools, plan: &Plan, file: &ValuesFile) -> Result<Rendered> {
    let rendered = Rendered::parse(&release::render(tools, plan).await?, (&plan.namespace, &plan.release), file.dev);
    Ok(Rendered { live: spec().values.live.is_some_and(|live| live.file == file.file), ..rendered })
}

/// The plan with the longest release name that the charts allow.
#[must_use]
pub fn longest_name(plan: &Plan) -> Plan {
    Plan { release: "n".repeat(spec().charts.release_max), ..plan.clone() }
}

/// The findings about a render: broken documents, wrong types, broken rules of [`policy`].
pub fn check(rendered: &Rendered) -> Vec<Finding> {
    let broken = rendered.broken.iter().cloned();
    broken.chain(types::check(rendered)).chain(policy::check(rendered)).collect()
}

/// [`check`] after a change of some objects of a render that had no findings; `changed` has each object's index and the kind
/// that it had. Rules that look at each object by itself look at the changed ones alone.
pub fn check_changed(rendered: &Rendered, changed: &[(usize, &str)]) -> Vec<Finding> {
    let objects = changed.iter().map(|(at, _)| rendered.objects[*at].clone()).collect();
    let alone = Rendered { objects, ..rendered.without_objects() };
    let concerned = |rule: &&policy::Rule| {
        changed.iter().any(|(at, kind)| rule.looks_at(kind) || rule.looks_at(rendered.objects[*at].kind()))
    };
    let rules = policy::RULES.iter().filter(concerned);
    let found = rules.flat_map(|rule| rule.check(if rule.is_alone() { &alone } else { rendered }));
    types::check(&alone).into_iter().chain(found).collect()
}

/// Checks every values file, side by side, the chart for administrators, and the files beside the charts.
///
/// # Errors
/// [`Error::Command`] when Helm fails for another reason than the charts; [`harness_base::Error::Io`] when a text cannot be read.
pub async fn run(tools: &Tools, project: &Project, charts: &Staged) -> Result<ValidationReport> {
    let sources = TemplateSources::read(&project.root, &[separation::TILTFILE, separation::SKAFFOLD_YAML])?;
    let mut findings = beside(&sources);
    let mut renders = Vec::new();
    let checked = spec().values.all.iter().map(|file| values_file(tools, charts, file, &sources));
    for (file, checked) in spec().values.all.iter().zip(join_all(checked).await) {
        let (found, rendered) = checked?;
        findings.extend(found);
        renders.extend(rendered.map(|rendered| (file, rendered)));
    }
    let objects = renders.iter().map(|(_, rendered)| rendered.objects.len()).sum::<usize>();
    findings.extend(against_the_spec(tools, project, charts, &renders).await?);
    let (found, count) = administrators(tools, &project.root).await?;
    findings.extend(found);
    let rules = policy::RULES.len() + OF_OBJECTS.len() + OTHERS.len();
    Ok(ValidationReport {
        findings: merge(findings),
        files: spec().values.all.len() + 1,
        objects: objects + count,
        rules,
    })
}

/// Renders every values file, by its name, with placeholder images.
///
/// # Errors
/// [`Error::Command`] when one does not render; [`Error::Unmet`] when a document of it is no object.
pub async fn renders(tools: &Tools, charts: &Staged) -> Result<Vec<(&'static str, Rendered)>> {
    let one = async |file: &'static ValuesFile| {
        let rendered = render(tools, &plan(charts.clone(), file), file).await?;
        expect_none(&rendered.broken)?;
        Ok((file.name, rendered))
    };
    join_all(spec().values.all.iter().map(one)).await.into_iter().collect()
}

/// Checks one values file: findings, and what it renders to, if it does.
async fn values_file(
    tools: &Tools,
    charts: &Staged,
    file: &ValuesFile,
    sources: &TemplateSources,
) -> Result<(Vec<Finding>, Option<Rendered>)> {
    let plan = plan(charts.clone(), file);
    let longest = longest_name(&plan);
    let (linted, rendered, long) =
        tokio::join!(release::lint(tools, &plan), render(tools, &plan, file), render(tools, &longest, file));
    let mut findings = Vec::new();
    if let Err(error) = linted {
        findings.extend(helm_refusal::findings(error.into(), helm_refusal::LINT, file.file, sources)?);
    }
    let rendered = match rendered {
        Ok(rendered) => rendered,
        Err(error) => {
            // Lint renders too, and reports the same failure.
            findings.retain(|finding| finding.rule != helm_refusal::LINT);
            findings.extend(helm_refusal::findings(error, helm_refusal::RENDER, file.file, sources)?);
            return Ok((findings, None));
        }
    };
    let mut found = check(&rendered);
    match long {
        Ok(long) => found.extend(names_alone(&long, &found)),
        Err(error) => findings.extend(helm_refusal::findings(error, helm_refusal::RENDER, file.file, sources)?),
    }
    let located = found.into_iter().map(|finding| sources.locate(finding, file.file));
    findings.extend(located.map(|finding| Finding { values: vec![file.file], ..finding }));
    Ok((findings, Some(rendered)))
}

/// The findings where the charts differ from the stack's spec.
async fn against_the_spec(
    tools: &Tools,
    project: &Project,
    charts: &Staged,
    renders: &[(&'static ValuesFile, Rendered)],
) -> Result<Vec<Finding>> {
    let text = SpecText::read(&project.root, spec().source)?;
    let renders: Vec<_> = renders.iter().map(|(file, rendered)| (*file, rendered)).collect();
    let mut findings = against_spec::check(spec(), &renders, &text);
    let shared = &spec().values.shared;
    // A values file that does not render is a finding already.
    let as_it_is = renders.iter().find(|(file, _)| file.file == shared.file);
    if let Some((value, (_, as_it_is))) = spec().own.in_its_pod.zip(as_it_is) {
        let with = render(tools, &plan(charts.clone(), shared).with(value), shared).await?;
        let objects =
            |rendered: &Rendered| rendered.objects.iter().map(|object| object.value.clone()).collect::<Vec<_>>();
        findings.extend((objects(&with) == objects(as_it_is)).then(|| against_spec::in_its_pod(value, &text)));
    }
    Ok(findings)
}

/// The findings about names that are too long only with the longest release name.
fn names_alone(long: &Rendered, known: &[Finding]) -> Vec<Finding> {
    let place = |finding: &Finding| (finding.rule, finding.place.clone(), finding.path.clone());
    let known: Vec<_> = known.iter().map(place).collect();
    let new = policy::NAMES.check(long).into_iter().filter(|finding| !known.contains(&place(finding)));
    let told = |finding: Finding| Finding {
        message: format!("{}, with a release name of {} characters", finding.message, spec().charts.release_max),
        ..finding
    };
    new.map(told).collect()
}

/// Checks what needs no render: the texts of the Tiltfile, skaffold.yaml, and values files.
pub fn beside(sources: &TemplateSources) -> Vec<Finding> {
    let dev = spec().values.dev.map(|of| of.file);
    let mut findings = Vec::new();
    findings.extend(sources.text(separation::TILTFILE).map(separation::tiltfile).unwrap_or_default());
    let skaffold = sources.text(separation::SKAFFOLD_YAML).zip(dev).map(|(text, dev)| separation::skaffold(text, dev));
    findings.extend(skaffold.unwrap_or_default());
    for (path, text) in sources.files() {
        let name = std::path::Path::new(path).file_name().unwrap_or_default().to_string_lossy();
        if !name.starts_with("values") || !name.ends_with(".yaml") || dev == Some(&*name) {
            continue;
        }
        findings.extend(dev.map(|dev| separation::values(text, path, dev)).unwrap_or_default());
        let listed = spec().values.all.iter().any(|file| template_sources::values_file(file.file) == path);
        if name != "values.yaml" && !listed {
            let place = Place { file: path.to_owned(), line: None };
            findings.push(Finding::at(
                LISTED,
                place,
                "nothing checks it: add it to the stack's spec (StackSpec, values.all)",
            ));
        }
    }
    findings
}

/// Expects that there are no findings; for scenarios.
///
/// # Errors
/// [`Error::Unmet`] that lists the findings.
pub fn expect_none(findings: &[Finding]) -> Result<()> {
    if findings.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = findings.iter().map(|finding| format!("\n  {finding}")).collect();
    Err(Error::Unmet(format!("{} findings:{}", findings.len(), lines.concat())))
}
