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
use crate::validate::{self, Rendered};

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

    /// The objects that a plan renders to.
    ///
    /// # Errors
    /// [`Error::Command`] when it does not render.
    pub async fn render(&self, plan: &Plan) -> Result<Vec<serde_json::Value>> {
        objects(&release::render(&self.fixtures.tools, plan).await?)
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

    /// What `helm lint --strict` finds.
    ///
    /// # Errors
    /// [`Error::Command`] with what it found.
    pub async fn lint(&self, plan: &Plan) -> Result<()> {
        release::lint(&self.fixtures.tools, plan).await
    }
}

/// The documents of a YAML text.
fn objects(text: &str) -> Result<Vec<serde_json::Value>> {
    use serde::Deserialize;
    serde_yaml::Deserializer::from_str(text)
        .map(|document| serde_json::Value::deserialize(document).map_err(Error::malformed("read rendered manifests")))
        .filter(|object| !matches!(object, Ok(serde_json::Value::Null)))
        .collect()
}

impl Argument for Charts {
    const NEEDS: Needs = Needs::Charts;

    async fn make(fixtures: Arc<Fixtures>, _: &str) -> Result<Made<Self>> {
        fixtures.tools.require(&[Tool::Helm]).await?;
        let plan = Plan::shared(fixtures.charts()?, ArtifactSet::placeholder(), Deployer::Helm, Stage::Local.name());
        Ok(Made { argument: Self { fixtures, plan }, aftercare: Box::new(Nothing) })
    }
}
