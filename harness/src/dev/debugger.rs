//! A client of the Debug Adapter Protocol (<https://microsoft.github.io/debug-adapter-protocol/specification>), as debugpy
//! speaks it: attaches to a service in its pod, as an editor does.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use crate::error::{Error, Result};

/// The deadline for an answer of the adapter: 60 s.
const ANSWER: Duration = Duration::from_secs(60);
/// The name of an event of our own, sent when the first connection is over. Further connections end with their processes, which
/// is no error.
const HUNG_UP: &str = "hung up";
/// The longest message that is accepted, in bytes: 16 MiB.
const LONGEST: usize = 16 << 20;

/// A breakpoint: a line of a source file in the container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breakpoint {
    /// The file's path in the container.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
}

/// A debugger with one breakpoint: a session with the process that listens, and one with each process that it starts, which
/// debugpy announces by the event `debugpyAttach`. A reloader's child is one of those.
///
/// What remains when it is dropped: nothing; the adapter lets every process go on whose client has hung up. Until it has noticed,
/// it may remove a next client's breakpoints with those of this one: [`Debugger::detach`] waits for it.
#[derive(Debug)]
pub struct Debugger {
    port: u16,
    breakpoint: Breakpoint,
    told: mpsc::UnboundedReceiver<(Arc<DapSession>, Value)>,
    tell: mpsc::UnboundedSender<(Arc<DapSession>, Value)>,
    sessions: Vec<Arc<DapSession>>,
    readers: JoinSet<()>,
}

/// A request that was stopped at the breakpoint.
#[derive(Debug)]
pub struct Stop {
    session: Arc<DapSession>,
    thread: Value,
    /// The function that the line is in.
    pub function: String,
    /// The local variables and what they hold, as the debugger shows them.
    pub variables: BTreeMap<String, String>,
}

impl Debugger {
    /// Attaches to the debugger that listens at a port of this machine.
    ///
    /// # Errors
    /// [`harness_base::Error::Io`] when the port is closed; [`harness_base::Error::Deadline`] when no debugger answers within
    /// 60 s: a forward accepts every connection, also where nothing listens behind it.
    pub async fn attach(port: u16, breakpoint: Breakpoint) -> Result<Self> {
        let (tell, told) = mpsc::unbounded_channel();
        let mut debugger = Self { port, breakpoint, told, tell, sessions: Vec::new(), readers: JoinSet::new() };
        let session = debugger.connect(true).await?;
        session.initialize().await?;
        session.attach(attach_arguments(port, None)).await?;
        Ok(debugger)
    }

    async fn connect(&mut self, is_first: bool) -> Result<Arc<DapSession>> {
        let what = format!("connect to the debugger at port {}", self.port);
        let socket = TcpStream::connect(("127.0.0.1", self.port)).await.map_err(Error::io(what))?;
        let (read, write) = socket.into_split();
        let session = Arc::new(DapSession {
            port: self.port,
            is_first,
            writer: tokio::sync::Mutex::new(write),
            sent: AtomicU64::new(0),
            asked: Mutex::default(),
        });
        self.readers.spawn(listen(Arc::clone(&session), read, self.tell.clone()));
        self.sessions.push(Arc::clone(&session));
        Ok(session)
    }

    /// Waits until a request reaches the breakpoint; attaches meanwhile to each process that the adapter announces.
    ///
    /// # Errors
    /// [`harness_base::Error::Deadline`] after `limit`; [`Error::Unmet`] when the adapter refuses something.
    pub async fn stopped(&mut self, limit: Duration) -> Result<Stop> {
        let awaited = format!("a stop at {}:{}", self.breakpoint.file, self.breakpoint.line);
        let last = "no request reached it".to_owned();
        let late = |_| harness_base::Error::Deadline { awaited, after: limit, last };
        tokio::time::timeout(limit, self.next_stop()).await.map_err(late)?
    }

    /// Disconnects from every process, and waits until the adapter has confirmed it; the processes go on.
    ///
    /// # Errors
    /// [`Error::Unmet`] when the process that listens refuses. Errors of other processes, which may have ended, are ignored.
    pub async fn detach(self) -> Result<()> {
        let leave = json!({"restart": false, "terminateDebuggee": false});
        // Children first: their sessions hang on those of their parents.
        for session in self.sessions.iter().rev() {
            let left = session.ask("disconnect", leave.clone()).await;
            if session.is_first {
                left?;
            }
        }
        Ok(())
    }

    async fn next_stop(&mut self) -> Result<Stop> {
        let mut work: FuturesUnordered<BoxFuture<'static, Result<()>>> = FuturesUnordered::new();
        loop {
            let (session, event) = tokio::select! {
                Some(told) = self.told.recv() => told,
                Some(done) = work.next() => {
                    done?;
                    continue;
                }
            };
            if event["success"] == json!(false) {
                return Err(refused(&event));
            }
            let body = &event["body"];
            match event["event"].as_str().unwrap_or_default() {
                HUNG_UP => return Err(Error::Unmet(format!("the debugger at port {} hung up", self.port))),
                "initialized" => work.push(Box::pin(configure(session, self.breakpoint.clone()))),
                "debugpyAttach" => {
                    let (child, arguments) = (self.connect(false).await?, attach_arguments(self.port, Some(body)));
                    work.push(Box::pin(async move {
                        child.initialize().await?;
                        child.attach(arguments).await
                    }));
                }
                "stopped" => {
                    let thread = body["threadId"].clone();
                    let (function, frame) = session.frame(&thread).await?;
                    let variables = session.locals(&frame).await?;
                    return Ok(Stop { session, thread, function, variables });
                }
                _ => {}
            }
        }
    }
}

impl Stop {
    /// Expects that the thread is still stopped in that function after `time`: the process was not ended, and did not go on.
    ///
    /// # Errors
    /// [`Error::Unmet`] when it is elsewhere; [`harness_base::Error::Deadline`] when the adapter does not answer within 60 s
    /// more.
    pub async fn lasts(&self, time: Duration) -> Result<()> {
        // A sleep and not a wait for a condition: the expectation is that nothing happens.
        tokio::time::sleep(time).await;
        let (function, _) = self.session.frame(&self.thread).await?;
        match function == self.function {
            true => Ok(()),
            false => Err(Error::Unmet(format!("it was stopped in {}, and is in {function}", self.function))),
        }
    }

    /// Lets the stopped thread go on.
    ///
    /// # Errors
    /// As [`Stop::lasts`].
    pub async fn go_on(self) -> Result<()> {
        self.session.ask("continue", json!({"threadId": self.thread})).await.map(drop)
    }
}

/// The arguments of the request `attach`; for an announced process, with those of its announcement.
fn attach_arguments(port: u16, announced: Option<&Value>) -> Value {
    let mut arguments = json!({"type": "python", "request": "attach", "justMyCode": true, "subProcess": true});
    if let (Some(announced), Some(own)) = (announced.and_then(Value::as_object), arguments.as_object_mut()) {
        own.extend(announced.clone());
    }
    // The announced address is the pod's; here it is the forward's.
    arguments["connect"] = json!({"host": "127.0.0.1", "port": port});
    arguments
}

async fn configure(session: Arc<DapSession>, breakpoint: Breakpoint) -> Result<()> {
    let lines = json!({
        "source": {"path": breakpoint.file},
        "breakpoints": [{"line": breakpoint.line}],
    });
    session.ask("setBreakpoints", lines).await?;
    session.ask("configurationDone", json!({})).await.map(drop)
}

/// One connection to the adapter.
#[derive(Debug)]
struct DapSession {
    port: u16,
    is_first: bool,
    writer: tokio::sync::Mutex<OwnedWriteHalf>,
    sent: AtomicU64,
    /// The channels of those who wait for an answer, by the request's number.
    asked: Mutex<BTreeMap<u64, oneshot::Sender<Value>>>,
}

impl DapSession {
    async fn initialize(&self) -> Result<()> {
        let arguments = json!({
            "clientID": "harness", "adapterID": "python", "pathFormat": "path",
            "linesStartAt1": true, "columnsStartAt1": true,
        });
        self.ask("initialize", arguments).await.map(drop)
    }

    /// Sends `attach` without waiting for its answer, which comes only after the configuration that follows.
    async fn attach(&self, arguments: Value) -> Result<()> {
        self.send(self.number(), "attach", arguments).await
    }

    fn number(&self) -> u64 {
        self.sent.fetch_add(1, Ordering::Relaxed) + 1
    }

    async fn send(&self, number: u64, command: &str, arguments: Value) -> Result<()> {
        let body = json!({"seq": number, "type": "request", "command": command, "arguments": arguments}).to_string();
        let message = format!("Content-Length: {}\r\n\r\n{body}", body.len());
        let what = || format!("send {command} to the debugger at port {}", self.port);
        self.writer.lock().await.write_all(message.as_bytes()).await.map_err(Error::io(what()))
    }

    /// Sends a request, and returns the body of its answer.
    async fn ask(&self, command: &str, arguments: Value) -> Result<Value> {
        let number = self.number();
        let (answered, answer) = oneshot::channel();
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).insert(number, answered);
        self.send(number, command, arguments).await?;
        let awaited = format!("the answer of the debugger at port {} to {command}", self.port);
        let last = "it took the connection and said nothing".to_owned();
        let late = |_| harness_base::Error::Deadline { awaited, after: ANSWER, last };
        let answer = tokio::time::timeout(ANSWER, answer).await.map_err(late)?;
        let mut answer =
            answer.map_err(|_| Error::Unmet(format!("the debugger hung up before it answered {command}")))?;
        match answer["success"].as_bool() {
            Some(true) => Ok(answer["body"].take()),
            _ => Err(refused(&answer)),
        }
    }

    /// The function that a thread is in, and its frame.
    async fn frame(&self, thread: &Value) -> Result<(String, Value)> {
        let stack = self.ask("stackTrace", json!({"threadId": thread, "levels": 1})).await?;
        let top = &stack["stackFrames"][0];
        Ok((top["name"].as_str().unwrap_or_default().to_owned(), top["id"].clone()))
    }

    /// The local variables of a frame.
    async fn locals(&self, frame: &Value) -> Result<BTreeMap<String, String>> {
        let scopes = self.ask("scopes", json!({"frameId": frame})).await?;
        let reference = &scopes["scopes"][0]["variablesReference"];
        let found = self.ask("variables", json!({"variablesReference": reference})).await?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let variables = found["variables"].as_array().into_iter().flatten();
        Ok(variables.map(|one| (text(&one["name"]), text(&one["value"]))).collect())
    }
}

fn refused(answer: &Value) -> Error {
    Error::Unmet(format!("the debugger refused {}: {}", answer["command"], answer["message"]))
}

/// Reads messages until the adapter hangs up: answers go to those who wait for them, all others to the debugger.
async fn listen(
    session: Arc<DapSession>,
    read: OwnedReadHalf,
    events: mpsc::UnboundedSender<(Arc<DapSession>, Value)>,
) {
    let mut read = BufReader::new(read);
    while let Ok(message) = next_message(&mut read).await {
        match message["type"].as_str() {
            Some("response") => {
                let number = message["request_seq"].as_u64().unwrap_or_default();
                let asked = session.asked.lock().unwrap_or_else(PoisonError::into_inner).remove(&number);
                let _ = match asked {
                    Some(asked) => asked.send(message).map_err(drop),
                    // Nobody waits for the answer to `attach`.
                    None => events.send((Arc::clone(&session), message)).map_err(drop),
                };
            }
            _ => {
                let _ = events.send((Arc::clone(&session), message));
            }
        }
    }
    // Ends the waits for answers that will not come.
    session.asked.lock().unwrap_or_else(PoisonError::into_inner).clear();
    if session.is_first {
        let _ = events.send((Arc::clone(&session), json!({"event": HUNG_UP})));
    }
}

/// The next message: a header with its length, and JSON.
async fn next_message(read: &mut (impl AsyncBufReadExt + Unpin)) -> std::io::Result<Value> {
    let bad = |what: &str| std::io::Error::new(std::io::ErrorKind::InvalidData, what);
    let mut length = None;
    loop {
        let mut line = String::new();
        if read.read_line(&mut line).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        match line.trim_end().split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => length = value.trim().parse().ok(),
            Some(_) => {}
            None if line.trim_end().is_empty() => break,
            None => return Err(bad("no header of the protocol")),
        }
    }
    let length = length.filter(|length| *length <= LONGEST).ok_or_else(|| bad("no length, or too long a one"))?;
    let mut body = vec![0; length];
    read.read_exact(&mut body).await?;
    serde_json::from_slice(&body).map_err(|error| bad(&error.to_string()))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::one("Content-Length: 7\r\n\r\n{\"a\":1}", Some(json!({"a": 1})))]
    #[case::another_header("Content-Type: json\r\ncontent-length: 2\r\n\r\n{}", Some(json!({})))]
    #[case::no_length("Content-Type: json\r\n\r\n{}", None)]
    #[case::too_long("Content-Length: 99999999999\r\n\r\n{}", None)]
    #[case::cut_off("Content-Length: 9\r\n\r\n{}", None)]
    #[case::no_json("Content-Length: 2\r\n\r\n{]", None)]
    #[case::no_header("hello\r\n\r\n{}", None)]
    #[case::nothing("", None)]
    #[tokio::test]
    async fn a_message_is_read(#[case] text: &str, #[case] wanted: Option<Value>) {
        assert_eq!(next_message(&mut text.as_bytes()).await.ok(), wanted);
    }

    #[test]
    fn an_announced_process_is_attached_to_by_the_forward() {
        let announced =
            json!({"name": "Subprocess 7", "connect": {"host": "127.0.0.1", "port": 5678}, "subProcessId": 7});
        let arguments = attach_arguments(5679, Some(&announced));
        assert_eq!(arguments["subProcessId"], json!(7));
        assert_eq!(arguments["connect"]["port"], json!(5679));
    }
}
