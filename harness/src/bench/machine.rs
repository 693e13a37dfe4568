//! The machine that a benchmark ran on.

use serde::{Deserialize, Serialize};

use crate::engine::memory_gib;

/// The machine that a benchmark ran on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// The number of cores that this process may use.
    pub cores: usize,
    /// Memory, in GiB; 0 where the system does not say.
    pub memory: f64,
    /// The kernel: its name and release.
    pub kernel: String,
    /// The load average of the last minute, before the first round: how busy the machine was with other work.
    pub load: f64,
}

impl Machine {
    /// The machine of this process.
    pub(super) fn this() -> Self {
        let system = rustix::system::uname();
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        Self {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory: memory(&read("/proc/meminfo")),
            kernel: format!("{} {}", system.sysname().to_string_lossy(), system.release().to_string_lossy()),
            load: read("/proc/loadavg").split(' ').next().and_then(|word| word.parse().ok()).unwrap_or_default(),
        }
    }
}

/// The total memory in GiB, from the text of /proc/meminfo (proc(5)); 0 where it does not say.
fn memory(text: &str) -> f64 {
    memory_gib(text, "MemTotal:").unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::said("MemTotal:       16777216 kB\nMemFree: 1 kB\n", 16.0)]
    #[case::not_said("", 0.0)]
    fn memory_is_read(#[case] text: &str, #[case] gib: f64) {
        assert_eq!(memory(text), gib);
    }
}
