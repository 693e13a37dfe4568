//! Rules about probes: each container has all three, with the contract's question, neither too fast nor too slow.

use harness_settings::spec::contract::Health;

use super::{pod, promise, runs_for_ever};
use crate::finding::Finding;
use crate::object::{Node, Rendered};

/// The time in seconds from a probe's first failure to its consequence.
struct ProbeWindow {
    probe: &'static str,
    least: u64,
    most: u64,
    /// The longest time in stage dev: a container may be stopped at a debugger's breakpoint, and then answers no probe.
    most_in_dev: u64,
    why: &'static str,
}

const WINDOWS: [ProbeWindow; 3] = [
    ProbeWindow {
        probe: "startupProbe",
        least: 60,
        most: 300,
        most_in_dev: 300,
        why: "a first start on a busy node takes up to a minute, and a broken one should not take five",
    },
    ProbeWindow {
        probe: "livenessProbe",
        least: 45,
        most: 180,
        most_in_dev: 3600,
        why: "a busy process is not killed, and one that hangs is, within three minutes",
    },
    ProbeWindow {
        probe: "readinessProbe",
        least: 8,
        most: 15,
        most_in_dev: 15,
        why: "slow answers of a busy node are no outage, and requests to a pod that is gone end soon",
    },
];
/// The limits for one answer, in seconds; Kubernetes' default of one second fails on a busy node.
const TIMEOUT_SECS: std::ops::RangeInclusive<u64> = 2..=15;

/// Rule: each container has a startup, a liveness and a readiness probe.
pub fn present(rendered: &Rendered) -> Vec<Finding> {
    containers(rendered)
        .flat_map(|(_, container)| {
            let name = container.get("name").text();
            let absent = WINDOWS.iter().filter(|window| !container.get(window.probe).is_set());
            absent
                .map(|window| container.finding(format!("container {name} has no {}", window.probe)))
                .collect::<Vec<_>>()
        })
        .collect()
}

/// Rule: the consequence of a failing probe comes neither too soon nor too late.
pub fn timing(rendered: &Rendered) -> Vec<Finding> {
    let probes = containers(rendered).flat_map(|(_, container)| {
        WINDOWS
            .iter()
            .map(|window| (window, container.get(window.probe)))
            .filter(|(_, probe)| probe.is_set())
            .collect::<Vec<_>>()
    });
    probes
        .flat_map(|(window, probe)| {
            // The API's defaults.
            let or = |key: &str, default| probe.get(key).value.as_u64().unwrap_or(default);
            let (period, timeout) = (or("periodSeconds", 10), or("timeoutSeconds", 1));
            let after = period * or("failureThreshold", 3);
            let ProbeWindow { probe: name, least, why, .. } = window;
            let most = if rendered.dev { window.most_in_dev } else { window.most };
            let late = (!(*least..=most).contains(&after)).then(|| {
                probe.finding(format!("{name} fails for good after {after} s, not within {least} to {most}: {why}"))
            });
            let slow = (!TIMEOUT_SECS.contains(&timeout)).then(|| {
                let (least, most) = (TIMEOUT_SECS.start(), TIMEOUT_SECS.end());
                probe.finding(format!("{name} waits {timeout} s for an answer, not {least} to {most}"))
            });
            late.into_iter().chain(slow).collect::<Vec<_>>()
        })
        .collect()
}

/// Rule: each probe asks what the contract says: a store's outage does not change the answer to liveness, readiness tells
/// whether it can serve.
pub fn questions(rendered: &Rendered) -> Vec<Finding> {
    let promised = containers(rendered).filter_map(|(pod, container)| Some((promise(&pod)?, container)));
    promised
        .flat_map(|(promise, container)| {
            let ask = |window: &ProbeWindow| {
                let probe = container.get(window.probe);
                if probe.is_set() { wrong(&promise.health, window.probe, &probe, &container) } else { None }
            };
            WINDOWS.iter().filter_map(ask).collect::<Vec<_>>()
        })
        .collect()
}

fn wrong(health: &Health, name: &str, probe: &Node<'_>, container: &Node<'_>) -> Option<Finding> {
    match health {
        Health::Http { live, ready } => {
            let (path, port) = (probe.at(&["httpGet", "path"]), probe.at(&["httpGet", "port"]));
            let wanted = if name == "readinessProbe" { ready } else { live };
            let mut ports = container.get("ports").items();
            let open = ports.any(|one| [one.get("name").value, one.get("containerPort").value].contains(&port.value));
            if path.text() != *wanted {
                Some(path.finding(format!("{name} asks {}, and the contract's path is {wanted}", path.value)))
            } else {
                (!open || !port.is_set()).then(|| {
                    port.finding(format!("{name} asks the port {}, which the container does not open", port.value))
                })
            }
        }
        Health::Command { words, may } => {
            let command = probe.at(&["exec", "command"]);
            let known: Vec<String> = words.iter().map(|word| resolved(word, container)).collect();
            let said: Vec<&str> = command.items().map(|word| word.text()).collect();
            let needed: Vec<&str> = said.iter().copied().filter(|word| !may.contains(word)).collect();
            let same = needed.iter().copied().eq(known.iter().map(String::as_str));
            (!same).then(|| command.finding(format!("{name} runs {said:?}, and the contract's command is {known:?}")))
        }
    }
}

/// A word with the value of the container's variable in place of `$NAME`.
fn resolved(word: &str, container: &Node<'_>) -> String {
    let Some((before, name)) = word.split_once('$') else { return word.to_owned() };
    let value = container.get("env").items().find(|variable| variable.get("name").text() == name);
    format!("{before}{}", value.map_or("", |variable| variable.get("value").text()))
}

/// The containers that run for ever, each with its pod.
fn containers<'a>(rendered: &'a Rendered) -> impl Iterator<Item = (Node<'a>, Node<'a>)> {
    let serving = rendered.objects.iter().filter(|object| runs_for_ever(object)).filter_map(pod);
    serving.flat_map(|pod| pod.at(&["spec", "containers"]).items().map(move |container| (pod.clone(), container)))
}
