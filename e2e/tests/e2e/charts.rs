//! The charts, rendered: no cluster, no engine.

use harness::descriptor::{RELEASE_MAX, VALUES_FILES, ValuesFile};
use harness::preview::{PullRequest, admit};
use harness::release::{self, Plan};
use harness::scenario::{ScenarioResult, Scenarios, each, scenario};
use harness::settings::Deployer;
use harness::stack::Charts;
use harness::validate::{expect_none, longest_name, policy, types};
use harness::{Error, expect, expect_eq};
use serde_json::{Value, json};

/// A row for each values file.
fn values() -> [(&'static str, ValuesFile); 4] {
    VALUES_FILES.map(|file| (file.name, file))
}

pub fn scenarios() -> Vec<Scenarios> {
    vec![
        each(lint_with, values()),
        each(fit_kubernetes_types, values()),
        each(obey_policy, values()),
        each(take_the_longest_release_name, values()),
        scenario(refuse_a_longer_release_name),
        scenario(render_the_same_bytes_twice),
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
        scenario(a_preview_is_its_pull_requests_by_either_deployer),
    ]
}

async fn lint_with(charts: Charts, file: ValuesFile) -> ScenarioResult {
    charts.lint(&charts.with_values(&file)).await
}

/// No field that Kubernetes does not know, of the version that the cluster has.
async fn fit_kubernetes_types(charts: Charts, file: ValuesFile) -> ScenarioResult {
    let rendered = charts.rendered(&charts.with_values(&file), &file).await?;
    expect!(!rendered.objects.is_empty(), "{} renders nothing", file.file)?;
    expect_none(&rendered.broken)?;
    expect_none(&types::check(&rendered))
}

/// Every rule of harness/src/validate/policy; each has planted violations in its unit tests.
async fn obey_policy(charts: Charts, file: ValuesFile) -> ScenarioResult {
    expect_none(&policy::check(&charts.rendered(&charts.with_values(&file), &file).await?))
}

async fn take_the_longest_release_name(charts: Charts, file: ValuesFile) -> ScenarioResult {
    let plan = longest_name(&charts.with_values(&file));
    expect_none(&policy::check(&charts.rendered(&plan, &file).await?))
}

async fn refuse_a_longer_release_name(charts: Charts) -> ScenarioResult {
    let mut plan = longest_name(&charts.plan);
    plan.release.push('n');
    refused(charts.render(&plan).await, &format!("at most {RELEASE_MAX}"))
}

async fn render_the_same_bytes_twice(charts: Charts) -> ScenarioResult {
    expect_eq!(charts.render_text(&charts.plan).await?, charts.render_text(&charts.plan).await?)
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

/// Host, class and sources as pull request and cluster say, whether Skaffold or Helm deploys.
async fn a_preview_is_its_pull_requests_by_either_deployer(charts: Charts) -> ScenarioResult {
    let (of, alb) = (PullRequest::parse("123"), charts.root().join("docs/preview-alb.yaml"));
    let of = of.ok_or_else(|| Error::Unmet("123 is no pull request".to_owned()))?;
    let (staged, set) = (charts.plan.charts.clone(), charts.plan.artifacts.clone());
    let plan = Plan::preview(staged, set, Deployer::Skaffold, of, Some(alb));
    let by_skaffold = release::objects(&charts.render_by_skaffold(&plan).await?)?;
    for objects in [charts.render(&plan).await?, by_skaffold] {
        let [ingress, policy] = ["Ingress/jetscale", "NetworkPolicy/jetscale-ingress"].map(|name| {
            let title = |object: &&Value| format!("{}/{}", text(&object["kind"]), text(&object["metadata"]["name"])) == name;
            objects.iter().find(title).cloned().unwrap_or_default()
        });
        expect_eq!(ingress["spec"]["ingressClassName"], "alb")?;
        expect_eq!(ingress["spec"]["rules"][0]["host"], "pr-123.app.jetscale.ai")?;
        expect_eq!(ingress["spec"]["tls"][0]["hosts"][0], "pr-123.app.jetscale.ai")?;
        expect_eq!(ingress["metadata"]["annotations"]["alb.ingress.kubernetes.io/target-type"], "ip")?;
        let blocks = json!([{"ipBlock": {"cidr": "10.0.0.0/20"}}, {"ipBlock": {"cidr": "10.0.16.0/20"}}]);
        expect_eq!(policy["spec"]["ingress"][0]["from"], blocks)?;
        admit::objects(of, &objects)?;
    }
    Ok(())
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Two replicas of what is ours, spread, and a budget for each.
async fn live_survives_the_loss_of_a_node(charts: Charts) -> ScenarioResult {
    let [_, _, _, live] = VALUES_FILES;
    let objects = charts.render(&charts.with_values(&live)).await?;
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
