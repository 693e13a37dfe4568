//! Facts about this machine on which an engine's start and installation depend.

use std::path::{Path, PathBuf};

use harness_settings::settings::Settings;

use crate::tools::SYSTEM_PATH;

const CAP_NET_ADMIN: u32 = 12;
const CAP_SYS_ADMIN: u32 = 21;
const CAP_SYS_RESOURCE: u32 = 24;

/// The facts about this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Host {
    /// The system's name, for people: `Debian GNU/Linux 12 (bookworm)`, `macOS`.
    pub name: String,
    /// Whether it is macOS, where the engine runs in a virtual machine.
    pub macos: bool,
    /// Whether this process is root.
    pub root: bool,
    /// Whether systemd runs the services.
    pub systemd: bool,
    /// Whether the system's packages are Debian's or Ubuntu's.
    pub apt: bool,
    /// The capabilities of this process.
    pub capabilities: HostCapabilities,
    /// The engine's daemon, if it is installed.
    pub dockerd: Option<PathBuf>,
    /// On macOS, the application that runs an engine.
    pub app: Option<App>,
}

/// An application that runs an engine on macOS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum App {
    /// Docker Desktop.
    Desktop,
    /// Colima.
    Colima,
}

/// Linux capabilities, a bit each (capabilities(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HostCapabilities {
    /// The effective set of this process.
    pub effective: u64,
    /// The bounding set: the most that a child can have.
    pub bounding: u64,
}

/// The value of a line of /proc/meminfo's text, such as `MemTotal:`, in GiB.
pub fn memory_gib(text: &str, line: &str) -> Option<f64> {
    let kib: f64 = text.lines().find_map(|found| found.strip_prefix(line)?.split_whitespace().next()?.parse().ok())?;
    Some(kib / f64::from(1 << 20))
}

impl HostCapabilities {
    /// Whether an engine that this process starts could set up containers and networks (CAP_SYS_ADMIN, CAP_NET_ADMIN).
    pub fn allow_an_engine(self) -> bool {
        [CAP_SYS_ADMIN, CAP_NET_ADMIN].iter().all(|bit| self.effective >> bit & 1 == 1)
    }

    /// Whether a privileged container can be given CAP_SYS_RESOURCE.
    pub fn have_sys_resource(self) -> bool {
        self.bounding >> CAP_SYS_RESOURCE & 1 == 1
    }

    /// Reads the text of /proc/self/status; where there is none, no capability is known to be missing.
    fn parse(status: &str) -> Self {
        let mask = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            u64::from_str_radix(line.trim(), 16).ok()
        };
        Self { effective: mask("CapEff:").unwrap_or(u64::MAX), bounding: mask("CapBnd:").unwrap_or(u64::MAX) }
    }
}

impl Host {
    /// Collects the facts; changes and starts nothing.
    pub fn look(settings: &Settings) -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let release = read("/etc/os-release");
        let macos = cfg!(target_os = "macos");
        Self {
            name: if macos {
                "macOS".to_owned()
            } else {
                field(&release, "PRETTY_NAME").unwrap_or("unknown").to_owned()
            },
            macos,
            root: rustix::process::geteuid().is_root(),
            systemd: Path::new("/run/systemd/system").is_dir(),
            apt: is_debian(&release) && program("apt-get", settings).is_some(),
            capabilities: HostCapabilities::parse(&read("/proc/self/status")),
            dockerd: program("dockerd", settings),
            app: if macos { app(settings) } else { None },
        }
    }
}

fn app(settings: &Settings) -> Option<App> {
    let desktop = Path::new("/Applications/Docker.app").is_dir();
    let colima = program("colima", settings).map(|_| App::Colima);
    if desktop { Some(App::Desktop) } else { colima }
}

/// The path of a system program: in PATH, or in one of the system's own folders.
pub(crate) fn program(name: &str, settings: &Settings) -> Option<PathBuf> {
    use std::os::unix::fs::PermissionsExt;
    let runs =
        |path: &PathBuf| path.metadata().is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0);
    settings.path.split(':').chain(SYSTEM_PATH.split(':')).map(|folder| Path::new(folder).join(name)).find(runs)
}

/// A field of os-release(5), without its quotes.
fn field<'a>(release: &'a str, name: &str) -> Option<&'a str> {
    release.lines().find_map(|line| Some(line.strip_prefix(name)?.strip_prefix('=')?.trim_matches(['"', '\''])))
}

fn is_debian(release: &str) -> bool {
    let words = ["ID", "ID_LIKE"].into_iter().filter_map(|name| field(release, name));
    words.flat_map(str::split_whitespace).any(|word| matches!(word, "debian" | "ubuntu"))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::debian("PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\n", true)]
    #[case::ubuntu("ID=ubuntu\nID_LIKE=debian\n", true)]
    #[case::mint("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n", true)]
    #[case::fedora("ID=fedora\nVARIANT_ID=debian\n", false)]
    #[case::none("", false)]
    fn debian_and_its_children(#[case] release: &str, #[case] expected: bool) {
        assert_eq!(is_debian(release), expected);
    }

    #[rstest]
    #[case::all("CapEff:\t000001ffffffffff\nCapBnd:\t000001ffffffffff\n", true, true)]
    #[case::no_sys_resource("CapEff:\t000001fffeffffff\nCapBnd:\t000001fffeffffff\n", true, false)]
    #[case::plain_container("CapEff:\t00000000a80425fb\nCapBnd:\t00000000a80425fb\n", false, false)]
    #[case::user("CapEff:\t0000000000000000\nCapBnd:\t000001ffffffffff\n", false, true)]
    #[case::not_linux("", true, true)]
    fn capabilities(#[case] status: &str, #[case] engine: bool, #[case] sys_resource: bool) {
        let capabilities = HostCapabilities::parse(status);
        assert_eq!((capabilities.allow_an_engine(), capabilities.have_sys_resource()), (engine, sys_resource));
    }
}
