//! Finds the line of a program's last output that says why it ended, by the formats of Python, nginx, Postgres and structured
//! logs.

use serde_json::Value;

/// The longest line, in characters; longer ones are cut, since they stand inside a line that a person reads.
const LONGEST: usize = 300;

/// How many bytes of a log's end the kubelet puts into a status (2048), less those lost by a cut at a character's boundary.
const KUBELETS_MOST: usize = 2048 - 3;

/// Lines that follow a cause and say nothing about it.
const EMPTY_WORDS: [&str; 3] =
    ["Application startup failed. Exiting.", "Traceback (most recent call last):", "Exiting."];

/// The line that tells most: the exception of a Python traceback, else the last line of the gravest severity, else the last
/// line.
///
/// `None` for text without a word. A tail whose start was cut off is no problem: a traceback is known by its frames.
pub fn telling_line(text: &str) -> Option<String> {
    let lines: Vec<&str> = text.lines().map(unboxed).filter(|line| !line.trim().is_empty()).collect();
    let found = exception(&lines)
        .or_else(|| gravest(&lines))
        .or_else(|| lines.iter().rev().find(|line| !is_empty_words(line)).map(|line| (*line).to_owned()))
        .or_else(|| lines.last().map(|line| (*line).to_owned()))?;
    Some(brief(&found))
}

/// The text as one line with single spaces, of at most 300 characters; cut between words, since redaction would not find half
/// a secret.
pub fn brief(text: &str) -> String {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match words.char_indices().nth(LONGEST) {
        Some((end, _)) => {
            let between = |sign: char| sign.is_whitespace() || "\"',;{}[]()".contains(sign);
            let cut = words[..end].rfind(between).unwrap_or(end);
            format!("{}…", words[..cut].trim_end())
        }
        None => words,
    }
}

/// A container's message without its first line where the kubelet cut that off: the rest of a secret may be in it.
pub fn whole_lines(message: &str) -> &str {
    match message.len() >= KUBELETS_MOST {
        true => message.split_once('\n').map_or("", |(_, rest)| rest),
        false => message,
    }
}

/// A line without the frame that Python draws around the tracebacks of an exception group.
fn unboxed(line: &str) -> &str {
    let bare = line.trim_start();
    bare.strip_prefix("| ").or_else(|| bare.strip_prefix("+ ")).unwrap_or(line).trim_end()
}

fn is_frame(line: &str) -> bool {
    line.trim_start().strip_prefix("File \"").is_some_and(|rest| rest.contains("\", line "))
}

/// The exception's line: the first not indented one after a traceback's last frame; without frames, one that looks like an
/// exception.
fn exception(lines: &[&str]) -> Option<String> {
    let after = lines.iter().rposition(|line| is_frame(line)).map(|frame| frame + 1);
    let named = |line: &&str| !line.starts_with(char::is_whitespace) && exception_name(line).is_some();
    let index = match after {
        Some(after) => after + lines[after..].iter().position(named)?,
        None => lines.iter().rposition(|line| exception_name(line).is_some_and(is_error_name))?,
    };
    let mut found = lines[index].to_owned();
    // A validation error's field and reason are on the lines after it.
    if found.contains("validation error") {
        for detail in lines[index + 1..].iter().take(2) {
            found = format!("{found}: {}", detail.trim());
        }
    }
    Some(found)
}

/// The text before the colon, if it is a class's name: `ValueError`, `sqlalchemy.exc.ProgrammingError`.
fn exception_name(line: &str) -> Option<&str> {
    let name = line.split_once(": ").map_or(line, |(name, _)| name);
    let class = name.rsplit('.').next()?;
    let is_word = |sign: char| sign.is_alphanumeric() || sign == '_' || sign == '.';
    let capital = class.starts_with(|sign: char| sign.is_uppercase() || sign == '_');
    let shouts = class.chars().all(|sign| !sign.is_lowercase());
    (name.chars().all(is_word) && capital && !shouts).then_some(name)
}

fn is_error_name(name: &str) -> bool {
    ["Error", "Exception", "Exit"].iter().any(|end| name.ends_with(end))
}

fn is_empty_words(line: &str) -> bool {
    EMPTY_WORDS.iter().any(|words| line.ends_with(words))
}

/// The last line of the gravest severity, from its severity on: a time and a process stand before it.
fn gravest(lines: &[&str]) -> Option<String> {
    const GRAVE: [&[&str]; 2] = [
        &["PANIC:", "FATAL:", "CRITICAL", "[emerg]", "[alert]", "[crit]", "panic:", "FATAL ERROR:"],
        &["ERROR:", "[error]", "Error:", "error:"],
    ];
    GRAVE.iter().enumerate().find_map(|(rank, markers)| {
        lines.iter().rev().find_map(|line| {
            if is_empty_words(line) {
                return None;
            }
            if let Some((grave, message)) = structured(line) {
                return (grave == rank).then_some(message);
            }
            let start = markers.iter().filter_map(|marker| line.find(marker)).min()?;
            Some(without_process(&line[start..]))
        })
    })
}

/// The line without the `1#1:` that nginx writes between the severity and the message.
fn without_process(line: &str) -> String {
    match line.split_once("] ") {
        Some((severity, rest)) => match rest.split_once(": ") {
            Some((process, message)) if process.contains('#') => format!("{severity}] {message}"),
            _ => line.to_owned(),
        },
        None => line.to_owned(),
    }
}

/// Severity rank and message of a JSON log line.
fn structured(line: &str) -> Option<(usize, String)> {
    let value: Value = serde_json::from_str(line.trim()).ok()?;
    let text = |names: &[&str]| names.iter().find_map(|name| value.get(name)?.as_str().map(str::to_owned));
    let rank = match text(&["level", "levelname", "severity"])?.to_lowercase().as_str() {
        "fatal" | "critical" | "panic" | "emergency" => 0,
        "error" => 1,
        _ => return None,
    };
    let message = text(&["message", "msg", "event"]).unwrap_or_default();
    // A logged exception is a traceback in a field.
    let thrown = text(&["exc_info", "exception", "error", "stack"]).and_then(|words| telling_line(&words));
    Some((
        rank,
        [Some(message), thrown].into_iter().flatten().filter(|it| !it.is_empty()).collect::<Vec<_>>().join(": "),
    ))
}

#[cfg(test)]
mod tests;
