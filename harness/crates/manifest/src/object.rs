//! Rendered objects, and walks through them that keep their path.

use std::rc::Rc;

use serde_json::Value;

use crate::finding::{Finding, Place, Subject};
use crate::path::{Path, PathStep};
use crate::yaml;

/// Rule: every document of a render is one object, without a repeated key.
pub const WELL_FORMED: &str = "well-formed";

/// The render of one values file.
#[derive(Debug, Clone, Default)]
pub struct Rendered {
    /// Whether the values file is stage dev's.
    pub dev: bool,
    /// Whether the values file is stage live's.
    pub live: bool,
    /// The namespace of the render.
    pub namespace: String,
    /// The release of the render.
    pub release: String,
    /// The rendered objects.
    pub objects: Vec<Object>,
    /// The findings about documents that are no objects.
    pub broken: Vec<Finding>,
}

/// A rendered object.
#[derive(Debug, Clone)]
pub struct Object {
    /// The object as JSON.
    pub value: Value,
    /// The template's path, as Helm names it: `app/charts/backend/templates/api.yaml`; empty if Helm names none.
    pub template: String,
}

/// A part of an object, and the path to it; the part may be absent.
#[derive(Debug, Clone)]
pub struct Node<'a> {
    object: &'a Object,
    /// The part's value; null where it is absent.
    pub value: &'a Value,
    trail: Option<Rc<PathTrail<'a>>>,
}

/// The steps to a node, last one first. They become a path for a finding alone, since rules take many steps and find little.
#[derive(Debug)]
struct PathTrail<'a> {
    before: Option<Rc<PathTrail<'a>>>,
    last: Footstep<'a>,
}

#[derive(Debug)]
enum Footstep<'a> {
    Key(&'a str),
    Item(usize, &'a Value),
}

impl Rendered {
    /// The same render without objects.
    pub fn without_objects(&self) -> Self {
        let (namespace, release) = (self.namespace.clone(), self.release.clone());
        Self { dev: self.dev, live: self.live, namespace, release, ..Self::default() }
    }

    /// Parses the output of `helm template`; a document that is no YAML becomes a finding.
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

/// The YAML documents of a text, split at `---`.
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
    /// The whole object as a node, to walk through.
    pub fn root(&self) -> Node<'_> {
        Node { object: self, value: &self.value, trail: None }
    }

    /// The object's kind; empty when absent.
    pub fn kind(&self) -> &str {
        self.value["kind"].as_str().unwrap_or_default()
    }

    /// The object's name; empty when absent.
    pub fn name(&self) -> &str {
        self.value["metadata"]["name"].as_str().unwrap_or_default()
    }

    /// A finding at a path, which is shortened to what exists. Its rule is empty: the caller names it.
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
        Self { object: self.object, value, trail: Some(Rc::new(PathTrail { before: self.trail.clone(), last })) }
    }

    /// The part under a key.
    #[must_use]
    pub fn get(&self, key: &'a str) -> Self {
        self.step(&self.value[key], Footstep::Key(key))
    }

    /// The part under several keys, one in the other.
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

    /// The keys and values of a map; none where it is absent.
    pub fn entries(&self) -> impl Iterator<Item = (&'a str, Self)> + use<'a> {
        let node = self.clone();
        let keys = self.value.as_object().into_iter().flat_map(|map| map.keys());
        keys.map(move |key| (key.as_str(), node.get(key)))
    }

    /// The part as text; empty when it is none.
    pub fn text(&self) -> &'a str {
        self.value.as_str().unwrap_or_default()
    }

    /// Whether the part exists and is not null.
    pub fn is_set(&self) -> bool {
        !self.value.is_null()
    }

    /// The part's path, also where it is absent.
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

    /// A finding about this part.
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
