//! A server's answer, and the checks that a scenario makes on it.

use std::time::{Duration, SystemTime};

use harness_base::secrets::redact;
use reqwest::header::HeaderMap;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{Error, Result};

/// A whole answer, of any status.
#[derive(Clone)]
pub struct Reply {
    /// The request's method.
    pub method: String,
    /// The URL of the answer, without user, password and query.
    pub url: String,
    /// The HTTP status.
    pub status: u16,
    /// The answer's headers.
    pub headers: HeaderMap,
    /// The answer's body.
    pub body: Vec<u8>,
    /// The time from the request to the last byte of the body.
    pub took: Duration,
}

impl Reply {
    /// The reply itself when it has this status.
    ///
    /// # Errors
    /// [`Error::Unmet`] with the request, the status and the first lines of the body.
    pub fn expect_status(&self, status: u16) -> Result<&Self> {
        if self.status == status { Ok(self) } else { Err(self.unmet(&format!("instead of {status}"))) }
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// [`Error::Unmet`] with the first lines of the body when it is no JSON of that shape, such as a proxy's page.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.body).map_err(|why| self.unmet(&format!("with no such JSON ({why})")))
    }

    /// The value at a place in the body's JSON, written as RFC 6901 does: `/data/items/0`.
    ///
    /// # Errors
    /// [`Error::Unmet`] when the body is no JSON, or has no such value.
    pub fn at(&self, pointer: &str) -> Result<Value> {
        let mut body: Value = self.json()?;
        body.pointer_mut(pointer).map(Value::take).ok_or_else(|| self.unmet(&format!("without {pointer}")))
    }

    /// A header's values joined by commas, as RFC 9110 (5.3) does where it is sent several times. `None` when absent.
    pub fn field(&self, name: &str) -> Option<String> {
        let values: Vec<&str> = self.headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
        (!values.is_empty()).then(|| values.join(", "))
    }

    /// A header's first value; `None` when absent, or no text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The time of the answer by the server's clock.
    ///
    /// # Errors
    /// [`Error::Unmet`] when the header `Date` is missing, or cannot be read.
    pub fn date(&self) -> Result<SystemTime> {
        let date = self.header("date").unwrap_or_default();
        httpdate::parse_http_date(date).map_err(|_| self.unmet(&format!("with the date {date:?}")))
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    fn unmet(&self, why: &str) -> Error {
        // The redaction comes before the cut: half a secret would not be found.
        let text = self.text();
        let head: Vec<&str> = text.lines().take(5).map(|line| start(line, WINDOW)).collect();
        let lines: Vec<String> = redact(&head.join("\n")).lines().map(|line| format!("\n  | {}", cut(line))).collect();
        let location = self.header("location").map(|to| format!(", to {}", cut(&redact(to)))).unwrap_or_default();
        Error::Unmet(format!("http: {self} after {:.1?} {why}{location}{}", self.took, lines.concat()))
    }
}

/// How many characters of a line are shown.
const WIDTH: usize = 300;
/// How many characters of a line are searched for secrets, whose marks may be shorter than they.
const WINDOW: usize = 64 * WIDTH;

fn cut(line: &str) -> String {
    let shown = start(line, WIDTH);
    if shown.len() == line.len() { line.to_owned() } else { format!("{shown}…") }
}

fn start(line: &str, letters: usize) -> &str {
    line.char_indices().nth(letters).map_or(line, |(end, _)| &line[..end])
}

/// The debug text lacks headers and body, which hold cookies and tokens as byte lists that nothing would redact.
impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Reply({self}, {} headers, {} bytes)", self.headers.len(), self.body.len())
    }
}

impl std::fmt::Display for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} answered {}", self.method, self.url, self.status)
    }
}
