//! The files of an engine that the harness starts; tests use others than the system's.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The paths of an engine's files.
#[derive(Debug, Clone)]
pub(crate) struct EngineFiles {
    /// The lock that is held while an engine is installed or started; for root in a folder that only root can write to.
    pub lock: PathBuf,
    /// The engine's configuration.
    pub config: PathBuf,
    /// The runtime that leaves out CAP_SYS_RESOURCE; it stays, since the engine outlives this process.
    pub runtime: PathBuf,
    /// The engine's PID file.
    pub pid: PathBuf,
    /// The PID file of the containerd that the engine starts.
    pub containerd_pid: PathBuf,
    /// The engine's log.
    pub log: PathBuf,
    /// The folders of data and configuration that an installation makes.
    pub data: Vec<PathBuf>,
    /// Further arguments of the engine.
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
