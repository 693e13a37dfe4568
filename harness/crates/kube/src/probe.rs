//! A pod's probes, asked directly: their answers are known without waiting for the kubelet.

use std::fmt;
use std::time::Duration;

use harness_http::Reader;
use k8s_openapi::api::core::v1::{Container, Pod, Probe as Described};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::{Api, Client, ResourceExt};

use super::failure_cause::AskedProbe;
use super::last_words::brief;
use super::pod::{containers, init_statuses, statuses};
use super::{Forward, workload};
use crate::{Error, Result};

/// The limit for a probe's command.
const LIMIT: Duration = Duration::from_secs(15);

/// The limit for the answer of a pod that is not ready.
const WORDS: Duration = Duration::from_secs(3);

/// How a probe is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeMethod {
    /// GET of a path at a port of the pod, by HTTP.
    Http {
        /// The port's number.
        port: u16,
        /// The path, such as `/health`.
        path: String,
    },
    /// A command in the container.
    Exec(Vec<String>),
}

/// A probe of one container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubeletProbe {
    /// The container's name.
    pub container: String,
    /// `startup`, `liveness` or `readiness`.
    pub kind: &'static str,
    /// How the probe is asked.
    pub method: ProbeMethod,
}

impl fmt::Display for KubeletProbe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the {} probe of {}: ", self.kind, self.container)?;
        match &self.method {
            ProbeMethod::Http { port, path } => write!(f, "GET {path} at port {port}"),
            ProbeMethod::Exec(command) => f.write_str(&command.join(" ")),
        }
    }
}

/// The probes of a pod's main containers and of its sidecars (init containers that restart always).
///
/// # Errors
/// [`Error::Unmet`] for a probe that cannot be asked from here: over TLS, with a host or header fields of its own, of another
/// method, or at a port name that its container lacks.
pub fn probes(pod: &Pod) -> Result<Vec<KubeletProbe>> {
    let is_sidecar = |init: &&Container| init.restart_policy.as_deref() == Some("Always");
    let containers = pod
        .spec
        .iter()
        .flat_map(|spec| spec.init_containers.iter().flatten().filter(is_sidecar).chain(&spec.containers));
    let described = containers.flat_map(|container| {
        let kinds = [
            ("startup", &container.startup_probe),
            ("liveness", &container.liveness_probe),
            ("readiness", &container.readiness_probe),
        ];
        kinds.into_iter().filter_map(move |(kind, probe)| Some((container, kind, probe.as_ref()?)))
    });
    let probe = |(container, kind, described): (&Container, &'static str, &Described)| {
        let unmet =
            || Error::Unmet(format!("{}: the {kind} probe of {} cannot be asked", pod.name_any(), container.name));
        let method = method(container, described).ok_or_else(unmet)?;
        Ok(KubeletProbe { container: container.name.clone(), kind, method })
    };
    described.map(probe).collect()
}

fn method(container: &Container, probe: &Described) -> Option<ProbeMethod> {
    if let Some(command) = probe.exec.as_ref().and_then(|exec| exec.command.clone()) {
        return Some(ProbeMethod::Exec(command));
    }
    let get = probe.http_get.as_ref()?;
    // A forward leads to the pod without TLS, and a request without header fields of its own is another request.
    if get.scheme.as_deref() == Some("HTTPS") || get.host.is_some() || get.http_headers.is_some() {
        return None;
    }
    let port = match &get.port {
        IntOrString::Int(number) => *number,
        IntOrString::String(name) => {
            let mut ports = container.ports.iter().flatten();
            ports.find(|port| port.name.as_ref() == Some(name))?.container_port
        }
    };
    Some(ProbeMethod::Http { port: port.try_into().ok()?, path: get.path.clone().unwrap_or_else(|| "/".to_owned()) })
}

/// Whether the kubelet takes an answer as a probe's success (Kubernetes, "Configure Liveness, Readiness and Startup Probes").
/// `None` for a redirect: the kubelet follows one to the same host, and through a forward that host is this machine.
fn is_success(status: u16) -> Option<bool> {
    match status {
        200..300 => Some(true),
        300..400 => None,
        _ => Some(false),
    }
}

/// Asks a probe once: by a GET, or by its command in its container. On cancel the command may run on.
///
/// # Errors
/// [`Error::Unmet`] when the answer is no success (200 to 299, or exit code 0), is a redirect, which cannot be followed from
/// here, or there is none; the API's error, or [`harness_base::Error::Deadline`] after 15 s, when a command cannot be run.
pub async fn ask(client: &Client, namespace: &str, pod: &str, probe: &KubeletProbe) -> Result<()> {
    let unmet = |what: String| Error::Unmet(format!("{pod}: {probe}: {what}"));
    match &probe.method {
        ProbeMethod::Http { port, path } => {
            let forward = Forward::to_pod(client.clone(), namespace, pod, *port).await?;
            let reply = Reader::with(forward.options())?.first_answer(path).await;
            let reply = reply.map_err(|error| unmet(error.report()))?;
            match is_success(reply.status) {
                Some(true) => Ok(()),
                Some(false) => Err(unmet(format!("answered {}", reply.status))),
                None => {
                    Err(unmet(format!("answered {}, a redirect, which cannot be followed from here", reply.status)))
                }
            }
        }
        ProbeMethod::Exec(command) => {
            let command: Vec<&str> = command.iter().map(String::as_str).collect();
            let container = Some(probe.container.as_str());
            let ended = workload::exec(client, namespace, (pod, container), &command, LIMIT).await?;
            if ended.succeeded { Ok(()) } else { Err(unmet(format!("{} {}", ended.reason, ended.stderr.trim()))) }
        }
    }
}

/// The answer of a container that is not ready to its own readiness probe, or to its startup probe during its start; in one
/// line.
///
/// `None` when it does not answer within 3 s, its probe succeeds, or it cannot be asked from here ([`probes`]).
pub(super) async fn words(client: &Client, namespace: &str, asked: &AskedProbe) -> Option<String> {
    tokio::time::timeout(WORDS, said(client, namespace, asked)).await.ok().flatten()
}

/// A container that is not ready, main or sidecar, with the probe that keeps it so: during its start the startup probe.
fn probe_that_fails<'a>(pod: &'a Pod, name: &str) -> Option<(&'a Container, &'a Described)> {
    let status = statuses(pod).iter().chain(init_statuses(pod)).find(|status| !status.ready && status.name == name)?;
    let container = containers(pod).into_iter().find(|container| container.name == name)?;
    let starting = status.started != Some(true) && container.startup_probe.is_some();
    let described = if starting { &container.startup_probe } else { &container.readiness_probe };
    Some((container, described.as_ref()?))
}

async fn said(client: &Client, namespace: &str, AskedProbe { pod: name, container }: &AskedProbe) -> Option<String> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let pod = pods.get(name).await.ok()?;
    let (container, described) = probe_that_fails(&pod, container)?;
    let text = match method(container, described)? {
        ProbeMethod::Http { port, path } => {
            let forward = Forward::to_pod(client.clone(), namespace, name, port).await.ok()?;
            let reply = Reader::with(forward.options()).ok()?.first_answer(&path).await.ok()?;
            if is_success(reply.status) != Some(false) {
                return None;
            }
            let body = String::from_utf8_lossy(&reply.body).into_owned();
            format!("{path} says {}", if body.trim().is_empty() { "nothing" } else { body.trim() })
        }
        ProbeMethod::Exec(command) => {
            let command: Vec<&str> = command.iter().map(String::as_str).collect();
            let ended = workload::exec(client, namespace, (name, Some(&container.name)), &command, WORDS).await.ok()?;
            let said = [ended.stdout, ended.stderr].concat();
            if ended.succeeded || said.trim().is_empty() {
                return None;
            }
            format!("{} says {}", command.first()?, said.trim())
        }
    };
    Some(brief(&text))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    fn pod(probe: Value) -> Pod {
        let container = json!({
            "name": "api", "ports": [{"name": "http", "containerPort": 8000}],
            "livenessProbe": probe,
            "readinessProbe": {"httpGet": {"port": 8001}},
        });
        serde_json::from_value(json!({"metadata": {"name": "p"}, "spec": {"containers": [container]}})).unwrap()
    }

    #[rstest]
    #[case::a_named_port(json!({"httpGet": {"path": "/live", "port": "http"}}), Some("GET /live at port 8000"))]
    #[case::a_number(json!({"httpGet": {"path": "/live", "port": 9}}), Some("GET /live at port 9"))]
    #[case::a_command(json!({"exec": {"command": ["a", "b"]}}), Some("a b"))]
    #[case::a_port_that_is_not_named(json!({"httpGet": {"path": "/live", "port": "other"}}), None)]
    #[case::another_way(json!({"tcpSocket": {"port": 9}}), None)]
    #[case::at_another_host(json!({"httpGet": {"port": 9, "host": "example.com"}}), None)]
    #[case::with_a_header(json!({"httpGet": {"port": 9, "httpHeaders": [{"name": "Host", "value": "a"}]}}), None)]
    #[case::over_tls(json!({"httpGet": {"port": 9, "scheme": "HTTPS"}}), None)]
    #[case::without_tls(json!({"httpGet": {"port": 9, "scheme": "HTTP"}}), Some("GET / at port 9"))]
    fn each_way_is_read_or_refused(#[case] probe: Value, #[case] method: Option<&str>) {
        let found = probes(&pod(probe)).ok().map(|all| all.iter().map(KubeletProbe::to_string).collect::<Vec<_>>());
        let wanted = method.map(|method| {
            vec![
                format!("the liveness probe of api: {method}"),
                "the readiness probe of api: GET / at port 8001".to_owned(),
            ]
        });
        assert_eq!(found, wanted);
    }

    #[test]
    fn a_sidecar_is_asked_and_a_container_that_ends_is_not() {
        let probe = json!({"exec": {"command": ["check"]}});
        let pod = json!({"spec": {"containers": [], "initContainers": [
            {"name": "ends", "readinessProbe": probe},
            {"name": "sidecar", "restartPolicy": "Always", "readinessProbe": probe},
        ]}});
        let found = probes(&serde_json::from_value(pod).unwrap()).unwrap();
        assert_eq!(found.iter().map(|probe| probe.container.as_str()).collect::<Vec<_>>(), ["sidecar"]);
    }

    #[rstest]
    #[case::main("api", json!({"started": true}), Some(2))]
    #[case::starting("api", json!({"started": false}), Some(1))]
    #[case::ready("api", json!({"started": true, "ready": true}), None)]
    #[case::sidecar("proxy", json!({"started": true}), Some(3))]
    #[case::without_a_probe("plain", json!({"started": true}), None)]
    #[case::absent("other", json!({}), None)]
    fn the_probe_that_fails_is_found(#[case] name: &str, #[case] status: Value, #[case] port: Option<i32>) {
        let probe = |port: i32| json!({"httpGet": {"port": port}});
        let known = ["api", "plain", "proxy"].into_iter().filter(|known| *known == name);
        let status = known.map(|name| {
            let mut whole = json!({"name": name, "image": "", "imageID": "", "ready": false, "restartCount": 0});
            whole.as_object_mut().unwrap().extend(status.as_object().unwrap().clone());
            whole
        });
        let statuses: Vec<_> = status.collect();
        let (of_init, of_main) = if name == "proxy" { (statuses, vec![]) } else { (vec![], statuses) };
        let pod: Pod = serde_json::from_value(json!({
            "spec": {
                "containers": [{"name": "api", "startupProbe": probe(1), "readinessProbe": probe(2)}, {"name": "plain"}],
                "initContainers": [{"name": "proxy", "restartPolicy": "Always", "readinessProbe": probe(3)}],
            },
            "status": {"containerStatuses": of_main, "initContainerStatuses": of_init},
        })).unwrap();
        let found = probe_that_fails(&pod, name).map(|(_, probe)| probe.http_get.as_ref().unwrap().port.clone());
        assert_eq!(found, port.map(IntOrString::Int));
    }

    #[rstest]
    #[case(199, Some(false))]
    #[case(200, Some(true))]
    #[case(299, Some(true))]
    #[case(302, None)]
    #[case(400, Some(false))]
    #[case(503, Some(false))]
    fn an_answer_is_judged_as_by_the_kubelet(#[case] status: u16, #[case] success: Option<bool>) {
        assert_eq!(is_success(status), success);
    }

    #[test]
    fn a_pod_without_probes_has_none() {
        assert_eq!(probes(&Pod::default()).unwrap(), []);
    }
}
