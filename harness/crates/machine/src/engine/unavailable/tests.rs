use rstest::rstest;

use super::super::host::HostCapabilities;
use super::*;

const ALL: HostCapabilities = HostCapabilities { effective: u64::MAX, bounding: u64::MAX };

/// A Debian machine without systemd and without an engine; we are root.
fn bare() -> Host {
    Host {
        name: "Debian".to_owned(),
        macos: false,
        root: true,
        systemd: false,
        apt: true,
        capabilities: ALL,
        dockerd: None,
        app: None,
    }
}

fn installed() -> Host {
    Host { dockerd: Some("/usr/sbin/dockerd".into()), ..bare() }
}

fn mac(app: Option<App>) -> Host {
    Host { macos: true, root: false, apt: false, app, ..bare() }
}

fn silent(address: &str) -> EngineUnavailable {
    EngineUnavailable::Silent { address: address.to_owned(), said: "is the docker daemon running?".to_owned() }
}

#[rstest]
#[case::bare(EngineUnavailable::NoClient, bare(), Action::Install)]
#[case::a_client_from_elsewhere(silent(DEFAULT), bare(), Action::Install)]
#[case::stopped(silent(DEFAULT), installed(), Action::Detached("/usr/sbin/dockerd".into()))]
#[case::stopped_service(silent(DEFAULT), Host { systemd: true, ..installed() }, Action::Systemd)]
#[case::desktop(silent(DEFAULT), mac(Some(App::Desktop)), Action::App(App::Desktop))]
#[case::colima(silent("unix:///Users/a/.colima/default/docker.sock"), mac(Some(App::Colima)), Action::App(App::Colima))]
fn is_mended_here(#[case] unavailable: EngineUnavailable, #[case] host: Host, #[case] action: Action) {
    assert_eq!(plan_remedy(&unavailable, &host, true).unwrap(), action);
    let never = plan_remedy(&unavailable, &host, false).unwrap_err().refusal(&unavailable).report();
    assert!(never.contains("SHOP_SETUP=never") && never.contains(&action.command()), "{never}");
}

#[rstest]
#[case::denied(EngineUnavailable::Denied("/var/run/docker.sock".into()), bare(), "sudo usermod -aG docker $USER && newgrp docker")]
#[case::not_root(silent(DEFAULT), Host { root: false, systemd: true, ..installed() }, "sudo systemctl start docker")]
#[case::not_root_bare(EngineUnavailable::NoClient, Host { root: false, ..bare() }, "sudo apt-get install --no-install-recommends docker.io")]
#[case::fedora(EngineUnavailable::NoClient, Host { apt: false, ..bare() }, "docs.docker.com/engine/install")]
#[case::mac(silent(DEFAULT), mac(None), "brew install docker colima")]
#[case::tcp(silent("tcp://10.0.0.1:2375"), bare(), "unset DOCKER_HOST")]
#[case::ssh(silent("ssh://build"), installed(), "unset DOCKER_HOST")]
#[case::rootless(silent("unix:///run/user/1000/docker.sock"), installed(), "systemctl --user start docker")]
#[case::colima_on_linux(silent("unix:///home/a/.colima/docker.sock"), installed(), "colima start")]
#[case::unusable(EngineUnavailable::Unusable { address: DEFAULT.into(), said: "too old".into() }, installed(), "docker version")]
#[case::container(silent(DEFAULT), Host { capabilities: HostCapabilities { effective: 0, bounding: 0 }, ..installed() }, "privileged container")]
fn is_for_a_person_to_mend(#[case] unavailable: EngineUnavailable, #[case] host: Host, #[case] next: &str) {
    let error = plan_remedy(&unavailable, &host, true).unwrap_err().refusal(&unavailable).report();
    assert!(error.contains(next), "{error}");
}

#[tokio::test]
async fn a_socket_says_why_nothing_answers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("docker.sock");
    let address = format!("unix://{}", path.display());
    assert_eq!(listener(&address).await, Some(ErrorKind::NotFound));
    // One that was bound and does not listen yet answers as one whose listener is gone. Closing a listener would not do: a
    // process that another test starts at that moment holds a copy of it until it runs its program.
    let socket = tokio::net::UnixSocket::new_stream().unwrap();
    socket.bind(&path).unwrap();
    assert_eq!(listener(&address).await, Some(ErrorKind::ConnectionRefused));
    let _listening = socket.listen(1).unwrap();
    assert_eq!(listener(&address).await, None);
}
