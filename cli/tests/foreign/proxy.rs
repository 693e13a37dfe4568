//! The engine's socket with somebody in between: answers come late, not at all, or are another engine's. The engine
//! itself never hears of it.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;

use super::place::Place;

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// The engine answers.
    Pass,
    /// The engine answers, this much later.
    Slow(Duration),
    /// The connection is closed without a word.
    Refuse,
    /// Nobody answers.
    Silence,
    /// An error of the server's (status 500) with this message.
    Error(&'static str),
    /// Another engine answers, which holds nothing and has another ID.
    Another,
    /// The engine answers, but images are listed by this name alone, and no others can be removed.
    ImagesNamed(String),
}

/// The socket; it is closed when this is dropped.
pub struct Proxy {
    /// As DOCKER_HOST names it.
    pub address: String,
    rules: Arc<Mutex<Vec<(String, Answer)>>>,
    requests: watch::Receiver<Vec<String>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Proxy {
    /// Listens in the try's folder; `None` where the engine has no socket on this machine.
    pub async fn start(place: &Place, answer: Answer) -> Option<Self> {
        let engine = super::docker::socket().await?;
        let path = place.path("engine.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let rules = Arc::new(Mutex::new(vec![(String::new(), answer)]));
        let (sender, requests) = watch::channel(Vec::new());
        let task = tokio::spawn({
            let rules = Arc::clone(&rules);
            async move {
                while let Ok((client, _)) = listener.accept().await {
                    let (engine, rules, sender) = (engine.clone(), Arc::clone(&rules), sender.clone());
                    // What a connection ends by is for its two ends to say.
                    tokio::spawn(async move { drop(serve(client, &engine, &rules, &sender).await) });
                }
            }
        });
        Some(Self { address: format!("unix://{}", path.display()), rules, requests, task })
    }

    /// From now on, this becomes of all requests.
    pub fn answer(&self, answer: Answer) {
        *self.rules.lock().unwrap() = vec![(String::new(), answer)];
    }

    /// From now on, this becomes of requests whose first line holds this.
    pub fn answer_to(&self, part: &str, answer: Answer) {
        self.rules.lock().unwrap().push((part.to_owned(), answer));
    }

    /// From now on, nobody listens, and there is no socket.
    pub fn vanish(&self) {
        self.task.abort();
        std::fs::remove_file(self.address.trim_start_matches("unix://")).unwrap();
    }

    /// Waits for a request, counted from now, whose first line holds this.
    pub async fn asked(&self, part: &str, limit: Duration) -> bool {
        let mut requests = self.requests.clone();
        let before = requests.borrow().len();
        let found = requests.wait_for(|all| all.iter().skip(before).any(|line| line.contains(part)));
        tokio::time::timeout(limit, found).await.is_ok_and(|found| found.is_ok())
    }
}

async fn serve(
    mut client: UnixStream,
    engine: &Path,
    rules: &Mutex<Vec<(String, Answer)>>,
    requests: &watch::Sender<Vec<String>>,
) -> std::io::Result<()> {
    let mut head = Vec::new();
    let end = loop {
        if client.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
        if let Some(at) = head.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
    };
    let mut text = String::from_utf8_lossy(&head[..end]).into_owned();
    let first = text.lines().next().unwrap_or_default().to_owned();
    requests.send_modify(|all| all.push(first.clone()));
    let answer = {
        let rules = rules.lock().unwrap();
        let (_, answer) = rules.iter().rfind(|(part, _)| first.contains(part.as_str())).unwrap();
        answer.clone()
    };
    match answer {
        Answer::Pass => {}
        Answer::Slow(time) => tokio::time::sleep(time).await,
        Answer::Refuse => return Ok(()),
        Answer::Silence => {
            // Until the client gives up.
            while client.read_buf(&mut head).await? > 0 {}
            return Ok(());
        }
        Answer::Error(message) => return reply(&mut client, 500, &serde_json::json!({ "message": message })).await,
        Answer::Another => {
            if let Some((status, body)) = of_another(&first) {
                return reply(&mut client, status, &body).await;
            }
        }
        Answer::ImagesNamed(name) => {
            if first.starts_with("DELETE") && first.contains("/images/") && !is_named(&first, &name).await {
                let message = serde_json::json!({"message": "another's image was about to be removed"});
                return reply(&mut client, 409, &message).await;
            }
            text = text.replacen(&first, &only_named(&first, &name), 1);
        }
    }
    // One request a connection: what comes after it is its body, or a stream of its own.
    if !text.to_lowercase().contains("\r\nconnection: upgrade") {
        text.insert_str(text.len() - 2, "Connection: close\r\n");
    }
    let mut server = UnixStream::connect(engine).await?;
    server.write_all(text.as_bytes()).await?;
    server.write_all(&head[end..]).await?;
    tokio::io::copy_bidirectional(&mut client, &mut server).await.map(drop)
}

async fn reply(client: &mut UnixStream, status: u16, body: &serde_json::Value) -> std::io::Result<()> {
    let body = body.to_string();
    let head = format!(
        "HTTP/1.1 {status} Foreign\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    client.write_all((head + &body).as_bytes()).await?;
    client.shutdown().await
}

/// What an engine answers that holds nothing; `None`: what every engine answers alike.
fn of_another(first: &str) -> Option<(u16, serde_json::Value)> {
    let path = first.split_whitespace().nth(1)?.split('?').next()?;
    // Without the version of the API.
    let path = path.strip_prefix("/v").map_or(path, |path| &path[path.find('/').unwrap_or(0)..]);
    let words: Vec<_> = path.trim_start_matches('/').split('/').collect();
    Some(match (first.starts_with("GET"), words.as_slice()) {
        (_, ["_ping" | "version"]) => return None,
        (true, ["info"]) => (
            200,
            serde_json::json!({
                "ID": "FRGN:FRGN:FRGN:FRGN:FRGN:FRGN:FRGN:FRGN:FRGN:FRGN:FRGN:FRGN", "Name": "another",
                "Containers": 0, "Images": 0, "OSType": "linux", "Architecture": "x86_64", "NCPU": 2,
                "MemTotal": 16_000_000_000_u64, "ServerVersion": "28.0.0", "Driver": "overlay2",
                "DockerRootDir": "/var/lib/another",
            }),
        ),
        (true, ["containers" | "images", "json"] | ["networks"]) => (200, serde_json::json!([])),
        (true, ["volumes"]) => (200, serde_json::json!({"Volumes": [], "Warnings": null})),
        (_, ["containers", name, ..]) => none(&format!("No such container: {name}")),
        (_, ["images", name, ..]) => none(&format!("No such image: {name}")),
        (_, ["networks", name, ..]) => none(&format!("network {name} not found")),
        (_, ["volumes", name, ..]) => none(&format!("get {name}: no such volume")),
        _ => none("page not found"),
    })
}

fn none(message: &str) -> (u16, serde_json::Value) {
    (404, serde_json::json!({ "message": message }))
}

/// A list of images, asked for by one more filter.
fn only_named(first: &str, name: &str) -> String {
    if !first.contains("/images/json") {
        return first.to_owned();
    }
    let reference = format!("%22reference%22%3A%7B%22{}%22%3Atrue%7D", name.replace('/', "%2F"));
    match (first.contains("filters=%7B"), first.contains('?')) {
        (true, _) => first.replacen("filters=%7B", &format!("filters=%7B{reference}%2C"), 1),
        (false, true) => first.replacen(" HTTP", &format!("&filters=%7B{reference}%7D HTTP"), 1),
        (false, false) => first.replacen(" HTTP", &format!("?filters=%7B{reference}%7D HTTP"), 1),
    }
}

/// Whether a request is about an image that is listed by this name.
async fn is_named(first: &str, name: &str) -> bool {
    let listed =
        super::docker::docker(&["images", "--no-trunc", "--quiet", "--filter", &format!("reference={name}")]).await;
    let path = first.split_whitespace().nth(1).unwrap_or_default().replace("%3A", ":").replace("%2F", "/");
    let asked = path.split("/images/").nth(1).unwrap_or_default().split('?').next().unwrap_or_default().to_owned();
    let bare = name.trim_start_matches("*/");
    listed.lines().any(|id| id == asked || id.trim_start_matches("sha256:").starts_with(&asked)) || asked.contains(bare)
}
