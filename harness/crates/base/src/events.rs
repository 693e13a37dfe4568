//! Events of a run: each is written to the run's folder and, from INFO on, to the terminal, in this one place.
//!
//! Code reports by `tracing`; nothing else prints. Each event is one line of JSON in `events.jsonl`: lines are appended
//! whole, so that several processes share the file and a killed one leaves its lines. Events of INFO and above also go to
//! standard error.

use std::fs::{File, OpenOptions};
use std::future::Future;
use std::io::Write;
use std::path::Path;
use std::pin::Pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use once_cell::sync::OnceCell;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};

use crate::error::{Error, Result};
use crate::files::private_folder;
use crate::process::Process;
use crate::secrets::redact;
use crate::terminal;

/// The name of the events' file in a run's folder.
pub const FILE: &str = "events.jsonl";

/// The target of events with a scenario's verdict: fields `scenario`, `verdict`, `reason`; for a failure also `asked`,
/// whether it had its fixture.
pub const VERDICT: &str = "verdict";

/// The target of events with a scenario's measurements: fields `scenario`, `name`, `value`; for times also `seconds`.
pub const MEASURE: &str = "measure";

/// Records a scenario's measurement at once; a report shows it beside the verdict.
pub fn measured(scenario: &str, name: &str, value: &str) {
    tracing::info!(target: MEASURE, scenario, name, value);
}

/// Records a scenario's measured time; a report's table of times is made of these.
pub fn timed(scenario: &str, name: &str, took: Duration) {
    let seconds = took.as_secs_f64();
    tracing::info!(target: MEASURE, scenario, name, value = format!("{seconds:.2} s").as_str(), seconds);
}

tokio::task_local! {
    /// The number of the step that the current task is a part of.
    static WITHIN: u64;
}

/// The number of the next step of this process.
static NEXT: AtomicU64 = AtomicU64::new(WHOLE + 1);
/// The step of the process itself, which all its other steps are parts of.
const WHOLE: u64 = 0;
/// The step of work that is not recorded, nor are its parts.
const UNTOLD: u64 = u64::MAX;

/// Runs work without recording it or its parts: for work that a recorded step waits for.
pub fn untold<T>(work: impl Future<Output = T>) -> impl Future<Output = T> {
    WITHIN.scope(UNTOLD, work)
}

/// Runs work as a step and records its duration, also when it is cancelled. Steps that begin inside are its parts.
/// `cargo stack report --steps` shows them; nothing is printed.
pub fn step<'a, T: 'a>(
    what: impl Into<String>,
    work: impl Future<Output = T> + Send + 'a,
) -> impl Future<Output = T> + Send + 'a {
    // On the heap: steps within steps would otherwise be one future, too large for a thread's stack. And of one type for all
    // work with the same outcome, so that it is compiled once for them.
    taken(what.into(), Box::pin(work))
}

async fn taken<T>(what: String, work: Pin<Box<dyn Future<Output = T> + Send + '_>>) -> T {
    let taking = Taking::begin(what);
    WITHIN.scope(taking.number, work).await
}

/// Records a step afterwards, as a part of the current one: it began at `began` and took so many seconds.
pub fn took(what: &str, began: Instant, seconds: f64) {
    let ago = began.elapsed().as_secs_f64();
    written(what, (ago, seconds), NEXT.fetch_add(1, Ordering::Relaxed), within());
}

/// Records the step of the whole process, since its start: the last that a process writes. Nothing is recorded before
/// [`start`].
pub fn took_the_process(what: &str) {
    let Some(begun) = BEGUN.get() else { return };
    let age = Process::this().age().map_or(Duration::ZERO, |(age, _)| age);
    let whole = age.max(begun.elapsed()).as_secs_f64();
    written(what, (whole, whole), WHOLE, WHOLE);
}

/// Records the time before the first event: the process's own start (for a program run by `cargo run`, cargo's work included)
/// and, for a run's first process, the time of the cargo or nextest that started it, with everything compiled and run before.
fn took_before(is_first: bool) {
    let Some((own, _)) = Process::this().age() else { return };
    let own = own.as_secs_f64();
    written("until it says what it does", (own, own), NEXT.fetch_add(1, Ordering::Relaxed), WHOLE);
    let Some(parent) = Process::parent().filter(|_| is_first) else { return };
    if let Some((age, name)) = parent.age()
        && matches!(name.as_str(), "cargo" | "cargo-nextest")
    {
        let (ago, step) = (age.as_secs_f64(), format!("{name}, until its first process of this run"));
        let (pid, number, part_of) = (parent.pid, WHOLE, WHOLE);
        tracing::debug!(step, ago, seconds = ago - own, number, part_of, pid);
    }
}

fn within() -> u64 {
    WITHIN.try_with(|number| *number).unwrap_or(WHOLE)
}

/// Records a step that began `ago` seconds ago and took `seconds`.
fn written(step: &str, (ago, seconds): (f64, f64), number: u64, part_of: u64) {
    if part_of == UNTOLD {
        return;
    }
    tracing::debug!(step, ago, seconds, number, part_of);
}

/// A step in progress; it is recorded on drop.
struct Taking {
    what: String,
    started: Instant,
    number: u64,
    part_of: u64,
}

impl Taking {
    fn begin(what: String) -> Self {
        let part_of = within();
        let number = if part_of == UNTOLD { UNTOLD } else { NEXT.fetch_add(1, Ordering::Relaxed) };
        Self { what, started: Instant::now(), number, part_of }
    }
}

impl Drop for Taking {
    fn drop(&mut self) {
        let took = self.started.elapsed().as_secs_f64();
        written(&self.what, (took, took), self.number, self.part_of);
    }
}

/// Which events go to standard error, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Show {
    /// Warnings and errors alone, as lines.
    Warnings,
    /// INFO and above as lines, for a file or a pipe.
    Lines,
    /// INFO and above as lines in colour, with spinners, for a terminal.
    Colour,
}

/// The time at which this process began to record or show events.
static BEGUN: OnceCell<Instant> = OnceCell::new();

/// Starts recording events in a run's folder, which is made if absent. Later calls in the same process change nothing.
///
/// # Errors
/// [`Error::Io`] when the folder cannot be made or its file not be opened.
pub fn start(folder: &Path, show: Show) -> Result<()> {
    private_folder(folder)?;
    start_at(&folder.join(FILE), show)
}

/// [`start`] with a file of another path, whose folder exists.
///
/// # Errors
/// [`Error::Io`] when the file cannot be opened.
pub fn start_at(path: &Path, show: Show) -> Result<()> {
    BEGUN
        .get_or_try_init(|| {
            let file = OpenOptions::new()
                .create(true)
                .append(true)
                .open(path)
                .map_err(Error::io(format!("open {}", path.display())))?;
            let is_first = file.metadata().is_ok_and(|data| data.len() == 0);
            let begun = listen(Some(Mutex::new(file)), show);
            took_before(is_first);
            Ok(begun)
        })
        .map(|_| ())
}

/// Starts showing events without a file: for commands that must not make a folder, such as a clean-up.
pub fn show(show: Show) {
    BEGUN.get_or_init(|| listen(None, show));
}

fn listen(file: Option<Mutex<File>>, show: Show) -> Instant {
    if show == Show::Colour {
        terminal::use_spinners();
    }
    let start = Instant::now();
    let layer = EventLines { file, start, show };
    // Events of the harness's crates alone, not those of libraries.
    let ours = tracing_subscriber::filter::filter_fn(|event| is_ours(event.target()) || for_report(event.target()));
    // A subscriber that is set already belongs to the embedding program.
    let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer.with_filter(ours)));
    start
}

/// Whether a crate of the harness, or the keeper, emitted an event of this target.
fn is_ours(target: &str) -> bool {
    target.split("::").next().is_some_and(|name| name == "harness" || name.starts_with("harness_") || name == "keeper")
}

/// Whether events of this target go to the file alone: a report shows them in its own way.
fn for_report(target: &str) -> bool {
    matches!(target, VERDICT | MEASURE)
}

struct EventLines {
    file: Option<Mutex<File>>,
    start: Instant,
    show: Show,
}

impl<S: Subscriber> Layer<S> for EventLines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let since = self.start.elapsed();
        let unix = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        let mut line = serde_json::Map::new();
        line.insert("unix_ms".into(), serde_json::json!(u64::try_from(unix.as_millis()).unwrap_or(u64::MAX)));
        line.insert("pid".into(), serde_json::json!(std::process::id()));
        line.insert("level".into(), event.metadata().level().as_str().into());
        line.insert("target".into(), event.metadata().target().into());
        line.extend(fields.0.clone());
        // An event that cannot be written must not end the run.
        if let Some(mut file) = self.file.as_ref().and_then(|file| file.lock().ok()) {
            let _ = file.write_all(format!("{}\n", serde_json::Value::Object(line)).as_bytes());
        }
        let level = *event.metadata().level();
        let shown = if self.show == Show::Warnings { Level::WARN } else { Level::INFO };
        if level <= shown && !for_report(event.metadata().target()) {
            let message = fields.0.get("message").and_then(|text| text.as_str()).unwrap_or_default();
            let stamp = format!("[{:7.2}s]", since.as_secs_f64());
            let stamp = if self.show == Show::Colour { format!("\x1b[2m{stamp}\x1b[0m") } else { stamp };
            let warning = if level <= Level::WARN { "warning: " } else { "" };
            terminal::write_line(&format!("{stamp} {warning}{message}"));
        }
    }
}

/// The fields of an event, without secrets.
#[derive(Default)]
struct Fields(serde_json::Map<String, serde_json::Value>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().into(), value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.0.insert(field.name().into(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().into(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().into(), value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().into(), redact(value).into());
    }
}
