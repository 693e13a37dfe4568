//! The waiting loop: driven by watch events, bounded by a deadline, ended by a judge's verdict.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{StreamExt, select_all};
use harness_base::events;
use k8s_openapi::jiff::Timestamp;
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep_until};

use super::failure_cause::FailureCause;
use super::probe;
use super::secret;
use super::snapshot::{Snapshot, Watched};
use super::watch_stream::{Trouble, WatchStream, WatchUpdate, updates};
use super::window::{Window, Windows, windows};

use crate::{Error, Result};

/// How long the API may deny access to a kind that was not readable yet in this wait. Not zero: a server that has just
/// started denies everyone until it knows the roles.
const DENIED_FIRST: Duration = Duration::from_secs(2);
/// How long the API may deny access to a kind that was readable before.
const DENIED_LATER: Duration = Duration::from_secs(15);
/// How many lines about causes one wait logs at most, since a cause's words may change with each look.
const TOLD: usize = 8;

/// A judge's verdict on the present state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// The awaited state is reached.
    Ready,
    /// The awaited state is not reached yet, and why.
    Pending(String),
    /// A cause that may heal by itself; it is final once it lasts longer than its tolerance under the same key.
    Degraded(FailureCause),
    /// The awaited state cannot come about any more, and why.
    Failed(String),
}

/// Waits until `judge` calls the namespace ready; the judge sees every change of every kind in [`Watched`].
///
/// The judge runs once all first lists are in, and then at each change. A closed watch is opened again, and each list is read
/// again every 5 s. Nothing remains on cancel. On an error the values of the namespace's Secrets are read, for at most 3 s,
/// so that its text is shown without them.
///
/// # Errors
/// [`Error::Failed`] when the judge says so or a cause outlasts its tolerance; [`harness_base::Error::Deadline`] after
/// `limit` with the last state; [`Error::Kube`] when the API denies access (401, 403) for 2 s, or for 15 s to what it allowed
/// before. The API's other errors are waited out.
pub async fn wait(
    client: &Client,
    namespace: &str,
    awaited: &str,
    limit: Duration,
    judge: impl FnMut(&Snapshot) -> State + Send,
) -> Result<Snapshot> {
    wait_on(client, namespace, Watched::ALL, awaited, limit, judge).await
}

/// [`wait`] for some kinds alone; the snapshot's other lists stay empty.
///
/// # Errors
/// As [`wait`].
pub async fn wait_on(
    client: &Client,
    namespace: &str,
    kinds: &[Watched],
    awaited: &str,
    limit: Duration,
    judge: impl FnMut(&Snapshot) -> State + Send,
) -> Result<Snapshot> {
    let watches = kinds.iter().map(|kind| kind.stream(client, namespace)).collect();
    let telling = Telling { client, namespace, told: BTreeSet::new() };
    match until(watches, awaited, limit, Some(telling), judge).await {
        Ok(snapshot) => Ok(snapshot),
        // A cause quotes a container's last words, which may hold a password.
        Err(error) => {
            secret::know_all(client, namespace).await;
            Err(error)
        }
    }
}

/// Waits for one object; the judge gets its present version, or `None` while it is absent. Returns that version.
///
/// # Errors
/// As [`wait`].
pub async fn object<K>(
    api: Api<K>,
    name: &str,
    awaited: &str,
    limit: Duration,
    mut judge: impl FnMut(Option<&K>) -> State + Send,
) -> Result<Option<Arc<K>>>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
{
    let fields = format!("metadata.name={name}");
    let stream = updates(api, &fields, |found: &mut Vec<Arc<K>>| found);
    let watches = vec![WatchStream { name: "the object", optional: false, stream }];
    let found = until(watches, awaited, limit, None, |found| judge(found.first().map(AsRef::as_ref))).await?;
    Ok(found.into_iter().next())
}

/// Waits for the objects of one kind; the judge gets all of them.
///
/// # Errors
/// As [`wait`].
pub async fn all<K>(
    api: Api<K>,
    awaited: &str,
    limit: Duration,
    mut judge: impl FnMut(&[Arc<K>]) -> State + Send,
) -> Result<Vec<Arc<K>>>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
{
    let stream = updates(api, "", |found: &mut Vec<Arc<K>>| found);
    let watches = vec![WatchStream { name: "the objects", optional: false, stream }];
    until(watches, awaited, limit, None, |found| judge(found)).await
}

/// Waits until an object is gone, or another one has its name; `holds` returns what keeps it.
///
/// # Errors
/// As [`wait`]; the deadline's error has the finalizers and the last text of `holds`.
pub async fn gone<K>(api: Api<K>, name: &str, awaited: &str, limit: Duration, holds: fn(&K) -> String) -> Result<()>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
{
    let mut first_uid: Option<String> = None;
    object(api, name, awaited, limit, |found| {
        let Some(found) = found else { return State::Ready };
        let uid = found.uid().unwrap_or_default();
        if *first_uid.get_or_insert_with(|| uid.clone()) != uid {
            return State::Ready;
        }
        let mut text = match found.meta().deletion_timestamp {
            Some(_) => "still terminating".to_owned(),
            None => "still there, and nobody deleted it".to_owned(),
        };
        if !found.finalizers().is_empty() {
            text = format!("{text}, finalizers {}", found.finalizers().join(", "));
        }
        let held_by = holds(found);
        if !held_by.is_empty() {
            text = format!("{text}: {held_by}");
        }
        State::Pending(text)
    })
    .await
    .map(|_| ())
}

/// The loop itself. Dropping it ends every watch, since none runs in a task of its own.
async fn until<T: Default + Send>(
    watches: Vec<WatchStream<T>>,
    awaited: &str,
    limit: Duration,
    telling: Option<Telling<'_>>,
    mut judge: impl FnMut(&T) -> State + Send,
) -> Result<T> {
    let watching = watching(watches, awaited, limit, windows(), telling, &mut judge);
    events::step(format!("waiting for {awaited}"), watching).await
}

async fn watching<T: Default + Send>(
    watches: Vec<WatchStream<T>>,
    awaited: &str,
    limit: Duration,
    windows: &Windows,
    mut telling: Option<Telling<'_>>,
    judge: &mut (dyn FnMut(&T) -> State + Send),
) -> Result<T> {
    let start = Instant::now();
    let deadline = start + limit;
    let mut sources: Vec<WatchSource> =
        watches.iter().map(|watch| WatchSource::new(watch.name, watch.optional)).collect();
    let streams = watches.into_iter().enumerate();
    let mut updates = select_all(streams.map(|(index, watch)| watch.stream.map(move |update| (index, update)).boxed()));
    let mut known = T::default();
    let mut last = "nothing heard from the Kubernetes API yet".to_owned();
    let mut degraded: Option<(String, Instant)> = None;
    let mut seen = None;
    let mut wake = deadline;
    loop {
        tokio::select! {
            biased;
            Some((index, update)) = updates.next() => {
                if let Some(source) = sources.get_mut(index) {
                    source.take(update, &mut known, awaited)?;
                }
            }
            () = sleep_until(wake) => {}
        }
        if sources.iter().all(|source| source.listed) {
            wake = deadline;
            match judge(&known) {
                State::Ready => return Ok(known),
                State::Failed(cause) => return Err(Error::Failed { awaited: awaited.to_owned(), cause }),
                State::Pending(why) => {
                    degraded = None;
                    last = why;
                }
                State::Degraded(found) => {
                    let since = match &degraded {
                        Some((same, since)) if *same == found.key => *since,
                        _ => {
                            let now = Instant::now();
                            degraded = Some((found.key.clone(), now));
                            now
                        }
                    };
                    let end = windows.of(found.tolerance).map(|window| since + window);
                    if end.is_some_and(|end| Instant::now() >= end) {
                        let cause = match &telling {
                            Some(telling) => telling.in_the_end(found).await,
                            None => found.to_string(),
                        };
                        return Err(Error::Failed { awaited: awaited.to_owned(), cause });
                    }
                    if let Some(telling) = &mut telling {
                        telling.tell(&found).await;
                    }
                    wake = end.map_or(deadline, |end| deadline.min(end));
                    seen = Some(found.first_line());
                    last = found.to_string();
                }
            }
        }
        if Instant::now() >= deadline {
            return Err(harness_base::Error::Deadline {
                awaited: awaited.to_owned(),
                after: limit,
                last: with_trouble(&with_seen(last, seen), &sources),
            }
            .into());
        }
    }
}

/// The present state, and the last cause that was seen: it may come back with each restart.
fn with_seen(last: String, seen: Option<String>) -> String {
    match seen.filter(|seen| !last.starts_with(seen.as_str())) {
        Some(seen) => format!("{last}; seen before: {seen}"),
        None => last,
    }
}

/// Reports causes while they are seen, and asks the pod about one that is final.
struct Telling<'a> {
    client: &'a Client,
    namespace: &'a str,
    told: BTreeSet<String>,
}

impl Telling<'_> {
    /// Logs a cause at once, each first line once, and at most [`TOLD`] of them.
    async fn tell(&mut self, found: &FailureCause) {
        if self.told.len() < TOLD && self.told.insert(found.first_line()) {
            let words = match found.tolerance.window {
                // The scheduler's own words hold no secret.
                Window::Room => found.first_line(),
                // A cause quotes a container's last words, which may hold a password.
                _ => match secret::know_all(self.client, self.namespace).await {
                    None => found.first_line(),
                    // Without the Secrets' values the words cannot be redacted.
                    Some(_) => found.key.clone(),
                },
            };
            tracing::info!("seen so far: {words}");
            measure("a cause, from its sign in the cluster to its line", found);
        }
    }

    /// The final cause as text; its first line has the pod's own answer too, if the pod can be asked.
    async fn in_the_end(&self, mut found: FailureCause) -> String {
        if found.tolerance.by_default().is_zero() {
            measure("a cause that nothing heals, from its sign in the cluster to the error", &found);
        }
        if let Some(asked) = &found.asked
            && let Some(words) = Box::pin(probe::words(self.client, self.namespace, asked)).await
        {
            found.gist = if found.gist.is_empty() { words } else { format!("{}: {words}", found.gist) };
        }
        found.to_string()
    }
}

/// Records the time from the cluster's first sign of a cause until now; the cluster's times are whole seconds.
fn measure(what: &str, found: &FailureCause) {
    let took = found.since.and_then(|since| Duration::try_from(Timestamp::now().duration_since(since)).ok());
    if let Some(took) = took {
        events::timed(&found.key, what, took);
    }
}

/// The loop's state of one watched kind.
struct WatchSource {
    name: &'static str,
    optional: bool,
    listed: bool,
    trouble: Option<String>,
    denied: Option<Instant>,
}

impl WatchSource {
    fn new(name: &'static str, optional: bool) -> Self {
        Self { name, optional, listed: false, trouble: None, denied: None }
    }

    fn take<T>(&mut self, update: WatchUpdate<T>, known: &mut T, awaited: &str) -> Result<()> {
        match update {
            WatchUpdate::Listed(change) => {
                change(known);
                self.listed = true;
                (self.trouble, self.denied) = (None, None);
            }
            WatchUpdate::Changed(change) => {
                change(known);
                (self.trouble, self.denied) = (None, None);
            }
            WatchUpdate::Trouble(Trouble { denied: None, text }) => self.trouble = Some(text),
            // The kind counts as listed and empty from now on.
            WatchUpdate::Trouble(_) if self.optional => self.listed = true,
            WatchUpdate::Trouble(Trouble { denied: Some(source), text }) => {
                let patience = if self.listed { DENIED_LATER } else { DENIED_FIRST };
                if self.denied.get_or_insert_with(Instant::now).elapsed() >= patience {
                    let what = format!("read {} while waiting for {awaited}", self.name);
                    return Err(Error::Kube { what, source });
                }
                self.trouble = Some(text);
            }
        }
        Ok(())
    }
}

fn with_trouble(last: &str, sources: &[WatchSource]) -> String {
    let mut text = last.to_owned();
    let missing: Vec<&str> = sources.iter().filter(|source| !source.listed).map(|source| source.name).collect();
    if !missing.is_empty() {
        text = format!("{text}; not listed yet: {}", missing.join(", "));
    }
    // All watches share one server, so one error speaks for the others.
    if let Some((name, trouble)) = sources.iter().find_map(|source| Some((source.name, source.trouble.as_deref()?))) {
        text = format!("{text}; reading {name} fails now: {trouble}");
    }
    text
}

#[cfg(test)]
mod tests;
