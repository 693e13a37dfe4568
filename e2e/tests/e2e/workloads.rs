//! Workloads as deployed: pods, image digests, resources, probes, security contexts.

use harness::k8s::{pod, probe};
use harness::scenario::{ScenarioResult, Scenarios, scenario};
use harness::stack::{OwnStack, Stack};
use harness::stage::Stage;
use harness::{Error, expect, expect_eq};
use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::{Api, ResourceExt};

pub fn scenarios() -> Vec<Scenarios> {
    vec![
        scenario(are_all_available),
        scenario(have_not_restarted),
        scenario(every_probe_is_answered),
        scenario(run_the_artifacts_by_digest)
            .not_in(Stage::Dev, "stage dev has no artifact set: Tilt builds its images"),
        scenario(have_the_promised_resources),
        scenario(have_the_promised_security_context).not_in(Stage::Dev, "live updates write into the root file system"),
        scenario(have_no_service_account_token),
        scenario(are_left_alone_by_the_same_content)
            .not_in(Stage::Dev, "stage dev is deployed by Tilt alone")
            .within(300),
        scenario(are_replaced_only_where_content_changed).within(300),
    ]
}

async fn are_all_available(stack: Stack) -> ScenarioResult {
    for component in stack.plan().components() {
        let pods = stack.pods(component).await?;
        expect!(pods.iter().any(pod::is_ready), "no pod of {} is ready", component.suffix)?;
    }
    stack.converged().await
}

async fn have_not_restarted(stack: Stack) -> ScenarioResult {
    for pod in stack.all_pods().await? {
        expect!(pod::restarts(&pod) == 0, "{} restarted: {}", pod.name_any(), pod::summary(&pod))?;
    }
    Ok(())
}

/// A probe that nobody answers lets a pod be, or restarts it, minutes after everything looked well.
async fn every_probe_is_answered(stack: Stack) -> ScenarioResult {
    for component in stack.plan().components() {
        for pod in stack.pods(component).await?.iter().filter(|pod| pod::is_ready(pod)) {
            let (name, probes) = (pod.name_any(), probe::probes(pod)?);
            for kind in ["startup", "liveness", "readiness"] {
                expect!(probes.iter().any(|probe| probe.kind == kind), "{name} has no {kind} probe")?;
            }
            for probe in probes {
                probe::ask(stack.kube(), stack.namespace(), &name, &probe).await?;
            }
        }
    }
    Ok(())
}

/// Every container, init containers too, runs an artifact of the set, named by its digest.
async fn run_the_artifacts_by_digest(stack: Stack) -> ScenarioResult {
    for component in stack.plan().components() {
        let wanted = stack.artifacts().get(component.artifact)?.tag.by_digest();
        for pod in stack.pods(component).await? {
            let containers = pod::containers(&pod);
            for container in &containers {
                expect_eq!(container.image.as_deref(), Some(wanted.as_str()))?;
            }
            let statuses = [pod::statuses(&pod), pod::init_statuses(&pod)].concat();
            expect_eq!(statuses.len(), containers.len())?;
            for status in statuses {
                let digest = &wanted[wanted.rfind('@').unwrap_or(0)..];
                expect!(status.image_id.ends_with(digest), "{} runs {}", pod.name_any(), status.image_id)?;
            }
        }
    }
    Ok(())
}

async fn have_the_promised_resources(stack: Stack) -> ScenarioResult {
    for pod in stack.all_pods().await? {
        for container in pod::containers(&pod) {
            let resources = container.resources.clone().unwrap_or_default();
            let requests = resources.requests.unwrap_or_default();
            for resource in ["cpu", "memory"] {
                expect!(requests.contains_key(resource), "{} requests no {resource}", container.name)?;
            }
            expect!(
                resources.limits.unwrap_or_default().contains_key("memory"),
                "{} has no memory limit",
                container.name
            )?;
        }
    }
    Ok(())
}

async fn have_the_promised_security_context(stack: Stack) -> ScenarioResult {
    for pod in stack.all_pods().await? {
        let whole = pod.spec.as_ref().and_then(|spec| spec.security_context.clone()).unwrap_or_default();
        expect_eq!(whole.run_as_non_root, Some(true))?;
        expect_eq!(whole.seccomp_profile.map(|profile| profile.type_), Some("RuntimeDefault".to_owned()))?;
        for container in pod::containers(&pod) {
            let context = container.security_context.clone().unwrap_or_default();
            expect_eq!(context.read_only_root_filesystem, Some(true))?;
            expect_eq!(context.allow_privilege_escalation, Some(false))?;
            expect_eq!(context.capabilities.and_then(|caps| caps.drop), Some(vec!["ALL".to_owned()]))?;
        }
    }
    Ok(())
}

async fn have_no_service_account_token(stack: Stack) -> ScenarioResult {
    for pod in stack.all_pods().await? {
        let spec = pod.spec.clone().unwrap_or_default();
        expect!(
            spec.service_account_name.as_deref() != Some("default"),
            "{} uses the default account",
            pod.name_any()
        )?;
        for container in pod::containers(&pod) {
            let mounts = container.volume_mounts.iter().flatten();
            let token = mounts.into_iter().find(|mount| mount.mount_path.starts_with("/var/run/secrets/kubernetes.io"));
            expect!(token.is_none(), "{} has a token in {}", pod.name_any(), container.name)?;
        }
    }
    Ok(())
}

/// Deploying again what is deployed, by the stage's own deployer, makes no ReplicaSet and replaces no pod.
async fn are_left_alone_by_the_same_content(stack: Stack) -> ScenarioResult {
    let (sets, pods) = (replica_sets(&stack).await?, names(&stack.all_pods().await?));
    stack.deploy_again().await?;
    expect_eq!(replica_sets(&stack).await?, sets)?;
    expect_eq!(names(&stack.all_pods().await?), pods)
}

/// Changing the frontend alone makes one ReplicaSet more, and every other pod stays.
async fn are_replaced_only_where_content_changed(own: OwnStack) -> ScenarioResult {
    let sets = replica_sets(&own).await?;
    own.upgrade(&own.plan().clone().with("frontend.resources.requests.memory=25Mi")).await?;
    let new: Vec<_> = replica_sets(&own).await?.into_iter().filter(|name| !sets.contains(name)).collect();
    expect_eq!(new.len(), 1)?;
    expect!(new[0].contains("-frontend-"), "{} is new, and only the frontend changed", new[0])
}

fn names(pods: &[Pod]) -> Vec<String> {
    pods.iter().map(ResourceExt::name_any).collect()
}

async fn replica_sets(stack: &Stack) -> harness::Result<Vec<String>> {
    let api: Api<ReplicaSet> = Api::namespaced(stack.kube().clone(), stack.namespace());
    let mine = ListParams::default().labels(&format!("app.kubernetes.io/instance={}", stack.plan().release));
    let list = api.list(&mine).await.map_err(Error::kube("list the ReplicaSets"))?;
    let mut names: Vec<_> = list.items.iter().map(ResourceExt::name_any).collect();
    names.sort();
    // Of none, none is new and none is gone.
    expect!(!names.is_empty(), "{} has no ReplicaSet", stack.plan().release)?;
    Ok(names)
}
