//! The images by themselves, in the engine alone, without a cluster or charts.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use harness::Result;
use harness::scenario::{ScenarioResult, Scenarios, each, scenario};
use harness::stack::{ContainerOptions, ImageContainer, Images};
use harness::tools::Output;
use harness::{expect, expect_eq};

/// A key of the length that the backend asks for; nothing is signed with it.
const KEY: &str = "0123456789abcdef0123456789abcdef";
/// The port of the api.
const PORT: u16 = 8000;
/// The deadline of a start, and of an end by itself.
const START: Duration = Duration::from_secs(60);
/// How long after the stop signal the container is killed.
const GRACE: Duration = Duration::from_secs(30);

/// What an image for developers has, and one for users has not.
const DEV_TOOLS: [&str; 10] = ["gcc", "cc", "make", "pip", "pip3", "git", "curl", "watchfiles", "debugpy", "pytest"];

pub fn scenarios() -> Vec<Scenarios> {
    vec![
        scenario(backend_starts_uvicorn_by_itself).within(120),
        scenario(backend_stops_on_sigterm).within(120),
        scenario(backend_says_clearly_what_is_wrong_with_its_database_url).within(120),
        each(runs_as_non_root, [("backend", "backend"), ("frontend", "frontend")]),
        each(is_alpine, [("backend", "backend"), ("frontend", "frontend")]),
        each(holds_no_dev_tools, [("backend", ("backend", "uvicorn")), ("frontend", ("frontend", "nginx"))]),
    ]
}

/// With no command at all the container serves the api.
async fn backend_starts_uvicorn_by_itself(images: Images) -> ScenarioResult {
    let container = api(&images).await?;
    let processes = container.exec("cat /proc/1/cmdline").await?;
    expect!(processes.contains("uvicorn"), "the first process is {}", processes.replace('\0', " "))
}

/// It exits by itself within 10 s of SIGTERM, and with status 0.
async fn backend_stops_on_sigterm(images: Images) -> ScenarioResult {
    let container = api(&images).await?;
    let started = Instant::now();
    let status = container.stop(GRACE).await?;
    expect!(started.elapsed() < Duration::from_secs(10), "it took {:.1?}", started.elapsed())?;
    expect_eq!(status, 0)
}

/// One line that names the variable, no traceback, no password, and a status that is not 0.
async fn backend_says_clearly_what_is_wrong_with_its_database_url(images: Images) -> ScenarioResult {
    let envs = [("JETSCALE_JWT_SECRET_KEY", KEY), ("JETSCALE_DATABASE_URL", "mysql://user:hunter2@nowhere/db")];
    let options = ContainerOptions { envs: &envs, port: Some(PORT), ..ContainerOptions::default() };
    let container = images.start("backend", options).await?;
    // Who waits for it to serve is told so at once, with its words.
    let told =
        container.answers(jetscale::services::LIVE, START).await.err().map(|error| error.report()).unwrap_or_default();
    expect!(
        told.contains("before it served") && told.contains("JETSCALE_DATABASE_URL"),
        "its end is not told: {told}"
    )?;
    let status = container.wait(START).await?;
    let Output { stdout, stderr } = container.logs().await?;
    expect_eq!(stdout, "")?;
    let log = stderr.trim();
    expect!(log.contains("JETSCALE_DATABASE_URL"), "the variable is not named: {log}")?;
    expect!(!log.contains("hunter2") && !log.contains("Traceback"), "it says too much: {log}")?;
    expect_eq!(log.lines().count(), 1)?;
    expect!(status != 0, "it ended with {status}")
}

async fn runs_as_non_root(images: Images, name: &'static str) -> ScenarioResult {
    let user = idle(&images, name).await?.exec("id -u").await?;
    expect!(user.trim().parse::<u32>().is_ok_and(|uid| uid > 0), "{name} runs as {user}")
}

async fn is_alpine(images: Images, name: &'static str) -> ScenarioResult {
    let container = idle(&images, name).await?;
    let release = container.exec("cat /etc/os-release").await?;
    expect!(release.contains("ID=alpine"), "{name} is {release}")?;
    let loader = container.exec("ls /lib/ld-musl-*").await?;
    expect!(loader.contains("ld-musl"), "{name} has no musl")
}

/// No compiler, no package installer of Python's, no debugger, no reloader: neither as a program nor as a package,
/// wherever it lies. The same look finds what the image is there for.
async fn holds_no_dev_tools(images: Images, (name, kept): (&'static str, &'static str)) -> ScenarioResult {
    let container = idle(&images, name).await?;
    let mut found = BTreeSet::new();
    for wanted in DEV_TOOLS.into_iter().chain([kept]) {
        // What this user may not enter is no part of the image that it could use.
        let look = format!("find / -xdev -name '{wanted}' 2>/dev/null; true");
        if !container.exec(&look).await?.trim().is_empty() {
            found.insert(wanted);
        }
    }
    expect_eq!(found, BTreeSet::from([kept]))
}

/// The api as the chart starts it, but with a database that nobody runs; it serves.
async fn api(images: &Images) -> Result<ImageContainer> {
    let envs = [
        ("JETSCALE_JWT_SECRET_KEY", KEY),
        ("JETSCALE_DATABASE_URL", "postgresql+asyncpg://nobody:nothing@127.0.0.1:1/none"),
        ("JETSCALE_REDIS_HOST", "127.0.0.1"),
    ];
    let options = ContainerOptions { envs: &envs, port: Some(PORT), ..ContainerOptions::default() };
    let container = images.start("backend", options).await?;
    container.answers(jetscale::services::LIVE, START).await?;
    Ok(container)
}

/// The image with nothing running in it but a wait, as the user that the image names.
async fn idle(images: &Images, name: &str) -> Result<ImageContainer> {
    images.start(name, ContainerOptions { command: &["sleep", "120"], ..ContainerOptions::default() }).await
}
