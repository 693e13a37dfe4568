//! Edits, deployed one after the other: once a deploy is done only new pods answer, though old ones are still there.

use std::collections::BTreeSet;
use std::path::Path;

use futures::future::try_join_all;
use harness::http::Reply;
use harness::k8s::{pod, workload};
use harness::release::{Edit, Plan};
use harness::scenario::{ScenarioResult, Scenarios, each, scenario};
use harness::spec::Component;
use harness::stack::OwnStack;
use harness::{Error, Result, expect};
use jetscale::components::{API, FRONTEND, WEBSOCKET};
use jetscale::services::{DOCS, VERSION, WS_READY};
use kube::ResourceExt;

pub fn scenarios() -> Vec<Scenarios> {
    vec![
        scenario(one_is_answered_by_new_pods_alone).within(300),
        scenario(one_of_each_kind_is_answered_by_new_pods_alone).within(300).nightly(),
        each(
            fifty_in_a_row_are_answered_by_new_pods_alone,
            [
                ("of_the_backend", Kind::Backend),
                ("of_the_page", Kind::Page),
                ("of_a_value", Kind::Value),
                ("of_the_websocket", Kind::WebSocket),
            ],
        )
        .within(3000)
        .nightly(),
    ]
}

/// How many requests ask after each edit, each over a connection of its own.
const ASKED: usize = 20;
/// Whose answer it is, as the page's edits say it.
const HEADER: &str = "x-edit";

/// What is edited.
#[derive(Clone, Copy)]
enum Kind {
    /// What the backend is: its answers say which edit they are of.
    Backend,
    /// What the page's server answers with.
    Page,
    /// A value of the api's chart.
    Value,
    /// A value of the WebSocket service's.
    WebSocket,
}

impl Kind {
    fn component(self) -> Component {
        match self {
            Self::Backend | Self::Value => API,
            Self::Page => FRONTEND,
            Self::WebSocket => WEBSOCKET,
        }
    }

    /// The plan after the edit of that number; the page's charts are staged anew in a folder.
    fn of(self, plan: &Plan, number: usize, folder: &Path) -> Result<Plan> {
        let plan = plan.clone();
        Ok(match self {
            Self::Backend => plan.with(&format!("backend.env.JETSCALE_VERSION=edit-{number}")),
            Self::Value => plan.with(&format!("backend.api.resources.requests.memory={}Mi", 100 + number)),
            Self::WebSocket => plan.with(&format!("backend.websocket.resources.requests.memory={}Mi", 100 + number)),
            Self::Page => with_header(plan, number, folder)?,
        })
    }

    /// The path that is asked, and whether its answer is of the edit of that number, from one of these pods.
    fn path(self) -> &'static str {
        match self {
            Self::Backend | Self::Value => VERSION,
            Self::Page => DOCS,
            Self::WebSocket => WS_READY,
        }
    }

    fn is_of(self, reply: &Reply, number: usize, pods: &BTreeSet<String>) -> Result<bool> {
        reply.expect_status(200)?;
        if let Self::Page = self {
            return Ok(reply.header(HEADER) == Some(number.to_string().as_str()));
        }
        let data = reply.at("/data")?;
        let by_new = data["instance"].as_str().is_some_and(|pod| pods.contains(pod));
        Ok(by_new && (!matches!(self, Self::Backend) || data["version"] == format!("edit-{number}")))
    }
}

/// The charts with one more header in what the router answers, in a folder of their own.
fn with_header(plan: Plan, number: usize, folder: &Path) -> Result<Plan> {
    let first = "        add_header X-Content-Type-Options nosniff always;\n";
    let to = format!("{first}        add_header {HEADER} {number} always;\n");
    let edit = Edit { file: "charts/frontend/files/nginx.conf", from: first, to: &to };
    let charts = plan.charts.planted(&folder.join(number.to_string()), &[edit])?;
    Ok(Plan { charts, ..plan })
}

async fn one_is_answered_by_new_pods_alone(stack: OwnStack) -> ScenarioResult {
    // The charts that a page's edit changes stay as they are.
    deployed(&stack, Kind::Backend, 1, Path::new("")).await.map(drop)
}

async fn one_of_each_kind_is_answered_by_new_pods_alone(stack: OwnStack) -> ScenarioResult {
    let folder = tempfile::tempdir().map_err(Error::io("make a folder for edited charts"))?;
    for kind in [Kind::Backend, Kind::Page, Kind::Value, Kind::WebSocket] {
        // Once: on a busy machine the old pods may be gone before the new ones serve.
        deployed(&stack, kind, 1, folder.path()).await?;
    }
    Ok(())
}

/// A wait for the end of the old pods would hide them: most of them have to be there still.
async fn fifty_in_a_row_are_answered_by_new_pods_alone(stack: OwnStack, kind: Kind) -> ScenarioResult {
    const EDITS: usize = 50;
    const WITH_OLD: usize = 48;
    let folder = tempfile::tempdir().map_err(Error::io("make a folder for edited charts"))?;
    let mut with_old = 0;
    for number in 1..=EDITS {
        with_old += usize::from(deployed(&stack, kind, number, folder.path()).await?);
    }
    stack.measured("edits after which an old pod was still there", format!("{with_old} of {EDITS}"));
    expect!(with_old >= WITH_OLD, "after {with_old} of {EDITS} edits alone an old pod was still there")
}

/// Deploys the edit of that number and asks at once; says whether an old pod was still there after that.
async fn deployed(stack: &OwnStack, kind: Kind, number: usize, folder: &Path) -> Result<bool> {
    stack.upgrade(&kind.of(stack.plan(), number, folder)?).await?;
    let component = kind.component();
    let pods: BTreeSet<String> = stack.pods(&component).await?.iter().map(ResourceExt::name_any).collect();
    let replies = try_join_all((0..ASKED).map(|_| stack.get(kind.path()))).await?;
    for reply in &replies {
        let of_new = kind.is_of(reply, number, &pods)?;
        expect!(of_new, "after edit {number} an old pod of {} answered: {reply} {}", component.suffix, reply.text())?;
    }
    let all = workload::pods(stack.kube(), stack.namespace(), &stack.plan().selector(&component)).await?;
    Ok(all.iter().any(pod::is_terminating))
}
