use super::*;
use crate::tools::Tools;

fn settings(folder: &Path) -> Settings {
    let variables = [
        ("XDG_STATE_HOME", folder.display().to_string()),
        ("DOCKER_HOST", format!("unix://{}/docker.sock", folder.display())),
        ("PATH", format!("{}:/usr/bin:/bin", folder.display())),
        ("HTTP_PROXY", "http://proxy".to_owned()),
        ("CARGO", "1".to_owned()),
    ];
    let settings = Settings::parse(&variables.map(|(name, value)| (name.to_owned(), value)).into());
    harness_base::files::private_folder(&settings.state_root).unwrap();
    settings
}

fn place(folder: &Path) -> EngineFiles {
    EngineFiles {
        pid: folder.join("docker.pid"),
        containerd_pid: folder.join("containerd.pid"),
        log: folder.join("log"),
        ..EngineFiles::system(false, folder)
    }
}

fn script(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[tokio::test]
async fn an_engine_that_ends_shows_its_last_words() {
    let folder = tempfile::tempdir().unwrap();
    let (path, settings) = (folder.path(), settings(folder.path()));
    script(&path.join("docker"), "echo 'is the docker daemon running?' >&2; exit 1");
    script(&path.join("dockerd"), "echo 'failed to mount overlay' >&2; exit 1");
    let engine = Engine::unchecked(&Tools::new(settings.tools()));
    let mut record = EngineRecord::read(&settings).unwrap();
    let place = place(path);
    let error = detached(&engine, &settings, &path.join("dockerd"), &place, &mut record).await.unwrap_err().report();
    assert!(error.contains("| failed to mount overlay") && error.contains("exit status: 1"), "{error}");
    assert!(error.contains(&place.log.display().to_string()), "{error}");
}

#[tokio::test]
async fn an_engine_inherits_neither_session_nor_descriptors_nor_environment() {
    let folder = tempfile::tempdir().unwrap();
    let (path, settings) = (folder.path(), settings(folder.path()));
    script(&path.join("docker"), &format!("test -e {}/up && echo 20.10", path.display()));
    let facts = "cut -d' ' -f6 /proc/$$/stat; ls /proc/$$/fd | tr '\\n' ' '; echo; env; readlink /proc/$$/fd/0";
    script(&path.join("dockerd"), &format!("({facts}) >{0}/facts; : >{0}/up; exec sleep 2", path.display()));
    // What whoever started us left open: no close-on-exec.
    let pipe = File::open("/dev/null").unwrap();
    fcntl_setfd(&pipe, FdFlags::empty()).unwrap();
    let engine = Engine::unchecked(&Tools::new(settings.tools()));
    let mut record = EngineRecord::read(&settings).unwrap();
    detached(&engine, &settings, &path.join("dockerd"), &place(path), &mut record).await.unwrap();
    fcntl_setfd(&pipe, FdFlags::CLOEXEC).unwrap();

    let facts = std::fs::read_to_string(path.join("facts")).unwrap();
    let mut lines = facts.lines();
    // The session is its own.
    assert_eq!(lines.next().unwrap(), record.engine.unwrap().to_string());
    // Its three streams, and the one by which the shell reads the script.
    assert_eq!(lines.next().unwrap().trim(), "0 1 10 2", "{facts}");
    assert!(facts.contains("HTTP_PROXY=http://proxy") && facts.contains("/usr/sbin"), "{facts}");
    assert!(!facts.contains("CARGO") && facts.ends_with("/dev/null\n"), "{facts}");
}

#[test]
fn a_number_that_is_another_process_now_is_stale() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pid");
    std::fs::write(&path, format!("{}\n", std::process::id())).unwrap();
    let name = std::fs::read_to_string("/proc/self/comm").unwrap();
    assert_eq!(remove_stale(&path, name.trim()).unwrap(), Some(std::process::id()));
    assert_eq!(remove_stale(&path, "dockerd").unwrap(), None);
    assert!(!path.exists());
}
