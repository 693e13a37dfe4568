//! The one waiting loop: driven by watch events, bounded by a deadline, ended by a verdict.

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
use super::watch_stream::{Trouble, WatchStream, WatchUpdate, feed};
use super::window::{Window, Windows, windows};

use crate::{Error, Result};

/// How long the API may deny access to what was not readable yet in this wait. Not zero: a server
/// that has just started denies everyone until it knows the roles.
const DENIED_FIRST: Duration = Duration::from_secs(2);
/// How long it may deny access to what was readable before.
const DENIED_LATER: Duration = Duration::from_secs(15);
/// How many lines of causes one wait tells, so that one whose words change with each look fills no screen.
const TOLD: usize = 8;

/// What a judge says about the present state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// What was awaited is there.
    Ready,
    /// Not yet, and why that is not yet enough.
    Pending(String),
    /// A cause that may heal by itself; after its tolerance it counts as doomed, unless it changed its key.
    Degraded(FailureCause),
    /// It cannot come about any more.
    Failed(String),
}

/// Waits until `judge` calls the namespace ready; it sees every change of every kind.
///
/// The judge runs once all first lists are in and then at each change. A watch that closes is
/// opened again; each list is also read again every 5 s. Nothing remains on cancel. Values of the
/// namespace's Secrets are blotted out of the error, which reads them for at most 3 s.
///
/// # Errors
/// [`Error::Failed`] when the judge says so, [`harness_base::Error::Deadline`] after `limit` with the last state,
/// [`Error::Kube`] when the API denies access (401, 403) for 2 s, or for 15 s what it allowed before;
/// its other errors are waited out.
pub async fn wait(
    client: &Client,
    namespace: &str,
    awaited: &str,
    limit: Duration,
    judge: impl FnMut(&Snapshot) -> State,
) -> Result<Snapshot> {
    wait_on(client, namespace, Watched::ALL, awaited, limit, judge).await
}

/// [`wait`] that looks at some kinds alone; the others' lists stay empty.
///
/// # Errors
/// As [`wait`].
pub async fn wait_on(
    client: &Client,
    namespace: &str,
    kinds: &[Watched],
    awaited: &str,
    limit: Duration,
    judge: impl FnMut(&Snapshot) -> State,
) -> Result<Snapshot> {
    let feeds = kinds.iter().map(|kind| kind.feed(client, namespace)).collect();
    let telling = Telling { client, namespace, told: BTreeSet::new() };
    match until(feeds, awaited, limit, Some(telling), judge).await {
        Ok(snapshot) => Ok(snapshot),
        // A cause quotes a container's last words, which may hold a password.
        Err(error) => {
            secret::know_all(client, namespace).await;
            Err(error)
        }
    }
}

/// Waits for one object, which the judge gets as it is now, or `None` while it is absent.
///
/// # Errors
/// As [`wait`].
pub async fn object<K>(
    api: Api<K>,
    name: &str,
    awaited: &str,
    limit: Duration,
    mut judge: impl FnMut(Option<&K>) -> State,
) -> Result<Option<Arc<K>>>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
{
    let fields = format!("metadata.name={name}");
    let stream = feed(api, &fields, |found: &mut Vec<Arc<K>>| found);
    let feeds = vec![WatchStream { name: "the object", optional: false, stream }];
    let found = until(feeds, awaited, limit, None, |found| judge(found.first().map(AsRef::as_ref))).await?;
    Ok(found.into_iter().next())
}

/// Waits for the objects of one kind, which the judge gets as they are now.
///
/// # Errors
/// As [`wait`].
pub async fn all<K>(
    api: Api<K>,
    awaited: &str,
    limit: Duration,
    mut judge: impl FnMut(&[Arc<K>]) -> State,
) -> Result<Vec<Arc<K>>>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
{
    let stream = feed(api, "", |found: &mut Vec<Arc<K>>| found);
    let feeds = vec![WatchStream { name: "the objects", optional: false, stream }];
    until(feeds, awaited, limit, None, |found| judge(found)).await
}

/// Waits until an object is gone, or another one has its name; `holds` says what keeps it.
///
/// # Errors
/// As [`wait`]; the deadline's error names the finalizers and what `holds` said last.
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
async fn until<T: Default>(
    feeds: Vec<WatchStream<T>>,
    awaited: &str,
    limit: Duration,
    telling: Option<Telling<'_>>,
    judge: impl FnMut(&T) -> State,
) -> Result<T> {
    events::step(format!("waiting for {awaited}"), watching(feeds, awaited, limit, windows(), telling, judge)).await
}

async fn watching<T: Default>(
    feeds: Vec<WatchStream<T>>,
    awaited: &str,
    limit: Duration,
    windows: &Windows,
    mut telling: Option<Telling<'_>>,
    mut judge: impl FnMut(&T) -> State,
) -> Result<T> {
    let start = Instant::now();
    let deadline = start + limit;
    let mut sources: Vec<Source> = feeds.iter().map(|feed| Source::new(feed.name, feed.optional)).collect();
    let streams = feeds.into_iter().enumerate();
    let mut updates = select_all(streams.map(|(index, feed)| feed.stream.map(move |update| (index, update)).boxed()));
    let mut known = T::default();
    let mut last = "nothing heard from the Kubernetes API yet".to_owned();
    let mut ailing: Option<(String, Instant)> = None;
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
                    ailing = None;
                    last = why;
                }
                State::Degraded(found) => {
                    let since = match &ailing {
                        Some((same, since)) if *same == found.key => *since,
                        _ => {
                            let now = Instant::now();
                            ailing = Some((found.key.clone(), now));
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

/// What is so now, and the cause that was seen last: it may come back with each restart.
fn with_seen(last: String, seen: Option<String>) -> String {
    match seen.filter(|seen| !last.starts_with(seen.as_str())) {
        Some(seen) => format!("{last}; seen before: {seen}"),
        None => last,
    }
}

/// Tells of causes while they are seen, and asks for more words of one that is final.
struct Telling<'a> {
    client: &'a Client,
    namespace: &'a str,
    told: BTreeSet<String>,
}

impl Telling<'_> {
    /// Says at once what is seen, once for each line, and no more than [`TOLD`] of them.
    async fn tell(&mut self, found: &FailureCause) {
        if self.told.len() < TOLD && self.told.insert(found.first_line()) {
            let words = match found.tolerance.window {
                // The scheduler's own.
                Window::Room => found.first_line(),
                // A cause quotes a container's last words, which may hold a password.
                _ => match secret::know_all(self.client, self.namespace).await {
                    None => found.first_line(),
                    // Nobody can say which of the words are secret.
                    Some(_) => found.key.clone(),
                },
            };
            tracing::info!("seen so far: {words}");
            measure("a cause, from its sign in the cluster to its line", found);
        }
    }

    /// The cause, in its first line also what the pod itself says, if it can be asked.
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

/// Writes down how long after the cluster's own sign of a cause we say it; the cluster's times are whole seconds.
fn measure(what: &str, found: &FailureCause) {
    let took = found.since.and_then(|since| Duration::try_from(Timestamp::now().duration_since(since)).ok());
    if let Some(took) = took {
        events::timed(&found.key, what, took);
    }
}

/// What the loop remembers about one feed.
struct Source {
    name: &'static str,
    optional: bool,
    listed: bool,
    trouble: Option<String>,
    denied: Option<Instant>,
}

impl Source {
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
            // Known from now on as empty.
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

fn with_trouble(last: &str, sources: &[Source]) -> String {
    let mut text = last.to_owned();
    let missing: Vec<&str> = sources.iter().filter(|source| !source.listed).map(|source| source.name).collect();
    if !missing.is_empty() {
        text = format!("{text}; not listed yet: {}", missing.join(", "));
    }
    // All feeds share one server, so one trouble speaks for the others.
    if let Some((name, trouble)) = sources.iter().find_map(|source| Some((source.name, source.trouble.as_deref()?))) {
        text = format!("{text}; reading {name} fails now: {trouble}");
    }
    text
}

#[cfg(test)]
mod tests;
