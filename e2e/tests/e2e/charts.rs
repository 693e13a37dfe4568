//! Rendered charts, without a cluster or an engine.

use harness::preview::admission::Limits;
use harness::preview::{PullRequest, admission};
use harness::release::{Plan, Staged};
use harness::scenario::{ScenarioResult, Scenarios, each, scenario};
use harness::settings::Deployer;
use harness::spec::ValuesFile;
use harness::stack::Charts;
use harness::validate::{expect_none, longest_name, policy, types};
use harness::{Error, expect, expect_eq, hash, yaml};
use jetscale::STACK;
use jetscale::values::{E2E, MANAGED, VALUES_FILES};
use serde_json::{Value, json};

/// A row for each way in which a stage renders.
fn values() -> [(&'static str, ValuesFile); 5] {
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
        scenario(restart_no_pod_with_a_new_version),
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
        scenario(a_preview_is_its_pull_requests_by_either_deployer),
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
        each(
            refuse_an_address_that_clients_write,
            [("without_an_ingress", (E2E, "backend.proxies=2")), ("behind_one", (MANAGED, "backend.proxies=1"))],
        ),
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

/// Every rule of harness/crates/manifest/src/policy; each has planted violations in its unit tests.
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
    refused(charts.render(&plan).await, &format!("at most {}", STACK.charts.release_max))
}

async fn render_the_same_bytes_twice(charts: Charts) -> ScenarioResult {
    expect_eq!(charts.render_text(&charts.plan).await?, charts.render_text(&charts.plan).await?)
}

/// A chart's version on a pod would restart everything with every release.
async fn restart_no_pod_with_a_new_version(charts: Charts) -> ScenarioResult {
    let copy = tempfile::tempdir().map_err(Error::io("make a folder for a copy of the charts"))?;
    let folder = charts.copy_to(copy.path())?;
    let files = hash::files(&folder)?.into_iter().filter(|file| file.ends_with("Chart.yaml"));
    for file in files {
        let text = std::fs::read_to_string(&file).map_err(Error::io(format!("read {}", file.display())))?;
        let another = |line: &str| match line.split_once("version: ") {
            Some((before, _)) if before.trim().is_empty() => format!("{before}version: 99.0.0\n"),
            _ => format!("{line}\n"),
        };
        let text: String = text.lines().map(another).collect();
        std::fs::write(&file, text).map_err(Error::io(format!("write {}", file.display())))?;
    }
    let plan = Plan { charts: Staged { folder, ..charts.plan.charts.clone() }, ..charts.plan.clone() };
    let pods =
        |objects: &[Value]| -> Vec<Value> { objects.iter().map(|object| object["spec"]["template"].clone()).collect() };
    let (before, after) = (charts.render(&charts.plan).await?, charts.render(&plan).await?);
    expect!(before != after, "the charts have no version to change")?;
    expect_eq!(pods(&after), pods(&before))
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
    let values = std::fs::read_to_string(&alb).map_err(Error::io("read docs/preview-alb.yaml"))?;
    let values = yaml::value(&values).map_err(Error::malformed("read docs/preview-alb.yaml"))?;
    let plan = Plan::preview(staged, set, Deployer::Skaffold, of, Some(alb));
    let by_skaffold = yaml::objects(&charts.render_by_skaffold(&plan).await?)?;
    let by_helm = charts.render(&plan).await?;
    admission::objects(&Limits::new(of, &plan.artifacts, &values, Vec::new()), &by_helm)?;
    for objects in [by_helm, by_skaffold] {
        let [ingress, policy] = ["Ingress/jetscale", "NetworkPolicy/jetscale-ingress"].map(|name| {
            let title =
                |object: &&Value| format!("{}/{}", text(&object["kind"]), text(&object["metadata"]["name"])) == name;
            objects.iter().find(title).cloned().unwrap_or_default()
        });
        expect_eq!(ingress["spec"]["ingressClassName"], "alb")?;
        expect_eq!(ingress["spec"]["rules"][0]["host"], "pr-123.app.jetscale.ai")?;
        expect_eq!(ingress["spec"]["tls"][0]["hosts"][0], "pr-123.app.jetscale.ai")?;
        expect_eq!(ingress["metadata"]["annotations"]["alb.ingress.kubernetes.io/target-type"], "ip")?;
        let blocks = json!([{"ipBlock": {"cidr": "10.0.0.0/20"}}, {"ipBlock": {"cidr": "10.0.16.0/20"}}]);
        expect_eq!(policy["spec"]["ingress"][0]["from"], blocks)?;
    }
    Ok(())
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The api counts clients by what that many proxies before it saw: one too many, and a client writes its own address; one
/// too few, and all have that of the edge.
async fn refuse_an_address_that_clients_write(
    charts: Charts,
    (file, value): (ValuesFile, &'static str),
) -> ScenarioResult {
    charts.render(&charts.with_values(&file)).await?;
    refused(charts.render(&charts.with_values(&file).with(value)).await, "backend.proxies is")
}

async fn refuse_half_a_managed_store(charts: Charts, (value, names): (&'static str, &'static str)) -> ScenarioResult {
    refused(charts.render(&charts.with_values(&MANAGED).with(value)).await, names)
}
