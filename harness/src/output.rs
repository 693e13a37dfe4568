//! Standard output and standard error: what a task was asked for, and what a person is told; neither shows a secret.
//!
//! Text is written here and by the events alone; `clippy.toml` and the lints `print_stdout` and `print_stderr` keep it so.

use std::borrow::Cow;
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
    #[expect(clippy::disallowed_methods, reason = "the one writer of standard output")]
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(crate::secrets::redact(text).as_bytes()).and_then(|()| out.flush());
}

/// Writes a line to standard error, above the spinners if there are any, without secrets.
pub fn tell(line: &str) {
    crate::progress::write_line(line);
}

/// A text that others wrote (pods, tools, a pull request), such that showing it does nothing: control characters are spelled
/// out, but for the ends of lines and tabs, and no line is a command to a workflow. GitHub takes `::` at a line's beginning and
/// `##[` anywhere for one (actions/runner, ActionCommand.cs).
pub fn harmless(text: &str) -> Cow<'_, str> {
    let is_odd = |sign: char| sign.is_control() && sign != '\n' && sign != '\t';
    if !text.contains(is_odd) && !text.contains("::") && !text.contains("##[") {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    let show = |shown: &mut String, text: &str| {
        for sign in text.chars() {
            if is_odd(sign) { shown.extend(sign.escape_default()) } else { shown.push(sign) }
        }
    };
    for line in text.replace("##[", "#\u{200b}#[").split_inclusive('\n') {
        let (before, command) = line.split_at(line.len() - line.trim_start().len());
        show(&mut shown, before);
        if command.starts_with("::") {
            shown.push('\u{200b}');
        }
        show(&mut shown, command);
    }
    Cow::Owned(shown)
}

/// Makes panics of this process show no secret: their text goes to standard error before anybody can catch them.
pub fn redact_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        let mut text = format!("thread '{}' {panic}", thread.name().unwrap_or("<unnamed>"));
        let trace = std::backtrace::Backtrace::capture();
        if trace.status() == std::backtrace::BacktraceStatus::Captured {
            text = format!("{text}\n{trace}");
        }
        tell(&harmless(&text));
    }));
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    #[rstest]
    #[case::plain("a\n\tb: c::d", "a\n\tb: c::d")]
    #[case::command("x\n  ::error title=a::b\n", "x\n  \u{200b}::error title=a::b\n")]
    #[case::command_of_old("a ##[add-mask]b", "a #\u{200b}#[add-mask]b")]
    #[case::behind_a_return("a\r::stop-commands::x", "a\\r::stop-commands::x")]
    #[case::behind_a_feed("\u{c}::x", "\\u{c}\u{200b}::x")]
    #[case::colours("\u{1b}[2K\u{7}x", "\\u{1b}[2K\\u{7}x")]
    fn showing_it_does_nothing(#[case] text: &str, #[case] shown: &str) {
        assert_eq!(super::harmless(text), shown);
    }
}
