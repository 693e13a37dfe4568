//! Services and NetworkPolicies: which pods reach which, asked from inside the cluster.

use std::time::Duration;

use harness::cluster;
use harness::k8s::job::CONNECT;
use harness::scenario::{ScenarioResult, Scenarios, scenario};
use harness::stack::{OwnStack, Stack};
use harness::stage::Stage;
use harness::{Error, Result, expect, expect_eq};
use jetscale::STACK;
use jetscale::components::{API, COMPONENTS, FRONTEND, POSTGRES, REDIS};
use jetscale::services::JetscaleStack;
use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::Api;
use kube::api::{ListParams, PostParams};

const LIMIT: Duration = Duration::from_secs(60);

/// Listens, and says where.
const LISTEN: &str = r#"
import socket, time
server = socket.create_server(("", 9999))
print(socket.gethostbyname(socket.gethostname()), flush=True)
server.settimeout(55)
while True:
    server.accept()[0].close()
"#;

pub fn scenarios() -> Vec<Scenarios> {
    vec![
        scenario(every_service_is_cluster_ip).not_in(Stage::Dev, "stage dev has NodePorts"),
        scenario(services_resolve_and_answer_by_name)
            .not_in(Stage::Dev, "stage dev has no artifact set: Tilt builds its images"),
        scenario(stores_answer_the_backend_alone),
        scenario(another_namespace_reaches_nothing).within(300),
        scenario(its_agents_have_a_share_of_the_node).not_in(Stage::Preview, "a preview's cluster is somebody else's"),
    ]
}

async fn every_service_is_cluster_ip(stack: Stack) -> ScenarioResult {
    let services: Api<Service> = Api::namespaced(stack.kube().clone(), stack.namespace());
    let services = services.list(&ListParams::default()).await.map_err(Error::kube("list the Services"))?.items;
    let fewest = stack.plan().components().count();
    expect!(services.len() >= fewest, "there are only {} Services", services.len())?;
    for service in services {
        let spec = service.spec.unwrap_or_default();
        expect_eq!(spec.type_.as_deref(), Some("ClusterIP"))?;
        expect!(spec.ports.iter().flatten().all(|port| port.node_port.is_none()), "a Service has a node port")?;
    }
    Ok(())
}

/// A client in the namespace reaches the services that are for clients, by their short names.
async fn services_resolve_and_answer_by_name(stack: Stack) -> ScenarioResult {
    let target = |component| address(&stack.name_of(component), component.service_port);
    let targets = [target(&API), target(&FRONTEND)];
    let answer =
        stack.start_python("by-name", CONNECT, &[&targets[0], &targets[1], "--"], LIMIT).await?.finish().await?.logs;
    for target in targets {
        expect!(answer.contains(&format!("{target} open")), "{answer}")?;
    }
    Ok(())
}

/// A client of the same namespace resolves the stores' names and is let in by neither.
async fn stores_answer_the_backend_alone(own: OwnStack) -> ScenarioResult {
    policies_are_enforced(&own).await?;
    let target = |component| address(&own.name_of(component), component.service_port);
    let stores = [target(&POSTGRES), target(&REDIS)];
    let open = target(&API);
    let answer =
        own.start_python("stores", CONNECT, &[&open, "--", &stores[0], &stores[1]], LIMIT).await?.finish().await?.logs;
    expect!(answer.contains(&format!("{open} open")), "the client's own network does not work: {answer}")?;
    for store in stores {
        expect!(answer.contains(&format!("{store} closed")), "{answer}")?;
    }
    Ok(())
}

/// A pod of another namespace, whatever its labels, reaches no part of the shared release.
async fn another_namespace_reaches_nothing(own: OwnStack) -> ScenarioResult {
    policies_are_enforced(&own).await?;
    let mut targets: Vec<String> = Vec::new();
    for component in &COMPONENTS {
        targets.push(address(
            &format!("{}-{}.{}.svc", STACK.release, component.suffix, STACK.namespace),
            component.service_port,
        ));
    }
    // What it may reach, in its own namespace, shows that its network works.
    let control = address(&own.name_of(&API), API.service_port);
    let asked: Vec<&str> = [control.as_str(), "--"].into_iter().chain(targets.iter().map(String::as_str)).collect();
    let answer = own.start_python("stranger", CONNECT, &asked, LIMIT).await?.finish().await?.logs;
    expect!(answer.contains(&format!("{control} open")), "the stranger's own network does not work: {answer}")?;
    for target in targets {
        expect!(answer.contains(&format!("{target} closed")), "{answer}")?;
    }
    Ok(())
}

/// Who tells the node of a new pod, or of one that is gone, has its turn however busy the pods are: an agent that asked for a
/// hundredth of a processor let a new pod be refused for as long as others computed.
async fn its_agents_have_a_share_of_the_node(stack: Stack) -> ScenarioResult {
    let agents: Api<DaemonSet> = Api::namespaced(stack.kube().clone(), "kube-system");
    let agents = agents.list(&ListParams::default()).await.map_err(Error::kube("list the agents of each node"))?.items;
    expect!(!agents.is_empty(), "kube-system has no DaemonSet")?;
    for agent in agents {
        let containers = agent.spec.and_then(|spec| spec.template.spec).unwrap_or_default().containers;
        for container in containers {
            let (name, share) = (&container.name, cluster::requested(&container));
            expect!(share >= cluster::SHARE, "{name} requests {share} thousandths of a processor")?;
        }
    }
    Ok(())
}

fn address(host: &str, port: u16) -> String {
    format!("{host}:{port}")
}

/// Finds out whether this cluster enforces policies: two pods, one policy, the same question before and after.
async fn policies_are_enforced(own: &OwnStack) -> Result<()> {
    let labels = [("jetscale.ai/probe", "listener")];
    let spec = own.python("listener", LISTEN, &[], LIMIT, &labels)?;
    let listener = harness::k8s::job::start(own.kube(), own.namespace(), &spec).await?;
    let target = address(listener.first_line().await?.trim(), 9999);
    let control = address(&own.name_of(&API), API.service_port);
    let ask = async |name: &str, targets: [&str; 3]| -> Result<bool> {
        let logs = own.start_python(name, CONNECT, &targets, LIMIT).await?.finish().await?.logs;
        expect!(logs.contains(&format!("{control} open")), "the probe's own network does not work: {logs}")?;
        Ok(logs.contains(&format!("{target} open")))
    };
    expect!(
        ask("before-policy", [&control, &target, "--"]).await?,
        "the probe's pods do not reach each other, without any policy"
    )?;
    let policy: NetworkPolicy = serde_json::from_value(serde_json::json!({
        "metadata": {"name": "probe"},
        "spec": {"podSelector": {"matchLabels": {"jetscale.ai/probe": "listener"}}, "policyTypes": ["Ingress"]},
    }))
    .map_err(Error::malformed("read the probe's policy"))?;
    let policies: Api<NetworkPolicy> = Api::namespaced(own.kube().clone(), own.namespace());
    policies.create(&PostParams::default(), &policy).await.map_err(Error::kube("create the probe's policy"))?;
    match ask("after-policy", [&control, "--", &target]).await? {
        true => Err(Error::NotApplicable("this cluster does not enforce NetworkPolicies".to_owned())),
        false => Ok(()),
    }
}
