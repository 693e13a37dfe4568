//! Stage dev: a developer's edits, through Tilt, on a copy of the checkout.

use std::pin::pin;
use std::time::Duration;

use futures::future::{Either, select, try_join};
use harness::dev::{OtherCluster, ResourceUpdate};
use harness::http::Reader;
use harness::k8s::{self, State};
use harness::scenario::{ScenarioResult, Scenarios, each, scenario};
use harness::spec::Component;
use harness::stack::{Dev, Stack};
use harness::{Error, Result, expect, expect_eq};
use jetscale::components::{API, FRONTEND, REDIS, WEBSOCKET};
use jetscale::dev::{BACKEND, HUD, PAGE};
use jetscale::services::{DOCS, ITEMS, JetscaleStack, OPENAPI, WS};
use k8s_openapi::api::apps::v1::StatefulSet;
use kube::{Api, ResourceExt};

/// How long a rebuild may take: an image, and a rollout.
const REBUILD: Duration = Duration::from_secs(240);
/// How long Tilt may take to say that an edit is in its pod.
const UPDATE: Duration = Duration::from_secs(120);
/// How long the debugger may take to attach to every process of a service, and then the service to answer.
const ANSWERED: Duration = Duration::from_secs(90);
/// How long somebody looks at what is stopped: longer than liveness allows elsewhere, and the router an answer.
const LOOK: Duration = Duration::from_secs(120);
/// How often a reload is measured.
const TIMES: usize = 5;

pub fn scenarios() -> Vec<Scenarios> {
    vec![
        scenario(every_resource_is_green),
        each(
            an_address_answers,
            [
                ("hud", (HUD, "/", "Tilt")),
                ("backend", (BACKEND, DOCS, "swagger-ui")),
                ("frontend", (PAGE, "/", "<title>")),
            ],
        ),
        each(an_edit_is_served_by_the_same_pod, [("of_the_backend", BACKEND_EDIT), ("of_the_page", PAGE_EDIT)])
            .within(300),
        each(
            a_rebuild_makes_a_new_pod,
            [("for_the_router", ("frontend/start.sh", "set -u", "# edited\nset -u", FRONTEND, "frontend"))],
        )
        .within(300),
        each(
            a_rebuild_makes_a_new_pod,
            [
                ("for_requirements", ("backend/requirements.txt", "alembic==", "# edited\nalembic==", API, "backend")),
                (
                    "for_migrations",
                    (
                        "backend/jetscale_backend/migrations/env.py",
                        "from alembic import",
                        "# edited\nfrom alembic import",
                        API,
                        "backend",
                    ),
                ),
            ],
        )
        .within(300)
        .nightly(),
        scenario(a_syntax_error_is_shown_and_the_next_edit_heals_it).within(300),
        scenario(a_subchart_is_rendered_anew_when_it_changes).within(300),
        scenario(a_breakpoint_stops_a_request).within(300),
        scenario(whoever_is_at_a_breakpoint_has_time).within(600).nightly(),
        each(a_button_works, [("seed_data", "seed-data")]).within(300),
        // The gate runs these tests anyway, on the machine.
        each(a_button_works, [("backend_tests", "backend-tests")]).within(300).nightly(),
        each(
            another_context_is_refused,
            [("of_another_kind_cluster", "kind-other"), ("that_looks_like_production", "production")],
        ),
        scenario(other_stages_are_left_alone),
    ]
}

/// A text of a source file, and where it is served.
#[derive(Clone, Copy)]
struct Edit {
    what: &'static str,
    component: Component,
    resource: &'static str,
    file: &'static str,
    text: &'static str,
    base: &'static str,
    path: &'static str,
}

const BACKEND_EDIT: Edit = Edit {
    what: "backend: from save to served",
    component: API,
    resource: "backend",
    file: "backend/jetscale_backend/application.py",
    text: "JetScale backend",
    base: BACKEND,
    path: OPENAPI,
};
const PAGE_EDIT: Edit = Edit {
    what: "frontend: from save to served",
    component: FRONTEND,
    resource: "frontend",
    file: "frontend/html/index.html",
    text: "<title>JetScale",
    base: PAGE,
    path: "/",
};

async fn every_resource_is_green(dev: Dev) -> ScenarioResult {
    let names: Vec<String> = dev.all_green().await?.iter().map(|resource| resource.name()).collect();
    for name in ["(Tiltfile)", "postgres", "redis", "backend", "websocket", "frontend"] {
        expect!(names.iter().any(|found| found == name), "Tilt has no resource {name}: {names:?}")?;
    }
    Ok(())
}

/// The addresses that the documentation promises.
async fn an_address_answers(_: Dev, (base, path, text): (&'static str, &'static str, &'static str)) -> ScenarioResult {
    let page = Reader::new(base)?.get(path).await?;
    page.expect_status(200)?;
    expect!(page.text().contains(text), "{page} does not hold {text:?}")
}

async fn an_edit_is_served_by_the_same_pod(dev: Dev, edit: Edit) -> ScenarioResult {
    let pods = dev.pods(&edit.component).await?;
    let mut text = edit.text.to_owned();
    for number in 1..=TIMES {
        let new = format!("{} {number}", edit.text);
        let saved = dev.edit(edit.file, &text, &new)?;
        let took = dev.served(edit.base, edit.path, new.trim_start_matches("<title>"), saved).await?;
        dev.measured(edit.what, took);
        expect_eq!(dev.updated(edit.resource, saved, UPDATE).await?, ResourceUpdate::Live)?;
        text = new;
    }
    expect_eq!(dev.pods(&edit.component).await?, pods)
}

async fn a_rebuild_makes_a_new_pod(dev: Dev, (file, from, to, component, resource): Rebuild) -> ScenarioResult {
    let before = dev.pods(&component).await?;
    let saved = dev.edit(file, from, to)?;
    expect_eq!(dev.updated(resource, saved, REBUILD).await?, ResourceUpdate::Whole)?;
    dev.settled().await?;
    let after = dev.pods(&component).await?;
    expect!(after.iter().any(|pod| !before.contains(pod)), "no pod is new: {after:?}")
}

/// File, text, its replacement, what is rebuilt, its name in Tilt.
type Rebuild = (&'static str, &'static str, &'static str, Component, &'static str);

/// Tilt's API has the error, the pod stays, and a good edit needs nothing else.
async fn a_syntax_error_is_shown_and_the_next_edit_heals_it(dev: Dev) -> ScenarioResult {
    let (pods, file) = (dev.pods(&API).await?, BACKEND_EDIT.file);
    let bad = dev.edit(file, "def application(", "def broken(:\n\ndef application(")?;
    let shown = dev.updated("backend", bad, UPDATE).await?;
    expect!(matches!(&shown, ResourceUpdate::Failed(why) if why.contains("compileall")), "Tilt says {shown:?}")?;
    let good = dev.edit(file, "def broken(:\n\n", "# mended\n")?;
    expect_eq!(dev.updated("backend", good, UPDATE).await?, ResourceUpdate::Live)?;
    let named = dev.edit(file, "JetScale backend", "JetScale backend, mended")?;
    dev.served(BACKEND, OPENAPI, "JetScale backend, mended", named).await?;
    dev.settled().await?;
    expect_eq!(dev.pods(&API).await?, pods)
}

async fn a_subchart_is_rendered_anew_when_it_changes(dev: Dev) -> ScenarioResult {
    dev.edit("charts/redis/values.yaml", "memory: 32Mi", "memory: 33Mi")?;
    let sets: Api<StatefulSet> = Api::namespaced(dev.kube().clone(), dev.namespace());
    let name = dev.name_of(&REDIS);
    k8s::wait::object(sets, &name, "the changed StatefulSet of redis", Duration::from_secs(60), |set| {
        let text = format!("{:?}", set.and_then(|set| set.spec.as_ref()));
        if text.contains("33Mi") { State::Ready } else { State::Pending("it asks for the memory it had".to_owned()) }
    })
    .await?;
    Ok(())
}

/// In both services, as an editor does it: a request stops at the line that is marked, with its variables, and is answered
/// once it may go on.
async fn a_breakpoint_stops_a_request(dev: Dev) -> ScenarioResult {
    try_join(stops_the_api(&dev, Duration::ZERO), stops_the_websocket(&dev, Duration::ZERO)).await.map(drop)
}

/// Nothing restarts a pod that answers no probe, and nothing hangs up on its clients.
async fn whoever_is_at_a_breakpoint_has_time(dev: Dev) -> ScenarioResult {
    try_join(stops_the_api(&dev, LOOK), stops_the_websocket(&dev, LOOK)).await.map(drop)
}

async fn stops_the_api(dev: &Dev, look: Duration) -> ScenarioResult {
    let stack = dev.stack().await?;
    has_debugger(dev, &API).await?;
    let (user, name) = (stack.user().await?, stack.own_name("item"));
    let client = stack.client_within(look + ANSWERED)?.bearer(&user.token)?;
    let (before, path) = (pods(&stack, &API).await?, format!("{ITEMS}?prefix={name}"));
    let (file, line) = ("jetscale_backend/items.py", "found = await items.list(");
    let mut debugger = dev.breakpoint(&API, &format!("backend/{file}"), line, &format!("/app/{file}")).await?;
    let mut stopped = Box::pin(debugger.stopped(ANSWERED));
    // The process that serves is attached to a moment after the one that listens, and nobody says when: until then it answers.
    let (stop, held) = loop {
        match select(stopped.as_mut(), Box::pin(client.get(&path))).await {
            Either::Left((stop, asked)) => break (stop?, asked),
            Either::Right((reply, _)) => drop(reply?.expect_status(200)?),
        }
    };
    drop(stopped);
    expect_eq!(stop.function, "list_items")?;
    expect_eq!(stop.variables.get("prefix").map(String::as_str), Some(format!("'{name}'").as_str()))?;
    stop.lasts(look).await?;
    expect_eq!(pods(&stack, &API).await?, before)?;
    stop.go_on().await?;
    held.await?.expect_status(200)?;
    debugger.detach().await
}

async fn stops_the_websocket(dev: &Dev, look: Duration) -> ScenarioResult {
    let stack = dev.stack().await?;
    has_debugger(dev, &WEBSOCKET).await?;
    let (user, text) = (stack.user().await?, stack.own_name("text"));
    let before = pods(&stack, &WEBSOCKET).await?;
    let (file, line) = ("jetscale_backend/websocket.py", "text = message.get(");
    let mut debugger = dev.breakpoint(&WEBSOCKET, &format!("backend/{file}"), line, &format!("/app/{file}")).await?;
    let mut stopped = Box::pin(debugger.stopped(ANSWERED));
    // Opened anew for each try: debugpy stops in no function that was entered before it was attached.
    let (stop, mut socket) = loop {
        let mut socket = stack.websocket(WS, Some(&user.token)).await?.open()?;
        socket.send_text(&text).await?;
        let stopped = match select(stopped.as_mut(), pin!(socket.next_text())).await {
            Either::Left((stop, _)) => Some(stop?),
            Either::Right((echo, _)) => {
                echo?;
                None
            }
        };
        match stopped {
            Some(stop) => break (stop, socket),
            None => socket.close().await?,
        }
    };
    drop(stopped);
    expect_eq!(stop.function, "_echo")?;
    let message = stop.variables.get("message").cloned().unwrap_or_default();
    expect!(message.contains(&text), "of the message the debugger shows {message}")?;
    // Pings are answered meanwhile.
    socket.stays_open(look).await?;
    stop.lasts(Duration::ZERO).await?;
    expect_eq!(pods(&stack, &WEBSOCKET).await?, before)?;
    stop.go_on().await?;
    let echo = socket.next_text().await?.unwrap_or_default();
    expect!(echo.contains(&text), "it was answered by {echo:?}")?;
    debugger.detach().await?;
    Ok(socket.close().await?)
}

/// The names of a component's pods, and how often their containers were restarted.
async fn pods(stack: &Stack, component: &Component) -> Result<Vec<(String, i32)>> {
    let pods = stack.pods(component).await?;
    Ok(pods.iter().map(|pod| (pod.name_any(), k8s::pod::restarts(pod))).collect())
}

async fn has_debugger(dev: &Dev, component: &Component) -> ScenarioResult {
    match dev.log(component).await?.contains("no debugger") {
        false => Ok(()),
        true => Err(Error::NotApplicable(
            "the Python of this machine's base image has no ctypes, which debugpy needs".into(),
        )),
    }
}

async fn a_button_works(dev: Dev, task: &'static str) -> ScenarioResult {
    expect_eq!(dev.press(task).await?, ResourceUpdate::Whole)
}

/// By the Tiltfile itself, before it asks anything of the cluster or of this machine.
async fn another_context_is_refused(dev: Dev, context: &'static str) -> ScenarioResult {
    let kubeconfig = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: {context}\ncontexts:\n\
         - {{name: {context}, context: {{cluster: c, user: u}}}}\nclusters:\n\
         - {{name: c, cluster: {{server: 'https://127.0.0.1:1'}}}}\nusers:\n- {{name: u, user: {{}}}}\n"
    );
    match dev.tiltfile_on(&kubeconfig).await {
        Ok(()) => Err(Error::Unmet(format!("the Tiltfile accepted the context {context}"))),
        Err(error) => {
            let text = error.report();
            expect!(text.contains("kind-kind alone") && text.contains(context), "the Tiltfile said:\n{text}")
        }
    }
}

/// Neither their pods nor their registries hold a dev image.
async fn other_stages_are_left_alone(dev: Dev) -> ScenarioResult {
    let there: Vec<_> = dev.other_clusters().await?.into_iter().filter(OtherCluster::is_there).collect();
    if there.is_empty() {
        return Err(Error::NotApplicable("no other stage of this checkout has a cluster or a registry now".to_owned()));
    }
    for neighbour in there {
        for name in neighbour.images.iter().chain(&neighbour.repositories) {
            expect!(!name.contains("-dev"), "{} holds {name}", neighbour.cluster)?;
        }
    }
    Ok(())
}
