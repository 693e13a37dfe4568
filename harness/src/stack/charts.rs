//! `Charts`: what the charts of the working tree render to.

use std::sync::Arc;

use crate::artifacts::ArtifactSet;
use crate::descriptor::ValuesFile;
use crate::error::{Error, Result};
use crate::fixture::Fixtures;
use crate::release::{self, Plan};
use crate::scenario::{Argument, Made, Needs, Nothing};
use crate::settings::Deployer;
use crate::stage::Stage;
use crate::tools::Tool;
use crate::validate::{self, Finding, Rendered};
use crate::yaml;

/// The charts of the working tree, with images that do not exist.
#[derive(Debug)]
pub struct Charts {
    fixtures: Arc<Fixtures>,
    /// What is rendered: stage local's values; change what a scenario wants otherwise.
    pub plan: Plan,
}

impl Charts {
    /// The checkout.
    pub fn root(&self) -> &std::path::Path {
        &self.fixtures.project.root
    }

    /// What skaffold.yaml says.
    ///
    /// # Errors
    /// [`Error::Malformed`] when it does not parse.
    pub fn skaffold(&self) -> Result<serde_json::Value> {
        serde_yaml::from_str(&self.fixtures.project.skaffold()?).map_err(Error::malformed("read skaffold.yaml"))
    }

    /// A copy of the staged charts and skaffold.yaml, to plant a fault in.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be made.
    pub fn copy_to(&self, cache: &std::path::Path) -> Result<std::path::PathBuf> {
        release::stage_charts(self.root(), cache).map(|staged| staged.folder)
    }

    /// The objects that a plan renders to.
    ///
    /// # Errors
    /// [`Error::Command`] when it does not render.
    pub async fn render(&self, plan: &Plan) -> Result<Vec<serde_json::Value>> {
        yaml::objects(&release::render(&self.fixtures.tools, plan).await?)
    }

    /// What a stage deploys, planned as it does itself; with images that do not exist.
    ///
    /// # Errors
    /// [`Error::Refused`] when a subchart is missing.
    pub fn plan_of(&self, stage: Stage) -> Result<Plan> {
        Ok(Plan::shared(
            self.fixtures.charts()?,
            ArtifactSet::placeholder(),
            self.fixtures.settings.deployer.get()?,
            stage,
        ))
    }

    /// The bytes that Skaffold renders by a plan's profile, with no cluster and no registry.
    ///
    /// # Errors
    /// [`Error::Command`] when it does not render.
    pub async fn render_by_skaffold(&self, plan: &Plan) -> Result<String> {
        self.fixtures.tools.require(&[Tool::Helm3, Tool::Skaffold]).await?;
        release::render_by_skaffold(&self.fixtures.tools, plan).await
    }

    /// The bytes that a plan renders to.
    ///
    /// # Errors
    /// [`Error::Command`] when it does not render.
    pub async fn render_text(&self, plan: &Plan) -> Result<String> {
        release::render(&self.fixtures.tools, plan).await
    }

    /// The plan of a values file, with what only a deployer knows.
    pub fn with_values(&self, file: &ValuesFile) -> Plan {
        validate::plan(self.plan.charts.clone(), file)
    }

    /// What a plan of a values file renders to, to be checked.
    ///
    /// # Errors
    /// [`Error::Command`] when it does not render.
    pub async fn rendered(&self, plan: &Plan, file: &ValuesFile) -> Result<Rendered> {
        validate::render(&self.fixtures.tools, plan, file).await
    }

    /// What is wrong with the chart by which administrators open a cluster to previews.
    ///
    /// # Errors
    /// [`Error`] when Helm cannot be called.
    pub async fn of_administrators(&self) -> Result<Vec<Finding>> {
        validate::administrators(&self.fixtures.tools, self.root()).await.map(|(findings, _)| findings)
    }

    /// What `helm lint --strict` finds.
    ///
    /// # Errors
    /// [`Error::Command`] with what it found.
    pub async fn lint(&self, plan: &Plan) -> Result<()> {
        release::lint(&self.fixtures.tools, plan).await
    }
}

impl Argument for Charts {
    const NEEDS: Needs = Needs::Charts;

    async fn make(fixtures: Arc<Fixtures>, _: &str) -> Result<Made<Self>> {
        fixtures.tools.require(&[Tool::Helm]).await?;
        let plan = Plan::shared(fixtures.charts()?, ArtifactSet::placeholder(), Deployer::Helm, Stage::Local);
        Ok(Made { argument: Self { fixtures, plan }, aftercare: Box::new(Nothing) })
    }
}
