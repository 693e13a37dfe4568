//! The debug adapter at the port that Tilt forwards.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::error::{Error, Result};
use crate::spec::spec;

/// How long the adapter may take to answer.
const LIMIT: Duration = Duration::from_secs(20);

/// Asks the adapter to initialise (Debug Adapter Protocol), and returns its first words.
///
/// A forward accepts every connection; only an answer shows that somebody listens behind it.
///
/// # Errors
/// [`harness_base::Error::Io`] when the port is closed; [`harness_base::Error::Deadline`] when nobody answers.
pub async fn ask_debugger() -> Result<String> {
    let what = || format!("speak to the debugger at port {}", spec().dev.debugger_port);
    let asking = async {
        let mut socket =
            TcpStream::connect(("127.0.0.1", spec().dev.debugger_port)).await.map_err(Error::io(what()))?;
        let arguments = serde_json::json!({"adapterID": "harness"});
        let body = serde_json::json!({"seq": 1, "type": "request", "command": "initialize", "arguments": arguments});
        let body = body.to_string();
        let request = format!("Content-Length: {}\r\n\r\n{body}", body.len());
        socket.write_all(request.as_bytes()).await.map_err(Error::io(what()))?;
        let mut answer = vec![0; 4096];
        let count = socket.read(&mut answer).await.map_err(Error::io(what()))?;
        Ok(String::from_utf8_lossy(&answer[..count]).into_owned())
    };
    let last = "it accepted the connection and said nothing".to_owned();
    let late =
        |_| harness_base::Error::Deadline { awaited: "the debugger's first words".to_owned(), after: LIMIT, last };
    tokio::time::timeout(LIMIT, asking).await.map_err(late)?
}
