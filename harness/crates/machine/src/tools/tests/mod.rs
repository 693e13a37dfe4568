//! Tools found and set up, with a table of the test's own and a download site of its own.

mod build;
mod find;
mod group;
mod setup;
pub(super) mod site;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use harness_settings::settings::Settings;

use super::Tools;
use super::entry::{Download, Entry, File};
use super::version::{Range, Version};

/// A program that says this version.
pub fn script(version: &str) -> String {
    format!("#!/bin/sh\necho v{version}\n")
}

/// Puts a program into a folder.
pub fn install(folder: &Path, program: &str, text: &str) {
    std::fs::create_dir_all(folder).unwrap();
    let path = folder.join(program);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// Settings whose PATH begins with `path` in the folder, and whose cache is `cache` in it.
pub fn settings(folder: &Path, more: &[(&str, &str)]) -> Settings {
    let text = |name: &str| folder.join(name).to_string_lossy().into_owned();
    // The system's own folders are needed for sh and tar; none of our tools is in them on a machine that tests.
    let path = format!("{}:/usr/bin:/bin", text("path"));
    let own = [("PATH", path), ("XDG_CACHE_HOME", text("cache")), ("DOCKER_CONFIG", text("docker"))];
    let own = own.into_iter().map(|(name, value)| (name.to_owned(), value));
    let more = more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Settings::parse(&own.chain(more).collect::<BTreeMap<_, _>>())
}

/// An entry for kind 0.33.0, downloaded from here.
pub fn downloaded(base: &str, name: &str, sha256: &str, member: Option<&str>) -> Entry {
    let leak = |text: &str| -> &'static str { Box::leak(text.to_owned().into_boxed_str()) };
    let (os, arch) = super::setup::platform();
    let platform = leak(&format!("{os}-{arch}"));
    let file = File { platform, name: leak(name), sha256: leak(sha256), member: member.map(leak) };
    let download = Download { version: Version::new(0, 33, 0), base: leak(base), files: Box::leak(Box::new([file])) };
    Entry {
        program: "kind",
        asks: &["version"],
        supported: Range::new(Version::new(0, 27, 0), Some(Version::new(0, 34, 0))),
        because: None,
        download: Some(Box::leak(Box::new(download))),
        build: None,
    }
}

/// Tools of a table with this one entry.
pub fn tools(settings: &Settings, entry: Entry) -> Tools {
    let entry: &'static Entry = Box::leak(Box::new(entry));
    Tools::with_table(settings.tools(), std::sync::Arc::new(move |_| Some(entry)))
}
