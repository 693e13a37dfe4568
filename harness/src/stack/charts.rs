//! `Charts`: the charts of the working tree, to render and to check.

use std::sync::Arc;

use futures::future::BoxFuture;

use crate::artifacts::ArtifactSet;
use crate::error::{Error, Result};
use crate::release::{self, Plan};
use crate::scenario::{Argument, Fixture, Needs, NoTeardown};
use crate::session::Session;
use crate::settings::Deployer;
use crate::spec::ValuesFile;
use crate::stage::Stage;
use crate::tools::Tool;
use crate::validate::{self, Finding, Rendered};
use crate::yaml;

/// The charts of the working tree, rendered with placeholder images that do not exist; needs Helm, and no cluster.
#[derive(Debug)]
pub struct Charts {
    session: Arc<Session>,
    /// The plan of stage local, to render as it is or to change.
    pub plan: Plan,
}

impl Charts {
    /// The checkout's folder.
    pub fn root(&self) -> &std::path::Path {
        &self.session.project.root
    }

    /// The checkout's skaffold.yaml, parsed.
    ///
    /// # Errors
    /// [`harness_base::Error::Malformed`] when it does not parse.
    pub fn skaffold(&self) -> Result<serde_json::Value> {
        serde_yaml::from_str(&self.session.project.skaffold()?).map_err(Error::malformed("read skaffold.yaml"))
    }

    /// Copies the staged charts and skaffold.yaml into `cache`, for a scenario that plants a fault; returns the copy's folder.
    ///
    /// # Errors
    /// [`harness_base::Error::Io`] when it cannot be made.
    pub fn copy_to(&self, cache: &std::path::Path) -> Result<std::path::PathBuf> {
        Ok(release::stage_charts(self.root(), cache).map(|staged| staged.folder)?)
    }

    /// The Kubernetes objects that a plan renders to.
    ///
    /// # Errors
    /// [`Error::Command`] when the plan does not render.
    pub async fn render(&self, plan: &Plan) -> Result<Vec<serde_json::Value>> {
        Ok(yaml::objects(&release::render(&self.session.tools, plan).await?)?)
    }

    /// What a stage deploys, planned as it does itself; with images that do not exist.
    ///
    /// # Errors
    /// [`harness_base::Error::Refused`] when a subchart is missing.
    pub fn plan_of(&self, stage: Stage) -> Result<Plan> {
        Ok(Plan::shared(
            self.session.charts()?,
            ArtifactSet::placeholder(),
            self.session.settings.deployer.get()?,
            stage,
        ))
    }

    /// The bytes that Skaffold renders by a plan's profile, with no cluster and no registry.
    ///
    /// # Errors
    /// [`Error::Command`] when it does not render.
    pub async fn render_by_skaffold(&self, plan: &Plan) -> Result<String> {
        self.session.tools.require(&[Tool::Helm3, Tool::Skaffold]).await?;
        Ok(release::render_by_skaffold(&self.session.tools, plan).await?)
    }

    /// The bytes that a plan renders to.
    ///
    /// # Errors
    /// [`Error::Command`] when it does not render.
    pub async fn render_text(&self, plan: &Plan) -> Result<String> {
        Ok(release::render(&self.session.tools, plan).await?)
    }

    /// The plan of a values file, with the values (`set`) that its deployer would add.
    pub fn with_values(&self, file: &ValuesFile) -> Plan {
        validate::plan(self.plan.charts.clone(), file)
    }

    /// Renders a plan of a values file, for the checks of [`validate`].
    ///
    /// # Errors
    /// [`Error::Command`] when it does not render.
    pub async fn rendered(&self, plan: &Plan, file: &ValuesFile) -> Result<Rendered> {
        validate::render(&self.session.tools, plan, file).await
    }

    /// The findings about the chart by which administrators open a cluster to previews; none where the stack has no such chart.
    ///
    /// # Errors
    /// [`Error`] when Helm cannot be called.
    pub async fn of_administrators(&self) -> Result<Vec<Finding>> {
        validate::administrators(&self.session.tools, self.root()).await.map(|(findings, _)| findings)
    }

    /// Runs `helm lint --strict` on a plan.
    ///
    /// # Errors
    /// [`Error::Command`] with what the lint found.
    pub async fn lint(&self, plan: &Plan) -> Result<()> {
        Ok(release::lint(&self.session.tools, plan).await?)
    }
}

impl Argument for Charts {
    const NEEDS: Needs = Needs::Charts;

    fn make(session: Arc<Session>, _: &str) -> BoxFuture<'_, Result<Fixture<Self>>> {
        Box::pin(async move {
            session.tools.require(&[Tool::Helm]).await?;
            let plan = Plan::shared(session.charts()?, ArtifactSet::placeholder(), Deployer::Helm, Stage::Local);
            Ok(Fixture { argument: Self { session, plan }, teardown: Box::new(NoTeardown) })
        })
    }
}
