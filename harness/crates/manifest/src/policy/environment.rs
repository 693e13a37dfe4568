//! The rule about environments: each container has the variables that the contract asks for, with right values.

use harness_settings::spec::contract::{Meaning, Variable};
use harness_settings::spec::{Component, spec};

use super::{all_containers, network, pod, promise};
use crate::finding::Finding;
use crate::object::{Node, Object, Rendered};

/// Rule: each variable that the contract requires is set and has a right value; no variable is set that the container does
/// not read.
pub fn told(rendered: &Rendered) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (object, pod) in rendered.objects.iter().filter_map(|object| Some((object, pod(object)?))) {
        let Some(promise) = promise(&pod) else { continue };
        for container in all_containers(&pod) {
            let name = container.get("name").text();
            let Some(asked) = promise.containers.iter().find(|one| one.name == name) else { continue };
            let env = container.get("env");
            let find = |name: &str| env.items().find(|variable| variable.get("name").text() == name);
            for variable in asked.reads {
                match find(variable.name) {
                    Some(set) => findings.extend(wrong(
                        variable,
                        &set,
                        &VariableScope { rendered, object, container: &container },
                    )),
                    None if variable.needed => {
                        findings.push(env.finding(format!("{name} reads {}, and it is not set", variable.name)))
                    }
                    None => {}
                }
            }
            let known = |set: &Node<'_>| asked.reads.iter().any(|variable| variable.name == set.get("name").text());
            let unknown = env.items().filter(|set| !known(set));
            findings
                .extend(unknown.map(|set| set.finding(format!("{name} reads no variable {}", set.get("name").value))));
        }
    }
    findings.extend(half(rendered));
    findings
}

/// The surroundings of a variable: render, object and container.
struct VariableScope<'a> {
    rendered: &'a Rendered,
    object: &'a Object,
    container: &'a Node<'a>,
}

fn wrong(variable: &Variable, set: &Node<'_>, scope: &VariableScope<'_>) -> Option<Finding> {
    let (name, value) = (variable.name, set.get("value"));
    let text = value.text();
    let finding = |what: String| Some(value.finding(format!("{name} is {}, {what}", value.value)));
    match variable.is {
        Meaning::Secret(key) => {
            let reference = set.at(&["valueFrom", "secretKeyRef"]);
            let secret = format!("{}-{}", scope.rendered.release, spec().auth.as_ref().map_or("", |auth| auth.suffix));
            let holds = (reference.get("name").text(), reference.get("key").text()) == (secret.as_str(), key);
            (!holds).then(|| reference.finding(format!("{name} is not the key {key} of the Secret {secret}")))
        }
        Meaning::HostOf(component) => match service(component, scope.rendered) {
            Some(service) if service.name() != text => {
                finding(format!("and the release's {} is {}", component.label, service.name()))
            }
            None if !text.contains('.') => finding("which is no host outside, and the release has none".to_owned()),
            _ => None,
        },
        Meaning::PortOf(component) => {
            let port: Option<u16> = text.parse().ok();
            match (service(component, scope.rendered), port) {
                (Some(service), port) => {
                    let mut ports = service.root().at(&["spec", "ports"]).items();
                    let known =
                        ports.any(|one| one.get("port").value.as_u64() == port.map(u64::from) && port.is_some());
                    if known { None } else { finding(format!("which Service {} does not have", service.name())) }
                }
                (None, Some(port)) => {
                    let open = network::goes_outside(scope.rendered, scope.object, port);
                    if open { None } else { finding("and no policy lets the pod go there".to_owned()) }
                }
                (None, None) => finding("which is no port".to_owned()),
            }
        }
        Meaning::SameAs(component, other) => match of_component(component, other, scope.rendered) {
            Some(wanted) if wanted != text => finding(format!("and the {}'s {other} is {wanted:?}", component.label)),
            None if text.is_empty() => finding("which is nothing".to_owned()),
            _ => None,
        },
        Meaning::OneOf(known) if !known.contains(&text) => finding(format!("not one of {}", known.join(", "))),
        Meaning::Like(start, end) if text.is_empty() || !text.starts_with(start) || !text.ends_with(end) => {
            finding(format!("and it is a text that begins with {start:?} and ends with {end:?}"))
        }
        Meaning::Proxies => {
            let has_edge = scope.rendered.objects.iter().any(|object| object.kind() == "Ingress");
            // An Ingress may have more proxies before it, such as a CDN.
            let (right, saw) = match text.parse::<usize>() {
                Ok(proxies) if has_edge => (proxies >= 2, "at least two proxies"),
                proxies => {
                    (!has_edge && proxies == Ok(1), if has_edge { "at least two proxies" } else { "the router alone" })
                }
            };
            if right { None } else { finding(format!("and a client's address is what {saw} saw")) }
        }
        Meaning::Path if !is_there(text, scope) => finding("and no volume has that".to_owned()),
        Meaning::OneOf(_) | Meaning::Like(..) | Meaning::Path => None,
    }
}

fn service<'a>(component: &Component, rendered: &'a Rendered) -> Option<&'a Object> {
    let name = format!("{}-{}", rendered.release, component.suffix);
    rendered.objects.iter().find(|object| object.kind() == "Service" && object.name() == name)
}

/// The value of a variable in a component's own containers.
fn of_component<'a>(component: &Component, name: &str, rendered: &'a Rendered) -> Option<&'a str> {
    let pods = rendered.objects.iter().filter_map(pod);
    let pod =
        pods.into_iter().find(|pod| promise(pod).is_some_and(|promise| promise.component.label == component.label))?;
    let variable = all_containers(&pod)
        .flat_map(|container| container.get("env").items())
        .find(|one| one.get("name").text() == name)?;
    variable.get("value").value.as_str()
}

/// Whether a path is in a mounted volume, and in its content, where the volume lists that.
fn is_there(path: &str, scope: &VariableScope<'_>) -> bool {
    let mounts = scope.container.get("volumeMounts").items();
    let below = mounts.filter_map(|mount| {
        let rest = path.strip_prefix(mount.get("mountPath").text())?.strip_prefix('/')?;
        Some((mount.get("name").text(), rest))
    });
    let volumes = scope.object.root().at(&["spec", "template", "spec", "volumes"]);
    below.into_iter().any(|(name, rest)| {
        let Some(volume) = volumes.items().find(|volume| volume.get("name").text() == name) else { return true };
        let items: Vec<_> = volume.at(&["secret", "items"]).items().collect();
        let tokens: Vec<_> =
            volume.at(&["projected", "sources"]).items().map(|source| source.get("serviceAccountToken")).collect();
        let mut held = items.iter().chain(&tokens).map(|item| item.get("path").text()).peekable();
        held.peek().is_none() || held.any(|held| held == rest)
    })
}

/// The findings about settings that are set without the others that they need.
fn half(rendered: &Rendered) -> Vec<Finding> {
    let pods = rendered.objects.iter().filter_map(pod).filter(|pod| promise(pod).is_some());
    let containers: Vec<_> = pods.flat_map(|pod| all_containers(&pod).collect::<Vec<_>>()).collect();
    let mut findings = Vec::new();
    for container in containers {
        let env = container.get("env");
        let has = |name: &str| env.items().any(|variable| variable.get("name").text() == name);
        for (name, others) in spec().together.iter().filter(|(name, _)| has(name)) {
            let absent = others.iter().filter(|other| !has(other));
            findings.extend(absent.map(|other| {
                env.finding(format!("{name} is set, and {other} is not: each is of use with the other alone"))
            }));
        }
    }
    findings
}
