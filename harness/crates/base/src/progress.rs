//! Progress of long work: a spinner with elapsed time on a terminal, plain lines with timestamps elsewhere.
//!
//! Everything goes to standard error, as events, so that standard output holds what was asked for.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, ProgressBar, ProgressStyle};

use crate::secrets::redact;
use crate::terminal;

/// How long a step lasts before its start is reported: a shorter one is one line or none.
const BEGUN: Duration = Duration::from_secs(1);
/// How often a running step is reported where there is no terminal.
const HEARTBEAT: Duration = Duration::from_secs(30);
/// The time between two frames of a spinner.
const TURN: Duration = Duration::from_millis(120);

/// A piece of long work: reported after 1 s, every 30 s, and when it ends.
///
/// Dropped before [`Step::done`] (an error, a cancel), it reports that it is not done, if its start was reported.
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
    /// Begins a step; `what` is a phrase such as `building kind 0.33.0`.
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

    /// A handle by which the work reports what the step does right now.
    pub fn teller(&self) -> Teller {
        Teller {
            what: self.what.clone(),
            latest: Arc::clone(&self.latest),
            bar: self.bar.clone(),
            aloud: false,
            kept: None,
        }
    }

    /// Ends the step as done, with its duration.
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

/// Reports what a step does right now: the last line of the tool that it runs, or how much of a file has arrived.
#[derive(Debug, Clone)]
pub struct Teller {
    what: String,
    latest: Arc<Mutex<String>>,
    bar: Option<ProgressBar>,
    aloud: bool,
    kept: Option<Lines>,
}

/// The lines that were told, each with its time. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Lines(Arc<Mutex<Vec<(Instant, String)>>>);

impl Lines {
    /// When the first line that contains this text came.
    pub fn first_with(&self, text: &str) -> Option<Instant> {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().find(|(_, line)| line.contains(text)).map(|(at, _)| *at)
    }

    fn keep(&self, line: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((Instant::now(), line.to_owned()));
    }
}

impl Teller {
    /// Reports each line in the run's events, not just the newest one in the spinner or the next half-minute's report.
    #[must_use]
    pub fn aloud(mut self) -> Self {
        self.aloud = true;
        self
    }

    /// Keeps each line with its time in `lines`.
    #[must_use]
    pub fn keeping(mut self, lines: &Lines) -> Self {
        self.kept = Some(lines.clone());
        self
    }

    /// Reports a line; an empty one is ignored.
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

    /// Reports how many bytes have arrived, and of how many where the total is known.
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

/// Reports the step's start after 1 s, and every 30 s that it goes on, until the task is aborted. `None` outside a runtime.
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
