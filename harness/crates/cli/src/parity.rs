//! `cargo stack parity`: what the clusters of stages local and ci really held, compared.

use std::process::ExitCode;

use harness::cluster::ClusterState;
use harness::files::read_json;
use harness::project::Project;
use harness::release::deployed_objects::{DeployedObject, DeployedObjects};
use harness::release::{Plan, parity::Difference};
use harness::settings::{STAGE, Settings};
use harness::stage::Stage;
use harness::{Error, Result, say};

pub fn run(settings: &Settings) -> Result<ExitCode> {
    let (local, ci) = (held(settings, Stage::Local)?, held(settings, Stage::Ci)?);
    let facts = facts(&local.plan, &ci.plan);
    let (images, others): (Vec<_>, Vec<_>) =
        local.differences(&ci).into_iter().partition(Difference::is_image_reference);
    for (name, of_local, of_ci) in &facts {
        let both = if of_local == of_ci { of_local.clone() } else { format!("DIFFERENT: {of_local} is not {of_ci}") };
        say!("{name:12}  {both}");
    }
    table(&local, &images, &others);
    for difference in &others {
        say!("{difference}");
    }
    let counts = local.objects.iter().map(DeployedObject::fields);
    let (declared, defaults) = counts.fold((0, 0), |sum, object| (sum.0 + object.0, sum.1 + object.1));
    say!(
        "{} objects, {declared} declared fields and {defaults} defaults; different image references: {}; other differences: {}  (revisions {} and {})",
        local.objects.len(),
        images.len(),
        others.len(),
        local.plan.artifacts.revision,
        ci.plan.artifacts.revision
    );
    let same = others.is_empty() && facts.iter().all(|(_, local, ci)| local == ci);
    if local.plan.charts.hash != ci.plan.charts.hash {
        say!(
            "charts or skaffold.yaml changed between the two: {STAGE}=local cargo stack up, then the same for ci, deploys them anew"
        );
    }
    Ok(if same { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What both were deployed from: each fact with its value in stage local and in stage ci.
fn facts(local: &Plan, ci: &Plan) -> Vec<(&'static str, String, String)> {
    let fact = |name, of: fn(&Plan) -> String| (name, of(local), of(ci));
    vec![
        fact("namespace", |plan| plan.namespace.clone()),
        fact("release", |plan| plan.release.clone()),
        fact("values", |plan| [plan.values.as_str(), &plan.overrides.join(" ")].join(" ").trim_end().to_owned()),
        fact("charts", |plan| plan.charts.hash.clone()),
        fact("deployer", |plan| format!("{:?}", plan.deployer).to_lowercase()),
    ]
}

/// A line for each object of the first.
fn table(local: &DeployedObjects, images: &[Difference], others: &[Difference]) {
    let titles: Vec<String> = local.objects.iter().map(DeployedObject::title).collect();
    let width = titles.iter().map(String::len).max().unwrap_or_default();
    say!("{:width$}  declared  defaults  stages local and ci", "object");
    for (object, title) in local.objects.iter().zip(&titles) {
        let count = |list: &[Difference]| list.iter().filter(|difference| &difference.object == title).count();
        let verdict = match (count(others), count(images)) {
            (0, 0) => "the same".to_owned(),
            (0, images) => format!("the same but for image references: {images}"),
            (others, _) => format!("DIFFERENT in fields: {others}"),
        };
        let (declared, defaults) = object.fields();
        say!("{title:width$}  {declared:8}  {defaults:8}  {verdict}");
    }
}

fn held(settings: &Settings, stage: Stage) -> Result<DeployedObjects> {
    let cluster_state = ClusterState::of(settings, &Project::find(settings)?, stage);
    let deploy = format!("{STAGE}={stage} cargo stack up, then cargo stack parity");
    read_json(&cluster_state.held(), &deploy)?
        .ok_or_else(|| Error::refused(format!("stage {stage} has deployed nothing here yet"), deploy))
}
