//! Skaffold: deploys a stage's shared release, with Helm below it.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use super::plan::Plan;
use crate::cluster::Cluster;
use crate::error::Result;
use crate::run::write_json;
use crate::tools::skaffold_config;

/// How long a deploy may take: it does not wait for pods.
const LIMIT: Duration = Duration::from_secs(240);

/// `skaffold deploy --build-artifacts`, from the staged charts; does not wait.
///
/// The run id is constant: Skaffold's random one stands on every pod template and would restart
/// every pod at each deploy (measured).
pub(super) async fn deploy(cluster: &Cluster, plan: &Plan, scratch: &Path, lock: Option<OwnedFd>) -> Result<()> {
    let artifacts = scratch.join("deploy-artifacts.json");
    write_json(&artifacts, &plan.artifacts)?;
    cluster
        .tools
        .skaffold_with_helm()
        .await?
        .args(["deploy", "--profile", &plan.profile, "--build-artifacts"])
        .arg(&artifacts)
        .arg("--kubeconfig")
        .arg(&cluster.kubeconfig)
        .args(["--kube-context", &cluster.context, "--namespace", &plan.namespace])
        .arg("--config")
        .arg(skaffold_config(scratch)?)
        .args(["--status-check=false", "--label", "skaffold.dev/run-id=jetscale"])
        .args(["--interactive=false", "--update-check=false", "--detect-minikube=false", "--load-images=false"])
        .folder(&plan.charts.folder)
        // Skaffold calls Helm by its own idea of the cluster; both must agree.
        .env("KUBECONFIG", cluster.kubeconfig.to_string_lossy())
        .limit(LIMIT)
        .holding(lock)
        .run()
        .await
        .map(drop)
}
