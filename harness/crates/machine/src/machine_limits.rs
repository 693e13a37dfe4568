//! Limits of this machine that clusters run into. Programs that meet one name it badly: pods log "too many open files" for
//! inotify.
//!
//! Source of the first two and their values: kind's known issues (kind.sigs.k8s.io, "Pod errors due to too many open files").

use std::path::Path;

use rustix::process::{Resource, getrlimit};

/// A limit of this machine, and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineLimit {
    /// The limit's name; for `sysctl` limits the key.
    pub name: &'static str,
    /// The value on this machine; `u64::MAX`: unlimited.
    pub found: u64,
    /// The least value with which a run should not fail.
    pub least: u64,
    /// The command that raises it.
    pub remedy: &'static str,
}

const WATCHES: &str = "fs.inotify.max_user_watches";
const INSTANCES: &str = "fs.inotify.max_user_instances";
const FILES: &str = "open files";
const SHARED_MEMORY: &str = "/dev/shm, in MiB";

impl MachineLimit {
    fn new(name: &'static str, found: u64) -> Self {
        let (least, remedy) = match name {
            WATCHES => (65_536, "sysctl -w fs.inotify.max_user_watches=524288"),
            INSTANCES => (128, "sysctl -w fs.inotify.max_user_instances=512"),
            FILES => (1024, "ulimit -n 65536"),
            _ => (64, "mount -o remount,size=512m /dev/shm"),
        };
        Self { name, found, least, remedy }
    }

    /// Whether the value is below the least.
    pub fn is_low(&self) -> bool {
        self.found < self.least
    }
}

/// The limits of this machine; none on other systems than Linux, where the engine's virtual machine has them.
pub(crate) fn of_this_machine() -> Vec<MachineLimit> {
    let number = |name: &str| -> Option<u64> {
        let path = Path::new("/proc/sys").join(name.replace('.', "/"));
        std::fs::read_to_string(path).ok()?.trim().parse().ok()
    };
    let inotify = [WATCHES, INSTANCES].into_iter().filter_map(|name| Some(MachineLimit::new(name, number(name)?)));
    let is_linux = Path::new("/proc/self").exists();
    // By a system call, and not read from /proc: where all files are open, no more can be opened.
    let files = is_linux.then(|| getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX));
    let shared = rustix::fs::statvfs("/dev/shm").ok().filter(|_| is_linux);
    let shared = shared.map(|found| found.f_blocks.saturating_mul(found.f_frsize) >> 20);
    let of = |name: &'static str| move |found| MachineLimit::new(name, found);
    inotify.chain(files.map(of(FILES))).chain(shared.map(of(SHARED_MEMORY))).collect()
}

/// Whether no interface has an IPv6 address, since the kernel lacks IPv6 or it is turned off. `net`: /proc/net, which only Linux
/// has; without it, `false`.
pub(crate) fn lacks_ipv6(net: &Path) -> bool {
    let addresses = std::fs::read_to_string(net.join("if_inet6"));
    net.is_dir()
        && match addresses {
            Ok(text) => text.trim().is_empty(),
            Err(error) => error.kind() == std::io::ErrorKind::NotFound,
        }
}

/// The limits that a failure's text is about, by the error texts of Linux and of Go; the text is in lower case.
fn meant(text: &str) -> Vec<&'static str> {
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    let mut meant = Vec::new();
    let is_full = says(&["no space left on device"]);
    if says(&["inotify_init", "fsnotify watcher", "inotify instances", "max_user_instances"]) {
        meant.push(INSTANCES);
    }
    // The two calls are Tilt's.
    let of_a_watcher = is_full && says(&["watcher.add(", "notify.add("]);
    if says(&["inotify_add_watch", "inotify watches"]) || of_a_watcher {
        meant.push(WATCHES);
    }
    // Rust programs add the error's number. Without it, the text may be a pod's, whose own limit of files its runtime sets.
    if says(&["too many open files (os error 24)"]) {
        meant.push(FILES);
    } else if says(&["too many open files"]) && !meant.contains(&INSTANCES) {
        meant.push(INSTANCES);
    }
    if is_full && says(&["/dev/shm"]) {
        meant.push(SHARED_MEMORY);
    }
    meant
}

/// Whether a failure's text is about an IPv6 address without a route from this machine.
fn means_ipv6(text: &str) -> bool {
    // EAFNOSUPPORT, EADDRNOTAVAIL, ENETUNREACH: which one Linux returns depends on what of IPv6 it has.
    let unable = ["os error 97)", "os error 99)", "os error 101)"].iter().any(|end| text.contains(end));
    let bracketed = text.split('[').skip(1).filter_map(|rest| rest.split(']').next());
    unable && bracketed.into_iter().any(|address| address.parse::<std::net::Ipv6Addr>().is_ok())
}

/// A line for each limit that a failure's text is about, with its value and the command that raises it; and a line where the
/// text is about IPv6 and this machine has none.
pub(crate) fn named_in(text: &str) -> String {
    let text = text.to_lowercase();
    let ipv6 = if means_ipv6(&text) && lacks_ipv6(Path::new("/proc/net")) { NO_IPV6 } else { "" };
    format!("{}{ipv6}", named(&text, of_this_machine))
}

const NO_IPV6: &str = "\n  this machine has no address of IPv6";

fn named(text: &str, limits: impl FnOnce() -> Vec<MachineLimit>) -> String {
    let meant = meant(text);
    if meant.is_empty() {
        return String::new();
    }
    // A Go program reports its own limit of files with the same text; it has the same limit as this process.
    let of_a_child = |limit: &MachineLimit| limit.name == FILES && limit.is_low() && meant.contains(&INSTANCES);
    let named = limits().into_iter().filter(|limit| meant.contains(&limit.name) || of_a_child(limit));
    named
        .map(|MachineLimit { name, found, remedy, .. }| {
            format!("\n  this machine's {name}: {found}; {remedy} raises it")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::of_a_pod("container kube-proxy: crashes: too many open files", &[INSTANCES])]
    #[case::of_a_watcher("failed to create fsnotify watcher: too many open files", &[INSTANCES])]
    #[case::of_ours("open /x/record.json\n  caused by: Too many open files (os error 24)", &[FILES])]
    #[case::of_watches("inotify_add_watch /etc/kubernetes: no space left on device", &[WATCHES])]
    #[case::of_shared_memory("write /dev/shm/cache/x: No space left on device (os error 28)", &[SHARED_MEMORY])]
    #[case::of_tilts_watcher("filewatch init: watcher.Add(\"/shop\"): no space left on device", &[WATCHES])]
    #[case::of_tilts_watchers("Run 'sysctl fs.inotify.max_user_instances' to check your inotify limits.", &[INSTANCES])]
    #[case::of_a_disk("write /var/lib/x: no space left on device", &[])]
    fn a_failure_names_the_limit_that_it_comes_of(#[case] text: &str, #[case] names: &[&str]) {
        let text = text.to_lowercase();
        assert_eq!(meant(&text), names);
        let all = || [WATCHES, INSTANCES, FILES, SHARED_MEMORY].map(|name| MachineLimit::new(name, 7_000_000)).to_vec();
        let told = named(&text, all);
        assert_eq!(told.lines().filter(|line| line.contains(": 7000000; ")).count(), names.len(), "{told}");
        assert!(names.iter().all(|name| told.contains(name)), "{told}");
    }

    #[rstest]
    #[case::as_many_as_most(20_000, 1)]
    #[case::few(24, 2)]
    fn a_program_in_go_may_mean_its_own_files(#[case] files: u64, #[case] names: usize) {
        let all = || vec![MachineLimit::new(INSTANCES, 128), MachineLimit::new(FILES, files)];
        let told = named("open /x/config.json: too many open files", all);
        assert_eq!(told.lines().filter(|line| line.contains("raises it")).count(), names, "{told}");
    }

    #[test]
    fn no_address_of_ipv6_is_none_of_it() {
        let net = tempfile::tempdir().unwrap();
        assert!(lacks_ipv6(net.path()) && !lacks_ipv6(Path::new("/nowhere")));
        for (text, lacks) in [("", true), ("00000000000000000000000000000001 01 80 10 80       lo\n", false)] {
            std::fs::write(net.path().join("if_inet6"), text).unwrap();
            assert_eq!(lacks_ipv6(net.path()), lacks, "{text:?}");
        }
    }

    #[rstest]
    #[case::of_ipv6("read https://[2001:db8::1]/x: cannot assign requested address (os error 99)", true)]
    #[case::of_ipv4("read https://192.0.2.1/x: network is unreachable (os error 101)", false)]
    #[case::that_is_refused("connect [::1]:5000: connection refused (os error 111)", false)]
    #[case::in_brackets("[ 12.40s] step: network is unreachable (os error 101)", false)]
    fn a_way_that_is_not_there(#[case] text: &str, #[case] of_ipv6: bool) {
        assert_eq!(means_ipv6(text), of_ipv6);
    }

    #[test]
    fn a_low_one_is_low() {
        assert!(MachineLimit::new(WATCHES, 8192).is_low() && !MachineLimit::new(WATCHES, 524_288).is_low());
    }
}
