//! Compares the charts with the stack's spec: a workload that was renamed in one of the two is a finding with the spec's
//! line, before anything is deployed.

use std::path::Path;

use harness_base::hash;
use harness_base::{Error, Result};
use harness_settings::spec::{AuthSpec, Component, ImageValues, StackSpec, ValuesFile};
use serde_json::Value;

use crate::ArtifactSet;
use crate::finding::{Finding, Place};
use crate::object::{Object, Rendered};

/// Rule: the charts bear out what the spec says of them.
pub const SPEC: &str = "spec";

/// The source texts of a spec, by their path in the checkout.
#[derive(Debug, Default)]
pub struct SpecText(Vec<(String, String)>);

impl SpecText {
    /// Reads the Rust files of the folder of [`StackSpec::source`]; none where that folder is not in this checkout.
    ///
    /// # Errors
    /// [`harness_base::Error::Io`] when a file cannot be read.
    pub fn read(checkout: &Path, source: &str) -> Result<Self> {
        let folder = Path::new(source).parent().filter(|_| !source.is_empty()).map(|folder| checkout.join(folder));
        let Some(folder) = folder.filter(|folder| folder.is_dir()) else { return Ok(Self::default()) };
        let mut texts = Vec::new();
        for path in hash::files(&folder)? {
            if path.extension().is_some_and(|ending| ending == "rs") {
                let text = std::fs::read_to_string(&path).map_err(Error::io(format!("read {}", path.display())))?;
                texts.push((path.strip_prefix(checkout).unwrap_or(&path).to_string_lossy().into_owned(), text));
            }
        }
        // The spec's own file is searched first.
        texts.sort_by_key(|(file, _)| file != source);
        Ok(Self(texts))
    }

    /// The line on which a field has this value, a text or a number, else a line with the value, else the first file.
    fn place(&self, field: &str, value: &str) -> Option<Place> {
        let is_number = !value.is_empty() && value.bytes().all(|digit| digit.is_ascii_digit());
        let value = if is_number { value.to_owned() } else { format!("\"{value}\"") };
        let holds =
            |line: &str| line.match_indices(&value).any(|(at, _)| !is_number || is_whole(line, at, value.len()));
        let line = |wanted: &dyn Fn(&str) -> bool| {
            self.0.iter().find_map(|(file, text)| {
                let line = text.lines().position(|line| !line.trim_start().starts_with("//") && wanted(line))?;
                Some(Place { file: file.clone(), line: Some(line + 1) })
            })
        };
        line(&|line| line.contains(field) && holds(line))
            .or_else(|| line(&holds))
            .or_else(|| self.0.first().map(|(file, _)| Place { file: file.clone(), line: None }))
    }

    /// A finding about a field of the spec, with the line of its value.
    pub fn finding(&self, (field, value): (&str, &str), message: String) -> Finding {
        let place = self.place(field, value);
        Finding { place, ..Finding::at(SPEC, Place { file: String::new(), line: None }, message) }
    }
}

/// Whether the number in a line stands alone: no digit, `_` or `.` touches it.
fn is_whole(line: &str, at: usize, length: usize) -> bool {
    let is_part = |sign: char| sign.is_ascii_digit() || sign == '_' || sign == '.';
    !line[..at].ends_with(is_part) && !line[at + length..].starts_with(is_part)
}

/// The findings where charts and spec differ. `renders` are the renders of all values files, with
/// [`ArtifactSet::placeholder`].
pub fn check(spec: &StackSpec, renders: &[(&'static ValuesFile, &Rendered)], text: &SpecText) -> Vec<Finding> {
    let Some((_, shared)) = renders.iter().find(|(file, _)| file.file == spec.values.shared.file) else {
        return Vec::new();
    };
    let everywhere = || renders.iter().map(|(_, rendered)| *rendered);
    let mut findings = Vec::new();
    for one in spec.components {
        findings.extend(component(spec, one, shared, text));
        findings.extend(everywhere().filter(|rendered| rendered.dev).find_map(|dev| node_port(one, dev, text)));
    }
    findings.extend(images(spec, shared, text));
    if let Some(of) = &spec.auth {
        findings.extend(auth(of, &everywhere().collect::<Vec<_>>(), text));
    }
    if let Some(pull) = spec.pull_secret.filter(|pull| !everywhere().any(|rendered| any(rendered, &pulls(pull)))) {
        findings.push(text.finding(("pull_secret", pull), format!("nothing pulls its images by the Secret {pull}")));
    }
    let mut policies = Rendered::default();
    let of_all = everywhere().flat_map(|rendered| &rendered.objects);
    policies.objects = of_all.filter(|object| object.kind() == "NetworkPolicy").cloned().collect();
    for (field, label, who) in
        [("client_label", spec.client_label, "a test's pods"), ("label", spec.edge.label, "the edge")]
    {
        if !policies.objects.is_empty() && !any(&policies, &|value| value.get(label).is_some() || value == label) {
            let what = format!("no NetworkPolicy lets {who} in by the label {label}");
            findings.push(text.finding((field, label), what));
        }
    }
    findings
}

fn pulls(secret: &str) -> impl Fn(&Value) -> bool {
    move |value| value["imagePullSecrets"].as_array().into_iter().flatten().any(|item| item["name"] == *secret)
}

/// The finding that the value for an isolated release's data (`OwnSpec::in_its_pod`) changes nothing.
pub fn in_its_pod(value: &'static str, text: &SpecText) -> Finding {
    text.finding(
        ("in_its_pod", value),
        format!("{value} changes nothing that is rendered: no value of the charts is called so"),
    )
}

/// The findings about one component: its workload, its pods' label, its Service and its image.
fn component(spec: &StackSpec, one: &Component, shared: &Rendered, text: &SpecText) -> Vec<Finding> {
    let name = format!("{}-{}", shared.release, one.suffix);
    let kind = if one.stateful { "StatefulSet" } else { "Deployment" };
    let about = |field: &str, value: &str, what: String| text.finding((field, value), what);
    let Some(workload) = named(shared, kind, &name) else {
        let others = shared.objects.iter().filter(|object| object.kind() == kind).map(Object::name);
        let others: Vec<_> = others.collect();
        let others = if others.is_empty() { "none".to_owned() } else { others.join(", ") };
        let what = format!("the charts render no {kind} {name}, which the spec names; their {kind}s: {others}");
        return vec![about("suffix", one.suffix, what)];
    };
    let mut findings = Vec::new();
    let template = &workload.value["spec"]["template"];
    let charts = &spec.charts;
    let labelled = |labels: &Value, label: &str| labels[label].as_str().map(str::to_owned);
    let has = labelled(&template["metadata"]["labels"], charts.component_label);
    if has.as_deref() != Some(one.label) {
        let has = has.unwrap_or_else(|| "none".to_owned());
        let what = format!("the pods of {name} have the label {} {has}, and not {}", charts.component_label, one.label);
        findings.push(about("label", one.label, what));
    }
    if labelled(&workload.value["metadata"]["labels"], charts.release_label).as_deref() != Some(&shared.release) {
        let what = format!("{kind} {name} does not have the release's name as its label {}", charts.release_label);
        findings.push(about("release_label", charts.release_label, what));
    }
    let containers = template["spec"]["containers"].as_array().map(Vec::as_slice).unwrap_or_default();
    let opened: Vec<u64> =
        containers.iter().flat_map(|container| numbers(&container["ports"], "containerPort")).collect();
    // A container need not declare the ports that it listens on.
    if !opened.is_empty() && !opened.contains(&u64::from(one.container_port)) {
        let what = format!("no container of {name} opens {}: {opened:?}", one.container_port);
        findings.push(about("container_port", &one.container_port.to_string(), what));
    }
    match named(shared, "Service", &name) {
        None => findings.push(about("suffix", one.suffix, format!("no Service is called {name}, as the workload is"))),
        Some(service) => {
            let ports = numbers(&service.value["spec"]["ports"], "port");
            if !ports.contains(&u64::from(one.service_port)) {
                let what = format!("the Service {name} has no port {}: {ports:?}", one.service_port);
                findings.push(about("service_port", &one.service_port.to_string(), what));
            }
        }
    }
    let digest = ArtifactSet::placeholder().get(one.artifact).ok().map(|artifact| artifact.tag.digest.clone());
    let runs: Vec<&str> = containers.iter().filter_map(|container| container["image"].as_str()).collect();
    match digest {
        None => {
            findings.push(about("artifact", one.artifact, format!("no image of the spec is called {}", one.artifact)))
        }
        Some(digest) if !runs.iter().any(|image| image.ends_with(&digest)) => {
            let what = format!("{name} does not run the image {} by its digest: {}", one.artifact, runs.join(", "));
            findings.push(about("artifact", one.artifact, what));
        }
        Some(_) => {}
    }
    findings
}

/// The finding about the node's port by which stage dev's host reaches a component.
fn node_port(one: &Component, dev: &Rendered, text: &SpecText) -> Option<Finding> {
    let port = one.dev_port?.node;
    let name = format!("{}-{}", dev.release, one.suffix);
    let service = named(dev, "Service", &name)?;
    let has = numbers(&service.value["spec"]["ports"], "nodePort");
    let what = || format!("in stage dev the Service {name} has no port {port} on its node: {has:?}");
    (!has.contains(&u64::from(port))).then(|| text.finding(("node", &port.to_string()), what()))
}

/// The findings about images that no container has: the charts use other values to name them.
fn images(spec: &StackSpec, shared: &Rendered, text: &SpecText) -> Vec<Finding> {
    let set = ArtifactSet::placeholder();
    let unset = set.builds.iter().filter(|artifact| {
        let digest = &artifact.tag.digest;
        !any(shared, &|value| value.as_str().is_some_and(|text| text.ends_with(digest)))
    });
    let values = match spec.charts.image {
        ImageValues::Split { repository, digest } => [repository, digest].join(" and "),
        ImageValues::Combined(path) => path.to_owned(),
    };
    let name = |image: &str| values.replace("{image}", image);
    unset
        .map(|artifact| {
            let image = &artifact.image_name;
            let what = format!("nothing is rendered with the image {image}: the charts do not use {}", name(image));
            text.finding(("name", image), what)
        })
        .collect()
}

/// The findings about the Secret beside a release: nothing uses it, or one of its keys. A use of the whole Secret uses each
/// key.
fn auth(of: &AuthSpec, renders: &[&Rendered], text: &SpecText) -> Vec<Finding> {
    let keys = of.random.iter().chain(of.fixed.iter().map(|(key, _)| key));
    let mut asked = Vec::new();
    for rendered in renders {
        let secret = format!("{}-{}", rendered.release, of.suffix);
        rendered.objects.iter().for_each(|object| asked_of(&object.value, &secret, &mut asked));
    }
    if asked.is_empty() {
        let what = format!("nothing is rendered that asks for the Secret RELEASE-{}", of.suffix);
        return vec![text.finding(("suffix", of.suffix), what)];
    }
    if asked.contains(&SecretUse::Whole) {
        return Vec::new();
    }
    let unknown = keys.filter(|key| !asked.contains(&SecretUse::Key((**key).to_owned())));
    unknown
        .map(|key| {
            let what = format!("nothing is rendered that asks for the key {key} of the Secret RELEASE-{}", of.suffix);
            text.finding(("random", key), what)
        })
        .collect()
}

/// A use of a Secret.
#[derive(Debug, PartialEq, Eq)]
enum SecretUse {
    Key(String),
    Whole,
}

/// Collects the uses of a Secret below a value: references to a key of it, or to the whole.
fn asked_of(value: &Value, secret: &str, asked: &mut Vec<SecretUse>) {
    match value {
        Value::Object(map) => {
            let named = ["name", "secretName"].iter().any(|key| map.get(*key).and_then(Value::as_str) == Some(secret));
            if named {
                let items = map.get("items").and_then(Value::as_array);
                let key = |of: &Value| of["key"].as_str().map(|key| SecretUse::Key(key.to_owned()));
                match (map.get("key"), items) {
                    (Some(_), _) => asked.extend(key(value)),
                    (None, Some(items)) => asked.extend(items.iter().filter_map(key)),
                    (None, None) => asked.push(SecretUse::Whole),
                }
            }
            map.values().for_each(|value| asked_of(value, secret, asked));
        }
        Value::Array(list) => list.iter().for_each(|value| asked_of(value, secret, asked)),
        _ => {}
    }
}

fn named<'a>(rendered: &'a Rendered, kind: &str, name: &str) -> Option<&'a Object> {
    rendered.objects.iter().find(|object| object.kind() == kind && object.name() == name)
}

fn numbers(list: &Value, key: &str) -> Vec<u64> {
    list.as_array().into_iter().flatten().filter_map(|item| item[key].as_u64()).collect()
}

/// Whether any value in a render fulfils a condition.
fn any(rendered: &Rendered, is: &dyn Fn(&Value) -> bool) -> bool {
    fn within(value: &Value, is: &dyn Fn(&Value) -> bool) -> bool {
        is(value)
            || match value {
                Value::Object(map) => map.values().any(|value| within(value, is)),
                Value::Array(list) => list.iter().any(|value| within(value, is)),
                _ => false,
            }
    }
    rendered.objects.iter().any(|object| within(&object.value, is))
}

#[cfg(test)]
mod tests;
