//! The rule about secrets: a chart refers to them, and never holds one.

use super::{all_containers, pods};
use crate::finding::Finding;
use crate::object::{Node, Rendered};

/// Words that make a name a secret's.
const SECRET: [&str; 8] = ["password", "passwd", "pwd", "secret", "secrets", "token", "credential", "credentials"];
/// Last words of names that are only about a secret.
const ABOUT: [&str; 11] = ["file", "path", "dir", "name", "ref", "secs", "seconds", "ttl", "length", "url", "issuer"];

/// Rule: no Secret object, no variable or ConfigMap entry with a secret's name and a value, no private key and no password in
/// a URL.
pub fn literal(rendered: &Rendered) -> Vec<Finding> {
    let secrets = rendered
        .objects
        .iter()
        .filter(|object| object.kind() == "Secret")
        .map(|object| object.root().finding("the chart makes a Secret: it is made beside the chart, once"));
    let variables = pods(rendered)
        .flat_map(|pod| all_containers(&pod))
        .flat_map(|container| container.get("env").items())
        .filter_map(|variable| told(variable.get("name").text(), &variable.get("value")));
    let entries = rendered
        .objects
        .iter()
        .filter(|object| object.kind() == "ConfigMap")
        .flat_map(|object| ["data", "binaryData"].into_iter().flat_map(|list| object.root().get(list).entries()))
        .filter_map(|(name, value)| told(name, &value));
    secrets.chain(variables).chain(entries).collect()
}

/// The finding about one value, which it never shows.
fn told(name: &str, value: &Node<'_>) -> Option<Finding> {
    let text = value.text();
    let message = if text.is_empty() {
        return None;
    } else if is_secret(name) {
        format!("{name} is named like a secret and has a literal value: take it from a Secret")
    } else if text.contains("PRIVATE KEY-----") {
        format!("{name} holds a private key: take it from a Secret")
    } else if has_password(text) {
        format!("{name} holds a URL with a password: take it from a Secret")
    } else {
        return None;
    };
    Some(value.finding(message))
}

/// Whether a name is a secret's: `DB_PASSWORD`, `jwtSecret`, `api-key`; not `TOKEN_TTL_SECS`.
pub(super) fn is_secret(name: &str) -> bool {
    let mut words = vec![String::new()];
    let mut before_is_lower = false;
    for letter in name.chars() {
        if !letter.is_alphanumeric() || (letter.is_uppercase() && before_is_lower) {
            words.push(String::new());
        }
        if let (true, Some(word)) = (letter.is_alphanumeric(), words.last_mut()) {
            word.extend(letter.to_lowercase());
        }
        before_is_lower = letter.is_lowercase();
    }
    let last = words.last().map(String::as_str).unwrap_or_default();
    let names = |list: &[&str], word: &str| list.contains(&word);
    !names(&ABOUT, last) && (matches!(last, "key" | "apikey") || words.iter().any(|word| names(&SECRET, word)))
}

/// Whether a text has `scheme://user:password@host` with a password that is no variable.
fn has_password(text: &str) -> bool {
    text.split_whitespace().any(|word| {
        let Some((_, rest)) = word.split_once("://") else { return false };
        let authority = rest.split(['/', '?', '"', '\'']).next().unwrap_or_default();
        let password =
            authority.rsplit_once('@').and_then(|(user, _)| user.split_once(':')).map(|(_, password)| password);
        password.is_some_and(|password| !password.is_empty() && !password.starts_with('$'))
    })
}
