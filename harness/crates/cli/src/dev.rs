//! `cargo stack dev`: Tilt on the dev cluster, in this terminal.

use std::process::ExitCode;
use std::sync::Arc;

use harness::dev;
use harness::engine::Engine;
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

/// Names what stays after `cargo stack clean`, since it is not ours to remove.
pub async fn name_what_is_not_ours(settings: &Settings) {
    let Ok(engine) = Engine::connect(&Tools::new(settings.tools()), settings).await else { return };
    if let Ok(Some(text)) = dev::made_by_hand(&engine).await {
        say!("{text}");
    }
}
