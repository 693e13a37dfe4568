//! A container runtime for hosts without CAP_SYS_RESOURCE: a script around runc, and the engine's configuration that names it.

use std::path::Path;

use harness_base::files;
use serde_json::{Map, Value, json};

use super::engine_files::EngineFiles;
use super::record::EngineRecord;
use crate::error::{Error, Result};

const SCRIPT: &str = include_str!("capfilter.sh");
const NAME: &str = "harness";

/// Makes the next engine that is started use the runtime, unless its configuration names another default. Script and
/// configuration remain; the record lists them.
///
/// # Errors
/// [`harness_base::Error::Malformed`] when the engine's configuration is no JSON object; [`harness_base::Error::Io`] when a file
/// cannot be written.
pub(super) fn prepare(place: &EngineFiles, record: &mut EngineRecord) -> Result<()> {
    let before = match std::fs::read_to_string(&place.config) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(Error::io(format!("read {}", place.config.display()))(error)),
    };
    let say = || format!("read {}", place.config.display());
    let merged = match merge(before.as_deref().unwrap_or_default(), &place.runtime).map_err(Error::malformed(say()))? {
        Merged::Done(text) => Some(text),
        Merged::Already => None,
        Merged::Other(runtime) => {
            tracing::info!(
                "this host lacks CAP_SYS_RESOURCE, and {} already has the default runtime {runtime}: left as it is",
                place.config.display()
            );
            return Ok(());
        }
    };
    tracing::info!("this host lacks CAP_SYS_RESOURCE: containers will run through {}", place.runtime.display());
    // Recorded first, so that a kill in between leaves no file that is not recorded.
    record.wrote(&place.runtime)?;
    if merged.is_some() {
        match before {
            Some(_) => record.edited(&place.config)?,
            None => record.wrote(&place.config)?,
        }
    }
    write(&place.runtime, SCRIPT, 0o755)?;
    match merged {
        Some(text) => write(&place.config, &text, 0o644),
        None => Ok(()),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Merged {
    /// The configuration's text with our runtime added.
    Done(String),
    /// The configuration names our runtime already.
    Already,
    /// The configuration has another default runtime, which stays; its name.
    Other(String),
}

/// Adds our runtime to the engine's configuration, as its default.
fn merge(config: &str, runtime: &Path) -> serde_json::Result<Merged> {
    let mut config: Map<String, Value> =
        if config.trim().is_empty() { Map::new() } else { serde_json::from_str(config)? };
    match config.get("default-runtime").and_then(Value::as_str) {
        Some(NAME) => return Ok(Merged::Already),
        Some(other) => return Ok(Merged::Other(other.to_owned())),
        None => {}
    }
    config.insert("default-runtime".to_owned(), json!(NAME));
    let runtimes = config.entry("runtimes").or_insert_with(|| json!({}));
    match runtimes {
        Value::Object(runtimes) => drop(runtimes.insert(NAME.to_owned(), json!({ "path": runtime }))),
        _ => *runtimes = json!({ NAME: { "path": runtime } }),
    }
    Ok(Merged::Done(serde_json::to_string_pretty(&config)? + "\n"))
}

/// Writes a system file in one step, and makes its folder.
fn write(path: &Path, text: &str, mode: u32) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    std::fs::create_dir_all(folder).map_err(Error::io(format!("make the folder {}", folder.display())))?;
    Ok(files::write_with_mode(path, text, mode)?)
}

#[cfg(test)]
mod tests;
