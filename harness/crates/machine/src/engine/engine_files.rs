//! Where an engine that we start has its files; a test names others than the system's.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The paths.
#[derive(Debug, Clone)]
pub(crate) struct EngineFiles {
    /// Held while an engine is installed or started; in a folder that root alone can write to.
    pub lock: PathBuf,
    /// The engine's own configuration.
    pub config: PathBuf,
    /// The runtime that leaves out CAP_SYS_RESOURCE; the engine needs it after we are gone.
    pub runtime: PathBuf,
    /// The engine's process number.
    pub pid: PathBuf,
    /// The process number of the containerd that it starts.
    pub containerd_pid: PathBuf,
    /// What it says.
    pub log: PathBuf,
    /// What of its data and configuration comes into being with it.
    pub data: Vec<PathBuf>,
    /// Further arguments.
    pub args: Vec<OsString>,
}

impl EngineFiles {
    /// The system's own paths; without root, the lock is in the state folder.
    pub fn system(root: bool, state_root: &Path) -> Self {
        Self {
            lock: if root { PathBuf::from("/run/harness/engine.lock") } else { state_root.join("engine.lock") },
            config: PathBuf::from("/etc/docker/daemon.json"),
            runtime: PathBuf::from("/usr/local/sbin/harness-runc"),
            pid: PathBuf::from("/var/run/docker.pid"),
            containerd_pid: PathBuf::from("/var/run/docker/containerd/containerd.pid"),
            log: PathBuf::from("/var/log/harness-dockerd.log"),
            data: ["/var/lib/docker", "/var/lib/containerd", "/etc/docker"].map(PathBuf::from).to_vec(),
            args: Vec::new(),
        }
    }
}
