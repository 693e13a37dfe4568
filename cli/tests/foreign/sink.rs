//! A server that nobody is to speak to: it takes what it is sent, notes it, and has nothing.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

pub struct Sink {
    /// `127.0.0.1:<port>`.
    pub address: String,
    heard: watch::Receiver<Vec<String>>,
}

impl Sink {
    /// Listens, and answers everything with this status line and these headers.
    pub async fn start(answer: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (sender, heard) = watch::channel(Vec::new());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(take(stream, answer, sender.clone()));
            }
        });
        Self { address, heard }
    }

    /// The first line of whatever came; of TLS, that it was TLS.
    pub fn heard(&self) -> Vec<String> {
        self.heard.borrow().clone()
    }
}

async fn take(mut stream: TcpStream, answer: &'static str, sender: watch::Sender<Vec<String>>) {
    let mut bytes = vec![0; 4096];
    while let Ok(count @ 1..) = stream.read(&mut bytes).await {
        let text = String::from_utf8_lossy(&bytes[..count]);
        let is_tls = bytes[0] == 22;
        let first = if is_tls { "a TLS handshake" } else { text.lines().next().unwrap_or_default() };
        sender.send_modify(|all| all.push(first.to_owned()));
        if is_tls || stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}
