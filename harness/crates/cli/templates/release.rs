//! What holds for any release: it answers, it is all there, and a bad one leaves what worked.

use harness::k8s::pod;
use harness::scenario::{ScenarioResult, Scenarios, scenario};
use harness::stack::{OwnStack, Site, Stack};
use harness::{expect, expect_eq};
use stack::@FRONT@;

pub fn scenarios() -> Vec<Scenarios> {
    vec![
        scenario(answers),
        scenario(workloads_are_all_available),
        scenario(runs_the_artifacts_by_digest),
        scenario(a_bad_image_is_rolled_back).within(180),
        scenario(outlives_a_restart).within(180),
    ]
}

async fn answers(site: Site) -> ScenarioResult {
    site.get("/").await?.expect_status(200)?;
    Ok(())
}

async fn workloads_are_all_available(stack: Stack) -> ScenarioResult {
    for component in stack.plan().components() {
        let pods = stack.pods(component).await?;
        expect!(pods.iter().any(pod::is_ready), "no pod of {} is ready", component.suffix)?;
    }
    stack.converged().await
}

async fn runs_the_artifacts_by_digest(stack: Stack) -> ScenarioResult {
    let mut looked_at = 0;
    // What is somebody else's is named by the chart alone.
    for component in stack.plan().components().filter(|component| !component.artifact.is_empty()) {
        let wanted = &stack.artifacts().get(component.artifact)?.tag;
        for pod in stack.pods(component).await? {
            let images = pod::containers(&pod).into_iter().filter_map(|container| container.image.clone());
            for image in images.filter(|image| image.starts_with(&wanted.repository)) {
                expect_eq!(image, wanted.by_digest())?;
                looked_at += 1;
            }
        }
    }
    expect!(looked_at > 0, "no container runs an image of the artifact set")
}

async fn a_bad_image_is_rolled_back(stack: OwnStack) -> ScenarioResult {
    let mut plan = stack.plan().clone();
    for artifact in &mut plan.artifacts.builds {
        artifact.tag.digest = format!("sha256:{}", "0".repeat(64));
    }
    let outcome = stack.upgrade(&plan).await;
    let report = outcome.err().map(|error| error.report()).unwrap_or_default();
    expect!(report.contains("cannot pull the image"), "the first line does not name the cause: {report}")?;
    stack.get("/").await?.expect_status(200)?;
    Ok(())
}

async fn outlives_a_restart(stack: OwnStack) -> ScenarioResult {
    stack.restart(&@FRONT@).await?;
    stack.get("/").await?.expect_status(200)?;
    Ok(())
}
