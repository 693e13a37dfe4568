//! Checks of the container engine: whether it answers, its resources, cgroups and capabilities.

use std::path::PathBuf;
use std::time::Duration;

use harness_settings::settings::Settings;
use serde::Deserialize;

use super::{Check, LIMIT, Severity};
use crate::engine::{Engine, EngineUnavailable, Host, address, is_local, look, plan_remedy};
use crate::tools::Tools;

const GROUP: &str = "engine";
/// The first major version that gives a privileged container no more capabilities than the host has.
const FIRST_MODEST: u32 = 23;

/// The checks of the engine, and its data folder.
pub(super) struct FoundEngine {
    pub checks: Vec<Check>,
    /// The folder of its data, if that is on this machine.
    pub data_root: Option<PathBuf>,
}

/// The part of `docker info` that is read here.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Info {
    docker_root_dir: PathBuf,
    cgroup_version: String,
    default_runtime: String,
    mem_total: u64,
    #[serde(rename = "NCPU")]
    cpus: u32,
}

pub(super) async fn examine(tools: &Tools, settings: &Settings, host: &Host) -> FoundEngine {
    let engine = Engine::unchecked(tools);
    let version = async { tokio::time::timeout(LIMIT, look(&engine, &settings.docker_host)).await };
    // Errors are dropped: the check of the version reports a missing client or a slow answer.
    let asked = async {
        let info = engine.info(LIMIT).await.ok()?;
        serde_json::from_str::<Info>(&info).ok()
    };
    let address = async {
        tokio::time::timeout(Duration::from_secs(2), address(&engine, &settings.docker_host)).await.unwrap_or_default()
    };
    let (version, info, address) = tokio::join!(version, asked, address);
    let answers = matches!(version, Ok(Ok(_)));
    let info = info.filter(|_| answers);
    let major = match &version {
        Ok(Ok(version)) => version.split('.').next().and_then(|major| major.parse().ok()),
        _ => None,
    };
    let mut checks = vec![match version {
        Ok(Ok(version)) => Check::new(GROUP, "engine", Severity::Ok, format!("{version}  {address}")),
        Ok(Err(absence)) => absent(&absence, host, settings.may_set_up()),
        Err(_) => Check::new(GROUP, "engine", Severity::Problem, format!("{address} does not answer within 5 s"))
            .remedy("docker version, and mend what it says"),
    }];
    let local = is_local(&address) && !host.macos;
    if let Some(info) = &info {
        let memory = info.mem_total as f64 / f64::from(1 << 30);
        checks.push(memory_of_engine(info.cpus, memory));
    }
    checks.push(cgroups(info.as_ref().map(|info| info.cgroup_version.as_str())));
    if local || info.is_none() {
        checks.push(capabilities(host, info.as_ref().map(|info| info.default_runtime.as_str()), major));
    }
    let data_root = info.map(|info| info.docker_root_dir).filter(|root| local && root.is_dir());
    FoundEngine { checks, data_root }
}

fn absent(absence: &EngineUnavailable, host: &Host, may_set_up: bool) -> Check {
    // The client's own message repeats the first line, except where only the client knows the cause.
    let lines = if matches!(absence, EngineUnavailable::Unusable { .. }) { 2 } else { 1 };
    let what = absence.to_string().lines().take(lines).collect::<Vec<_>>().join("\n");
    match plan_remedy(absence, host, may_set_up) {
        Ok(action) => {
            let value = format!("{what}\na run does: {}", action.command());
            Check::new(GROUP, "engine", Severity::Note, value)
        }
        Err(left) => {
            let value = left.explain(&what);
            Check::new(GROUP, "engine", Severity::Problem, value).remedy(left.next)
        }
    }
}

fn memory_of_engine(cpus: u32, memory: f64) -> Check {
    let value = format!("{cpus} CPUs, {memory:.1} GiB");
    match memory {
        ..2.0 => Check::new(GROUP, "resources", Severity::Problem, value)
            .remedy("give the engine, or its virtual machine, 4 GiB of memory"),
        _ => Check::new(GROUP, "resources", Severity::Ok, value),
    }
}

fn cgroups(engine: Option<&str>) -> Check {
    let version = match engine {
        Some(version) if !version.is_empty() => version,
        _ if std::path::Path::new("/sys/fs/cgroup/cgroup.controllers").exists() => "2",
        _ if std::path::Path::new("/sys/fs/cgroup/memory").exists() => "1",
        _ => "unknown",
    };
    let (verdict, means) = match version {
        "1" => (Severity::Note, "; Kubernetes 1.34 is the last that starts on it by default"),
        _ => (Severity::Ok, ""),
    };
    Check::new(GROUP, "cgroups", verdict, format!("version {version}{means}"))
}

fn capabilities(host: &Host, runtime: Option<&str>, major: Option<u32>) -> Check {
    let check = |verdict, value: &str| Check::new(GROUP, "capabilities", verdict, value);
    if host.capabilities.have_sys_resource() {
        return check(Severity::Ok, "CAP_SYS_RESOURCE is there");
    }
    match (runtime, major) {
        (None, _) => {
            check(Severity::Note, "no CAP_SYS_RESOURCE; an engine that a run starts leaves it out of containers")
        }
        (Some("runc"), Some(..FIRST_MODEST)) => {
            check(Severity::Problem, "no CAP_SYS_RESOURCE, and this engine gives it to privileged containers")
                .remedy("stop the engine: a run starts it again, with a runtime that leaves it out")
        }
        (Some(runtime), _) => check(Severity::Ok, &format!("no CAP_SYS_RESOURCE; containers run through {runtime}")),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::engine::HostCapabilities;

    fn host(sys_resource: bool, root: bool) -> Host {
        Host {
            name: "Debian".to_owned(),
            macos: false,
            root,
            systemd: false,
            apt: true,
            capabilities: HostCapabilities { effective: u64::MAX, bounding: if sys_resource { u64::MAX } else { 0 } },
            dockerd: None,
            app: None,
        }
    }

    #[rstest]
    #[case::there(true, None, None, Severity::Ok)]
    #[case::no_engine_yet(false, None, None, Severity::Note)]
    #[case::filtered(false, Some("shop"), Some(20), Severity::Ok)]
    #[case::asks_for_all(false, Some("runc"), Some(20), Severity::Problem)]
    #[case::asks_for_what_is_there(false, Some("runc"), Some(28), Severity::Ok)]
    fn sys_resource(
        #[case] there: bool,
        #[case] runtime: Option<&str>,
        #[case] major: Option<u32>,
        #[case] verdict: Severity,
    ) {
        assert_eq!(capabilities(&host(there, true), runtime, major).verdict, verdict);
    }

    #[test]
    fn an_engine_that_a_run_installs_is_no_problem() {
        let absence =
            EngineUnavailable::Silent { address: "unix:///var/run/docker.sock".to_owned(), said: "x\ny".to_owned() };
        let check = absent(&absence, &host(true, true), true);
        assert_eq!((check.verdict, check.value.lines().count()), (Severity::Note, 2));
        let never = absent(&absence, &host(true, true), false);
        assert!(never.verdict == Severity::Problem && never.value.contains("SHOP_SETUP=never"), "{never:?}");
        let user = absent(&absence, &host(true, false), true);
        assert!(user.remedy.unwrap().starts_with("sudo apt-get install"));
    }

    #[test]
    fn an_engine_of_no_use_is_told_in_its_clients_words() {
        let said = "command failed (Too many open files (os error 24)): docker version\nmore".to_owned();
        let absence = EngineUnavailable::Unusable { address: "unix:///var/run/docker.sock".to_owned(), said };
        let value = absent(&absence, &host(true, true), true).value;
        assert!(value.contains("of no use\ncommand failed (Too many open files") && !value.contains("more"), "{value}");
    }
}
