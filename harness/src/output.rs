//! Standard output and standard error: what a task was asked for, and what a person is told; neither shows a secret.
//!
//! The only writers of text are here and in the events; `clippy.toml` and the lints `print_stdout` and `print_stderr` keep
//! it so.

use std::io::Write;

/// Writes a line to standard output, without secrets; as `println!`, but `| head` is no failure.
#[macro_export]
macro_rules! say {
    ($($text:tt)*) => {
        $crate::output::print(&(format!($($text)*) + "\n"))
    };
}

/// Writes a line to standard error, without secrets; as `eprintln!`.
#[macro_export]
macro_rules! tell {
    ($($text:tt)*) => {
        $crate::output::tell(&format!($($text)*))
    };
}

/// Writes text to standard output, without secrets. One that is closed is no failure.
pub fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(crate::secrets::redact(text).as_bytes()).and_then(|()| out.flush());
}

/// Writes a line to standard error, above the spinners if there are any, without secrets.
pub fn tell(line: &str) {
    crate::progress::write_line(line);
}
