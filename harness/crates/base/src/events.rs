//! What happens in a run, as it happens: one place emits, into the run's folder and onto the terminal.
//!
//! Code says what it does by `tracing`; nothing else prints. A line of JSON for each event goes to
//! `events.jsonl` (whole lines, appended, so that many processes share the file and a kill leaves
//! what there was); what a person wants to see (INFO and above) goes to standard error.

use std::fs::{File, OpenOptions};
use std::future::Future;
use std::io::Write;
use std::path::Path;
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

/// The file of a run's events, in its folder.
pub const FILE: &str = "events.jsonl";

/// The target of events that carry a scenario's verdict (fields `scenario`, `verdict`, `reason`; of a failure also `asked`:
/// whether it had its fixture).
pub const VERDICT: &str = "verdict";

/// The target of events that carry what a scenario measured (fields `scenario`, `name`, `value`, and of times `seconds`).
pub const MEASURE: &str = "measure";

/// Writes down what a scenario measured, as it says it: a report shows it beside the verdict.
pub fn measured(scenario: &str, name: &str, value: &str) {
    tracing::info!(target: MEASURE, scenario, name, value);
}

/// The same of a time; the table of times is made of these.
pub fn timed(scenario: &str, name: &str, took: Duration) {
    let seconds = took.as_secs_f64();
    tracing::info!(target: MEASURE, scenario, name, value = format!("{seconds:.2} s").as_str(), seconds);
}

tokio::task_local! {
    /// The step that the work under way is a part of.
    static WITHIN: u64;
}

/// The number of the next step of this process; [`WHOLE`] is the process itself.
static NEXT: AtomicU64 = AtomicU64::new(WHOLE + 1);
/// The step that all others of a process are parts of.
const WHOLE: u64 = 0;
/// What is done for a step that goes on elsewhere: not written down, nor are its parts.
const UNTOLD: u64 = u64::MAX;

/// Does what is no step of its own: whoever waits for it is one already.
pub fn untold<T>(work: impl Future<Output = T>) -> impl Future<Output = T> {
    WITHIN.scope(UNTOLD, work)
}

/// Does a part of the run and writes down how long it took, also when it is cancelled; steps that begin in it are its
/// parts. `cargo stack report --steps` shows them; nothing is printed.
pub fn step<T>(what: impl Into<String>, work: impl Future<Output = T>) -> impl Future<Output = T> {
    // On the heap: steps within steps would otherwise be one future, too large for a thread's stack.
    let (what, work) = (what.into(), Box::pin(work));
    async move {
        let taking = Taking::begin(what);
        WITHIN.scope(taking.number, work).await
    }
}

/// A step that began then and took so long, as a part of the one under way: for what is known only afterwards.
pub fn took(what: &str, began: Instant, seconds: f64) {
    let ago = began.elapsed().as_secs_f64();
    written(what, (ago, seconds), NEXT.fetch_add(1, Ordering::Relaxed), within());
}

/// The whole of this process, since it started: the last that it writes.
pub fn took_the_process(what: &str) {
    let Some(begun) = BEGUN.get() else { return };
    let age = Process::this().age().map_or(Duration::ZERO, |(age, _)| age);
    let whole = age.max(begun.elapsed()).as_secs_f64();
    written(what, (whole, whole), WHOLE, WHOLE);
}

/// What the run took before this process could say anything: its own start (of a program that `cargo run` became, cargo's work
/// is a part of that), and, of a run's first process, the time of the cargo or nextest that started it, with all that this
/// compiled and ran before.
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

/// A step that began so many seconds ago and took so many.
fn written(step: &str, (ago, seconds): (f64, f64), number: u64, part_of: u64) {
    if part_of == UNTOLD {
        return;
    }
    tracing::debug!(step, ago, seconds, number, part_of);
}

/// Writes the step down when it is dropped.
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

/// What of the events goes to standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Show {
    /// Warnings and errors alone.
    Warnings,
    /// Lines, for a file or a pipe.
    Lines,
    /// Lines in colour and spinners, for a terminal.
    Colour,
}

/// When this process began to say what it does.
static BEGUN: OnceCell<Instant> = OnceCell::new();

/// Starts emitting into a run's folder, which is made if it is not there; later calls in the same process change nothing.
///
/// # Errors
/// [`Error::Io`] when the folder cannot be made, or not be written to.
pub fn start(folder: &Path, show: Show) -> Result<()> {
    private_folder(folder)?;
    start_at(&folder.join(FILE), show)
}

/// The same into a file of another name.
///
/// # Errors
/// [`Error::Io`] when it cannot be opened.
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

/// Starts showing alone, where nothing may be made: whoever cleans up.
pub fn show(show: Show) {
    BEGUN.get_or_init(|| listen(None, show));
}

fn listen(file: Option<Mutex<File>>, show: Show) -> Instant {
    if show == Show::Colour {
        terminal::use_spinners();
    }
    let start = Instant::now();
    let layer = Lines { file, start, show };
    // Only our own: the libraries' events are theirs.
    let ours = tracing_subscriber::filter::filter_fn(|event| is_ours(event.target()) || for_report(event.target()));
    // A subscriber that is there already belongs to whoever embeds us.
    let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer.with_filter(ours)));
    start
}

/// Whether a crate of ours is the event's.
fn is_ours(target: &str) -> bool {
    target.split("::").next().is_some_and(|name| name == "harness" || name.starts_with("harness_") || name == "keeper")
}

/// Whether events of this target are for the folder alone: a report shows them in its own way.
fn for_report(target: &str) -> bool {
    matches!(target, VERDICT | MEASURE)
}

struct Lines {
    file: Option<Mutex<File>>,
    start: Instant,
    show: Show,
}

impl<S: Subscriber> Layer<S> for Lines {
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
