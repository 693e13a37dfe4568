//! The machine: system, memory, disks.

use std::path::Path;

use super::{Check, Severity};
use crate::engine::{Host, MIN_FREE_GIB, free_gib, memory_gib};
use crate::settings::Settings;

const GROUP: &str = "host";
/// Below this, in GiB, a node and the release do not fit at all.
const LEAST_MEMORY: f64 = 2.0;
/// Below this, in GiB, builds and scenarios crowd each other out.
const GOOD_MEMORY: f64 = 3.0;

pub(super) fn examine(settings: &Settings, host: &Host, data_root: Option<&Path>) -> Vec<Check> {
    let account = if host.root { "root" } else { "not root" };
    let system = format!("{} {}, {account}", host.name, std::env::consts::ARCH);
    let mut checks = vec![Check::new(GROUP, "system", Severity::Ok, system)];
    // Elsewhere the engine's virtual machine counts, and its own line says how large it is.
    let memory = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| memory(&text));
    checks.extend(memory);
    checks.push(disk("disk, state", &settings.state_root, Severity::Problem, "set XDG_STATE_HOME to a larger disk"));
    checks.push(disk("disk, cache", &settings.cache_root, Severity::Note, "set XDG_CACHE_HOME to a larger disk"));
    checks.extend(data_root.map(|root| disk("disk, engine", root, Severity::Problem, "docker system prune")));
    checks
}

fn disk(name: &str, folder: &Path, low: Severity, remedy: &str) -> Check {
    match free_gib(folder) {
        Ok(free) => {
            let value = format!("{free} GiB free at {}", folder.display());
            match free < MIN_FREE_GIB {
                true => Check::new(GROUP, name, low, format!("{value}; {MIN_FREE_GIB} GiB are needed"))
                    .remedy(format!("make room, or {remedy}")),
                false => Check::new(GROUP, name, Severity::Ok, value),
            }
        }
        Err(error) => Check::new(GROUP, name, Severity::Note, error.report()),
    }
}

/// Out of the text of /proc/meminfo.
fn memory(text: &str) -> Option<Check> {
    let (total, available) = (memory_gib(text, "MemTotal:")?, memory_gib(text, "MemAvailable:")?);
    let value = format!("{available:.1} of {total:.1} GiB available");
    Some(match (total, available) {
        (..LEAST_MEMORY, _) => Check::new(GROUP, "memory", Severity::Problem, value).remedy("use a machine with 4 GiB"),
        (_, ..GOOD_MEMORY) => Check::new(GROUP, "memory", Severity::Note, value).remedy("end what needs much of it"),
        _ => Check::new(GROUP, "memory", Severity::Ok, value),
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::much(16, 8, Severity::Ok)]
    #[case::crowded(8, 2, Severity::Note)]
    #[case::small(1, 1, Severity::Problem)]
    fn memory_is_judged(#[case] total: u64, #[case] available: u64, #[case] verdict: Severity) {
        let kib = |gib: u64| gib << 20;
        let text = format!("MemTotal:  {} kB\nMemFree: 1 kB\nMemAvailable:  {} kB\n", kib(total), kib(available));
        assert_eq!(memory(&text).unwrap().verdict, verdict);
    }

    #[test]
    fn a_folder_that_is_not_there_yet_is_on_the_disk_above() {
        assert!(free_gib(Path::new("/nowhere/at/all")).is_ok());
    }
}
