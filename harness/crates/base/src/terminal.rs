//! Standard error of a terminal: lines above the spinners, where there are any.

use indicatif::MultiProgress;
use once_cell::sync::OnceCell;

use crate::secrets::redact;

static BARS: OnceCell<MultiProgress> = OnceCell::new();

/// Shows steps as spinners from now on; by default they are lines.
pub fn use_spinners() {
    let _ = BARS.set(MultiProgress::new());
}

/// Writes a line to standard error, above the spinners if there are any, without secrets.
pub fn write_line(line: &str) {
    use std::io::Write;
    let line = redact(line);
    // A closed standard error must not end the run.
    #[expect(clippy::disallowed_methods, reason = "the one writer of standard error")]
    let write = || drop(writeln!(std::io::stderr().lock(), "{line}"));
    match BARS.get() {
        Some(bars) => bars.suspend(write),
        None => write(),
    }
}

/// The spinners; `None` where steps are lines.
pub fn bars() -> Option<&'static MultiProgress> {
    BARS.get()
}
