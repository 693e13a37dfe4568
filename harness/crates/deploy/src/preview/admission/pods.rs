//! Admission of a preview's pods: a list of fields that are known to be harmless, and checks of some values.

use harness_settings::spec::spec;
use serde_json::Value;

use super::{Limits, fields, texts};

/// The allowed fields of a pod, which affect nothing outside of it. Left out on purpose: the node's network, processes and name,
/// priority, another scheduler or runtime, tolerations, ephemeral containers.
const POD: [&str; 20] = [
    "activeDeadlineSeconds",
    "affinity",
    "automountServiceAccountToken",
    "containers",
    "dnsConfig",
    "dnsPolicy",
    "enableServiceLinks",
    "hostname",
    "imagePullSecrets",
    "initContainers",
    "restartPolicy",
    "securityContext",
    "serviceAccountName",
    "setHostnameAsFQDN",
    "shareProcessNamespace",
    "subdomain",
    "terminationGracePeriodSeconds",
    "topologySpreadConstraints",
    "volumes",
    "os",
];
/// The allowed fields of a container.
const CONTAINER: [&str; 22] = [
    "args",
    "command",
    "env",
    "envFrom",
    "image",
    "imagePullPolicy",
    "lifecycle",
    "livenessProbe",
    "name",
    "ports",
    "readinessProbe",
    "resizePolicy",
    "resources",
    "restartPolicy",
    "securityContext",
    "startupProbe",
    "stdin",
    "terminationMessagePath",
    "terminationMessagePolicy",
    "tty",
    "volumeMounts",
    "workingDir",
];
/// The allowed fields of a volume: kinds that lead nowhere outside the namespace.
const VOLUMES: [&str; 7] =
    ["configMap", "downwardAPI", "emptyDir", "name", "persistentVolumeClaim", "projected", "secret"];
/// The allowed sources of an environment variable's value.
const SOURCES: [&str; 4] = ["configMapKeyRef", "fieldRef", "resourceFieldRef", "secretKeyRef"];
/// The longest grace period, in seconds: the end of the namespace waits for it.
const GRACE: u64 = 60;
/// The allowed audience of a pod's token: AWS gives the preview's own role for it.
const AUDIENCE: &str = "sts.amazonaws.com";

/// The first problem of a pod's specification.
pub(super) fn problem(limits: &Limits, spec: &Value) -> Option<String> {
    fields("the pod's", spec, &POD)
        .or_else(|| {
            let mounts = &spec["automountServiceAccountToken"];
            (*mounts != Value::Bool(false)).then(|| "it mounts a token of the cluster's API".to_owned())
        })
        .or_else(|| long("it", &spec["terminationGracePeriodSeconds"]))
        .or_else(|| pulls(&spec["imagePullSecrets"]))
        .or_else(|| list(&spec["volumes"]).find_map(|volume| of_volume(limits, volume)))
        .or_else(|| {
            let all = list(&spec["initContainers"]).chain(list(&spec["containers"]));
            all.map(|container| (name(container), container))
                .find_map(|(name, container)| Some(format!("container {name}: {}", of_container(limits, container)?)))
        })
}

/// The problem of a pull Secret that is not the stack's.
pub(super) fn pulls(secrets: &Value) -> Option<String> {
    let other = list(secrets).find(|secret| secret["name"].as_str() != spec().pull_secret)?;
    Some(format!("it pulls images by the Secret {}, not by {}", other["name"], spec().pull_secret.unwrap_or("any")))
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn name(value: &Value) -> &str {
    value["name"].as_str().unwrap_or_default()
}

fn long(who: &str, seconds: &Value) -> Option<String> {
    let fits = seconds.is_null() || seconds.as_u64().is_some_and(|seconds| seconds <= GRACE);
    (!fits).then(|| format!("{who} may take {seconds} s to end, where {GRACE} are the most"))
}

fn secret(limits: &Limits, name: &Value) -> Option<String> {
    let known = name.as_str().is_some_and(|name| limits.secrets.iter().any(|one| one == name));
    (!known).then(|| format!("it reads the Secret {name}, which is none of {}", limits.secrets.join(", ")))
}

fn of_volume(limits: &Limits, volume: &Value) -> Option<String> {
    let of = |value: &Value, key: &str| (!value.is_null()).then(|| secret(limits, &value[key])).flatten();
    let projected = list(&volume["projected"]["sources"]).find_map(|source| {
        fields("a projected volume's", source, &["configMap", "downwardAPI", "secret", "serviceAccountToken"])
            .or_else(|| of(&source["secret"], "name"))
            .or_else(|| {
                let token = &source["serviceAccountToken"];
                let foreign = !token.is_null() && token["audience"].as_str() != Some(AUDIENCE);
                foreign.then(|| format!("it is for the audience {}, not {AUDIENCE}", token["audience"]))
            })
    });
    let why = fields("the volume's", volume, &VOLUMES).or_else(|| of(&volume["secret"], "secretName")).or(projected)?;
    Some(format!("volume {}: {why}", name(volume)))
}

fn of_container(limits: &Limits, container: &Value) -> Option<String> {
    let image = &container["image"];
    let foreign = !image.as_str().is_some_and(|image| limits.images.contains(image));
    fields("the container's", container, &CONTAINER)
        .or_else(|| foreign.then(|| format!("its image is {image}, none of the artifact set by its digest")))
        .or_else(|| list(&container["env"]).find_map(|variable| from(limits, variable)))
        .or_else(|| {
            list(&container["envFrom"]).find_map(|from| {
                fields("envFrom's", from, &["configMapRef", "prefix", "secretRef"]).or_else(|| {
                    let named = &from["secretRef"];
                    (!named.is_null()).then(|| secret(limits, &named["name"])).flatten()
                })
            })
        })
        .or_else(|| {
            let on_node =
                list(&container["ports"]).find(|port| !port["hostPort"].is_null() || !port["hostIP"].is_null())?;
            Some(format!("it takes the node's port {}", on_node["hostPort"]))
        })
        .or_else(|| {
            ["startupProbe", "livenessProbe", "readinessProbe"].iter().find_map(|kind| asks(kind, &container[*kind]))
        })
        .or_else(|| ["postStart", "preStop"].iter().find_map(|kind| asks(kind, &container["lifecycle"][*kind])))
}

fn from(limits: &Limits, variable: &Value) -> Option<String> {
    let from = &variable["valueFrom"];
    let named = &from["secretKeyRef"];
    let why = fields("valueFrom's", from, &SOURCES)
        .or_else(|| (!named.is_null()).then(|| secret(limits, &named["name"])).flatten())?;
    Some(format!("variable {}: {why}", name(variable)))
}

/// The problem of a probe or hook, which the kubelet runs from the node: it may reach only the pod itself.
fn asks(kind: &str, handler: &Value) -> Option<String> {
    let elsewhere = ["httpGet", "tcpSocket"].iter().map(|how| &handler[*how]["host"]).find(|host| !host.is_null());
    let proxied = list(&handler["httpGet"]["httpHeaders"]).find(|header| {
        texts(&header["name"]).eq_ignore_ascii_case("host") || texts(&header["name"]).starts_with("Proxy-")
    });
    elsewhere
        .map(|host| format!("its {kind} lets the node ask {host}"))
        .or_else(|| proxied.map(|header| format!("its {kind} sends the header {}", header["name"])))
        .or_else(|| long(&format!("its {kind}"), &handler["terminationGracePeriodSeconds"]))
}
