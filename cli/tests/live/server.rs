//! A server that plays a site: the whole contract, or one fault of it. What it is asked, it records.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jetscale::services::{DOCS, ITEMS, LIVE, ME, OPENAPI, READY, SIGN_IN, VERSION, WS, WS_READY};
use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

pub const REVISION: &str = "0123456789abcdef0123456789abcdef01234567";

/// What was asked.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    pub path: String,
    /// All headers, in lower case.
    head: String,
}

impl Request {
    /// Whether its head says this, in lower case.
    pub fn has(&self, text: &str) -> bool {
        self.head.contains(text)
    }
}

/// What is sent, and what follows.
pub struct Answer {
    pub after: Duration,
    pub bytes: Vec<u8>,
    pub then: Then,
}

pub enum Then {
    Close,
    Stall,
    /// The bytes again and again.
    Repeat,
}

pub struct Server {
    pub address: SocketAddr,
    pub asked: Arc<Mutex<Vec<Request>>>,
}

/// Starts to answer on a free port, until the test ends.
pub async fn start(tls: Option<TlsAcceptor>, answer: fn(&Request) -> Answer) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let record = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (tls, record) = (tls.clone(), Arc::clone(&record));
            tokio::spawn(async move {
                match tls {
                    None => serve(stream, &record, answer).await,
                    Some(tls) => match tls.accept(stream).await {
                        Ok(stream) => serve(stream, &record, answer).await,
                        Err(_) => None,
                    },
                }
            });
        }
    });
    Server { address, asked }
}

/// One request a connection; `None` when the other side hangs up.
async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    record: &Mutex<Vec<Request>>,
    answer: fn(&Request) -> Answer,
) -> Option<()> {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let mut part = [0; 4096];
        let count = stream.read(&mut part).await.ok().filter(|count| *count > 0)?;
        head.extend_from_slice(&part[..count]);
    }
    let text = String::from_utf8_lossy(&head).into_owned();
    let mut words = text.split_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let request = Request { method, path, head: text.to_lowercase() };
    record.lock().unwrap().push(request.clone());
    let Answer { after, bytes, then } = answer(&request);
    tokio::time::sleep(after).await;
    stream.write_all(&bytes).await.ok()?;
    stream.flush().await.ok()?;
    match then {
        Then::Close => stream.shutdown().await.ok(),
        Then::Stall => std::future::pending().await,
        Then::Repeat => loop {
            stream.write_all(&bytes[bytes.len() / 2..]).await.ok()?;
        },
    }
}

pub fn reply(status: &str, headers: &str, body: &str) -> Answer {
    let head = format!("HTTP/1.1 {status}\r\nconnection: close\r\n{headers}");
    let length = body.len();
    let bytes = format!("{head}content-length: {length}\r\n\r\n{body}").into_bytes();
    Answer { after: Duration::ZERO, bytes, then: Then::Close }
}

/// The contract, as a healthy site keeps it.
pub fn healthy(request: &Request) -> Answer {
    let (status, kind, more, body) = contents(request);
    let date = httpdate::fmt_http_date(std::time::SystemTime::now());
    let packed = status == "200 OK" && request.head.contains("accept-encoding: gzip");
    let body = if packed { body[..body.len() / 2].to_owned() } else { body };
    let headers = format!(
        "date: {date}\r\ncontent-type: {kind}\r\n{more}{}\
         strict-transport-security: max-age=31536000\r\nx-content-type-options: nosniff\r\n\
         content-security-policy: default-src 'self'; frame-ancestors 'none'\r\nx-frame-options: DENY\r\n\
         referrer-policy: strict-origin-when-cross-origin\r\npermissions-policy: camera=()\r\n",
        if packed { "content-encoding: gzip\r\n" } else { "" },
    );
    let mut answer = reply(status, &headers, &body);
    if request.method == "HEAD" {
        answer.bytes.truncate(answer.bytes.len() - body.len());
    }
    answer
}

/// Status, type, further headers and body of a path.
fn contents(request: &Request) -> (&'static str, &'static str, &'static str, String) {
    let fresh = "cache-control: no-cache\r\n";
    let file = |kind, text: &str| ("200 OK", kind, fresh, text.to_owned());
    let data = |data| ("200 OK", "application/json", "cache-control: no-store\r\n", json!({"data": data}).to_string());
    let signed_in = request.head.contains("authorization: bearer good");
    match request.path.as_str() {
        "/" => {
            file("text/html", "<title>JetScale</title><link href=\"a.css\"><script src=\"js/b.js\"><img src=\"c.svg\">")
        }
        "/a.css" => file("text/css", "body { color: black; background: white }"),
        "/js/b.js" => file("text/javascript", "export {}"),
        "/c.svg" => file("image/svg+xml", "<svg/>"),
        LIVE => data(json!({"status": "ok"})),
        READY => data(json!({"components": {"database": "ok", "redis": "ok"}})),
        WS_READY => data(json!({"status": "healthy"})),
        VERSION => data(json!({"version": "1.2.3", "git_sha": REVISION, "git_ref": "main", "build_time": "now"})),
        DOCS => file("text/html", "swagger-ui"),
        OPENAPI => {
            let paths = json!({"paths": {READY: {}, SIGN_IN: {}, ME: {}, ITEMS: {}}});
            ("200 OK", "application/json", "", paths.to_string())
        }
        SIGN_IN => data(json!({"tokens": {"access_token": "good"}})),
        ME if signed_in => data(json!({"login": "somebody"})),
        ITEMS if signed_in => data(json!([])),
        ME => ("401 Unauthorized", "application/json", "www-authenticate: Bearer\r\n", "{}".to_owned()),
        WS => ("403 Forbidden", "text/plain", "", String::new()),
        _ => ("404 Not Found", "text/plain", "", "not found\n".to_owned()),
    }
}
