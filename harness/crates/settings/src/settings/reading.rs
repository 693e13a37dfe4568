//! Parsing of each variable's text into its value, or the refusal of that text. Pure.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use harness_base::setting::Refusal;
use harness_kube::kubeconfig::KubeconfigFiles;
use harness_kube::window::{LONGEST_SECS, Window, Windows};

use super::names::*;
use super::values::*;
use crate::spec::variable::ARTIFACTS;

/// A path, which must be absolute: cargo runs each suite in its package's folder, so a relative one would differ in each.
pub(super) fn absolute(name: &str, path: Option<PathBuf>) -> Result<Option<PathBuf>, Refusal> {
    match path {
        Some(path) if !path.is_absolute() => Err(refuse(name, &path.to_string_lossy(), "an absolute path")),
        other => Ok(other),
    }
}

/// The kubeconfig files: absolute paths (see [`absolute`]); empty names are ignored, as by kubectl.
pub(super) fn kubeconfig(value: Option<&str>, home: &Path) -> Result<KubeconfigFiles, Refusal> {
    let text = value.unwrap_or_default();
    let files: Vec<PathBuf> = text.split(':').filter(|name| !name.is_empty()).map(PathBuf::from).collect();
    if files.iter().any(|file| !file.is_absolute()) {
        return Err(refuse(KUBECONFIG, text, "absolute paths, divided by colons"));
    }
    Ok(KubeconfigFiles::new(if files.is_empty() { vec![home.join(".kube/config")] } else { files }))
}

pub(super) fn idle_ttl(value: Option<&str>) -> Result<Option<Duration>, Refusal> {
    let text = value.unwrap_or("1800");
    let number = "a whole number of seconds, 0 for no limit";
    let seconds = text.parse::<u64>().map_err(|_| refuse(&IDLE_TTL_SECS.name(), text, number))?;
    Ok((seconds > 0).then(|| Duration::from_secs(seconds)))
}

/// The windows, written as `name=seconds` and separated by commas.
pub(super) fn windows(value: Option<&str>) -> Result<Windows, Refusal> {
    let mut set = BTreeMap::new();
    for part in value.into_iter().flat_map(|text| text.split(',')) {
        let refused = |why: String| {
            let names = Window::SETTABLE.map(Window::name).join(", ");
            refusal(
                &WINDOWS.name(),
                format!("{WINDOWS}={} is not allowed: {why}", value.unwrap_or_default()),
                format!(
                    "set {WINDOWS} as in ready=120,room=60, of {names}, in whole seconds up to {LONGEST_SECS}, or unset it"
                ),
            )
        };
        let (name, seconds) = part.split_once('=').ok_or_else(|| refused(format!("{part:?} is no name=seconds")))?;
        let window = Window::SETTABLE.into_iter().find(|window| window.name() == name);
        let window = window.ok_or_else(|| refused(format!("there is no window {name:?}")))?;
        let length = seconds.parse().ok().filter(|seconds| *seconds <= LONGEST_SECS).map(Duration::from_secs);
        let length =
            length.ok_or_else(|| refused(format!("{seconds:?} is no whole number from 0 to {LONGEST_SECS}")))?;
        if set.insert(window, length).is_some() {
            return Err(refused(format!("{name} is there twice")));
        }
    }
    Ok(Windows::new(set))
}

/// The meaning of one of a few words; `None` when the variable is unset.
pub(super) fn choice<T: Copy, const N: usize>(
    name: &str,
    value: Option<&str>,
    allowed: [(&str, T); N],
) -> Result<Option<T>, Refusal> {
    let Some(value) = value else { return Ok(None) };
    if let Some((_, meaning)) = allowed.iter().find(|(word, _)| *word == value) {
        return Ok(Some(*meaning));
    }
    Err(refuse(name, value, &format!("one of {}", allowed.map(|(word, _)| word).join(", "))))
}

/// An artifact set's absolute path or https URL: cargo runs each suite in its package's folder, so a relative path would
/// differ in each.
pub(super) fn artifacts(value: Option<&str>) -> Result<Option<String>, Refusal> {
    match value {
        Some(text) if !text.starts_with("https://") && !text.starts_with('/') => {
            Err(refuse(&ARTIFACTS.name(), text, "an absolute path or an https address"))
        }
        other => Ok(other.map(str::to_owned)),
    }
}

/// A registry account, of which all three parts must be set, or none: two alone sign nobody in, and the account would be
/// looked for elsewhere.
pub(super) fn login(
    server: Option<&str>,
    username: Option<&str>,
    password: Option<&str>,
) -> Result<Option<Login>, Refusal> {
    match (server, username, password) {
        (None, None, None) => Ok(None),
        (Some(server), Some(username), Some(password)) if !server.contains('/') => {
            Ok(Some(Login { server: server.to_owned(), username: username.to_owned(), password: password.to_owned() }))
        }
        (Some(server), Some(_), Some(_)) => {
            Err(refuse(&REGISTRY_SERVER.name(), server, "a registry's name alone, such as ghcr.io or 127.0.0.1:5000"))
        }
        _ => Err(refusal(
            &REGISTRY_SERVER.name(),
            format!("of {REGISTRY_SERVER}, {REGISTRY_USERNAME} and {REGISTRY_PASSWORD} some are set and some are not"),
            "set all three, or none",
        )),
    }
}

/// A user's account, of which both parts must be set, or none: one alone signs nobody in, and its scenarios would be ignored.
pub(super) fn account(login: Option<&str>, password: Option<&str>) -> Result<Option<UserCredentials>, Refusal> {
    match (login, password) {
        (None, None) => Ok(None),
        (Some(login), Some(password)) => {
            Ok(Some(UserCredentials { login: login.to_owned(), password: password.to_owned() }))
        }
        _ => Err(refusal(
            &ACCOUNT_LOGIN.name(),
            format!("of {ACCOUNT_LOGIN} and {ACCOUNT_PASSWORD} one is set and one is not"),
            "set both, or none",
        )),
    }
}

/// A git revision, whole or abbreviated; a branch or tag does not say what is served.
pub(super) fn revision(value: Option<&str>) -> Result<Option<String>, Refusal> {
    match value {
        Some(text) if !(7..=40).contains(&text.len()) || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) => {
            Err(refuse(GIT_SHA, text, "7 to 40 hexadecimal digits"))
        }
        other => Ok(other.map(str::to_ascii_lowercase)),
    }
}

/// A preview's lifetime, from 1 hour to 30 days: every preview ends.
pub(super) fn lifetime(value: Option<&str>) -> Result<Duration, Refusal> {
    let text = value.unwrap_or("72");
    let hours = text.parse::<u64>().ok().filter(|hours| (1..=720).contains(hours));
    let hours =
        hours.ok_or_else(|| refuse(&PREVIEW_LIFETIME_HOURS.name(), text, "a whole number of hours, 1 to 720"))?;
    Ok(Duration::from_secs(hours * 3600))
}

pub(super) fn refuse(name: &str, value: &str, allowed: &str) -> Refusal {
    refusal(name, format!("{name}={value} is not allowed"), format!("set {name} to {allowed}, or unset it"))
}

pub(super) fn refusal(name: &str, what: String, next: impl Into<String>) -> Refusal {
    Refusal { name: name.to_owned(), what, next: next.into() }
}
