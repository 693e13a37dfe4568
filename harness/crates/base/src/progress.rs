//! Progress of long work: a spinner with elapsed time on a terminal, plain lines with timestamps elsewhere.
//!
//! Everything goes to standard error, by the events, so that standard output holds what was asked for.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, ProgressBar, ProgressStyle};

use crate::secrets::redact;
use crate::terminal;

/// How long a step lasts before it is said to have begun: what ends sooner, well or not, is one line or none.
const BEGUN: Duration = Duration::from_secs(1);
/// How often a step that goes on says so where there is no terminal.
const HEARTBEAT: Duration = Duration::from_secs(30);
/// How often a spinner turns.
const TURN: Duration = Duration::from_millis(120);

/// One piece of long work: said when it has begun, every half minute, and when it ends.
///
/// Dropped before [`Step::done`] (an error, or cancelled), it says that it is not done, if it was said to have begun.
#[derive(Debug)]
pub struct Step {
    what: String,
    started: Instant,
    latest: Arc<Mutex<String>>,
    bar: Option<ProgressBar>,
    heartbeat: Option<tokio::task::AbortHandle>,
    begun: Arc<AtomicBool>,
    done: bool,
}

impl Step {
    /// Begins it; `what` is a phrase such as `building kind 0.33.0`.
    pub fn begin(what: impl Into<String>) -> Self {
        let (what, started) = (what.into(), Instant::now());
        let latest = Arc::new(Mutex::new(String::new()));
        let bar = terminal::bars().map(|bars| {
            let bar = bars.add(ProgressBar::new_spinner().with_prefix(redact(&what).into_owned()));
            bar.set_style(
                style("{spinner} {prefix} ({elapsed}) {wide_msg:.dim}").unwrap_or_else(ProgressStyle::default_spinner),
            );
            bar.enable_steady_tick(TURN);
            bar
        });
        tracing::debug!("{what}");
        let begun = Arc::new(AtomicBool::new(false));
        let heartbeat =
            bar.is_none().then(|| heartbeat(what.clone(), started, Arc::clone(&latest), Arc::clone(&begun))).flatten();
        Self { what, started, latest, bar, heartbeat, begun, done: false }
    }

    /// Who tells what the step does right now.
    pub fn teller(&self) -> Teller {
        Teller {
            what: self.what.clone(),
            latest: Arc::clone(&self.latest),
            bar: self.bar.clone(),
            aloud: false,
            kept: None,
        }
    }

    /// Ends it well.
    pub fn done(mut self) {
        self.done = true;
        self.clear();
        let seconds = self.started.elapsed().as_secs_f64();
        crate::events::took(&self.what, self.started, seconds);
        tracing::info!("{}: done in {seconds:.1} s", self.what);
    }

    fn clear(&mut self) {
        if let Some(heartbeat) = self.heartbeat.take() {
            heartbeat.abort();
        }
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        self.clear();
        if !self.done && self.begun.load(Ordering::Relaxed) {
            tracing::info!("{}: not done, after {:.1} s", self.what, self.started.elapsed().as_secs_f64());
        }
    }
}

/// Tells what a step does right now: the last line of the tool that it runs, or how much of a file is there.
#[derive(Debug, Clone)]
pub struct Teller {
    what: String,
    latest: Arc<Mutex<String>>,
    bar: Option<ProgressBar>,
    aloud: bool,
    kept: Option<Lines>,
}

/// Lines as they were told, each with its moment. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Lines(Arc<Mutex<Vec<(Instant, String)>>>);

impl Lines {
    /// When the first line came that has this in it.
    pub fn first_with(&self, text: &str) -> Option<Instant> {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().find(|(_, line)| line.contains(text)).map(|(at, _)| *at)
    }

    fn keep(&self, line: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((Instant::now(), line.to_owned()));
    }
}

impl Teller {
    /// Makes each line one of the run's, not just the newest of the spinner or of the next half minute.
    #[must_use]
    pub fn aloud(mut self) -> Self {
        self.aloud = true;
        self
    }

    /// Keeps each line, with the moment at which it came.
    #[must_use]
    pub fn keeping(mut self, lines: &Lines) -> Self {
        self.kept = Some(lines.clone());
        self
    }

    /// Tells a line.
    pub fn tell(&self, line: &str) {
        let line = line.trim();
        if line.is_empty() {
            return;
        }
        if let Some(kept) = &self.kept {
            kept.keep(line);
        }
        match (self.aloud, &self.bar) {
            (true, None) => tracing::info!("{line}"),
            (true, Some(_)) => tracing::debug!("{}: {line}", self.what),
            (false, _) => {}
        }
        if let Some(bar) = &self.bar {
            bar.set_message(redact(line).into_owned());
        }
        line.clone_into(&mut self.latest.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Tells how many bytes are there, of how many if that is known.
    pub fn bytes(&self, done: u64, total: Option<u64>) {
        match total {
            Some(total) => self.tell(&format!("{} of {}", HumanBytes(done), HumanBytes(total))),
            None => self.tell(&HumanBytes(done).to_string()),
        }
    }
}

fn style(template: &str) -> Option<ProgressStyle> {
    ProgressStyle::with_template(template).ok()
}

/// Says that the step has begun, and every half minute that it goes on, until it is aborted.
fn heartbeat(
    what: String,
    started: Instant,
    latest: Arc<Mutex<String>>,
    begun: Arc<AtomicBool>,
) -> Option<tokio::task::AbortHandle> {
    let runtime = tokio::runtime::Handle::try_current().ok()?;
    let task = runtime.spawn(async move {
        tokio::time::interval_at(tokio::time::Instant::now() + BEGUN, BEGUN).tick().await;
        begun.store(true, Ordering::Relaxed);
        tracing::info!("{what}");
        let mut beat = tokio::time::interval_at(tokio::time::Instant::now() + HEARTBEAT, HEARTBEAT);
        loop {
            beat.tick().await;
            let latest = latest.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let doing = if latest.is_empty() { String::new() } else { format!(": {latest}") };
            tracing::info!("{what}: {:.0} s so far{doing}", started.elapsed().as_secs_f64());
        }
    });
    Some(task.abort_handle())
}
