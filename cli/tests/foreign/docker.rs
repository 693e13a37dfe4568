//! The engine as a stranger uses it: by its client, with no word of ours.

use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use super::binaries;

/// How long one call may take.
const LIMIT: Duration = Duration::from_secs(120);
/// How long the engine may be listened to, on a busy machine.
const HEARD: Duration = Duration::from_secs(600);

/// A call of a tool that the machine has, such as docker or kind.
pub fn tool(program: &str) -> Command {
    let mut command = Command::new(program);
    for name in binaries::of_this_test() {
        command.env_remove(name);
    }
    command.env("PATH", &binaries::get().path).stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// What a call of docker wrote, or what it complained of.
pub async fn tried(args: &[&str]) -> Result<String, String> {
    run(tool("docker").args(args)).await
}

/// What a call of docker wrote; it has to succeed.
pub async fn docker(args: &[&str]) -> String {
    tried(args).await.unwrap_or_else(|error| panic!("docker {} failed\n{error}", args.join(" ")))
}

/// Runs a tool to its end.
pub async fn run(command: &mut Command) -> Result<String, String> {
    let output = tokio::time::timeout(LIMIT, command.output()).await.map_err(|_| format!("not done in {LIMIT:.0?}"))?;
    let output = output.map_err(|error| error.to_string())?;
    let text = |stream: Vec<u8>| String::from_utf8_lossy(&stream).trim().to_owned();
    match output.status.success() {
        true => Ok(text(output.stdout)),
        false => Err(text(output.stderr)),
    }
}

/// What the engine says of one thing; `None` where it says that there is none.
pub async fn inspect(kind: &str, id: &str) -> Option<Value> {
    match tried(&[kind, "inspect", id]).await {
        Ok(text) => serde_json::from_str::<Value>(&text).unwrap().get(0).cloned(),
        Err(error) if ["o such", "not found"].iter().any(|words| error.contains(words)) => None,
        Err(error) => panic!("docker {kind} inspect {id} failed\n{error}"),
    }
}

/// The containers, stopped ones too, whose names begin with this: their IDs and names.
pub async fn containers(beginning: &str) -> Vec<(String, String)> {
    let listed = docker(&["ps", "--all", "--no-trunc", "--format", "{{.ID}} {{.Names}}"]).await;
    let pairs = listed.lines().filter_map(|line| line.split_once(' '));
    let ours = pairs.filter(|(_, name)| name.starts_with(beginning));
    ours.map(|(id, name)| (id.to_owned(), name.to_owned())).collect()
}

/// An image that every machine with a Kind cluster has, and that holds a shell.
pub async fn node_image() -> String {
    let listed = docker(&["images", "--format", "{{.Repository}}:{{.Tag}}", "kindest/node"]).await;
    if let Some(first) = listed.lines().find(|name| !name.ends_with("<none>")) {
        return first.to_owned();
    }
    // One that a recipe made on this machine.
    let made =
        docker(&["images", "--format", "{{.Repository}}:{{.Tag}}", "--filter", "label=internal.harness.made-from"])
            .await;
    made.lines().find(|name| name.contains("node")).expect("the engine holds no node image").to_owned()
}

/// The socket of the engine on this machine; `None` where it is reached in another way.
pub async fn socket() -> Option<std::path::PathBuf> {
    let set = binaries::variable("DOCKER_HOST");
    let address = match set {
        Some(address) => address,
        None => docker(&["context", "inspect", "--format", "{{.Endpoints.docker.Host}}"]).await,
    };
    address.strip_prefix("unix://").map(Into::into)
}

/// What the engine tells of itself from now on.
pub struct Heard {
    _events: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Heard {
    pub fn listen() -> Self {
        let mut events = tool("docker");
        // From this moment, also when the client comes a little later.
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
        events.args(["events", "--since", &format!("{}.{:09}", now.as_secs(), now.subsec_nanos())]);
        events.args(["--format", "{{.Type}} {{.Action}} {{.Actor.Attributes.name}} {{index .Actor.Attributes \"harness.internal/owner\"}} {{.Actor.ID}}"]);
        let mut events = events.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(events.stdout.take().unwrap()).lines();
        Self { _events: events, lines }
    }

    /// The ID of what the next event is about whose line, `<kind> <action> <name> <owner> <ID>`, holds all of these.
    pub async fn next(&mut self, words: &[&str]) -> Option<String> {
        let found = async {
            while let Ok(Some(line)) = self.lines.next_line().await {
                if words.iter().all(|word| line.contains(word)) {
                    return line.rsplit(' ').next().map(str::to_owned);
                }
            }
            None
        };
        tokio::time::timeout(HEARD, found).await.ok().flatten()
    }
}
