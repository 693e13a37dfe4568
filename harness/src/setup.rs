//! Provides ahead of time all that a run needs and that is not in the checkout: engine, tools, images.
//!
//! A run without it provides the same parts one by one, when it comes to them, by the same functions.

use std::path::PathBuf;

use futures::future::join_all;

use crate::artifacts::{self, Bases};
use crate::cluster::node_image::{self, NodeImageRequest};
use crate::engine::Engine;
use crate::error::Result;
use crate::files::private_folder;
use crate::project::Project;
use crate::settings::Settings;
use crate::source::{Planned, ProvisionSource};
use crate::stage::Stage;
use crate::tools::{Found, SetupPlan, Tool, Tools};

/// The tools that a run calls.
const TOOLS: [Tool; 5] = [Tool::Kind, Tool::Helm, Tool::Helm3, Tool::Buildx, Tool::Skaffold];

/// The tools of a stage: dev alone needs Tilt, which takes long to build where it cannot be downloaded.
fn tools_of(stage: Stage) -> Vec<Tool> {
    let dev = (stage == Stage::Dev).then_some(Tool::Tilt);
    TOOLS.into_iter().chain(dev).collect()
}

/// The result of [`run`].
#[derive(Debug)]
pub struct Ready {
    /// The folders of the tools, as PATH would list them.
    pub path: Vec<PathBuf>,
    /// Each part, and how it is at hand.
    pub parts: Vec<Planned>,
}

/// Makes sure that the engine, the tools and the images of a stage are on this machine.
///
/// What remains on cancel or kill: finished parts, and partial downloads and builds, from which the next call goes on.
///
/// # Errors
/// The error of the first part that cannot be had; the other parts are provided all the same.
pub async fn run(settings: &Settings, from: ProvisionSource, stage: Stage) -> Result<Ready> {
    let project = Project::find(settings)?;
    private_folder(&settings.state_root)?;
    let tools = Tools::new(settings.tools());
    let engine = Engine::ensure(&tools, settings, &settings.state_root).await?;
    let request = NodeImageRequest { engine: &engine, tools: &tools, project: &project, settings, from };
    let bases = Bases { engine: &engine, project: &project, may_set_up: settings.may_set_up(), from };
    let wanted = artifacts::wanted();
    // Each goes on to its end, whatever fails beside it: what can be had is there for the next call.
    let all_tools = async {
        let mut found = join_all(tools_of(stage).into_iter().map(|tool| tools.ensure(tool, from))).await;
        // Last: a run can do without nextest, and to compile it takes minutes.
        found.push(tools.ensure(Tool::Nextest, from).await);
        found
    };
    let (all_tools, node_image, bases) = tokio::join!(all_tools, node_image::ensure(request), bases.ensure(&wanted));
    let found = all_tools.into_iter().collect::<Result<Vec<Found>, _>>()?;
    node_image?;
    bases?;
    // Built tools are kept; Go's caches are some GiB.
    tools.forget_go_caches()?;
    let mut path: Vec<PathBuf> = found.iter().filter_map(|found| Some(found.path.parent()?.to_owned())).collect();
    path.sort();
    path.dedup();
    Ok(Ready { path, parts: plan(settings, from, stage).await? })
}

/// What [`run`] would do, part by part; provides nothing.
///
/// # Errors
/// [`crate::Error::Command`] when the engine stops answering in between.
pub async fn plan(settings: &Settings, from: ProvisionSource, stage: Stage) -> Result<Vec<Planned>> {
    let project = Project::find(settings)?;
    let tools = Tools::new(settings.tools());
    let mut parts = Vec::new();
    for tool in tools_of(stage).into_iter().chain([Tool::Nextest]) {
        let name = tool.to_string();
        parts.push(match tools.plan(tool, from).await? {
            SetupPlan::AtHand(found) => Planned::at_hand(&name, SetupPlan::AtHand(found).to_string()),
            SetupPlan::Impossible { why } => Planned::to_do(&name, vec![format!("cannot be had: {why}")]),
            way => Planned::to_do(&name, vec![way.to_string()]),
        });
    }
    let engine = match Engine::connect(&tools, settings).await {
        Ok(engine) => engine,
        Err(error) => {
            let first = error.to_string().lines().next().unwrap_or_default().to_owned();
            parts.push(Planned::to_do("engine", vec![first]));
            parts.push(Planned::to_do("images", vec!["looked for once the engine answers".to_owned()]));
            return Ok(parts);
        }
    };
    parts.push(Planned::at_hand("engine", "it answers".to_owned()));
    let request = NodeImageRequest { engine: &engine, tools: &tools, project: &project, settings, from };
    parts.push(node_image::plan(request).await?);
    let bases = Bases { engine: &engine, project: &project, may_set_up: settings.may_set_up(), from };
    for want in artifacts::wanted() {
        parts.push(bases.plan(&want).await?);
    }
    Ok(parts)
}
