//! Reads YAML as Kubernetes does, into JSON. Pure.
//!
//! kubectl, Helm and the API server use sigs.k8s.io/yaml, which resolves plain scalars by YAML 1.1 and turns the result into
//! JSON: `0444` is 292, `on` is true, `1_000` is 1000, `<<` merges. A reader by YAML 1.2 would see another object than the
//! cluster gets. Stricter than there: a repeated key is an error, since the last one would win silently, and so is a tag that
//! is not YAML's own.

use std::collections::BTreeMap;

use granit_parser::{Event, Options, Parser, ScalarStyle, Span, Tag};
use serde::de::DeserializeOwned;
use serde_json::{Map, Number, Value};

/// The deepest nesting of a document.
const DEPTH: usize = 100;
/// The most nodes of a text, where an alias counts as what it stands for: a few lines of aliases can be billions of nodes.
const NODES: usize = 500_000;

/// A fault in a text, with its line where that is known.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Problem(String);

type Result<T> = std::result::Result<T, Problem>;

/// Parses a text of at most one document; an empty text is null.
///
/// # Errors
/// The fault, with its line; also more than one document.
pub fn value(text: &str) -> Result<Value> {
    let mut all = documents(text)?;
    match all.len() {
        0 => Ok(Value::Null),
        1 => Ok(all.remove(0)),
        count => Err(Problem(format!("{count} documents where one belongs"))),
    }
}

/// Parses a text of at most one document as a type.
///
/// # Errors
/// As [`value`]; a value that does not fit the type.
pub fn read<T: DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_value(value(text)?).map_err(|error| Problem(error.to_string()))
}

/// The objects of rendered manifests, at least one: a check of no object would always hold.
///
/// # Errors
/// [`harness_base::Error::Malformed`] when the text is no YAML, [`harness_base::Error::Refused`] when it holds no object.
pub fn objects(text: &str) -> harness_base::Result<Vec<Value>> {
    let documents = documents(text).map_err(harness_base::Error::malformed("read rendered manifests"))?;
    let objects: Vec<_> = documents.into_iter().filter(|object| !object.is_null()).collect();
    match objects.is_empty() {
        true => Err(harness_base::Error::refused(
            "the rendered manifests hold no object",
            "enable one in the values, or correct the charts",
        )),
        false => Ok(objects),
    }
}

/// Parses the documents of a text.
///
/// # Errors
/// The fault, with its line.
pub fn documents(text: &str) -> Result<Vec<Value>> {
    let mut options = Options::default();
    options.emit_comments = false;
    let mut reading =
        Reading { events: Parser::new_from_str_with_options(text, options), anchors: BTreeMap::new(), nodes: 0 };
    let mut all = Vec::new();
    loop {
        match reading.next()? {
            (Event::StreamEnd, _) => return Ok(all),
            (Event::StreamStart | Event::DocumentEnd, _) => {}
            (Event::DocumentStart(..), _) => {
                reading.anchors.clear();
                let (event, at) = reading.next()?;
                all.push(reading.node(event, at, 0)?.value);
            }
            (event, at) => return Err(said(at, &format!("{event:?} where a document begins"))),
        }
    }
}

struct Reading<'a> {
    events: Parser<'a, granit_parser::StrInput<'a>>,
    anchors: BTreeMap<usize, YamlNode>,
    nodes: usize,
}

#[derive(Clone)]
struct YamlNode {
    value: Value,
    /// How many nodes it consists of.
    size: usize,
    /// Whether it is the merge key, `<<`.
    merges: bool,
}

impl<'a> Reading<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span)> {
        match self.events.next() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(Problem(error.to_string())),
            None => Err(Problem("it ends too early".to_owned())),
        }
    }

    fn node(&mut self, event: Event<'a>, at: Span, depth: usize) -> Result<YamlNode> {
        if depth > DEPTH {
            return Err(said(at, &format!("deeper than {DEPTH}")));
        }
        let before = self.nodes;
        self.count(1, at)?;
        let mut merges = false;
        let (value, anchor) = match event {
            Event::Alias(anchor) => {
                // An anchor is not known inside itself.
                let found =
                    self.anchors.get(&anchor).cloned().ok_or_else(|| said(at, "an alias of nothing before it"))?;
                self.count(found.size, at)?;
                return Ok(found);
            }
            Event::Scalar(text, style, anchor, tag) => {
                merges = matches!(style, ScalarStyle::Plain) && tag.is_none() && text == "<<";
                (scalar(&text, style, tag.as_deref()).map_err(|why| said(at, &why))?, anchor)
            }
            Event::SequenceStart(_, anchor, tag) => {
                is_plain(tag.as_deref(), "seq").map_err(|why| said(at, &why))?;
                (Value::Array(self.items(depth)?), anchor)
            }
            Event::MappingStart(_, anchor, tag) => {
                is_plain(tag.as_deref(), "map").map_err(|why| said(at, &why))?;
                (Value::Object(self.entries(depth)?), anchor)
            }
            other => return Err(said(at, &format!("{other:?} where a value belongs"))),
        };
        let node = YamlNode { value, size: self.nodes - before, merges };
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn count(&mut self, more: usize, at: Span) -> Result<()> {
        self.nodes = self.nodes.saturating_add(more);
        if self.nodes > NODES { Err(said(at, &format!("more than {NODES} nodes"))) } else { Ok(()) }
    }

    fn items(&mut self, depth: usize) -> Result<Vec<Value>> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(items),
                (event, at) => items.push(self.node(event, at, depth + 1)?.value),
            }
        }
    }

    fn entries(&mut self, depth: usize) -> Result<Map<String, Value>> {
        let (mut entries, mut merged) = (Map::new(), Map::new());
        loop {
            let (event, at) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                break;
            }
            let key = self.node(event, at, depth + 1)?;
            let (event, of_value) = self.next()?;
            let value = self.node(event, of_value, depth + 1)?.value;
            if key.merges {
                merge(&mut merged, value).map_err(|why| said(at, &why))?;
                continue;
            }
            let name = key_name(key.value).map_err(|why| said(at, &why))?;
            if entries.contains_key(&name) {
                return Err(said(at, &format!("the key {name:?} stands twice")));
            }
            entries.insert(name, value);
        }
        // A map's own keys win over merged ones, wherever these stand.
        for (name, value) in merged {
            entries.entry(name).or_insert(value);
        }
        Ok(entries)
    }
}

/// Merges a map, or a list of maps, of which the first one with a key wins.
fn merge(into: &mut Map<String, Value>, value: Value) -> std::result::Result<(), String> {
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                into.entry(name).or_insert(value);
            }
            Ok(())
        }
        Value::Array(list) => list.into_iter().try_for_each(|one| match one {
            Value::Object(_) => merge(into, one),
            _ => Err("what << merges is no map".to_owned()),
        }),
        _ => Err("what << merges is no map".to_owned()),
    }
}

/// A key as JSON's, which must be text.
fn key_name(key: Value) -> std::result::Result<String, String> {
    match key {
        Value::String(text) => Ok(text),
        Value::Bool(_) | Value::Number(_) => Ok(key.to_string()),
        _ => Err("a key is neither a text nor a number".to_owned()),
    }
}

fn is_plain(tag: Option<&Tag>, kind: &str) -> std::result::Result<(), String> {
    match tag {
        Some(tag) if !tag.is_yaml_core_schema_tag(kind) => Err(format!("the tag {} is none of YAML's own", name(tag))),
        _ => Ok(()),
    }
}

fn name(tag: &Tag) -> String {
    format!("{}{}", tag.handle(), tag.suffix())
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> std::result::Result<Value, String> {
    let is = |kind: &str| tag.is_some_and(|tag| tag.is_yaml_core_schema_tag(kind));
    let resolved = match tag {
        None if matches!(style, ScalarStyle::Plain) => return plain(text),
        None => return Ok(text.into()),
        Some(_) if is("str") => return Ok(text.into()),
        Some(_) => plain(text)?,
    };
    let fits = match &resolved {
        Value::Null => is("null"),
        Value::Bool(_) => is("bool"),
        Value::Number(number) => is("float") || is("int") && !number.is_f64(),
        _ => false,
    };
    let tag = tag.map(name).unwrap_or_default();
    if fits { Ok(resolved) } else { Err(format!("{text:?} is no {tag}")) }
}

/// The value of a scalar without quotes, by the rules of go-yaml 2 (resolve.go), which sigs.k8s.io/yaml uses.
fn plain(text: &str) -> std::result::Result<Value, String> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Ok(Value::Null),
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => return Ok(true.into()),
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => return Ok(false.into()),
        ".nan" | ".NaN" | ".NAN" | ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" | "-.inf" | "-.Inf"
        | "-.INF" => return Err(format!("{text} is no number of JSON's")),
        _ => {}
    }
    if !text.starts_with(|first: char| first.is_ascii_digit() || "+-.".contains(first)) {
        return Ok(text.into());
    }
    let digits = text.replace('_', "");
    if let Some(number) = integer(&digits) {
        return Ok(number);
    }
    match is_float(&digits).then(|| digits.parse::<f64>().ok()).flatten() {
        Some(number) => float(number).ok_or_else(|| format!("{text} is no number of JSON's")),
        None => Ok(text.into()),
    }
}

/// A whole number; a leading zero makes it octal. `None` for `08`, which is a float then.
fn integer(text: &str) -> Option<Value> {
    let (minus, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = match lower.as_str() {
        rest if rest.starts_with("0x") => (16, &rest[2..]),
        rest if rest.starts_with("0b") => (2, &rest[2..]),
        rest if rest.starts_with("0o") => (8, &rest[2..]),
        rest if rest.len() > 1 && rest.starts_with('0') => (8, &rest[1..]),
        rest => (10, rest),
    };
    // from_str_radix would take a second sign.
    if !digits.starts_with(|first: char| first.is_ascii_hexdigit()) {
        return None;
    }
    let number = i128::from_str_radix(digits, radix).ok()?;
    let number = if minus { -number } else { number };
    i64::try_from(number).map(Value::from).or_else(|_| u64::try_from(number).map(Value::from)).ok()
}

/// Whether a text is a float: `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
fn is_float(text: &str) -> bool {
    let unsigned = |text: &str| text.strip_prefix(['-', '+']).map(str::to_owned).unwrap_or(text.to_owned());
    let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let text = unsigned(text);
    let (number, exponent) = text.split_once(['e', 'E']).map_or((text.as_str(), None), |(a, b)| (a, Some(unsigned(b))));
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let has_digits = !whole.is_empty() || !fraction.is_empty();
    has_digits
        && are_digits(whole)
        && are_digits(fraction)
        && exponent.is_none_or(|exponent| !exponent.is_empty() && are_digits(&exponent))
}

/// A float as JSON; a whole one becomes a whole number, as Go writes it. `None` for one that JSON lacks.
fn float(number: f64) -> Option<Value> {
    #[expect(clippy::cast_possible_truncation, reason = "it is whole, and below 2^53")]
    let whole = (number.fract() == 0.0 && number.abs() < 9_007_199_254_740_992.0).then_some(number as i64);
    whole.map(Value::from).or_else(|| Number::from_f64(number).map(Value::Number))
}

fn said(at: Span, what: &str) -> Problem {
    Problem(format!("{what}, in line {}", at.start.line()))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case::nothing("", None)]
    #[case::comments_alone("---\n# nothing\n---\n", None)]
    #[case::two("---\nkind: A\n---\n# nothing\n---\nkind: B\n", Some(2))]
    fn manifests_without_an_object_are_refused(#[case] text: &str, #[case] count: Option<usize>) {
        assert_eq!(super::objects(text).ok().map(|objects| objects.len()), count);
    }

    #[rstest]
    #[case::octal("0444", json!(292))]
    #[case::octal_of_today("0o17", json!(15))]
    #[case::no_octal("08", json!(8))]
    #[case::octal_that_is_none("0o9", json!("0o9"))]
    #[case::hexadecimal("0x1F", json!(31))]
    #[case::binary("-0b11", json!(-3))]
    #[case::underscores("1_000", json!(1000))]
    #[case::sign("+7", json!(7))]
    #[case::large("18446744073709551615", json!(18_446_744_073_709_551_615_u64))]
    #[case::on("on", json!(true))]
    #[case::yes("Yes", json!(true))]
    #[case::one_letter("n", json!(false))]
    #[case::not_quite("oN", json!("oN"))]
    #[case::quoted("\"on\"", json!("on"))]
    #[case::quoted_number("'0444'", json!("0444"))]
    #[case::nothing("", json!(null))]
    #[case::tilde("~", json!(null))]
    #[case::float("1.5e3", json!(1500))]
    #[case::fraction(".5", json!(0.5))]
    #[case::version("1.2.3", json!("1.2.3"))]
    #[case::quantity("100m", json!("100m"))]
    #[case::time("2026-01-02", json!("2026-01-02"))]
    #[case::sexagesimal("1:30", json!("1:30"))]
    #[case::minus("-", json!([null]))]
    #[case::two_signs("+-5", json!("+-5"))]
    #[case::tagged("!!str 5", json!("5"))]
    #[case::literal("|\n  on\n", json!("on\n"))]
    fn a_scalar(#[case] text: &str, #[case] expected: Value) {
        assert_eq!(value(text).unwrap(), expected);
    }

    #[rstest]
    #[case::key_of_yaml_1_1("on: 1\n5: x", json!({"true": 1, "5": "x"}))]
    #[case::merged("base: &a {x: 1, z: 2}\nit: {<<: *a, x: 3}", json!({"base": {"x": 1, "z": 2}, "it": {"x": 3, "z": 2}}))]
    #[case::merged_list("a: &a {x: 1}\nb: &b {x: 2, z: 3}\nit: {<<: [*a, *b]}",
        json!({"a": {"x": 1}, "b": {"x": 2, "z": 3}, "it": {"x": 1, "z": 3}}))]
    #[case::quoted_merge("\"<<\": {x: 1}", json!({"<<": {"x": 1}}))]
    #[case::json("{\"a\":[1,\"\\u2028\"],\"b\":null}", json!({"a": [1, "\u{2028}"], "b": null}))]
    fn a_map(#[case] text: &str, #[case] expected: Value) {
        assert_eq!(value(text).unwrap(), expected);
    }

    #[rstest]
    #[case::twice("a: 1\nb: 2\na: 3", "the key \"a\" stands twice, in line 3")]
    #[case::twice_as_json("on: 1\n'true': 2", "the key \"true\" stands twice")]
    #[case::foreign_tag("!!python/object:os.system x", "is no tag:yaml.org,2002:python/object:os.system")]
    #[case::map_of_a_tag("!x {}", "none of YAML's own")]
    #[case::tagged_wrongly("!!int on", "is no tag:yaml.org,2002:int")]
    #[case::not_a_number(".nan", "no number of JSON's")]
    #[case::itself("a: &a [*a]", "an alias of nothing before it")]
    #[case::two("a\n---\nb", "2 documents where one belongs")]
    #[case::half("{a", "")]
    #[case::merged_text("<<: x", "what << merges is no map")]
    #[case::key_that_is_a_list("[a]: b", "a key is neither")]
    fn is_refused(#[case] text: &str, #[case] says: &str) {
        let error = value(text).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }

    #[test]
    fn a_bomb_is_refused() {
        let level = |at: usize| format!("a{at}: &a{at} [{}]\n", vec![format!("*a{}", at - 1); 10].join(","));
        let text = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned() + &(1..9).map(level).collect::<String>();
        assert!(value(&text).unwrap_err().to_string().contains("nodes"));
        let deep = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(value(&deep(DEPTH)).is_ok());
        assert!(value(&deep(DEPTH + 2)).unwrap_err().to_string().contains("deeper"));
        assert!(value(&"[".repeat(100_000)).is_err());
    }

    #[test]
    fn documents_are_told_apart() {
        let all = documents("# first\n---\na: 1\n---\n# nothing\n...\n---\nb: 2\n").unwrap();
        assert_eq!(all.iter().filter(|it| !it.is_null()).collect::<Vec<_>>(), [&json!({"a": 1}), &json!({"b": 2})]);
        assert_eq!(documents("").unwrap(), Vec::<Value>::new());
    }
}
