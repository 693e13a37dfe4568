//! Checks of the machine: system, memory, limits, proxy, disks.

use std::path::Path;

use harness_settings::environment::without_account;
use harness_settings::settings::Settings;

use super::{Check, Severity};
use crate::engine::{Host, MIN_FREE_GIB, free_gib, memory_gib};
use crate::machine_limits::{self, MachineLimit};

const GROUP: &str = "host";
/// Below this, in GiB, a node and the release do not fit at all.
const LEAST_MEMORY: f64 = 2.0;
/// Below this, in GiB, builds and scenarios crowd each other out.
const GOOD_MEMORY: f64 = 3.0;

pub(super) fn examine(settings: &Settings, host: &Host, data_root: Option<&Path>) -> Vec<Check> {
    let account = if host.root { "root" } else { "not root" };
    let system = format!("{} {}, {account}", host.name, std::env::consts::ARCH);
    let mut checks = vec![Check::new(GROUP, "system", Severity::Ok, system)];
    // On other systems than Linux the engine's virtual machine counts, which has a check of its own.
    let memory = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| memory(&text));
    checks.extend(memory);
    checks.extend(machine_limits::of_this_machine().iter().map(limit));
    checks.extend(proxy(settings.environment.proxy("https").as_deref(), &settings.environment.no_proxy(&[])));
    checks.extend(machine_limits::lacks_ipv6(Path::new("/proc/net")).then(without_ipv6));
    checks.push(disk("disk, state", &settings.state_root, Severity::Problem, "set XDG_STATE_HOME to a larger disk"));
    checks.push(disk("disk, cache", &settings.cache_root, Severity::Note, "set XDG_CACHE_HOME to a larger disk"));
    checks.extend(data_root.map(|root| disk("disk, engine", root, Severity::Problem, "docker system prune")));
    checks
}

fn limit(limit: &MachineLimit) -> Check {
    let value = match limit.found {
        u64::MAX => "unlimited".to_owned(),
        found => found.to_string(),
    };
    match limit.is_low() {
        false => Check::new(GROUP, limit.name, Severity::Ok, value),
        true => Check::new(GROUP, limit.name, Severity::Note, format!("{value}; below {} a run may fail", limit.least))
            .remedy(limit.remedy),
    }
}

/// The proxy of downloads, builds and the engine's client, shown without user and password.
fn proxy(proxy: Option<&str>, without: &str) -> Option<Check> {
    let proxy = without_account(proxy?);
    Some(Check::new(GROUP, "proxy", Severity::Ok, format!("{proxy}, but for {without}")))
}

/// The note that this machine has no IPv6: sites with IPv6 addresses are then asked by IPv4.
fn without_ipv6() -> Check {
    Check::new(GROUP, "IPv6", Severity::Note, "none; sites are asked by IPv4 alone")
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

/// The check of the memory, from the text of /proc/meminfo.
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

    #[rstest]
    #[case::few("fs.inotify.max_user_watches", 8192, Severity::Note, "8192; below 65536 a run may fail")]
    #[case::enough("fs.inotify.max_user_watches", 524_288, Severity::Ok, "524288")]
    #[case::no_limit("open files", u64::MAX, Severity::Ok, "unlimited")]
    fn limits_are_judged(
        #[case] name: &'static str,
        #[case] found: u64,
        #[case] verdict: Severity,
        #[case] value: &str,
    ) {
        let least = 65_536;
        let check = limit(&MachineLimit { name, found, least, remedy: "sysctl" });
        assert_eq!((check.verdict, check.value.as_str()), (verdict, value));
        assert_eq!(check.remedy.is_some(), verdict == Severity::Note);
    }

    #[rstest]
    #[case("http://proxy.example:3128", "http://proxy.example:3128, but for localhost")]
    #[case("proxy.example:3128", "http://proxy.example:3128, but for localhost")]
    #[case("https://me:hunter2@proxy.example", "https://proxy.example, but for localhost")]
    fn a_proxy_is_told_without_its_password(#[case] set: &str, #[case] told: &str) {
        assert_eq!(proxy(Some(set), "localhost").unwrap().value, told);
        assert_eq!(proxy(None, "localhost"), None);
    }

    #[test]
    fn a_folder_that_is_not_there_yet_is_on_the_disk_above() {
        assert!(free_gib(Path::new("/nowhere/at/all")).is_ok());
    }
}
