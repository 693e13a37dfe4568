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
        scenario(are_right_for_administrators_too),
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
        scenario(take_managed_stores),
        each(
            refuse_half_a_managed_store,
            [
                ("a_bucket_in_no_region", ("backend.storage.region=", "storage.region is empty")),
                ("a_prefix_that_begins_others", ("backend.storage.prefix=pr-1", "/storage/prefix")),
                ("a_role_that_is_none", ("backend.storage.roleArn=preview", "/storage/roleArn")),
                ("a_token_for_no_role", ("backend.storage.roleArn=", "webIdentityToken is enabled")),
                ("a_ca_that_nobody_looks_at", ("backend.database.external.tls.mode=require", "only verify-full")),
                ("a_nodes_metadata", ("backend.storage.peers[0].ipBlock.cidr=169.254.169.254/32", "is link-local")),
            ],
        ),
        scenario(leave_a_nodes_metadata_out_of_every_block),
        scenario(give_a_role_to_the_api_alone),
    ]
}

/// Stage preview with every store outside the cluster, as a deployer sets it.
const MANAGED: [&str; 26] = [
    "postgres.enabled=false",
    "backend.database.external.host=db.example.internal",
    "backend.database.external.name=jetscale-pr-1",
    "backend.database.external.user=jetscale-pr-1",
    "backend.database.external.peers[0].ipBlock.cidr=10.1.0.0/16",
    "backend.database.external.tls.mode=verify-full",
    "backend.database.external.tls.caSecret.name=jetscale-managed",
    "redis.enabled=false",
    "backend.redis.external.host=redis.example.internal",
    "backend.redis.external.port=6380",
    "backend.redis.external.user=jetscale-pr-1",
    "backend.redis.external.prefix=jetscale-pr-1:",
    "backend.redis.external.peers[0].ipBlock.cidr=0.0.0.0/0",
    "backend.redis.external.tls.enabled=true",
    "backend.redis.external.tls.caSecret.name=jetscale-managed",
    "backend.storage.bucket=jetscale-previews",
    "backend.storage.prefix=jetscale-pr-1/",
    "backend.storage.region=eu-central-1",
    "backend.storage.caSecret.name=jetscale-managed",
    "backend.storage.roleArn=arn:aws:iam::123456789012:role/jetscale-pr-1",
    "backend.storage.webIdentityToken.enabled=true",
    "backend.storage.peers[0].ipBlock.cidr=128.0.0.0/1",
    "backend.storage.peers[0].ipBlock.except[0]=172.16.0.0/12",
    "backend.networkPolicy.egress[0].ports[0].port=443",
    "backend.networkPolicy.egress[0].ports[0].protocol=TCP",
    "backend.networkPolicy.egress[0].to[0].ipBlock.cidr=0.0.0.0/0",
];

fn managed(charts: &Charts) -> (ValuesFile, Plan) {
    let [_, _, preview, _] = VALUES_FILES;
    (preview, MANAGED.iter().fold(charts.with_values(&preview), |plan, value| plan.with(value)))
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

/// Lint, types and policy of the chart that opens a cluster to previews.
async fn are_right_for_administrators_too(charts: Charts) -> ScenarioResult {
    expect_none(&charts.of_administrators().await?)
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

async fn take_managed_stores(charts: Charts) -> ScenarioResult {
    let (file, plan) = managed(&charts);
    let rendered = charts.rendered(&plan, &file).await?;
    expect_none(&rendered.broken)?;
    expect_none(&types::check(&rendered))?;
    expect_none(&policy::check(&rendered))
}

async fn refuse_half_a_managed_store(charts: Charts, (value, names): (&'static str, &'static str)) -> ScenarioResult {
    let (_, plan) = managed(&charts);
    refused(charts.render(&plan.with(value)).await, names)
}

/// Of every block that a pod may go to, whoever named it, 169.254.0.0/16 is left out.
async fn leave_a_nodes_metadata_out_of_every_block(charts: Charts) -> ScenarioResult {
    let objects = charts.render(&managed(&charts).1).await?;
    let policies = objects.iter().filter(|object| object["kind"] == "NetworkPolicy");
    let rules = policies.flat_map(|policy| policy["spec"]["egress"].as_array().into_iter().flatten());
    let peers = rules.flat_map(|rule| rule["to"].as_array().into_iter().flatten());
    let wide = |block: &&Value| block["cidr"].as_str().is_some_and(|cidr| cidr.ends_with("/0") || cidr.ends_with("/1"));
    let blocks: Vec<&Value> = peers.map(|peer| &peer["ipBlock"]).filter(wide).collect();
    // Redis and the more egress of two components, the api's storage.
    expect_eq!(blocks.len(), 5)?;
    for block in blocks {
        let except = block["except"].as_array().is_some_and(|list| list.contains(&Value::from("169.254.0.0/16")));
        expect!(except, "{block} holds the node's metadata")?;
    }
    Ok(())
}

async fn give_a_role_to_the_api_alone(charts: Charts) -> ScenarioResult {
    let objects = charts.render(&managed(&charts).1).await?;
    let accounts = objects.iter().filter(|object| object["kind"] == "ServiceAccount");
    let with_a_role: Vec<&Value> = accounts
        .filter(|account| account["metadata"]["annotations"]["eks.amazonaws.com/role-arn"].is_string())
        .map(|account| &account["metadata"]["name"])
        .collect();
    expect_eq!(with_a_role, vec!["jetscale-backend"])?;
    let pods = objects.iter().filter(|object| object["spec"]["template"].is_object());
    let with_a_token: Vec<&Value> = pods
        .filter(|pod| pod["spec"]["template"]["spec"]["volumes"].to_string().contains("serviceAccountToken"))
        .map(|pod| &pod["metadata"]["name"])
        .collect();
    expect_eq!(with_a_token, vec!["jetscale-backend"])
}
