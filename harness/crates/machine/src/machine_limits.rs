//! Limits of this machine that clusters run into, and what runs into them says otherwise: pods that log "too many open files".
//!
//! Kind's known issues name the first two and their values (kind.sigs.k8s.io, "Pod errors due to too many open files").

use std::path::Path;

/// A limit, and what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineLimit {
    /// What it is called.
    pub name: &'static str,
    /// How much there is of it.
    pub found: u64,
    /// Below this something of a run may fail.
    pub least: u64,
    /// What raises it.
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

    /// Whether there may be too little of it.
    pub fn is_low(&self) -> bool {
        self.found < self.least
    }
}

/// The limits that this machine tells; none where it is no Linux: there the engine's own machine has them.
pub(crate) fn of_this_machine() -> Vec<MachineLimit> {
    let number = |name: &str| -> Option<u64> {
        let path = Path::new("/proc/sys").join(name.replace('.', "/"));
        std::fs::read_to_string(path).ok()?.trim().parse().ok()
    };
    let inotify = [WATCHES, INSTANCES].into_iter().filter_map(|name| Some(MachineLimit::new(name, number(name)?)));
    let files = std::fs::read_to_string("/proc/self/limits").ok().and_then(|text| open_files(&text));
    let shared = rustix::fs::statvfs("/dev/shm").ok().filter(|_| Path::new("/proc/self").exists());
    let shared = shared.map(|found| found.f_blocks.saturating_mul(found.f_frsize) >> 20);
    let of = |name: &'static str| move |found| MachineLimit::new(name, found);
    inotify.chain(files.map(of(FILES))).chain(shared.map(of(SHARED_MEMORY))).collect()
}

/// The soft limit, out of the text of /proc/self/limits.
fn open_files(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    match line.split_whitespace().next()? {
        "unlimited" => Some(u64::MAX),
        number => number.parse().ok(),
    }
}

/// Which limits a failure's text is about, in the words of Linux and of Go.
fn meant(text: &str) -> Vec<&'static str> {
    let text = text.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    let mut meant = Vec::new();
    if says(&["inotify_init", "fsnotify watcher", "inotify instances"]) {
        meant.push(INSTANCES);
    }
    if says(&["inotify_add_watch", "inotify watches"]) {
        meant.push(WATCHES);
    }
    // Ours says so with the number of the error; a pod has another limit of files, which its runtime sets.
    if says(&["too many open files (os error 24)"]) {
        meant.push(FILES);
    } else if says(&["too many open files"]) && !meant.contains(&INSTANCES) {
        meant.push(INSTANCES);
    }
    meant
}

/// A line for each limit that a failure's text is about: what it is here, and what raises it.
pub fn named_in(text: &str) -> String {
    named(text, of_this_machine)
}

fn named(text: &str, limits: impl FnOnce() -> Vec<MachineLimit>) -> String {
    let meant = meant(text);
    if meant.is_empty() {
        return String::new();
    }
    let named = limits().into_iter().filter(|limit| meant.contains(&limit.name));
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
    #[case::of_a_disk("write /var/lib/x: no space left on device", &[])]
    fn a_failure_names_the_limit_that_it_comes_of(#[case] text: &str, #[case] names: &[&str]) {
        assert_eq!(meant(text), names);
        let all = || [WATCHES, INSTANCES, FILES, SHARED_MEMORY].map(|name| MachineLimit::new(name, 7)).to_vec();
        let told = named(text, all);
        assert_eq!(told.lines().filter(|line| line.contains(": 7; ")).count(), names.len(), "{told}");
        assert!(names.iter().all(|name| told.contains(name)), "{told}");
    }

    #[rstest]
    #[case(
        "Limit  Soft Limit  Hard Limit  Units\nMax open files            1024                 524288               files\n",
        Some(1024)
    )]
    #[case("Max open files            unlimited            unlimited            files\n", Some(u64::MAX))]
    #[case("Max processes 1 1 processes\n", None)]
    fn the_soft_limit_counts(#[case] text: &str, #[case] found: Option<u64>) {
        assert_eq!(open_files(text), found);
    }

    #[test]
    fn a_low_one_is_low() {
        assert!(MachineLimit::new(WATCHES, 8192).is_low() && !MachineLimit::new(WATCHES, 524_288).is_low());
    }
}
