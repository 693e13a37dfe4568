//! Calls of Skaffold, which deploys a stage's shared release by Helm.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use harness_base::files::write_json;
use harness_machine::tools::{Tools, skaffold_config};
use harness_settings::settings;

use super::helm::reaching;
use super::plan::Plan;
use crate::cluster::Cluster;
use crate::error::{Error, Result};

/// The label on all that Skaffold deploys: constant, since its own random one restarts every pod (measured).
const RUN_ID: &str = "skaffold.dev/run-id=stack";
/// The deadline of a deploy, which does not wait for pods.
const LIMIT: Duration = Duration::from_secs(240);

/// Runs `skaffold deploy --build-artifacts` on the staged charts; does not wait for pods.
pub(super) async fn deploy(cluster: &Cluster, plan: &Plan, scratch: &Path, lock: Option<OwnedFd>) -> Result<()> {
    let artifacts = scratch.join("deploy-artifacts.json");
    write_json(&artifacts, &plan.artifacts)?;
    reaching(cluster, cluster.tools.skaffold_with_helm().await?)
        .args(["deploy", "--profile", &plan.profile, "--build-artifacts"])
        .arg(&artifacts)
        .args(["--kube-context", &cluster.context, "--namespace", &plan.namespace])
        .arg("--config")
        .arg(skaffold_config(scratch)?)
        .args(["--status-check=false", "--label", RUN_ID])
        .args(["--interactive=false", "--update-check=false", "--detect-minikube=false", "--load-images=false"])
        .folder(&plan.charts.folder)
        .envs(variables(plan))
        .limit(LIMIT)
        .holding(lock)
        .run()
        .await?;
    Ok(())
}

/// The environment variables that skaffold.yaml's profile preview uses.
fn variables(plan: &Plan) -> impl Iterator<Item = (String, String)> {
    let number = plan.pull_request.map(|of| (settings::PR_NUMBER.to_owned(), of.to_string()));
    let values = plan.more_values.as_ref().map(|path| (settings::PREVIEW_VALUES.name(), path.display().to_string()));
    number.into_iter().chain(values)
}

/// The manifests that `skaffold render` makes by the plan's profile; needs neither a cluster nor a registry.
///
/// # Errors
/// [`Error::Command`] when it does not render.
pub async fn render(tools: &Tools, plan: &Plan) -> Result<String> {
    let folder = tempfile::tempdir().map_err(Error::io("make a folder for skaffold render"))?;
    let (artifacts, output) = (folder.path().join("artifacts.json"), folder.path().join("manifests.yaml"));
    write_json(&artifacts, &plan.artifacts)?;
    // `skaffold render` has no --config: it looks for its configuration in the home folder.
    let home = folder.path().join(".skaffold");
    std::fs::create_dir(&home).map_err(Error::io(format!("make the folder {}", home.display())))?;
    std::fs::rename(skaffold_config(folder.path())?, home.join("config"))
        .map_err(Error::io("move its configuration"))?;
    let skaffold = tools.skaffold_with_helm().await?.args(["render", "--profile", &plan.profile, "--build-artifacts"]);
    skaffold
        .arg(&artifacts)
        .arg("--output")
        .arg(&output)
        // Without these two, Skaffold asks the registry for digests, and a cluster for its kinds.
        .args(["--offline=true", "--digest-source=none", "--namespace", &plan.namespace, "--label", RUN_ID])
        .args(["--interactive=false", "--update-check=false"])
        .folder(&plan.charts.folder)
        .env("HOME", folder.path().to_string_lossy())
        .envs(variables(plan))
        .limit(LIMIT)
        .run()
        .await?;
    std::fs::read_to_string(&output).map_err(Error::io(format!("read {}", output.display())))
}
