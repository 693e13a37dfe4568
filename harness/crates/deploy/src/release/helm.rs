//! Calls of Helm: render, upgrade, rollback, uninstall. A release's history is read from Helm's Secrets.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::time::Duration;

use harness_machine::tools::{ChildKind, Command, Output, Tool, Tools};
use harness_settings::settings::Deployer;
use harness_settings::spec::spec;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::ListParams;

use super::plan::Plan;
use crate::cluster::Cluster;
use crate::error::{Error, Result};
use crate::k8s;

/// The deadline of one call of Helm, none of which waits for pods.
const LIMIT: Duration = Duration::from_secs(180);

/// A release's history, as Helm recorded it, oldest first: (revision, status).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History(pub Vec<(u32, String)>);

impl History {
    /// Reads the labels of Helm's release Secrets.
    ///
    /// # Errors
    /// [`Error::Kube`] when they cannot be listed.
    pub async fn read(cluster: &Cluster, namespace: &str, release: &str) -> Result<Self> {
        let secrets: Api<Secret> = Api::namespaced(cluster.client.clone(), namespace);
        let filter = ListParams::default().labels(&format!("owner=helm,name={release}"));
        let what = format!("list Helm's records of {release} in {namespace}");
        let found = crate::k8s::within(&what, Duration::from_secs(10), async {
            secrets.list_metadata(&filter).await.map_err(Error::kube(&what))
        })
        .await?;
        let mut revisions: Vec<(u32, String)> = found
            .items
            .into_iter()
            .filter_map(|secret| {
                let labels = secret.metadata.labels?;
                Some((labels.get("version")?.parse().ok()?, labels.get("status")?.clone()))
            })
            .collect();
        revisions.sort();
        Ok(Self(revisions))
    }

    /// Whether the newest revision is deployed.
    pub fn is_deployed(&self) -> bool {
        self.0.last().is_some_and(|(_, status)| status == "deployed")
    }

    /// Whether the newest revision is pending: Helm refuses to upgrade from there.
    pub fn is_pending(&self) -> bool {
        self.0.last().is_some_and(|(_, status)| status.starts_with("pending-") || status == "uninstalling")
    }

    /// The newest revision that was deployed with success.
    pub fn last_good(&self) -> Option<u32> {
        let good = |status: &str| status == "deployed" || status == "superseded";
        self.0.iter().rev().find(|(_, status)| good(status)).map(|(revision, _)| *revision)
    }
}

/// Adds the kubeconfig to a tool's command. If the context's user has an exec plugin, the tool will start it, and is given the
/// environment that the plugin needs.
pub(super) fn reaching(cluster: &Cluster, command: Command) -> Command {
    let command = match cluster.kubeconfig.single() {
        Some(file) => {
            let mut flag = OsString::from("--kubeconfig=");
            flag.push(file);
            command.arg(flag)
        }
        // Several files have no flag.
        None => command.env("KUBECONFIG", cluster.kubeconfig.to_string()),
    };
    match crate::connect::exec_plugin::is_used(&cluster.kubeconfig, &cluster.context) {
        true => command.given(cluster.tools.environment(), ChildKind::Credentials),
        false => command,
    }
}

/// The command `helm`, with the cluster's context and the plan's namespace.
async fn on(cluster: &Cluster, plan: &Plan) -> Result<Command> {
    Ok(reaching(cluster, cluster.tools.command(Tool::Helm).await?)
        .args(["--kube-context", &cluster.context, "--namespace", &plan.namespace])
        .limit(LIMIT))
}

/// The arguments of `upgrade` and `template`: release, chart, values files, images and single values.
fn content(plan: &Plan) -> Result<Vec<String>> {
    let umbrella = plan.charts.umbrella();
    let mut args = vec![
        plan.release.clone(),
        umbrella.display().to_string(),
        "--values".to_owned(),
        umbrella.join(&plan.values).display().to_string(),
    ];
    if let Some(more) = &plan.more_values {
        args.extend(["--values".to_owned(), more.display().to_string()]);
    }
    for artifact in &plan.artifacts.builds {
        let (name, tag) = (&artifact.image_name, &artifact.tag);
        for value in spec().charts.image.set(name, &tag.repository, &tag.digest) {
            args.extend(["--set-string".to_owned(), value]);
        }
    }
    for value in &plan.overrides {
        args.extend(["--set".to_owned(), value.clone()]);
    }
    Ok(args)
}

/// Runs `helm upgrade --install`; does not wait for pods.
pub(super) async fn upgrade(cluster: &Cluster, plan: &Plan, lock: Option<OwnedFd>) -> Result<()> {
    debug_assert_eq!(plan.deployer, Deployer::Helm);
    // For charts that the API has validated before: Helm's validation reads some MiB of OpenAPI, half a second of CPU.
    let known = (plan.proven.as_ref() == Some(&plan.charts.hash)).then_some("--disable-openapi-validation");
    on(cluster, plan)
        .await?
        .args(["upgrade", "--install", "--no-hooks", "--history-max", "5"])
        .args(known)
        .args(content(plan)?)
        .holding(lock)
        .run()
        .await?;
    Ok(())
}

/// Runs `helm rollback` to a revision; does not wait for pods.
pub(super) async fn rollback(cluster: &Cluster, plan: &Plan, revision: u32, lock: Option<OwnedFd>) -> Result<()> {
    on(cluster, plan)
        .await?
        .args(["rollback", "--no-hooks", &plan.release, &revision.to_string()])
        .holding(lock)
        .run()
        .await?;
    Ok(())
}

/// Runs `helm uninstall`; returns once the objects are gone.
pub(super) async fn uninstall(cluster: &Cluster, plan: &Plan, lock: Option<OwnedFd>) -> Result<()> {
    on(cluster, plan)
        .await?
        .args(["uninstall", "--no-hooks", "--ignore-not-found", "--wait", &plan.release])
        .holding(lock)
        .run()
        .await?;
    Ok(())
}

/// The manifest of the deployed release, by whichever tool it was deployed.
pub(super) async fn deployed(cluster: &Cluster, plan: &Plan) -> Result<String> {
    let Output { stdout, .. } = on(cluster, plan).await?.args(["get", "manifest", &plan.release]).run().await?;
    Ok(stdout)
}

/// A cluster's capabilities, as charts see them in `.Capabilities`.
#[derive(Debug, Clone, Default)]
pub struct Capabilities {
    /// The version of Kubernetes, such as `v1.34.4`; empty: the newest that Helm knows.
    pub version: String,
    /// The versions and kinds that its API serves, such as `apps/v1` and `apps/v1/Deployment`.
    pub api: Vec<String>,
}

impl Capabilities {
    /// Asks a cluster for its capabilities.
    ///
    /// # Errors
    /// [`Error::Kube`], or [`harness_base::Error::Deadline`] after 30 s.
    pub async fn of(cluster: &Cluster) -> Result<Self> {
        const WITHIN: Duration = Duration::from_secs(30);
        let what = "ask the cluster which versions its API has";
        k8s::within(what, WITHIN, async {
            let version = cluster.client.apiserver_version().await.map_err(Error::kube(what))?.git_version;
            let found =
                kube::Discovery::new(cluster.client.clone()).run_aggregated().await.map_err(Error::kube(what))?;
            let mut api = BTreeSet::new();
            for group in found.groups() {
                for served in group.versions() {
                    let name = [group.name(), served].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>();
                    let name = name.join("/");
                    api.extend(
                        group.versioned_resources(served).into_iter().map(|(of, _)| format!("{name}/{}", of.kind)),
                    );
                    api.insert(name);
                }
            }
            Ok(Self { version, api: api.into_iter().collect() })
        })
        .await
    }
}

/// Renders a plan by `helm template`; needs no cluster.
///
/// # Errors
/// [`Error::Command`] when the charts do not render, or a schema refuses the values.
pub async fn render(tools: &Tools, plan: &Plan) -> Result<String> {
    render_for(tools, plan, &Capabilities::default()).await
}

/// [`render`] for a cluster with these capabilities.
///
/// # Errors
/// As [`render`].
pub async fn render_for(tools: &Tools, plan: &Plan, cluster: &Capabilities) -> Result<String> {
    let mut command =
        tools.command(Tool::Helm).await?.args(["template", "--include-crds", "--namespace", &plan.namespace]);
    if !cluster.version.is_empty() {
        command = command.args(["--kube-version", &cluster.version]);
    }
    let api = cluster.api.iter().flat_map(|api| ["--api-versions", api]);
    let Output { stdout, .. } = command.args(api).args(content(plan)?).limit(LIMIT).run().await?;
    Ok(stdout)
}

/// Runs `helm lint --strict` on a plan's charts and values.
///
/// # Errors
/// [`Error::Command`] with what the lint found.
pub async fn lint(tools: &Tools, plan: &Plan) -> Result<()> {
    // Lint takes no release name: the chart comes first.
    let args = content(plan)?.into_iter().skip(1);
    tools.command(Tool::Helm).await?.args(["lint", "--strict", "--quiet"]).args(args).limit(LIMIT).run().await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::fresh(&[], false, false, None)]
    #[case::deployed(&[(1, "deployed")], true, false, Some(1))]
    #[case::upgraded(&[(1, "superseded"), (2, "deployed")], true, false, Some(2))]
    #[case::killed_upgrade(&[(1, "deployed"), (2, "pending-upgrade")], false, true, Some(1))]
    #[case::killed_install(&[(1, "pending-install")], false, true, None)]
    #[case::killed_rollback(&[(1, "superseded"), (2, "failed"), (3, "pending-rollback")], false, true, Some(1))]
    #[case::failed_first(&[(1, "failed")], false, false, None)]
    fn history(
        #[case] revisions: &[(u32, &str)],
        #[case] deployed: bool,
        #[case] pending: bool,
        #[case] good: Option<u32>,
    ) {
        let history = History(revisions.iter().map(|(n, status)| (*n, (*status).to_owned())).collect());
        assert_eq!((history.is_deployed(), history.is_pending(), history.last_good()), (deployed, pending, good));
    }
}
