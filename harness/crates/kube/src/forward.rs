//! A local port that forwards into the cluster: each connection to a ready pod, chosen anew.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use harness_http::{Carrier, HttpOptions};
use k8s_openapi::api::core::v1::Pod;
use kube::api::Portforwarder;
use kube::{Api, Client, ResourceExt};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

use super::pod::{is_ready, summary};
use super::{CALL, within, workload};
use crate::in_one_line;
use crate::{Error, Result};

/// The limit for a whole request through a forward: 30 s, longer than two tries to reach a pod ([`CALL`] each), whose errors
/// say why, on a machine that builds and tests beside.
const ANSWER: Duration = Duration::from_secs(30);
/// How long a pod that owes an answer may be silent after the client's end of stream.
const OWED: Duration = Duration::from_secs(30);
/// How long it may be silent when the pod spoke last, so that the client has most likely hung up.
const SETTLED: Duration = Duration::from_millis(500);

/// A listener on 127.0.0.1 that forwards to one port of the pods of a selector.
///
/// Meant for functional requests: each connection goes to one pod, not through the Service. Dropping the forward closes the
/// port and every connection.
#[derive(Debug)]
pub struct Forward {
    address: SocketAddr,
    owed: Arc<OwedAnswers>,
    accepting: JoinHandle<()>,
}

impl Forward {
    /// Listens on a free port of 127.0.0.1. Pods are looked up for each connection, so that none need exist yet. `port` is
    /// the container's, not the Service's.
    ///
    /// # Errors
    /// [`harness_base::Error::Io`] when no port can be opened.
    pub async fn open(client: Client, namespace: &str, selector: &str, port: u16) -> Result<Self> {
        Self::listen(client, namespace, selector, None, port).await
    }

    /// [`Forward::open`] for one pod, whether it is ready or not.
    ///
    /// # Errors
    /// [`harness_base::Error::Io`] when no port can be opened.
    pub async fn to_pod(client: Client, namespace: &str, pod: &str, port: u16) -> Result<Self> {
        Self::listen(client, namespace, "", Some(pod.to_owned()), port).await
    }

    async fn listen(client: Client, namespace: &str, selector: &str, pod: Option<String>, port: u16) -> Result<Self> {
        let whose = pod.as_deref().unwrap_or(selector);
        let what = format!("listen on 127.0.0.1 for port {port} of {whose}");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(Error::io(what.as_str()))?;
        let address = listener.local_addr().map_err(Error::io(what))?;
        let owed = Arc::new(OwedAnswers::default());
        let target = Arc::new(ForwardTarget {
            client,
            namespace: namespace.to_owned(),
            selector: selector.to_owned(),
            pod,
            port,
            turn: AtomicUsize::new(0),
            ready: tokio::sync::Mutex::new(None),
            owed: Arc::clone(&owed),
        });
        Ok(Self { address, owed, accepting: tokio::spawn(accept(listener, target)) })
    }

    /// The local address, `127.0.0.1:<port>`.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The options of a client that sends through the forward, and keeps it open; a whole request may take 30 s.
    pub fn options(self) -> HttpOptions {
        let base = format!("http://{}", self.address);
        HttpOptions { whole: ANSWER, carrier: Some(Arc::new(self)), ..HttpOptions::new(base) }
    }
}

impl Carrier for Forward {
    fn progress(&self) -> Option<String> {
        self.owed.progress(Instant::now())
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        // The connections live in a set that the accepting task owns, and end with it.
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, target: Arc<ForwardTarget>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let target = Arc::clone(&target);
                    connections.spawn(harness_base::events::untold(async move { target.serve(stream).await }));
                }
                // Most likely no descriptors are left: the next try comes after 50 ms.
                Err(error) => {
                    target.owed.failed(format!("cannot accept a connection: {error}"));
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// The destination of a forward's connections.
struct ForwardTarget {
    client: Client,
    namespace: String,
    selector: String,
    /// The one pod to forward to, instead of the selector's.
    pod: Option<String>,
    port: u16,
    turn: AtomicUsize,
    ready: tokio::sync::Mutex<Option<(Instant, Vec<String>)>>,
    owed: Arc<OwedAnswers>,
}

impl ForwardTarget {
    async fn serve(&self, mut local: TcpStream) {
        let _ = local.set_nodelay(true);
        if let Err(problem) = self.connect_and_copy(&mut local).await {
            tracing::debug!(selector = %self.selector, port = self.port, %problem, "forwarded connection failed");
            self.owed.failed(problem);
            // A plain close would look like an empty answer; a reset says that there was none.
            let _ = local.set_zero_linger();
        }
    }

    async fn connect_and_copy(&self, local: &mut TcpStream) -> Result<(), String> {
        let answer = self.owed.begin();
        let (pod, mut forwarder) = self.connect(&answer).await?;
        let aborted = AbortOnDrop(&mut forwarder);
        let failed = aborted.0.take_error(self.port);
        let Some(mut remote) = aborted.0.take_stream(self.port) else {
            return Err(format!("the forward to the pod {pod} has no stream"));
        };
        let said = async {
            match failed {
                Some(failed) => failed.await,
                None => None,
            }
        };
        tokio::pin!(said);
        answer.came(Progress::Carried(pod.clone()));
        let copied = copy(local, &mut remote, answer).await;
        // The pod's side reports why it closed on a separate channel, at about the same time.
        let reason = match copied {
            Ok(ForwardEnd { answered: true }) => None,
            Ok(ForwardEnd { answered: false }) | Err(_) => {
                tokio::time::timeout(Duration::from_millis(100), &mut said).await.ok().flatten()
            }
        };
        match (copied, reason) {
            (_, Some(reason)) => Err(format!("port {} of the pod {pod}: {}", self.port, reason.trim())),
            (Err(error), None) => Err(format!("port {} of the pod {pod}: {error}", self.port)),
            (Ok(_), None) => Ok(()),
        }
    }

    /// A stream to a ready pod; tries up to two, since a listed pod may be gone by now.
    async fn connect(&self, answer: &OwedAnswer) -> Result<(String, Portforwarder), String> {
        let mut problem = String::new();
        for _ in 0..2 {
            let pod = self.next_pod().await?;
            answer.came(Progress::Chosen(pod.clone()));
            let api: Api<Pod> = Api::namespaced(self.client.clone(), &self.namespace);
            match tokio::time::timeout(CALL, api.portforward(&pod, &[self.port])).await {
                Ok(Ok(forwarder)) => return Ok((pod, forwarder)),
                Ok(Err(error)) => problem = format!("cannot forward to the pod {pod}: {}", in_one_line(&error)),
                Err(_) => problem = format!("cannot forward to the pod {pod}: no answer within {CALL:?}"),
            }
        }
        Err(problem)
    }

    /// The next ready pod, from a list that was requested after this call, so that a pod replaced before is never chosen; the
    /// lock lets simultaneous calls share one list.
    async fn next_pod(&self) -> Result<String, String> {
        if let Some(pod) = &self.pod {
            return Ok(pod.clone());
        }
        let called = Instant::now();
        let mut cached = self.ready.lock().await;
        let fresh = cached.as_ref().filter(|(asked, _)| *asked >= called).map(|(_, pods)| pods.clone());
        let names = match fresh {
            Some(names) => names,
            None => {
                let asked = Instant::now();
                let pods = workload::pods(&self.client, &self.namespace, &self.selector);
                let pods = within("list the pods to forward to", CALL, pods).await.map_err(|error| error.report())?;
                let names: Vec<String> = pods.iter().filter(|pod| is_ready(pod)).map(ResourceExt::name_any).collect();
                if names.is_empty() {
                    *cached = None;
                    let there: Vec<String> = pods.iter().map(summary).collect();
                    let there = if there.is_empty() { "none at all".to_owned() } else { there.join(", ") };
                    return Err(format!("no pod with {} is ready in {}: {there}", self.selector, self.namespace));
                }
                *cached = Some((asked, names.clone()));
                names
            }
        };
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % names.len();
        names.get(turn).cloned().ok_or_else(|| "no pod is ready".to_owned())
    }
}

/// The connections without an answer yet, and the error of the last one that failed.
#[derive(Debug, Default)]
struct OwedAnswers(Mutex<OwedAnswersState>);

#[derive(Debug, Default)]
struct OwedAnswersState {
    next: u64,
    connections: BTreeMap<u64, (Instant, Progress)>,
    problem: Option<String>,
}

/// The progress of a connection.
#[derive(Debug)]
enum Progress {
    /// Accepted; a ready pod is looked for.
    Taken,
    /// A stream to this pod is requested.
    Chosen(String),
    /// The client's bytes go to this pod.
    Carried(String),
}

impl OwedAnswers {
    fn state(&self) -> MutexGuard<'_, OwedAnswersState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(self: &Arc<Self>) -> OwedAnswer {
        let mut state = self.state();
        let number = state.next;
        state.next += 1;
        state.connections.insert(number, (Instant::now(), Progress::Taken));
        OwedAnswer { owed: Arc::clone(self), number }
    }

    fn failed(&self, problem: String) {
        self.state().problem = Some(problem);
    }

    /// The progress of the newest connection: most likely the one that the caller has just given up.
    fn progress(&self, now: Instant) -> Option<String> {
        let state = self.state();
        let newest = state.connections.values().next_back().map(|(since, progress)| {
            let spent = now.saturating_duration_since(*since);
            match progress {
                Progress::Taken => format!("{spent:.1?} without a pod"),
                Progress::Chosen(pod) => format!("{spent:.1?} without a stream to the pod {pod}"),
                Progress::Carried(pod) => format!("to the pod {pod}, which is silent after {spent:.1?}"),
            }
        });
        let problem = state.problem.as_ref().map(|problem| format!("failed: {problem}"));
        let told: Vec<String> = [problem, newest].into_iter().flatten().collect();
        (!told.is_empty()).then(|| told.join("; "))
    }
}

/// One connection's owed answer, until this is dropped.
struct OwedAnswer {
    owed: Arc<OwedAnswers>,
    number: u64,
}

impl OwedAnswer {
    fn came(&self, this_far: Progress) {
        if let Some((_, progress)) = self.owed.state().connections.get_mut(&self.number) {
            *progress = this_far;
        }
    }

    /// Marks the answer as begun, and forgets an earlier failure.
    fn answered(self) {
        self.owed.state().problem = None;
    }
}

impl Drop for OwedAnswer {
    fn drop(&mut self) {
        self.owed.state().connections.remove(&self.number);
    }
}

/// Aborts kube's forwarder on drop: it runs in a task of its own, which would outlive its connection.
struct AbortOnDrop<'a>(&'a mut Portforwarder);

impl Drop for AbortOnDrop<'_> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// How a connection ended.
struct ForwardEnd {
    /// Whether the pod sent anything.
    answered: bool,
}

/// Copies both ways until the pod's side ends.
///
/// The forward protocol cannot close one direction: an end towards the pod would cut off its answer. So a client that stops
/// sending gets the rest of the answer first, and its end is passed on once the pod has been silent for a while.
///
/// With the pod's first byte nothing is owed any more.
async fn copy(
    local: &mut TcpStream,
    remote: &mut (impl AsyncRead + AsyncWrite + Unpin),
    owed: OwedAnswer,
) -> std::io::Result<ForwardEnd> {
    let (mut from_client, mut to_client) = local.split();
    let (mut from_pod, mut to_pod) = tokio::io::split(remote);
    let (mut upload, mut download) = (vec![0; 16 * 1024], vec![0; 16 * 1024]);
    let mut owed = Some(owed);
    let (mut asked, mut answered, mut pod_spoke_last) = (false, false, false);
    let mut hang_up: Option<Instant> = None;
    loop {
        tokio::select! {
            read = from_client.read(&mut upload), if hang_up.is_none() => match read? {
                // A client that sent nothing is owed nothing: it looked whether the port is open.
                0 if !asked => {
                    drop(owed.take());
                    hang_up = Some(Instant::now() + SETTLED);
                }
                0 => hang_up = Some(Instant::now() + if pod_spoke_last { SETTLED } else { OWED }),
                count => {
                    (asked, pod_spoke_last) = (true, false);
                    to_pod.write_all(upload.get(..count).unwrap_or_default()).await?;
                    to_pod.flush().await?;
                }
            },
            read = from_pod.read(&mut download) => match read? {
                0 => {
                    if answered {
                        to_client.shutdown().await?;
                    }
                    return Ok(ForwardEnd { answered });
                }
                count => {
                    if let Some(owed) = owed.take() {
                        owed.answered();
                    }
                    (answered, pod_spoke_last) = (true, true);
                    to_client.write_all(download.get(..count).unwrap_or_default()).await?;
                    hang_up = hang_up.map(|_| Instant::now() + SETTLED);
                }
            },
            () = tokio::time::sleep_until(hang_up.unwrap_or_else(Instant::now)), if hang_up.is_some() => {
                return Ok(ForwardEnd { answered: true });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn progress_is_of_the_newest_answer_that_is_owed() {
        let owed = Arc::new(OwedAnswers::default());
        let progress = || owed.progress(Instant::now()).unwrap_or_default();
        let earlier = owed.begin();
        earlier.came(Progress::Carried("earlier".to_owned()));
        let newest = owed.begin();
        tokio::time::advance(Duration::from_secs(9)).await;
        assert_eq!(progress(), "9.0s without a pod");
        newest.came(Progress::Chosen("web-1".to_owned()));
        assert_eq!(progress(), "9.0s without a stream to the pod web-1");
        newest.came(Progress::Carried("web-1".to_owned()));
        assert_eq!(progress(), "to the pod web-1, which is silent after 9.0s");
        drop((earlier, newest));
        assert_eq!(owed.progress(Instant::now()), None);
    }

    #[test]
    fn what_failed_is_told_after_its_end() {
        let owed = Arc::new(OwedAnswers::default());
        drop(owed.begin());
        owed.failed("no pod is ready".to_owned());
        assert_eq!(owed.progress(Instant::now()).as_deref(), Some("failed: no pod is ready"));
        owed.begin().answered();
        assert_eq!(owed.progress(Instant::now()), None);
    }
}
