//! A WebSocket client: the handshake's outcome, text messages both ways, a deadline for each step.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use reqwest::Url;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use tokio_tungstenite::tungstenite::{Error as WsError, Message};
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream, client_async_tls_with_config};

use crate::{Error, Result, race};

/// The limit for connecting, for a message each way, and for closing: 10 s.
pub const LIMIT: Duration = Duration::from_secs(10);

/// How a WebSocket connects, beside its URL; by default with none of these.
#[derive(Debug, Clone, Default)]
pub struct WebSocketOptions {
    /// The token that is sent as `Authorization: Bearer`.
    pub token: Option<String>,
    /// More headers of the handshake, such as `Origin`.
    pub headers: Vec<(String, String)>,
    /// More certificate authorities to trust, as PEM.
    pub ca_bundle: Option<Vec<u8>>,
    /// The address to connect to, instead of the one that DNS gives for the URL's host.
    pub resolve: Option<SocketAddr>,
}

/// How the server answered the handshake.
#[derive(Debug)]
pub enum Handshake {
    /// The WebSocket is open.
    Open(Box<Socket>),
    /// The server answered with another status than 101.
    Refused {
        /// The HTTP status.
        status: u16,
    },
}

impl Handshake {
    /// The open socket of a handshake that succeeded.
    ///
    /// # Errors
    /// [`Error::Unmet`] with the status of a refusal.
    pub fn open(self) -> Result<Socket> {
        match self {
            Self::Open(socket) => Ok(*socket),
            Self::Refused { status } => Err(Error::Unmet(format!("the WebSocket was refused with status {status}"))),
        }
    }
}

/// An open WebSocket. Dropping it closes the connection without the closing handshake.
#[derive(Debug)]
pub struct Socket {
    what: String,
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

/// Opens a WebSocket at a `ws://` or `wss://` URL (`http://` and `https://` are taken for these), within 10 s.
///
/// # Errors
/// [`Error::Request`] when there is no connection or no HTTP answer, [`harness_base::Error::Deadline`] after 10 s; a refusal
/// is a [`Handshake`].
pub async fn connect(url: &str, token: Option<&str>) -> Result<Handshake> {
    connect_with(url, &WebSocketOptions { token: token.map(str::to_owned), ..WebSocketOptions::default() }).await
}

/// [`connect`] with more options.
///
/// # Errors
/// As [`connect`]; [`harness_base::Error::Malformed`] when the URL, a header or the CA bundle does not parse.
pub async fn connect_with(url: &str, options: &WebSocketOptions) -> Result<Handshake> {
    crate::install_tls();
    let url = match url.split_once("://") {
        Some(("http", rest)) => format!("ws://{rest}"),
        Some(("https", rest)) => format!("wss://{rest}"),
        _ => url.to_owned(),
    };
    let mut url = Url::parse(&url).map_err(harness_base::Error::malformed("the address of a WebSocket"))?;
    let basic = crate::reader::take_account(&mut url);
    // The query is left out: it may hold a token.
    let what = format!("open the WebSocket {}", url.as_str().split('?').next().unwrap_or_default());
    deadline(&what, handshake(&what, &url, basic, options)).await
}

async fn handshake(what: &str, url: &Url, basic: Option<HeaderValue>, options: &WebSocketOptions) -> Result<Handshake> {
    let mut request = url.as_str().into_client_request().map_err(Error::request(what))?;
    for (name, value) in &options.headers {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(harness_base::Error::malformed(what))?;
        request.headers_mut().insert(name, HeaderValue::from_str(value).map_err(harness_base::Error::malformed(what))?);
    }
    if let Some(basic) = basic {
        request.headers_mut().insert(AUTHORIZATION, basic);
    }
    if let Some(token) = &options.token {
        harness_base::secrets::know(token);
        let mut value =
            HeaderValue::from_str(&format!("Bearer {token}")).map_err(harness_base::Error::malformed(what))?;
        value.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, value);
    }
    let secure = request.uri().scheme_str() == Some("wss");
    let host = request.uri().host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let port = request.uri().port_u16().unwrap_or(if secure { 443 } else { 80 });
    let addresses = match options.resolve {
        Some(address) => vec![address],
        None => tokio::net::lookup_host((host.as_str(), port)).await.map_err(Error::request(what))?.collect(),
    };
    let connected = race::connect(&addresses, LIMIT).await;
    let (_, stream) = connected.map_err(|refusals| Error::request(what)(std::io::Error::other(refusals.join("; "))))?;
    stream.set_nodelay(true).map_err(Error::request(what))?;
    let connector = match secure {
        true => Some(Connector::Rustls(Arc::new(crate::trusting(options.ca_bundle.as_deref())?))),
        false => None,
    };
    match client_async_tls_with_config(request, stream, None, connector).await {
        Ok((stream, _)) => Ok(Handshake::Open(Box::new(Socket { what: what.to_owned(), stream }))),
        Err(WsError::Http(response)) => Ok(Handshake::Refused { status: response.status().as_u16() }),
        Err(error) => Err(Error::request(what)(error)),
    }
}

impl Socket {
    /// Sends a text message, within 10 s.
    ///
    /// # Errors
    /// [`Error::Request`] when the connection is gone, [`harness_base::Error::Deadline`] after 10 s.
    pub async fn send_text(&mut self, text: &str) -> Result<()> {
        let what = format!("{}: send a text", self.what);
        let sent = async { self.stream.send(Message::text(text)).await.map_err(Error::request(what.as_str())) };
        deadline(&what, sent).await
    }

    /// The next text message, within 10 s; `None` once the server has closed. Other messages are skipped.
    ///
    /// # Errors
    /// [`Error::Request`] when the connection broke, [`harness_base::Error::Deadline`] after 10 s.
    pub async fn next_text(&mut self) -> Result<Option<String>> {
        let what = format!("{}: receive a text", self.what);
        let received = async {
            while let Some(message) = self.stream.next().await {
                match message.map_err(Error::request(what.as_str()))? {
                    Message::Text(text) => return Ok(Some(text.to_string())),
                    Message::Close(_) => return Ok(None),
                    _ => {}
                }
            }
            Ok(None)
        };
        deadline(&what, received).await
    }

    /// Watches the connection without sending anything for `silence`: the other side may ping, but neither send a message nor
    /// close.
    ///
    /// # Errors
    /// [`Error::Unmet`] when the other side closed or sent a message, or the connection broke; with the time until then.
    pub async fn stays_open(&mut self, silence: Duration) -> Result<()> {
        let start = tokio::time::Instant::now();
        let unmet = |how: &str| Err(Error::Unmet(format!("{}: {how} after {:.1?}", self.what, start.elapsed())));
        loop {
            let next = match tokio::time::timeout_at(start + silence, self.stream.next()).await {
                Err(_) => return Ok(()),
                Ok(next) => next,
            };
            match next {
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Close(_))) | None => return unmet("the other side hung up"),
                Some(Ok(_)) => return unmet("the other side spoke"),
                Some(Err(error)) => return unmet(&format!("the connection broke ({error})")),
            }
        }
    }

    /// Closes with the closing handshake, within 10 s.
    ///
    /// # Errors
    /// [`Error::Request`] when the connection broke, [`harness_base::Error::Deadline`] when the server does not answer within
    /// 10 s.
    pub async fn close(mut self) -> Result<()> {
        let what = format!("{}: close it", self.what);
        let closed = async {
            match self.stream.close(None).await {
                Ok(()) | Err(WsError::ConnectionClosed) => {}
                Err(error) => return Err(Error::request(what.as_str())(error)),
            }
            while let Some(Ok(_)) = self.stream.next().await {}
            Ok(())
        };
        deadline(&what, closed).await
    }
}

async fn deadline<T>(what: &str, future: impl Future<Output = Result<T>>) -> Result<T> {
    match tokio::time::timeout(LIMIT, future).await {
        Ok(result) => result,
        Err(_) => Err(harness_base::Error::Deadline {
            awaited: what.to_owned(),
            after: LIMIT,
            last: "the other side is silent".to_owned(),
        }
        .into()),
    }
}
