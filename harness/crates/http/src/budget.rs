//! A budget of requests to a site that others depend on: how many a run may send and how fast, over all of its processes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use harness_base::files::{read_json, write_json};
use harness_base::lock::{Lock, Mode};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use crate::Result;

/// The most requests that one run sends to the live site.
pub const MOST_REQUESTS: u64 = 250;
/// The least time between two requests: no more than 20 a second.
pub const BETWEEN_REQUESTS: Duration = Duration::from_millis(50);
/// How long to wait for the counter's lock; each request holds it for a moment.
const COUNTER: Duration = Duration::from_secs(10);

/// A run's budget, counted in a file that its processes share.
#[derive(Debug)]
pub struct Budget {
    path: PathBuf,
    most: u64,
    between: Duration,
    /// This process's requests queue here, processes at the file's lock.
    queue: Mutex<()>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Spent {
    requests: u64,
    /// The earliest time of the next request, in milliseconds since the epoch.
    next_unix_ms: u64,
}

impl Budget {
    /// The budget of the live site: [`MOST_REQUESTS`], [`BETWEEN_REQUESTS`] apart, counted in a run's folder.
    pub fn live(run: &Path) -> Self {
        Self::of(run, MOST_REQUESTS, BETWEEN_REQUESTS)
    }

    pub(crate) fn of(run: &Path, most: u64, between: Duration) -> Self {
        Self { path: run.join("requests.json"), most, between, queue: Mutex::new(()) }
    }

    /// Counts one request, and returns once it may be sent. On cancel during the wait it stays counted.
    ///
    /// # Errors
    /// [`harness_base::Error::Refused`] when the budget is spent; [`harness_base::Error::Deadline`] after 10 s without the
    /// counter's lock; the counter's file cannot be read or written.
    pub async fn spend(&self) -> Result<()> {
        let wait = {
            let _queue = self.queue.lock().await;
            let _lock = Lock::take(&self.path.with_extension("lock"), Mode::Exclusive, COUNTER).await?;
            self.take()?
        };
        // The wait is the pace, and no wait for anything.
        tokio::time::sleep(wait).await;
        Ok(())
    }

    /// Reserves the next time slot, and returns how long it is until then.
    fn take(&self) -> Result<Duration> {
        let spent: Spent = read_json(&self.path, harness_base::files::MENDS)?.unwrap_or_default();
        if spent.requests >= self.most {
            return Err(harness_base::Error::refused(
                format!("the budget of {} requests a run is spent: the site is asked no more", self.most),
                "ask for less in a scenario, or raise MOST_REQUESTS in harness/crates/http/src/budget.rs",
            )
            .into());
        }
        let now = millis(std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default());
        // A clock that was set back in between must not make a request wait for the difference.
        let furthest = now + self.most * millis(self.between);
        let place = spent.next_unix_ms.clamp(now, furthest);
        let next = Spent { requests: spent.requests + 1, next_unix_ms: place + millis(self.between) };
        write_json(&self.path, &next)?;
        Ok(Duration::from_millis(place - now))
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[tokio::test]
    async fn two_processes_spend_one_budget_and_keep_one_pace() {
        let run = tempfile::tempdir().unwrap();
        let budget = || Budget::of(run.path(), 4, Duration::from_millis(40));
        let (one, other) = (budget(), budget());
        let start = Instant::now();
        let all = tokio::try_join!(one.spend(), other.spend(), one.spend(), other.spend());
        assert!(all.is_ok(), "{all:?}");
        assert!(start.elapsed() >= Duration::from_millis(120), "{:?}", start.elapsed());
        let text = other.spend().await.unwrap_err().report();
        assert!(text.contains("the budget of 4 requests a run is spent"), "{text}");
    }

    #[tokio::test]
    async fn a_clock_that_was_set_back_stops_nobody() {
        let run = tempfile::tempdir().unwrap();
        let budget = Budget::of(run.path(), 9, Duration::from_millis(1));
        write_json(&budget.path, &Spent { requests: 1, next_unix_ms: u64::MAX / 2 }).unwrap();
        assert!(budget.take().unwrap() <= Duration::from_millis(9));
    }
}
