//! A server that plays GitHub's API, as far as pull requests' states go.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// How a pull request stands: a status, a state, and whether it carries the label `preview`.
pub type Pull = (u16, &'static str, bool);

/// The server, and what it answers; pull requests that it does not know are not found.
#[derive(Clone)]
pub struct GitHub {
    pub address: String,
    pulls: Arc<Mutex<BTreeMap<String, Pull>>>,
}

impl GitHub {
    /// Starts it with these.
    pub async fn start<const N: usize>(pulls: [(&str, Pull); N]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let pulls = pulls.map(|(number, pull)| (number.to_owned(), pull));
        let started = Self { address, pulls: Arc::new(Mutex::new(pulls.into())) };
        let server = started.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(server.clone().answer(stream));
            }
        });
        started
    }

    /// From now on it stands so.
    pub fn set(&self, number: &str, pull: Pull) {
        self.pulls.lock().unwrap().insert(number.to_owned(), pull);
    }

    async fn answer(self, mut stream: TcpStream) {
        let mut request = vec![0; 4096];
        let count = stream.read(&mut request).await.unwrap_or_default();
        let line = String::from_utf8_lossy(&request[..count]).lines().next().unwrap_or_default().to_owned();
        let number = line.strip_prefix("GET /repos/jetscale/stack/pulls/").and_then(|rest| rest.split(' ').next());
        let number = number.unwrap_or_default();
        let (status, state, labelled) = self.pulls.lock().unwrap().get(number).copied().unwrap_or((404, "", false));
        let labels = if labelled { json!([{"name": "preview"}]) } else { json!([]) };
        let body = json!({"number": number.parse::<u32>().ok(), "state": state, "labels": labels}).to_string();
        let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
        let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
    }
}
