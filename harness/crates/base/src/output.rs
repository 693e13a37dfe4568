//! Standard output, for what a task was asked for, and standard error, for what a person is told; neither shows a secret.
//!
//! Text is written here and in `terminal` alone; `clippy.toml` and the lints `print_stdout` and `print_stderr` keep it so.

use std::io::Write;

/// Writes a line to standard output, without secrets, as `println!` does; a closed pipe (`| head`) is no failure.
#[macro_export]
macro_rules! say {
    ($($text:tt)*) => {
        $crate::output::print(&(format!($($text)*) + "\n"))
    };
}

/// Writes a line to standard error, without secrets, as `eprintln!` does.
#[macro_export]
macro_rules! tell {
    ($($text:tt)*) => {
        $crate::output::tell(&format!($($text)*))
    };
}

/// Writes text to standard output, without secrets; a closed standard output is no failure.
pub fn print(text: &str) {
    #[expect(clippy::disallowed_methods, reason = "the one writer of standard output")]
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(crate::secrets::redact(text).as_bytes()).and_then(|()| out.flush());
}

/// Writes a line to standard error, above the spinners if there are any, without secrets.
pub fn tell(line: &str) {
    crate::terminal::write_line(line);
}

/// Makes this process's panics show no secret: a panic's text goes to standard error before it can be caught.
pub fn redact_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        let mut text = format!("thread '{}' {panic}", thread.name().unwrap_or("<unnamed>"));
        let trace = std::backtrace::Backtrace::capture();
        if trace.status() == std::backtrace::BacktraceStatus::Captured {
            text = format!("{text}\n{trace}");
        }
        tell(&crate::text::harmless(&text));
    }));
}
