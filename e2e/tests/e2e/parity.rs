//! Stages local and ci are the same deployment: proven from the charts and skaffold.yaml, without a cluster.

use harness::artifacts::ArtifactSet;
use harness::release::{Plan, Staged, parity};
use harness::scenario::{ScenarioResult, Scenarios, scenario};
use harness::stack::Charts;
use harness::stage::Stage;
use harness::{Error, Result, expect, expect_eq, yaml};
use jetscale::values::E2E;
use jetscale::{PULL_SECRET, STACK};
use serde_json::Value;

pub fn scenarios() -> Vec<Scenarios> {
    vec![
        scenario(helm_renders_the_same_bytes_for_both_stages),
        scenario(skaffold_renders_the_same_bytes_for_both_stages),
        scenario(helm_and_skaffold_render_the_same_objects),
        scenario(other_artifacts_change_image_references_alone),
        scenario(both_profiles_are_one_deployment),
        scenario(both_stages_are_the_plan_of_the_harness),
        scenario(a_value_that_one_profile_changes_is_named_by_its_path),
    ]
}

async fn helm_renders_the_same_bytes_for_both_stages(charts: Charts) -> ScenarioResult {
    let local = charts.render_text(&charts.plan_of(Stage::Local)?).await?;
    let ci = charts.render_text(&charts.plan_of(Stage::Ci)?).await?;
    same(&local, &ci)
}

async fn skaffold_renders_the_same_bytes_for_both_stages(charts: Charts) -> ScenarioResult {
    let local = charts.render_by_skaffold(&charts.plan_of(Stage::Local)?).await?;
    let ci = charts.render_by_skaffold(&charts.plan_of(Stage::Ci)?).await?;
    same(&local, &ci)
}

/// Whichever of the two deploys, the objects are the same; Skaffold adds one label, which is constant.
async fn helm_and_skaffold_render_the_same_objects(charts: Charts) -> ScenarioResult {
    for stage in [Stage::Local, Stage::Ci] {
        let plan = charts.plan_of(stage)?;
        let by_skaffold = yaml::objects(&charts.render_by_skaffold(&plan).await?)?;
        let by_skaffold: Vec<Value> = by_skaffold.into_iter().map(parity::without_run_id).collect();
        no_differences(&charts.render(&plan).await?, &by_skaffold)?;
    }
    Ok(())
}

async fn other_artifacts_change_image_references_alone(charts: Charts) -> ScenarioResult {
    let (local, mut ci) = (charts.plan_of(Stage::Local)?, charts.plan_of(Stage::Ci)?);
    ci.artifacts = elsewhere(&ci.artifacts);
    for (left, right) in [
        (charts.render_text(&local).await?, charts.render_text(&ci).await?),
        (charts.render_by_skaffold(&local).await?, charts.render_by_skaffold(&ci).await?),
    ] {
        let found = parity::differences(&yaml::objects(&left)?, &yaml::objects(&right)?);
        let others: Vec<String> = found.iter().filter(|it| !it.is_image_reference()).map(ToString::to_string).collect();
        expect!(others.is_empty(), "not only image references differ:\n{}", others.join("\n"))?;
        // The api's init container, the api, WebSocket, frontend, postgres, redis.
        expect_eq!(found.len(), 6)?;
    }
    Ok(())
}

/// What skaffold.yaml says of one is what it says of the other.
async fn both_profiles_are_one_deployment(charts: Charts) -> ScenarioResult {
    let skaffold = charts.skaffold()?;
    let named = |mut profile: Value| {
        profile["name"].take();
        profile["kind"] = "Profile".into();
        profile["metadata"] = serde_json::json!({"name": "of both stages"});
        profile
    };
    let [local, ci] = [Stage::Local, Stage::Ci].map(|stage| profile(&skaffold, stage).cloned().map(named));
    no_differences(&[local?], &[ci?])
}

/// Namespace, release, values, pull secret: the harness and both profiles agree, and no hook runs in either.
async fn both_stages_are_the_plan_of_the_harness(charts: Charts) -> ScenarioResult {
    let skaffold = charts.skaffold()?;
    for stage in [Stage::Local, Stage::Ci] {
        let plan = charts.plan_of(stage)?;
        let release = &profile(&skaffold, stage)?["deploy"]["helm"]["releases"][0];
        expect_eq!(
            (release["name"].as_str(), release["namespace"].as_str()),
            (Some(STACK.release), Some(STACK.namespace))
        )?;
        expect_eq!(
            (plan.release.as_str(), plan.namespace.as_str(), plan.values.as_str()),
            (STACK.release, STACK.namespace, E2E.file)
        )?;
        expect_eq!(release["valuesFiles"], serde_json::json!([format!("charts/app/{}", E2E.file)]))?;
        expect!(plan.overrides.is_empty(), "the harness overrides {:?}", plan.overrides)?;
        for object in yaml::objects(&charts.render_by_skaffold(&plan).await?)? {
            let title = parity::title(&object);
            expect!(object["metadata"]["annotations"].get("helm.sh/hook").is_none(), "{title} is a hook")?;
            if object["kind"] == "ServiceAccount" {
                expect!(
                    object["imagePullSecrets"] == serde_json::json!([{"name": PULL_SECRET}]),
                    "{title} pulls by {}",
                    object["imagePullSecrets"]
                )?;
            }
        }
    }
    // Images, charts by their hash, values: all that a manifest depends on.
    let (local, ci) = (charts.plan_of(Stage::Local)?, charts.plan_of(Stage::Ci)?);
    expect_eq!(Plan { profile: ci.profile.clone(), ..local }, ci)
}

/// The proof can fail: a copy of skaffold.yaml in which stage ci alone gives the frontend more memory.
async fn a_value_that_one_profile_changes_is_named_by_its_path(charts: Charts) -> ScenarioResult {
    let copy = tempfile::tempdir().map_err(Error::io("make a folder for a copy of the charts"))?;
    let folder = charts.copy_to(copy.path())?;
    let mut skaffold = charts.skaffold()?;
    for profile in skaffold["profiles"].as_array_mut().into_iter().flatten() {
        if profile["name"] == Stage::Ci.name() {
            profile["deploy"]["helm"]["releases"][0]["setValues"] =
                serde_json::json!({"frontend.resources.limits.memory": "1Gi"});
        }
    }
    // Every JSON text is a YAML text.
    std::fs::write(folder.join("skaffold.yaml"), skaffold.to_string())
        .map_err(Error::io("write the copy's skaffold.yaml"))?;
    let of = |stage| {
        let plan = charts.plan_of(stage)?;
        Ok::<_, Error>(Plan { charts: Staged { folder: folder.clone(), ..plan.charts.clone() }, ..plan })
    };
    let local = yaml::objects(&charts.render_by_skaffold(&of(Stage::Local)?).await?)?;
    let ci = yaml::objects(&charts.render_by_skaffold(&of(Stage::Ci)?).await?)?;
    let found: Vec<String> = parity::differences(&local, &ci).iter().map(ToString::to_string).collect();
    expect_eq!(
        found,
        [
            "Deployment jetscale-frontend: spec.template.spec.containers[0].resources.limits.memory: \"128Mi\" is not \"1Gi\""
        ]
    )
}

/// A set of the same names, with other digests in another registry.
fn elsewhere(set: &ArtifactSet) -> ArtifactSet {
    let mut other = set.clone();
    for artifact in &mut other.builds {
        let digest: String = artifact.tag.digest.trim_start_matches("sha256:").chars().rev().collect();
        artifact.tag.digest = format!("sha256:{digest}");
        artifact.tag = artifact.tag.at_registry("registry.example");
    }
    other
}

fn profile(skaffold: &Value, stage: Stage) -> Result<&Value> {
    let found = skaffold["profiles"].as_array().into_iter().flatten().find(|profile| profile["name"] == stage.name());
    found.ok_or_else(|| Error::Unmet(format!("skaffold.yaml has no profile {stage}")))
}

fn no_differences(left: &[Value], right: &[Value]) -> ScenarioResult {
    let found: Vec<String> = parity::differences(left, right).iter().map(ToString::to_string).collect();
    expect!(found.is_empty(), "they differ:\n{}", found.join("\n"))
}

/// The bytes; where they differ, the fields that do.
fn same(left: &str, right: &str) -> ScenarioResult {
    no_differences(&yaml::objects(left)?, &yaml::objects(right)?)?;
    expect!(left == right, "the objects are the same, and the bytes are not")
}
