//! Watches over the API.

use std::fmt::Debug;
use std::time::Duration;

use futures::stream::{BoxStream, StreamExt};
use kube::runtime::utils::Backoff;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;

/// The events of one kind, for ever: an error is an event, too, and the watch goes on after a pause ([`Pauses`]).
pub type ObjectEvents<K> = BoxStream<'static, watcher::Result<watcher::Event<K>>>;

/// Watches all objects that match the field selector. Dropping the stream ends the watch.
pub fn watch<K>(api: Api<K>, fields: &str) -> ObjectEvents<K>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    // The most recent version, not "any": a wait right after an apply must never see an older state.
    let config = watcher::Config::default().fields(fields).timeout(60);
    watcher(api, config).backoff(Pauses::default()).boxed()
}

/// The pauses between restarts of a watch: 50 ms, doubling up to 2 s. They are short since a person waits, and the server has
/// few clients.
#[derive(Debug, Default)]
pub struct Pauses {
    failures: u32,
}

impl Iterator for Pauses {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let pause = Duration::from_millis(50).saturating_mul(2_u32.saturating_pow(self.failures));
        self.failures = self.failures.saturating_add(1);
        Some(pause.min(Duration::from_secs(2)))
    }
}

impl Backoff for Pauses {
    fn reset(&mut self) {
        self.failures = 0;
    }
}
