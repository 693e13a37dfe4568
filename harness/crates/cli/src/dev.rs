//! `cargo stack dev`: Tilt on the dev cluster, in this terminal.

use std::process::ExitCode;
use std::sync::Arc;

use harness::cluster::ClusterState;
use harness::dev::{self, Inputs};
use harness::engine::Engine;
use harness::project::Project;
use harness::session::Session;
use harness::settings::Settings;
use harness::stage::Stage;
use harness::tools::Tools;
use harness::{Result, say, tell};

pub async fn run(settings: Settings, ci: bool) -> Result<ExitCode> {
    let session = Arc::new(Session::new(settings, Stage::Dev)?);
    let status = session.run_tilt(ci).await?;
    if let Some(text) = session.farewell()? {
        tell!("{text}");
    }
    // Ctrl-C is how `tilt up` ends, whatever it says then; of `tilt ci` it is the verdict that counts.
    let well = status.success() || !ci;
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What the Tiltfile asks when nobody answered before: of `tilt up` by hand.
pub async fn inputs(settings: &Settings) -> Result<ExitCode> {
    super::show(settings)?;
    let project = Project::find(settings)?;
    let home = ClusterState::of(settings, &project, Stage::Dev);
    let engine = Engine::ensure(&Tools::new(settings.tools()), settings, &settings.state_root).await?;
    // By hand there may be none yet: the context is then another one, which the Tiltfile says.
    let cluster = home.record()?.identity.map_or(home.name, |identity| identity.name);
    let inputs = Inputs::of(&engine, &project, settings, &cluster).await?;
    say!("{}", inputs.json()?);
    Ok(ExitCode::SUCCESS)
}

/// Names what stays after `cargo stack clean`, since it is not ours to remove.
pub async fn name_what_is_not_ours(settings: &Settings) {
    let Ok(engine) = Engine::connect(&Tools::new(settings.tools()), settings).await else { return };
    if let Ok(Some(text)) = dev::made_by_hand(&engine).await {
        say!("{text}");
    }
}
