//! The charts, rendered: no cluster, no engine.

use harness::release::Plan;
use harness::scenario::{ScenarioResult, Scenarios, each, scenario};
use harness::stack::Charts;
use harness::{Error, expect, expect_eq};
use serde_json::Value;

/// Each values file, with what only a deployer knows.
const VALUES: [(&str, (&str, &[&str])); 4] = [
    ("dev", ("values.local.dev.yaml", &[])),
    ("e2e", ("values.local.e2e.yaml", &[])),
    ("preview", ("values.preview.yaml", &["ingress.host=pr-1.app.jetscale.ai"])),
    ("live", ("values.live.yaml", &[])),
];

pub fn scenarios() -> Vec<Scenarios> {
    vec![
        each(lint_with, VALUES),
        scenario(render_the_same_bytes_twice),
        scenario(hold_no_secret_no_hook_and_no_command),
        scenario(refuse_an_image_without_a_digest),
        each(
            refuse_a_misspelt_key,
            [
                ("at_the_top", "ingres.enabled=true"),
                ("in_a_subchart", "backend.api.replica=2"),
                ("in_a_list_of_resources", "frontend.resource.requests.cpu=1"),
                ("in_global", "global.devmode=true"),
            ],
        ),
        scenario(live_survives_the_loss_of_a_node),
    ]
}

type Values = (&'static str, &'static [&'static str]);

fn with(charts: &Charts, (file, values): Values) -> Plan {
    let plan = Plan { values: file.to_owned(), ..charts.plan.clone() };
    values.iter().fold(plan, |plan, value| plan.with(value))
}

async fn lint_with(charts: Charts, values: Values) -> ScenarioResult {
    let plan = with(&charts, values);
    charts.lint(&plan).await?;
    expect!(!charts.render(&plan).await?.is_empty(), "{} renders nothing", plan.values)
}

async fn render_the_same_bytes_twice(charts: Charts) -> ScenarioResult {
    expect_eq!(charts.render_text(&charts.plan).await?, charts.render_text(&charts.plan).await?)
}

/// Outside stage dev: the images start by themselves, secrets are made beside the charts, and nothing runs by itself.
async fn hold_no_secret_no_hook_and_no_command(charts: Charts) -> ScenarioResult {
    for (_, values) in &VALUES[1..] {
        for object in charts.render(&with(&charts, *values)).await? {
            let name = format!("{} {}", object["kind"], object["metadata"]["name"]);
            expect!(object["kind"] != "Secret", "{name} in {}", values.0)?;
            expect!(object["metadata"]["annotations"].get("helm.sh/hook").is_none(), "{name} is a hook in {}", values.0)?;
            let pod = &object["spec"]["template"]["spec"];
            for list in ["containers", "initContainers"] {
                for container in pod[list].as_array().into_iter().flatten() {
                    let own = container.get("command").is_none() && container.get("args").is_none();
                    expect!(own, "{name} overrides the command of {} in {}", container["name"], values.0)?;
                }
            }
        }
    }
    Ok(())
}

async fn refuse_an_image_without_a_digest(charts: Charts) -> ScenarioResult {
    for index in 0..charts.plan.artifacts.builds.len() {
        let mut plan = charts.plan.clone();
        plan.artifacts.builds[index].tag.digest.clear();
        refused(charts.render(&plan).await, "digest")?;
    }
    Ok(())
}

async fn refuse_a_misspelt_key(charts: Charts, value: &'static str) -> ScenarioResult {
    let key = value.split(['.', '=']).rev().nth(1).unwrap_or_default();
    let key = if value.starts_with("ingres.") { "ingres" } else { key };
    let key = if value.contains(".resource.") { "resource" } else { key };
    refused(charts.render(&charts.plan.clone().with(value)).await, key)
}

fn refused(rendered: harness::Result<Vec<Value>>, names: &str) -> ScenarioResult {
    match rendered {
        Err(error) => expect!(error.report().contains(names), "the error does not name {names}: {}", error.report()),
        Ok(_) => Err(Error::Unmet(format!("it rendered, though {names} is wrong"))),
    }
}

/// Two replicas of what is ours, spread, and a budget for each.
async fn live_survives_the_loss_of_a_node(charts: Charts) -> ScenarioResult {
    let objects = charts.render(&with(&charts, VALUES[3].1)).await?;
    let deployments: Vec<_> = objects.iter().filter(|object| object["kind"] == "Deployment").collect();
    expect_eq!(deployments.len(), 3)?;
    for deployment in &deployments {
        let (name, spec) = (&deployment["metadata"]["name"], &deployment["spec"]);
        expect!(spec["replicas"].as_u64() >= Some(2), "{name} has {} replicas", spec["replicas"])?;
        let spread = &spec["template"]["spec"]["topologySpreadConstraints"];
        expect!(spread.as_array().is_some_and(|list| !list.is_empty()), "{name} is not spread")?;
    }
    let budgets = objects.iter().filter(|object| object["kind"] == "PodDisruptionBudget").count();
    expect_eq!(budgets, deployments.len())
}
