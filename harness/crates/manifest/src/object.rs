//! Rendered objects, and a walk through one that knows where it is.

use std::rc::Rc;

use serde_json::Value;

use crate::finding::{Finding, Place, Subject};
use crate::path::{Path, PathStep};
use crate::yaml;

/// Rule: every document of a render is one object, and no key stands twice.
pub const WELL_FORMED: &str = "well-formed";

/// What one values file renders to.
#[derive(Debug, Clone, Default)]
pub struct Rendered {
    /// Whether it is stage dev's.
    pub dev: bool,
    /// Whether it is stage live's.
    pub live: bool,
    /// The namespace it was rendered for.
    pub namespace: String,
    /// The release it was rendered for.
    pub release: String,
    /// The objects.
    pub objects: Vec<Object>,
    /// Documents that are no objects.
    pub broken: Vec<Finding>,
}

/// One rendered object.
#[derive(Debug, Clone)]
pub struct Object {
    /// The object itself.
    pub value: Value,
    /// Its template, as Helm names it: `app/charts/backend/templates/api.yaml`; empty if it names none.
    pub template: String,
}

/// A part of an object, which may be absent.
#[derive(Debug, Clone)]
pub struct Node<'a> {
    object: &'a Object,
    /// Null where it is absent.
    pub value: &'a Value,
    trail: Option<Rc<Trail<'a>>>,
}

/// How a walk came to a node, from its end: a path is made of it where something is wrong alone, since rules take many
/// steps and find little.
#[derive(Debug)]
struct Trail<'a> {
    before: Option<Rc<Trail<'a>>>,
    last: Footstep<'a>,
}

#[derive(Debug)]
enum Footstep<'a> {
    Key(&'a str),
    Item(usize, &'a Value),
}

impl Rendered {
    /// The same release, of which nothing is rendered.
    pub fn without_objects(&self) -> Self {
        let (namespace, release) = (self.namespace.clone(), self.release.clone());
        Self { dev: self.dev, live: self.live, namespace, release, ..Self::default() }
    }

    /// Reads what `helm template` printed.
    pub fn parse(text: &str, (namespace, release): (&str, &str), dev: bool) -> Self {
        let (namespace, release) = (namespace.to_owned(), release.to_owned());
        let mut rendered = Self { dev, namespace, release, ..Self::default() };
        for document in documents(text) {
            let template = document.lines().find_map(|line| line.strip_prefix("# Source: ")).unwrap_or_default();
            match yaml::value(&document) {
                Ok(Value::Null) => {}
                Ok(value) => rendered.objects.push(Object { value, template: template.to_owned() }),
                Err(problem) => {
                    let place = Place { file: template.to_owned(), line: None };
                    rendered.broken.push(Finding::at(WELL_FORMED, place, problem.to_string()));
                }
            }
        }
        rendered
    }
}

/// The YAML documents of a text.
fn documents(text: &str) -> Vec<String> {
    let mut all = vec![String::new()];
    for line in text.lines() {
        match all.last_mut() {
            Some(last) if line.trim_end() != "---" => last.extend([line, "\n"]),
            _ => all.push(String::new()),
        }
    }
    all
}

impl Object {
    /// The whole object, to walk through.
    pub fn root(&self) -> Node<'_> {
        Node { object: self, value: &self.value, trail: None }
    }

    /// Its kind, or the empty string.
    pub fn kind(&self) -> &str {
        self.value["kind"].as_str().unwrap_or_default()
    }

    /// Its name, or the empty string.
    pub fn name(&self) -> &str {
        self.value["metadata"]["name"].as_str().unwrap_or_default()
    }

    /// Something wrong at a path, which is shortened to what is there. The rule is named by who runs it.
    pub fn finding(&self, path: &Path, message: impl Into<String>) -> Finding {
        let mut value = &self.value;
        let mut present = Path::default();
        for step in &path.0 {
            let next = match step {
                PathStep::Key(key) => value.get(key),
                PathStep::Item(index, _) => value.get(index),
            };
            let Some(next) = next else { break };
            value = next;
            present = match step {
                PathStep::Key(key) => present.key(key),
                PathStep::Item(index, _) => present.item(*index, value["name"].as_str()),
            };
        }
        Finding {
            rule: "",
            message: message.into(),
            subject: Some(Subject { kind: self.kind().to_owned(), name: self.name().to_owned() }),
            path: present,
            values: Vec::new(),
            place: Some(Place { file: self.template.clone(), line: None }),
        }
    }
}

impl<'a> Node<'a> {
    fn step(&self, value: &'a Value, last: Footstep<'a>) -> Self {
        Self { object: self.object, value, trail: Some(Rc::new(Trail { before: self.trail.clone(), last })) }
    }

    /// The part under a key.
    #[must_use]
    pub fn get(&self, key: &'a str) -> Self {
        self.step(&self.value[key], Footstep::Key(key))
    }

    /// The part under several keys.
    #[must_use]
    pub fn at(&self, keys: &[&'a str]) -> Self {
        keys.iter().fold(self.clone(), |node, key| node.get(key))
    }

    /// The items of a list; none where it is absent.
    pub fn items(&self) -> impl Iterator<Item = Self> + use<'a> {
        let node = self.clone();
        let list = self.value.as_array().map(Vec::as_slice).unwrap_or_default();
        list.iter().enumerate().map(move |(at, value)| node.step(value, Footstep::Item(at, value)))
    }

    /// Keys and values of a map; none where it is absent.
    pub fn entries(&self) -> impl Iterator<Item = (&'a str, Self)> + use<'a> {
        let node = self.clone();
        let keys = self.value.as_object().into_iter().flat_map(|map| map.keys());
        keys.map(move |key| (key.as_str(), node.get(key)))
    }

    /// The text, or the empty string.
    pub fn text(&self) -> &'a str {
        self.value.as_str().unwrap_or_default()
    }

    /// Whether it is there.
    pub fn is_set(&self) -> bool {
        !self.value.is_null()
    }

    /// Where it is, or would be.
    pub fn path(&self) -> Path {
        let steps = std::iter::successors(self.trail.as_deref(), |trail| trail.before.as_deref());
        let mut steps: Vec<PathStep> = steps
            .map(|trail| match trail.last {
                Footstep::Key(key) => PathStep::Key(key.to_owned()),
                Footstep::Item(at, value) => PathStep::Item(at, value["name"].as_str().map(str::to_owned)),
            })
            .collect();
        steps.reverse();
        Path(steps)
    }

    /// Something wrong here.
    pub fn finding(&self, message: impl Into<String>) -> Finding {
        self.object.finding(&self.path(), message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_keep_their_template_and_a_key_that_stands_twice_is_found() {
        let text = "---\n# Source: app/templates/a.yaml\nkind: A\n---\n# Source: app/templates/b.yaml\n# nothing\n\
                    ---\n# Source: app/templates/c.yaml\nkind: C\nkind: D\n";
        let rendered = Rendered::parse(text, ("shop", "shop"), false);
        assert_eq!(rendered.objects.len(), 1);
        assert_eq!((rendered.objects[0].kind(), rendered.objects[0].template.as_str()), ("A", "app/templates/a.yaml"));
        let broken = rendered.broken.iter().map(ToString::to_string).collect::<String>();
        assert!(broken.contains("app/templates/c.yaml: well-formed: the key \"kind\" stands twice"), "{broken}");
    }

    #[test]
    fn a_path_ends_where_the_object_does_and_names_list_items() {
        let value = serde_json::json!({"spec": {"containers": [{"name": "api"}]}, "a.b/c": 1});
        let object = Object { value, template: String::new() };
        let container = object.root().at(&["spec", "containers"]).items().next().unwrap();
        assert_eq!(container.get("readinessProbe").finding("").path.to_string(), "spec.containers[0]");
        assert_eq!(container.path().0[2], PathStep::Item(0, Some("api".into())));
        assert_eq!(object.root().get("a.b/c").path().to_string(), "[\"a.b/c\"]");
    }
}
