//! A stream of the changes of one kind of object: a watch, with a slow re-read beside it.
//!
//! Watches miss an event now and then, or go silent while their connection stays open; the re-read makes up for that. No task
//! is spawned: dropping the stream ends everything.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::future::ready;
use futures::stream::{self, BoxStream, StreamExt};
use harness_kinds::watch::watch;
use kube::api::ListParams;
use kube::runtime::watcher;
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;

/// The time between two re-reads of the whole list.
const REREAD: Duration = Duration::from_secs(5);
/// The limit for one re-read.
const REREAD_LIMIT: Duration = Duration::from_secs(4);

type SnapshotChange<T> = Box<dyn FnOnce(&mut T) + Send>;

/// An update about one kind.
pub(super) enum WatchUpdate<T> {
    /// The whole list was read; the kind counts as listed from now on.
    Listed(SnapshotChange<T>),
    /// One object changed.
    Changed(SnapshotChange<T>),
    /// The API could not be asked; the stream goes on by itself.
    Trouble(Trouble),
}

/// Why the API could not be asked.
pub(super) struct Trouble {
    /// The error, in one line.
    pub text: String,
    /// The error when the API denies access (401, 403), which time does not change.
    pub denied: Option<Box<kube::Error>>,
}

/// The stream of one kind, and its name in messages.
pub(super) struct WatchStream<T> {
    pub name: &'static str,
    /// Whether a wait goes on without the kind when the API denies it.
    pub optional: bool,
    pub stream: BoxStream<'static, WatchUpdate<T>>,
}

/// Watches all objects that match the field selector, and keeps `part` of a `T` up to date.
pub(super) fn updates<K, T>(
    api: Api<K>,
    fields: &str,
    part: fn(&mut T) -> &mut Vec<Arc<K>>,
) -> BoxStream<'static, WatchUpdate<T>>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
    T: 'static,
{
    // The count of watch events: a re-read that an event overtook is thrown away.
    let heard = Arc::new(AtomicU64::new(0));
    let mut listing: Vec<Arc<K>> = Vec::new();
    let counter = Arc::clone(&heard);
    let changes = watch(api.clone(), fields).filter_map(move |event| {
        counter.fetch_add(1, Ordering::Relaxed);
        ready(match event {
            Ok(watcher::Event::Init) => {
                listing.clear();
                None
            }
            Ok(watcher::Event::InitApply(object)) => {
                listing.push(Arc::new(object));
                None
            }
            Ok(watcher::Event::InitDone) => {
                let list = std::mem::take(&mut listing);
                Some(WatchUpdate::Listed(Box::new(move |all: &mut T| *part(all) = list) as SnapshotChange<T>))
            }
            Ok(watcher::Event::Apply(object)) => {
                Some(WatchUpdate::Changed(Box::new(move |all: &mut T| put(part(all), object)) as SnapshotChange<T>))
            }
            Ok(watcher::Event::Delete(object)) => Some(WatchUpdate::Changed(Box::new(move |all: &mut T| {
                part(all).retain(|known| !is_same(known.as_ref(), &object))
            }) as SnapshotChange<T>)),
            Err(error) => Some(WatchUpdate::Trouble(trouble(error))),
        })
    });
    let params = ListParams::default().fields(fields);
    let reread = stream::unfold((api, params, heard), move |(api, params, heard)| async move {
        tokio::time::sleep(REREAD).await;
        let before = heard.load(Ordering::Relaxed);
        let update = match tokio::time::timeout(REREAD_LIMIT, api.list(&params)).await {
            Ok(Ok(list)) => {
                let heard = Arc::clone(&heard);
                WatchUpdate::Listed(Box::new(move |all: &mut T| {
                    if heard.load(Ordering::Relaxed) == before {
                        *part(all) = list.items.into_iter().map(Arc::new).collect();
                    }
                }) as SnapshotChange<T>)
            }
            Ok(Err(error)) => WatchUpdate::Trouble(denied_or_not(error)),
            Err(_) => WatchUpdate::Trouble(Trouble {
                text: format!("the Kubernetes API has not answered a list within {REREAD_LIMIT:?}"),
                denied: None,
            }),
        };
        Some((update, (api, params, heard)))
    });
    stream::select(changes, reread).boxed()
}

fn is_same<K: Resource>(one: &K, other: &K) -> bool {
    one.name_any() == other.name_any() && one.namespace() == other.namespace()
}

/// Replaces or adds an object, unless a re-read already brought a later version of it.
fn put<K: Resource>(list: &mut Vec<Arc<K>>, object: K) {
    match list.iter_mut().find(|known| is_same(known.as_ref(), &object)) {
        Some(known) => {
            let stale = known.uid() == object.uid()
                && matches!((version(known.as_ref()), version(&object)), (Some(known), Some(new)) if new < known);
            if !stale {
                *known = Arc::new(object);
            }
        }
        None => list.push(Arc::new(object)),
    }
}

/// An object's version as a number, as every server with etcd gives it; versions of one kind are comparable.
fn version<K: Resource>(object: &K) -> Option<u64> {
    object.resource_version()?.parse().ok()
}

fn trouble(error: watcher::Error) -> Trouble {
    match error {
        watcher::Error::InitialListFailed(inner)
        | watcher::Error::WatchStartFailed(inner)
        | watcher::Error::WatchFailed(inner) => denied_or_not(inner),
        watcher::Error::WatchError(status) => denied_or_not(kube::Error::Api(status)),
        watcher::Error::NoResourceVersion => {
            Trouble { text: "the Kubernetes API gave a list without a version".to_owned(), denied: None }
        }
    }
}

fn denied_or_not(error: kube::Error) -> Trouble {
    let text = crate::in_one_line(&error);
    let denied = match &error {
        kube::Error::Api(status) if matches!(status.code, 401 | 403) => Some(Box::new(error)),
        _ => None,
    };
    Trouble { text, denied }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;
    use rstest::rstest;

    use super::*;

    fn map(uid: &str, version: &str) -> ConfigMap {
        let metadata = serde_json::json!({ "name": "x", "uid": uid, "resourceVersion": version });
        serde_json::from_value(serde_json::json!({ "metadata": metadata })).unwrap()
    }

    #[rstest]
    #[case::newer("a", "11", "11")]
    #[case::older("a", "9", "10")]
    #[case::made_anew("b", "9", "9")]
    #[case::not_a_number("a", "abc", "abc")]
    fn a_late_event_does_not_take_us_back(#[case] uid: &str, #[case] version: &str, #[case] kept: &str) {
        let mut list = vec![Arc::new(map("a", "10"))];
        put(&mut list, map(uid, version));
        assert_eq!(list.len(), 1);
        assert_eq!(list[0].resource_version().as_deref(), Some(kept));
    }
}
