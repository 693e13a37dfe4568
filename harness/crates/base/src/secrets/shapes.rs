//! The shapes of secrets, by which one is found without its value being known.

use std::ops::Range;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use once_cell::sync::Lazy;
use regex::bytes::{Captures, Regex};

/// The pattern of a secret field's name, or of its end.
const NAME: &str = "[a-z0-9_.-]*(?:passw(?:or)?d|passphrase|[_-]pwd|secret|token|signature|(?:api|access|secret|private|signing)[_-]?key)";
/// The last words of names whose values are not secret.
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
/// Values that are no secrets: empty or redacted ones, and switches.
const NO_VALUES: &[&str] = &["", "…", "true", "false", "null", "none", "nil", "yes", "no", "sensitive", "redacted"];

/// The start of a text that was redacted before, with or without its last bracket.
const MARK: &[u8] = b"[secret";

/// Whether the text that a group matched is a secret.
type IsOne = fn(&[u8]) -> bool;

/// A pattern for secrets: each group that matches is one; without groups, the whole match.
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
        // A quoted name of its own, or a field's name: "token": "x", token: 'x', token="x".
        (format!(r#"(?i)(?:["'](?:{NAME}|auth)["']|\b{NAME})\s*[:=]\s*{quoted}"#), is_value),
        (format!(r#"(?i)\b{NAME}=([^\s&"'`;,)\]}}]+)"#), is_value),
        // The only word of its line, as in YAML and in headers; within a line it is prose.
        (format!(r#"(?im)^[\s|>-]*{NAME}[ \t]*:[ \t]+([^\s"'\[{{|>][^\s]*)[ \t\r]*$"#), is_value),
        (format!(r#"(?i)--(?:{NAME})[ \t]+(?:{quoted}|([^\s"'-][^\s]*))"#), is_argument),
        // A container's environment variable.
        (
            format!(r#"(?i)\bname"?\s*:\s*"?{NAME}"?\s*,?\s*"?value"?\s*:\s*(?:"((?:[^"\\]|\\.)*)"|([^\s",}}]+))"#),
            is_value,
        ),
    ];
    shapes.into_iter().filter_map(|(pattern, is_one)| Some(Shape { pattern: pattern_of(&pattern)?, is_one })).collect()
});

/// A compiled pattern; `None` for a wrong one, which the test below finds by the count.
fn pattern_of(pattern: &str) -> Option<Regex> {
    regex::bytes::RegexBuilder::new(pattern).unicode(false).build().ok()
}

/// The ranges of a text that have the shape of a secret.
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

/// A URL's password, as it stands and percent-decoded; none where the value is no URL.
pub(super) fn passwords_of_urls(value: &[u8]) -> Vec<Vec<u8>> {
    let Ok(url) = std::str::from_utf8(value).map_err(drop).and_then(|text| url::Url::parse(text).map_err(drop)) else {
        return Vec::new();
    };
    let Some(password) = url.password() else { return Vec::new() };
    let decoded = super::encodings::ALL[0](password.as_bytes()).map(|decoded| decoded.bytes);
    decoded.into_iter().chain([password.as_bytes().to_vec()]).collect()
}

/// Whether a name matches the pattern of a secret's name.
pub(super) fn is_named_like_one(name: &str) -> bool {
    static WHOLE: Lazy<Option<Regex>> = Lazy::new(|| pattern_of(&format!("(?i)^{NAME}$")));
    WHOLE.as_ref().is_some_and(|pattern| pattern.is_match(name.as_bytes()))
}

/// Whether a name's last word says that its value is no secret.
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

/// A flag's value; not that of `docker build --secret id=…,src=…`, which names the place of a secret.
fn is_argument(value: &[u8]) -> bool {
    is_value(value) && !value.starts_with(b"id=")
}

/// Whether a word after `bearer` or `basic` is a token rather than prose, such as "bearer authentication".
fn is_random(value: &[u8]) -> bool {
    value.len() >= 24 || value.iter().any(u8::is_ascii_digit) || value.ends_with(b"=") && !value.ends_with(b"realm=")
}

/// Whether the first part is a JSON object, as a JWT's header is (RFC 7519).
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
