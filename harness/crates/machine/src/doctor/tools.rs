//! Checks of the tools: version, and where each was found.

use harness_settings::settings::Settings;
use harness_settings::spec::variable::SETUP;

use super::{Check, Severity};
use crate::engine::{EngineUnavailable, Host, plan_remedy};
use crate::tools::{Look, Tool, Tools};

const GROUP: &str = "tools";

pub(super) async fn examine(tools: &Tools, settings: &Settings, host: &Host) -> Vec<Check> {
    let each = Tool::ALL.map(|tool| async move {
        let name = tool.to_string();
        Check::within(GROUP, &name, row(tools, tool, settings, host)).await
    });
    futures::future::join_all(each).await
}

async fn row(tools: &Tools, tool: Tool, settings: &Settings, host: &Host) -> Check {
    let seen = match tools.look(tool).await {
        Ok(Look::Found(found)) => {
            let version = found.version.map(|version| format!("{version}  ")).unwrap_or_default();
            let value = format!("{version}{}  from {}", found.path.display(), found.origin);
            return Check::new(GROUP, tool.to_string(), Severity::Ok, value);
        }
        Ok(Look::Missing { seen }) => seen,
        Err(error) => vec![error.report()],
    };
    let missing = |verdict, how: &str| {
        let seen: String = seen.iter().map(|seen| format!("\n{seen}")).collect();
        Check::new(GROUP, tool.to_string(), verdict, format!("missing; {how}{seen}"))
    };
    let setup = "cargo stack setup";
    match tool {
        Tool::Git => missing(Severity::Note, "images will not know their revision").remedy("install git"),
        Tool::Docker => match plan_remedy(&EngineUnavailable::NoClient, host, settings.may_set_up()) {
            Ok(action) => missing(Severity::Note, "it comes with the engine").remedy(action.command()),
            Err(left) => missing(Severity::Problem, "it comes with the engine").remedy(left.next),
        },
        Tool::Go => missing(Severity::Note, "needed where tools have to be built; then it is had from PyPI"),
        Tool::Nextest => missing(Severity::Note, "cargo test does without").remedy(setup),
        Tool::Tilt => missing(Severity::Note, "stage dev alone needs it").remedy(match settings.may_set_up() {
            true => format!("{setup} --stage dev"),
            false => format!("{SETUP}=auto {setup} --stage dev"),
        }),
        _ if settings.may_set_up() => missing(Severity::Note, "the first run sets it up").remedy(setup),
        _ => missing(Severity::Problem, &format!("{SETUP}=never keeps a run from setting it up"))
            .remedy(format!("{SETUP}=auto {setup}")),
    }
}
