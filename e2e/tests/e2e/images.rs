//! The images by themselves, in the engine alone, without a cluster or charts.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use harness::artifacts::Reference;
use harness::scenario::{ScenarioResult, Scenarios, each, scenario};
use harness::stack::Images;
use harness::{Error, Result, expect, expect_eq};
use testcontainers::core::{CmdWaitFor, ExecCommand, WaitFor};
use testcontainers::runners::AsyncRunner;
use testcontainers::{ContainerAsync, ContainerRequest, GenericImage, ImageExt};

/// What uvicorn says once it listens; "startup complete" comes before that.
const SERVES: &str = "Uvicorn running on";
/// A key of the length that the backend asks for; nothing is signed with it.
const KEY: &str = "0123456789abcdef0123456789abcdef";

/// What an image for developers has, and one for users has not.
const DEV_TOOLS: [&str; 10] = ["gcc", "cc", "make", "pip", "pip3", "git", "curl", "watchfiles", "debugpy", "pytest"];

pub fn scenarios() -> Vec<Scenarios> {
    vec![
        scenario(backend_starts_uvicorn_by_itself),
        scenario(backend_stops_on_sigterm),
        scenario(backend_says_clearly_what_is_wrong_with_its_database_url),
        each(runs_as_non_root, [("backend", "backend"), ("frontend", "frontend")]),
        each(is_alpine, [("backend", "backend"), ("frontend", "frontend")]),
        each(holds_no_dev_tools, [("backend", ("backend", "uvicorn")), ("frontend", ("frontend", "nginx"))]),
    ]
}

/// With no command at all the container serves the api.
async fn backend_starts_uvicorn_by_itself(images: Images) -> ScenarioResult {
    let container = start(api(&images)?).await?;
    let port = container.get_host_port_ipv4(8000).await.map_err(engine("find the port"))?;
    let live = harness::http::Reader::new(&format!("http://127.0.0.1:{port}"))?;
    live.get(jetscale::services::LIVE).await?.expect_status(200)?;
    let processes = exec(&container, ["cat", "/proc/1/cmdline"]).await?;
    expect!(processes.contains("uvicorn"), "the first process is {}", processes.replace('\0', " "))
}

/// It exits by itself within 10 s of SIGTERM, and with status 0.
async fn backend_stops_on_sigterm(images: Images) -> ScenarioResult {
    let container = start(api(&images)?).await?;
    let started = Instant::now();
    container.stop_with_timeout(Some(30)).await.map_err(engine("stop the container"))?;
    expect!(started.elapsed() < Duration::from_secs(10), "it took {:.1?}", started.elapsed())?;
    expect_eq!(container.exit_code().await.map_err(engine("read the exit code"))?, Some(0))
}

/// One line that names the variable, no traceback, no password, and a status that is not 0.
async fn backend_says_clearly_what_is_wrong_with_its_database_url(images: Images) -> ScenarioResult {
    let image = request(&images, "backend", WaitFor::exit(Default::default()))?
        .with_env_var("JETSCALE_JWT_SECRET_KEY", KEY)
        .with_env_var("JETSCALE_DATABASE_URL", "mysql://user:hunter2@nowhere/db");
    let container = start(image).await?;
    let log = container.stderr_to_vec().await.map_err(engine("read the log"))?;
    let log = String::from_utf8_lossy(&log).trim().to_owned();
    expect!(log.contains("JETSCALE_DATABASE_URL"), "the variable is not named: {log}")?;
    expect!(!log.contains("hunter2") && !log.contains("Traceback"), "it says too much: {log}")?;
    expect_eq!(log.lines().count(), 1)?;
    let code = container.exit_code().await.map_err(engine("read the exit code"))?;
    expect!(code.is_some_and(|code| code != 0), "it ended with {code:?}")
}

async fn runs_as_non_root(images: Images, name: &'static str) -> ScenarioResult {
    let container = start(idle(&images, name)?).await?;
    let user = exec(&container, ["id", "-u"]).await?;
    expect!(user.trim().parse::<u32>().is_ok_and(|uid| uid > 0), "{name} runs as {user}")
}

async fn is_alpine(images: Images, name: &'static str) -> ScenarioResult {
    let container = start(idle(&images, name)?).await?;
    let release = exec(&container, ["cat", "/etc/os-release"]).await?;
    expect!(release.contains("ID=alpine"), "{name} is {release}")?;
    let loader = exec(&container, ["sh", "-c", "ls /lib/ld-musl-*"]).await?;
    expect!(loader.contains("ld-musl"), "{name} has no musl")
}

/// No compiler, no package installer of Python's, no debugger, no reloader: neither as a program nor as a package,
/// wherever it lies. The same look finds what the image is there for.
async fn holds_no_dev_tools(images: Images, (name, kept): (&'static str, &'static str)) -> ScenarioResult {
    let container = start(idle(&images, name)?).await?;
    let mut found = BTreeSet::new();
    for wanted in DEV_TOOLS.into_iter().chain([kept]) {
        // What this user may not enter is no part of the image that it could use.
        let look = "find / -xdev -name \"$0\" 2>/dev/null; true";
        if !exec(&container, ["sh", "-c", look, wanted]).await?.trim().is_empty() {
            found.insert(wanted);
        }
    }
    expect_eq!(found, BTreeSet::from([kept]))
}

/// The api as the chart starts it, but with a database that nobody runs.
fn api(images: &Images) -> Result<ContainerRequest<GenericImage>> {
    Ok(request(images, "backend", WaitFor::message_on_stderr(SERVES))?
        .with_env_var("JETSCALE_JWT_SECRET_KEY", KEY)
        .with_env_var("JETSCALE_DATABASE_URL", "postgresql+asyncpg://nobody:nothing@127.0.0.1:1/none")
        .with_env_var("JETSCALE_REDIS_HOST", "127.0.0.1"))
}

/// The image with nothing running in it but a wait, as the user that the image names.
fn idle(images: &Images, name: &str) -> Result<ContainerRequest<GenericImage>> {
    let reference = images.reference(name)?;
    let image = generic(&reference).with_entrypoint("sleep");
    Ok(image.with_cmd(["120"]).with_label(images.owner_label().0, images.owner_label().1))
}

fn request(images: &Images, name: &str, ready: WaitFor) -> Result<ContainerRequest<GenericImage>> {
    let image = generic(&images.reference(name)?).with_exposed_port(8000.into()).with_wait_for(ready);
    Ok(image.with_label(images.owner_label().0, images.owner_label().1))
}

/// testcontainers joins name and tag by a colon; what is before the digest's colon is the name.
fn generic(reference: &Reference) -> GenericImage {
    let text = reference.by_digest();
    let (name, tag) = text.rsplit_once(':').unwrap_or((text.as_str(), "latest"));
    GenericImage::new(name, tag)
}

async fn start(request: ContainerRequest<GenericImage>) -> Result<ContainerAsync<GenericImage>> {
    request.start().await.map_err(engine("start the container"))
}

async fn exec<const N: usize>(container: &ContainerAsync<GenericImage>, command: [&str; N]) -> Result<String> {
    // A look that failed saw nothing, and would pass for one that found nothing.
    let command = ExecCommand::new(command).with_cmd_ready_condition(CmdWaitFor::exit_code(0));
    let mut result = container.exec(command).await.map_err(engine("run a command in the container"))?;
    let stdout = result.stdout_to_vec().await.map_err(engine("read the command's output"))?;
    Ok(String::from_utf8_lossy(&stdout).into_owned())
}

fn engine(what: &str) -> impl FnOnce(testcontainers::TestcontainersError) -> Error {
    Error::http(what.to_owned())
}
