//! Mutants of rendered objects: every field removed, every field changed to another plausible value, and fields added that
//! widen access.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::other;
use crate::hash;
use crate::validate::{Path, PathStep, Rendered, nginx};

/// The mutation operator of a mutant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operator {
    /// A leaf is removed.
    LeafRemoved,
    /// A leaf is changed to another value of its type.
    LeafChanged,
    /// A map or a list is removed, with all below it.
    BranchRemoved,
    /// A field or a list's item is added.
    Added,
    /// A directive of nginx's configuration in a ConfigMap is removed.
    DirectiveRemoved,
    /// The last argument of a directive of nginx's configuration in a ConfigMap is changed.
    DirectiveChanged,
}

/// One change of one rendered object.
#[derive(Debug, Clone, PartialEq)]
pub struct Mutant {
    /// The object's index in the render.
    pub object: usize,
    /// The path in the object.
    pub path: Path,
    /// The mutation operator.
    pub operator: Operator,
    /// The change at that path.
    pub change: Mutation,
}

/// The change at a mutant's path.
#[derive(Debug, Clone, PartialEq)]
pub enum Mutation {
    /// Removes the value.
    Remove,
    /// Replaces the value by this one, or adds it.
    Set(Value),
    /// Appends this item to the list.
    Push(Value),
}

impl Operator {
    /// All of them, in the order of the table.
    pub const ALL: [Self; 6] = [
        Self::LeafRemoved,
        Self::LeafChanged,
        Self::BranchRemoved,
        Self::Added,
        Self::DirectiveRemoved,
        Self::DirectiveChanged,
    ];

    /// The operator's name in the table and in the file of equivalent mutants.
    pub fn name(self) -> &'static str {
        match self {
            Self::LeafRemoved => "leaf removed",
            Self::LeafChanged => "leaf changed",
            Self::BranchRemoved => "branch removed",
            Self::Added => "added",
            Self::DirectiveRemoved => "directive removed",
            Self::DirectiveChanged => "directive changed",
        }
    }
}

impl Mutant {
    /// The change in one line, for the list of survivors.
    pub fn told(&self, rendered: &Rendered) -> String {
        let before = self.path.find(&rendered.objects[self.object].value);
        match (&self.change, before) {
            (Mutation::Remove, _) => "removed".to_owned(),
            (Mutation::Set(Value::String(after)), Some(Value::String(before))) if before.contains('\n') => {
                changed_line(before, after)
            }
            (Mutation::Set(value), _) => format!("is {value}"),
            (Mutation::Push(value), _) => format!("has {value} too"),
        }
    }
}

/// The first line that two texts differ in.
fn changed_line(before: &str, after: &str) -> String {
    let line = before.lines().zip(after.lines()).find(|(before, after)| before != after);
    let (before, after) = line.unwrap_or((before, after));
    let (before, after) = (before.trim(), after.trim());
    if after.is_empty() { format!("without `{before}`") } else { format!("`{after}` for `{before}`") }
}

/// Added fields that widen access or take something away, each as: the end of the path that it is added below (`^`: the whole
/// path), the key in a map (a list gets it as an item), and the value.
const ADDED: &[(&str, &str, &str)] = &[
    // Peers of a NetworkPolicy: every namespace, this whole namespace, everybody.
    ("from", "", r#"{"namespaceSelector": {}}"#),
    ("from", "", r#"{"podSelector": {}}"#),
    ("from", "", r#"{"ipBlock": {"cidr": "0.0.0.0/0"}}"#),
    ("to", "", r#"{"namespaceSelector": {}}"#),
    ("to", "", r#"{"podSelector": {}}"#),
    ("to", "", r#"{"ipBlock": {"cidr": "0.0.0.0/0"}}"#),
    // A chart's version on pods: every release restarts everything.
    ("template.metadata.labels", "helm.sh/chart", r#""app-0.1.0""#),
    ("template.metadata.labels", "app.kubernetes.io/version", r#""0.1.0""#),
    ("^metadata", "namespace", r#""kube-system""#),
    ("^metadata", "annotations", r#"{"helm.sh/hook": "pre-install"}"#),
    ("template.spec", "hostNetwork", "true"),
    ("template.spec", "hostPID", "true"),
    ("containers[].securityContext", "privileged", "true"),
    ("containers[].securityContext.capabilities", "add", r#"["SYS_ADMIN"]"#),
    ("containers[]", "command", r#"["sleep", "3600"]"#),
    ("containers[].ports[]", "hostPort", "8080"),
];

/// All mutants of a render, in a stable order.
pub fn mutants(rendered: &Rendered) -> Vec<Mutant> {
    let mut places: BTreeMap<String, Vec<&Value>> = BTreeMap::new();
    for object in &rendered.objects {
        walk(&object.value, &Path::default(), &mut |value, path| {
            if is_leaf(value) {
                places.entry(path.pattern()).or_default().push(value);
            }
        });
    }
    let mut found = Vec::new();
    for (object, of) in rendered.objects.iter().enumerate() {
        walk(&of.value, &Path::default(), &mut |value, path| {
            let mut push = |path: &Path, operator, change| {
                found.push(Mutant { object, path: path.clone(), operator, change });
            };
            if !path.is_empty() {
                let removed = if is_leaf(value) { Operator::LeafRemoved } else { Operator::BranchRemoved };
                push(path, removed, Mutation::Remove);
            }
            if of.kind() == "ConfigMap" && path.0.len() == 2 && path.0[0] == PathStep::Key("data".to_owned()) {
                for (operator, text) in configurations(value.as_str().unwrap_or_default()) {
                    push(path, operator, Mutation::Set(text.into()));
                }
            } else {
                let others = places.get(&path.pattern()).map(Vec::as_slice).unwrap_or_default();
                for other in other::values(value, path, others) {
                    push(path, Operator::LeafChanged, Mutation::Set(other));
                }
            }
            let pattern = path.pattern();
            let is_here =
                |below: &str| below.strip_prefix('^').map_or(pattern.ends_with(below), |whole| pattern == whole);
            for (_, key, text) in ADDED.iter().filter(|(below, ..)| is_here(below)) {
                let Ok(more) = serde_json::from_str::<Value>(text) else { continue };
                match value {
                    Value::Array(_) => push(path, Operator::Added, Mutation::Push(more)),
                    Value::Object(_) => push(&path.key(key), Operator::Added, Mutation::Set(more)),
                    _ => {}
                }
            }
        });
    }
    found
}

fn is_leaf(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.is_empty(),
        Value::Object(entries) => entries.is_empty(),
        _ => true,
    }
}

/// Calls a function for a value and for each value below it.
fn walk<'a>(value: &'a Value, path: &Path, each: &mut impl FnMut(&'a Value, &Path)) {
    each(value, path);
    match value {
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                walk(item, &path.item(at, item["name"].as_str()), each);
            }
        }
        Value::Object(entries) => entries.iter().for_each(|(key, below)| walk(below, &path.key(key), each)),
        _ => {}
    }
}

/// The mutants of an nginx configuration: without each directive, and with another last argument of each.
fn configurations(text: &str) -> Vec<(Operator, String)> {
    let Ok(directives) = nginx::parse(text) else { return Vec::new() };
    let mut found = Vec::new();
    for directive in nginx::all(&directives) {
        let without = format!("{}{}", &text[..directive.span.start], &text[directive.span.end..]);
        found.push((Operator::DirectiveRemoved, without));
        let Some(last) = directive.args.last() else { continue };
        for other in other::values(&json!(last.text), &Path::default().key(&directive.name), &[]) {
            let other = other.as_str().unwrap_or_default();
            let changed = format!("{}{other}{}", &text[..last.span.start], &text[last.span.end..]);
            found.push((Operator::DirectiveChanged, changed));
        }
    }
    found
}

/// Applies a mutant to a render as if a template had changed: annotations with a configuration's hash change with it. Returns
/// the indices of the changed objects.
pub fn apply(rendered: &mut Rendered, mutant: &Mutant) -> Vec<usize> {
    let object = &mut rendered.objects[mutant.object].value;
    let before = mutant.path.find(object).cloned();
    match &mutant.change {
        Mutation::Remove => mutant.path.remove_from(object),
        Mutation::Set(value) => mutant.path.set_in(object, value.clone()),
        Mutation::Push(value) => {
            let mut list = before.clone().unwrap_or_default();
            list.as_array_mut().into_iter().for_each(|items| items.push(value.clone()));
            mutant.path.set_in(object, list);
        }
    }
    let mut changed = vec![mutant.object];
    let (Some(Value::String(before)), Mutation::Set(Value::String(after))) = (before, &mutant.change) else {
        return changed;
    };
    let (before, after) = (hash::text(&before), hash::text(after));
    for (at, object) in rendered.objects.iter_mut().enumerate() {
        let annotations = object.value.pointer_mut("/spec/template/metadata/annotations");
        for value in annotations.and_then(Value::as_object_mut).into_iter().flat_map(|map| map.values_mut()) {
            if *value == before.as_str() {
                *value = after.clone().into();
                changed.push(at);
            }
        }
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::validate::Object;

    fn render(value: Value) -> Rendered {
        Rendered { objects: vec![Object { value, template: String::new() }], ..Rendered::default() }
    }

    #[test]
    fn every_field_is_removed_and_changed() {
        let rendered = render(json!({"kind": "A", "spec": {"replicas": 2, "list": [{"on": true}]}}));
        let told = |mutant: &Mutant| format!("{}: {}, {}", mutant.path, mutant.operator.name(), mutant.told(&rendered));
        let all: Vec<_> = mutants(&rendered).iter().map(told).collect();
        insta::assert_snapshot!(all.join("\n"), @r#"
        kind: leaf removed, removed
        kind: leaf changed, is "AA"
        spec: branch removed, removed
        spec.list: branch removed, removed
        spec.list[0]: branch removed, removed
        spec.list[0].on: leaf removed, removed
        spec.list[0].on: leaf changed, is false
        spec.replicas: leaf removed, removed
        spec.replicas: leaf changed, is 20
        spec.replicas: leaf changed, is 0
        "#);
        for mutant in mutants(&rendered) {
            let mut mutated = rendered.clone();
            apply(&mut mutated, &mutant);
            assert_ne!(mutated.objects[0].value, rendered.objects[0].value, "{mutant:?}");
        }
    }

    #[test]
    fn a_changed_configuration_rolls_its_pods_as_the_chart_does() {
        let mut rendered = render(json!({"kind": "ConfigMap", "data": {"nginx.conf": "a on;\n"}}));
        let value = json!({"spec": {"template": {"metadata": {"annotations": {"conf": hash::text("a on;\n")}}}}});
        rendered.objects.push(Object { value, template: String::new() });
        let removed =
            mutants(&rendered).into_iter().find(|mutant| mutant.operator == Operator::DirectiveRemoved).unwrap();
        let mut mutated = rendered.clone();
        assert_eq!(apply(&mut mutated, &removed), [0, 1]);
        assert_eq!(mutated.objects[0].value["data"]["nginx.conf"], "\n");
        let annotation = &mutated.objects[1].value["spec"]["template"]["metadata"]["annotations"]["conf"];
        assert_eq!(*annotation, json!(hash::text("\n")));
    }
}
