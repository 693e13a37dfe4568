//! Secrets, and [`redact`], which takes them out of every text that leaves this process.
//!
//! A secret is found by its value, if this process has read or made it ([`know`]), and by its shape otherwise (`shapes`:
//! tokens, headers, fields named like secrets). Both are found plain and in texts encoded in base64, by percent signs, as
//! JSON, as XML, or in several of these at once.
//!
//! Code that writes for a person or into a run's file need not call it: [`crate::Error::report`], the events, progress and
//! [`crate::output`] do.

mod encodings;
mod shapes;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::{PoisonError, RwLock};

use aho_corasick::AhoCorasick;

/// The text that replaces a secret.
pub const MARK: &str = "[secret]";
/// The shortest value that is remembered, in bytes: a shorter one would be found in ordinary words.
pub const SHORTEST: usize = 6;
/// Values that are never remembered, whatever they are named: texts could not be read without these words.
const WORDS: &[&str] = &[
    "backend",
    "database",
    "default",
    "frontend",
    "localhost",
    "password",
    "postgres",
    "postgresql",
    "secret",
    "username",
    "website",
];
/// From this length on, in bytes, each line of a value of several lines is remembered by itself: logs are shown line by line.
const LINE: usize = 16;
/// How many encodings, one inside the other, are searched.
const DEPTH: usize = 3;

static KNOWN: RwLock<Redactor> = RwLock::new(Redactor::new());

/// Remembers a secret for the life of this process: [`redact`] takes it out from now on.
///
/// Values shorter than [`SHORTEST`] are not remembered, nor a few words that texts cannot do without, such as `postgres`;
/// those are taken out by shape alone (`password=postgres`).
pub fn know(value: impl AsRef<[u8]>) {
    let value = value.as_ref();
    // Most values are known already: a reader's lock suffices then, and no reader waits.
    if !KNOWN.read().unwrap_or_else(PoisonError::into_inner).values.contains(value.trim_ascii()) {
        KNOWN.write().unwrap_or_else(PoisonError::into_inner).know(value);
    }
}

/// Remembers a Secret's value, unless its key says that it is public: a login, a host, a certificate.
pub fn know_unless_public(name: &str, value: impl AsRef<[u8]>) {
    if !shapes::is_public(name) {
        know(value);
    }
}

/// Whether a variable's or field's name is one of a secret: `DB_PASSWORD`, `accessToken`, `jwt-secret-key`.
pub fn is_named_like_one(name: &str) -> bool {
    shapes::is_named_like_one(name)
}

/// The text with each secret replaced by [`MARK`].
pub fn redact(text: &str) -> Cow<'_, str> {
    KNOWN.read().unwrap_or_else(PoisonError::into_inner).redact(text)
}

/// Remembers each text in a JSON document whose field is named like a secret, such as `access_token`.
pub fn know_fields(document: &serde_json::Value) {
    match document {
        serde_json::Value::Object(fields) => fields.iter().for_each(|(name, value)| match value {
            serde_json::Value::String(text) if is_named_like_one(name) => know(text),
            other => know_fields(other),
        }),
        serde_json::Value::Array(items) => items.iter().for_each(know_fields),
        _ => {}
    }
}

/// The known secret values, and the search for them. Without global state, so that each test has its own.
#[derive(Debug)]
struct Redactor {
    values: BTreeSet<Vec<u8>>,
    search: Option<AhoCorasick>,
}

impl Redactor {
    const fn new() -> Self {
        Self { values: BTreeSet::new(), search: None }
    }

    fn know(&mut self, value: &[u8]) {
        let value = value.trim_ascii();
        let mut values = vec![value.to_vec()];
        values.extend(shapes::passwords_of_urls(value));
        if value.contains(&b'\n') {
            let lines = value.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
            values.extend(lines.filter(|line| line.len() >= LINE && !line.starts_with(b"-----")).map(<[u8]>::to_vec));
        }
        values.retain(|value| is_worth(value) && !self.values.contains(value));
        if values.is_empty() {
            return;
        }
        self.values.extend(values);
        self.search = AhoCorasick::new(&self.values).ok();
    }

    fn redact<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut spans = self.spans(text.as_bytes(), DEPTH);
        if spans.is_empty() {
            return Cow::Borrowed(text);
        }
        spans.sort_by_key(|span| (span.start, span.end));
        let (mut clean, mut done) = (String::with_capacity(text.len()), 0);
        for span in spans {
            // A secret of raw bytes may begin or end inside a character; adjoining secrets become one mark.
            let (start, end) = (floor(text, span.start), ceil(text, span.end));
            if start >= done && !(start == done && clean.ends_with(MARK)) {
                clean.push_str(text.get(done..start).unwrap_or_default());
                clean.push_str(MARK);
            }
            done = done.max(end);
        }
        clean.push_str(text.get(done..).unwrap_or_default());
        Cow::Owned(clean)
    }

    /// The ranges of a text that are secrets, in any order; they may overlap.
    fn spans(&self, text: &[u8], depth: usize) -> Vec<Range<usize>> {
        let mut spans = self.of_values(text);
        spans.extend(shapes::spans(text));
        let Some(depth) = depth.checked_sub(1) else { return spans };
        for run in encodings::base64_runs(text) {
            let holds = |decoded: &Vec<u8>| {
                !self.of_values(decoded).is_empty()
                    || (std::str::from_utf8(decoded).is_ok() && !self.spans(decoded, depth).is_empty())
            };
            if encodings::base64(&text[run.clone()]).iter().any(holds) {
                spans.push(run);
            }
        }
        for decode in encodings::ALL {
            let Some(decoded) = decode(text) else { continue };
            spans.extend(self.spans(&decoded.bytes, depth).into_iter().map(|span| decoded.origin(span)));
        }
        spans
    }

    /// The ranges of known values, those inside others too, so that no part of a value is left over.
    fn of_values(&self, text: &[u8]) -> Vec<Range<usize>> {
        let found = self.search.iter().flat_map(|search| search.find_overlapping_iter(text));
        found.map(|found| found.range()).collect()
    }
}

fn is_worth(value: &[u8]) -> bool {
    let is_word = || WORDS.iter().any(|word| value.eq_ignore_ascii_case(word.as_bytes()));
    // A value that its shape gives away need not be remembered: suites sign in hundreds of times.
    value.len() >= SHORTEST && !is_word() && !shapes::spans(value).contains(&(0..value.len()))
}

fn floor(text: &str, mut index: usize) -> usize {
    while !text.is_char_boundary(index) {
        index -= 1;
    }
    index
}

fn ceil(text: &str, mut index: usize) -> usize {
    while !text.is_char_boundary(index) {
        index += 1;
    }
    index
}

#[cfg(test)]
mod tests;
