//! The shapes that secrets have: what is found without anybody knowing its value.

use std::ops::Range;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use once_cell::sync::Lazy;
use regex::bytes::{Captures, Regex};

/// How a field that holds a secret is named, or ends.
const NAME: &str = "[a-z0-9_.-]*(?:passw(?:or)?d|passphrase|[_-]pwd|secret|token|signature|(?:api|access|secret|private|signing)[_-]?key)";
/// What a field is named whose value is none.
const PUBLIC: &[&str] = &[
    "host",
    "port",
    "name",
    "user",
    "login",
    "email",
    "mail",
    "namespace",
    "database",
    "address",
    "bucket",
    "endpoint",
    "region",
    "crt",
    "pem",
];
/// Where a field is empty, or was redacted by somebody else, and what is a switch.
const NO_VALUES: &[&str] = &["", "…", "true", "false", "null", "none", "nil", "yes", "no", "sensitive", "redacted"];

/// What was redacted before, with or without its last bracket.
const MARK: &[u8] = b"[secret";

/// Whether what a group matched is a secret.
type IsOne = fn(&[u8]) -> bool;

/// A pattern; of its groups each that matches is a secret, and all of it if it has none.
struct Shape {
    pattern: Regex,
    is_one: IsOne,
}

static SHAPES: Lazy<Vec<Shape>> = Lazy::new(|| {
    let quoted = r#"(?:"((?:[^"\\]|\\.)*)"|'([^']*)')"#;
    let shapes: [(String, IsOne); 12] = [
        // RFC 7519: three parts, or five if it is encrypted; the last may be empty.
        (r"e[wy][A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]*){1,3}".to_owned(), is_jwt),
        (r"(?s)-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\z)".to_owned(), any),
        (r"\b(?:gh[opsur]_|github_pat_)[A-Za-z0-9_]{16,}".to_owned(), any),
        // RFC 9110, RFC 6265; as a header, as JSON, and as Rust shows them.
        (r#"(?i)\b(?:proxy-)?authorization["']?\s*[:=]\s*["']?([^"'\r\n]+)"#.to_owned(), any),
        (r#"(?i)\b(?:set-)?cookie["']?\s*[:=]\s*["']?([^"'\r\n]+)"#.to_owned(), any),
        (r"(?i)\b(?:bearer|basic)\s+([A-Za-z0-9._~+/-]{6,}=*)".to_owned(), is_random),
        (r#"[A-Za-z][A-Za-z0-9+.-]*://[^\s/:@"'?#]*:([^\s/@"']+)@"#.to_owned(), any),
        // A name of its own in quotes, or the name of a field: "token": "x", token: 'x', token="x".
        (format!(r#"(?i)(?:["'](?:{NAME}|auth)["']|\b{NAME})\s*[:=]\s*{quoted}"#), is_value),
        (format!(r#"(?i)\b{NAME}=([^\s&"'`;,)\]}}]+)"#), is_value),
        // The only word of its line, as in YAML and in headers; elsewhere it is prose.
        (format!(r#"(?im)^[\s|>-]*{NAME}[ \t]*:[ \t]+([^\s"'\[{{|>][^\s]*)[ \t\r]*$"#), is_value),
        (format!(r#"(?i)--(?:{NAME})[ \t]+(?:{quoted}|([^\s"'-][^\s]*))"#), is_argument),
        // A variable of a container.
        (
            format!(r#"(?i)\bname"?\s*:\s*"?{NAME}"?\s*,?\s*"?value"?\s*:\s*(?:"((?:[^"\\]|\\.)*)"|([^\s",}}]+))"#),
            is_value,
        ),
    ];
    shapes.into_iter().filter_map(|(pattern, is_one)| Some(Shape { pattern: pattern_of(&pattern)?, is_one })).collect()
});

/// A wrong pattern is no pattern; the tests count them.
fn pattern_of(pattern: &str) -> Option<Regex> {
    regex::bytes::RegexBuilder::new(pattern).unicode(false).build().ok()
}

/// Where secrets stand in a text by their shape.
pub(super) fn spans(text: &[u8]) -> Vec<Range<usize>> {
    let mut spans = Vec::new();
    for Shape { pattern, is_one } in SHAPES.iter() {
        spans.extend(pattern.captures_iter(text).flat_map(|captures| groups(&captures)).filter(|span| {
            let value = &text[span.clone()];
            !value.is_empty() && !value.starts_with(MARK) && is_one(value)
        }));
    }
    spans
}

fn groups(captures: &Captures<'_>) -> Vec<Range<usize>> {
    let inner: Vec<_> = captures.iter().skip(1).flatten().map(|group| group.range()).collect();
    if captures.len() == 1 { captures.iter().flatten().map(|all| all.range()).collect() } else { inner }
}

/// The passwords of addresses, as they are and decoded.
pub(super) fn passwords_of_urls(value: &[u8]) -> Vec<Vec<u8>> {
    let Ok(url) = std::str::from_utf8(value).map_err(drop).and_then(|text| url::Url::parse(text).map_err(drop)) else {
        return Vec::new();
    };
    let Some(password) = url.password() else { return Vec::new() };
    let decoded = super::encodings::ALL[0](password.as_bytes()).map(|decoded| decoded.bytes);
    decoded.into_iter().chain([password.as_bytes().to_vec()]).collect()
}

/// Whether a name is one of a secret.
pub(super) fn is_named_like_one(name: &str) -> bool {
    static WHOLE: Lazy<Option<Regex>> = Lazy::new(|| pattern_of(&format!("(?i)^{NAME}$")));
    WHOLE.as_ref().is_some_and(|pattern| pattern.is_match(name.as_bytes()))
}

/// Whether a name says that its value is no secret: its last word does.
pub(super) fn is_public(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let last = name.rsplit(['-', '_', '.']).next().unwrap_or_default();
    PUBLIC.contains(&last)
}

fn any(_: &[u8]) -> bool {
    true
}

fn is_value(value: &[u8]) -> bool {
    !NO_VALUES.iter().any(|word| value.eq_ignore_ascii_case(word.as_bytes()))
}

/// `docker build` says where a secret is by `--secret id=…,src=…`.
fn is_argument(value: &[u8]) -> bool {
    is_value(value) && !value.starts_with(b"id=")
}

/// Prose goes on with a word: "bearer authentication".
fn is_random(value: &[u8]) -> bool {
    value.len() >= 24 || value.iter().any(u8::is_ascii_digit) || value.ends_with(b"=") && !value.ends_with(b"realm=")
}

/// Whether the first part is a JSON object, as the header of a token is.
fn is_jwt(value: &[u8]) -> bool {
    let head = value.split(|byte| *byte == b'.').next().unwrap_or_default();
    let head = URL_SAFE_NO_PAD.decode(head).unwrap_or_default();
    serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&head).is_ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn each_pattern_is_one() {
        assert_eq!(super::SHAPES.len(), 12);
    }
}
