//! Installing the distribution's engine on Debian and Ubuntu.

use std::path::Path;
use std::time::{Duration, Instant};

use harness_base::progress::{Step, Teller};
use harness_settings::settings::Settings;

use super::engine_files::EngineFiles;
use super::host::{Host, program};
use super::record::EngineRecord;
use super::runtime;
use crate::error::{Error, Result};
use crate::tools::{ChildKind, Command, Environment};

/// The deadline of an apt call, with download and setup.
const INSTALLED: Duration = Duration::from_secs(900);
/// How long to wait for the lock of another apt or dpkg, in seconds.
const LOCK_SECS: u64 = 300;
/// The script that can keep packages from starting services (invoke-rc.d(8)).
const POLICY: &str = "/usr/sbin/policy-rc.d";
/// The certificate authorities by which the engine verifies image registries.
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Installs the missing ones of the engine, its client, iptables and certificate authorities; removes and replaces no package.
///
/// Cancelled or killed, apt's work is left half done; apt then says how to go on (`dpkg --configure -a`).
pub(super) async fn install(
    settings: &Settings,
    host: &Host,
    place: &EngineFiles,
    record: &mut EngineRecord,
) -> Result<()> {
    let step = Step::begin("installing the container engine from the distribution");
    let apt = Apt { environment: &settings.environment, teller: step.teller() };
    let has = |name: &str| program(name, settings).is_some();
    let missing = Missing {
        engine: host.dockerd.is_none(),
        client: !has("docker"),
        iptables: !has("iptables"),
        authorities: !Path::new(AUTHORITIES).exists(),
    };
    let (wanted, new) = apt.simulate(&missing).await?;
    record.installs(&new, &place.data)?;
    if !host.capabilities.have_sys_resource() {
        // Before the packages, since they may start the engine themselves.
        runtime::prepare(place, record)?;
    }
    let _policy = (!host.systemd).then(StartPolicy::write).transpose()?.flatten();
    match apt.run(&wanted).await {
        // Outdated lists name files that the mirror no longer has.
        Err(error) if says(&error, &["404", "Unable to fetch"]) => {
            apt.update().await?;
            let (wanted, new) = apt.simulate(&missing).await?;
            record.installs(&new, &place.data)?;
            apt.run(&wanted).await?;
        }
        outcome => outcome?,
    }
    step.done();
    Ok(())
}

/// The parts that are missing.
#[derive(Debug, Clone, Copy)]
struct Missing {
    engine: bool,
    client: bool,
    iptables: bool,
    authorities: bool,
}

impl Missing {
    /// The packages of the missing parts; since Debian 13 the client is a package of its own (`client_apart`).
    fn packages(self, client_apart: bool) -> Vec<&'static str> {
        let client = if client_apart { "docker-cli" } else { "docker.io" };
        let mut packages = Vec::new();
        for (missing, package) in [
            (self.engine, "docker.io"),
            (self.client, client),
            (self.iptables, "iptables"),
            (self.authorities, "ca-certificates"),
        ] {
            if missing && !packages.contains(&package) {
                packages.push(package);
            }
        }
        packages
    }
}

struct Apt<'a> {
    environment: &'a Environment,
    teller: Teller,
}

impl Apt<'_> {
    fn command(&self, program: &str) -> Command {
        Command::new(program)
            .given(self.environment, ChildKind::Downloader)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .env("NEEDRESTART_SUSPEND", "1")
            .env("LC_ALL", "C.UTF-8")
            .telling_all(self.teller.clone())
            .limit(INSTALLED)
    }

    fn install(&self, packages: &[&str]) -> Command {
        self.command("apt-get")
            .args(["install", "--yes", "--no-install-recommends", "--no-remove"])
            .args(["--option", "Dpkg::Options::=--force-confold"])
            .arg("--option")
            .arg(format!("DPkg::Lock::Timeout={LOCK_SECS}"))
            .args(packages.iter().copied())
    }

    /// The packages to ask for, and all packages that would be new; updates apt's lists if they do not know the packages.
    async fn simulate(&self, missing: &Missing) -> Result<(Vec<&'static str>, Vec<String>)> {
        let wanted = missing.packages(self.knows("docker-cli").await);
        if let Ok(output) = self.install(&wanted).arg("--simulate").run().await {
            return Ok((wanted, new_packages(&output.stdout)));
        }
        self.update().await?;
        let wanted = missing.packages(self.knows("docker-cli").await);
        let output = self.install(&wanted).arg("--simulate").run().await?;
        Ok((wanted, new_packages(&output.stdout)))
    }

    async fn knows(&self, package: &str) -> bool {
        self.command("apt-cache").args(["show", "--no-all-versions", package]).run().await.is_ok()
    }

    async fn update(&self) -> Result<()> {
        let since = Instant::now();
        // apt waits by itself for the lock of packages, but not for the lock of lists.
        let mut beat = tokio::time::interval(Duration::from_secs(2));
        loop {
            beat.tick().await;
            match self.command("apt-get").args(["update", "--error-on=any"]).run().await {
                Err(error)
                    if says(&error, &["Could not get lock", "Unable to lock"])
                        && since.elapsed() < Duration::from_secs(LOCK_SECS) =>
                {
                    self.teller.tell("waiting for another apt");
                }
                outcome => return outcome.map(drop),
            }
        }
    }

    async fn run(&self, packages: &[&str]) -> Result<()> {
        self.install(packages).run().await.map(drop)
    }
}

fn says(error: &Error, words: &[&str]) -> bool {
    matches!(error, Error::Command(failure) if words.iter().any(|word| failure.tail.contains(word)))
}

/// The packages that were not there before, from the output of `apt-get --simulate`.
fn new_packages(simulated: &str) -> Vec<String> {
    simulated
        .lines()
        .filter_map(|line| {
            let mut words = line.strip_prefix("Inst ")?.split_whitespace();
            let name = words.next()?;
            // A version in square brackets is the installed one: the package is not new.
            (!words.next()?.starts_with('[')).then(|| name.to_owned())
        })
        .collect()
}

/// A policy that keeps packages from starting the engine where no systemd runs: such an engine would hold apt's descriptors, and
/// its output would be lost. Removed when dropped; without effect once this process has ended.
struct StartPolicy;

impl StartPolicy {
    /// `None` where the system has a policy of its own.
    fn write() -> Result<Option<Self>> {
        use std::io::Write;
        use std::os::unix::fs::OpenOptionsExt;

        let script = format!(
            "#!/bin/sh\n# The harness installs a container engine, and starts it itself.\n\
             [ -d /proc/{} ] || exit 0\ncase $1 in docker | containerd) exit 101 ;; esac\n",
            std::process::id()
        );
        let made = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o755).open(POLICY);
        match made.and_then(|mut file| file.write_all(script.as_bytes())) {
            Ok(()) => Ok(Some(Self)),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(None),
            Err(error) => Err(Error::io(format!("write {POLICY}"))(error)),
        }
    }
}

impl Drop for StartPolicy {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(POLICY) {
            tracing::warn!("cannot remove {POLICY}, which is ours: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::bare([true; 4], false, &["docker.io", "iptables", "ca-certificates"])]
    #[case::newer([true; 4], true, &["docker.io", "docker-cli", "iptables", "ca-certificates"])]
    #[case::client_from_elsewhere([true, false, true, false], true, &["docker.io", "iptables"])]
    #[case::client_alone([false, true, false, false], true, &["docker-cli"])]
    fn only_what_is_missing(#[case] missing: [bool; 4], #[case] client_apart: bool, #[case] packages: &[&str]) {
        let [engine, client, iptables, authorities] = missing;
        assert_eq!(Missing { engine, client, iptables, authorities }.packages(client_apart), packages);
    }

    #[test]
    fn upgraded_packages_are_not_new() {
        let text = "Inst runc (1.1.5 Debian:12 [amd64])\nInst libc6 [2.36-9] (2.36-10 Debian:12 [amd64]) []\n\
                    Inst docker.io (20.10 Debian:12 [amd64])\nConf runc (1.1.5 Debian:12 [amd64])\n";
        assert_eq!(new_packages(text), ["runc", "docker.io"]);
    }
}
