//! Rendered objects, and a walk through one that knows where it is.

use std::fmt;

use serde_json::Value;

use super::finding::{Finding, Place, Subject};

/// Rule: every document of a render is one object, and no key stands twice.
pub const WELL_FORMED: &str = "well-formed";

/// What one values file renders to.
#[derive(Debug, Default)]
pub struct Rendered {
    /// Whether it is stage dev's.
    pub dev: bool,
    /// The namespace it was rendered for.
    pub namespace: String,
    /// The objects.
    pub objects: Vec<Object>,
    /// Documents that are no objects.
    pub broken: Vec<Finding>,
}

/// One rendered object.
#[derive(Debug)]
pub struct Object {
    /// The object itself.
    pub value: Value,
    /// Its template, as Helm names it: `app/charts/backend/templates/api.yaml`; empty if it names none.
    pub template: String,
}

/// Where in an object: keys, and places in lists.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Path(pub Vec<Step>);

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// A key of a map.
    Key(String),
    /// A place in a list, from 0, and the `name` of what is there.
    Item(usize, Option<String>),
}

/// A part of an object, which may be absent.
#[derive(Debug, Clone)]
pub struct Node<'a> {
    object: &'a Object,
    /// Null where it is absent.
    pub value: &'a Value,
    /// Where it is, or would be.
    pub path: Path,
}

impl Rendered {
    /// Reads what `helm template` printed.
    pub fn parse(text: &str, namespace: &str, dev: bool) -> Self {
        let mut rendered = Self { dev, namespace: namespace.to_owned(), ..Self::default() };
        for document in documents(text) {
            let template = document.lines().find_map(|line| line.strip_prefix("# Source: ")).unwrap_or_default();
            // By way of serde_yaml's own value, which refuses a key that stands twice.
            let value = serde_yaml::from_str::<serde_yaml::Value>(&document)
                .map_err(|error| error.to_string())
                .and_then(|value| serde_json::to_value(value).map_err(|error| error.to_string()));
            match value {
                Ok(Value::Null) => {}
                Ok(value) => rendered.objects.push(Object { value, template: template.to_owned() }),
                Err(message) => {
                    let place = Place { file: template.to_owned(), line: None };
                    rendered.broken.push(Finding::at(WELL_FORMED, place, message));
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
        Node { object: self, value: &self.value, path: Path::default() }
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
                Step::Key(key) => value.get(key),
                Step::Item(index, _) => value.get(index),
            };
            let Some(next) = next else { break };
            value = next;
            present = match step {
                Step::Key(key) => present.key(key),
                Step::Item(index, _) => present.item(*index, value["name"].as_str()),
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

impl Path {
    /// One key further.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        self.with(Step::Key(key.to_owned()))
    }

    /// One place in a list further.
    #[must_use]
    pub fn item(&self, index: usize, name: Option<&str>) -> Self {
        self.with(Step::Item(index, name.map(str::to_owned)))
    }

    /// Whether it is the object itself.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn with(&self, step: Step) -> Self {
        Self(self.0.iter().cloned().chain([step]).collect())
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.0.iter().enumerate() {
            match step {
                Step::Item(index, _) => write!(f, "[{index}]")?,
                Step::Key(key) if key.contains(['.', '/']) => write!(f, "[{key:?}]")?,
                Step::Key(key) => write!(f, "{}{key}", if at == 0 { "" } else { "." })?,
            }
        }
        Ok(())
    }
}

impl<'a> Node<'a> {
    /// The part under a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Self {
        Self { object: self.object, value: &self.value[key], path: self.path.key(key) }
    }

    /// The part under several keys.
    #[must_use]
    pub fn at(&self, keys: &[&str]) -> Self {
        keys.iter().fold(self.clone(), |node, key| node.get(key))
    }

    /// The items of a list; none where it is absent.
    pub fn items(&self) -> impl Iterator<Item = Self> + use<'a> {
        let (object, path) = (self.object, self.path.clone());
        let list = self.value.as_array().map(Vec::as_slice).unwrap_or_default();
        list.iter().enumerate().map(move |(index, value)| Self {
            object,
            value,
            path: path.item(index, value["name"].as_str()),
        })
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

    /// Something wrong here.
    pub fn finding(&self, message: impl Into<String>) -> Finding {
        self.object.finding(&self.path, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_keep_their_template_and_a_key_that_stands_twice_is_found() {
        let text = "---\n# Source: app/templates/a.yaml\nkind: A\n---\n# Source: app/templates/b.yaml\n# nothing\n\
                    ---\n# Source: app/templates/c.yaml\nkind: C\nkind: D\n";
        let rendered = Rendered::parse(text, "jetscale", false);
        assert_eq!(rendered.objects.len(), 1);
        assert_eq!((rendered.objects[0].kind(), rendered.objects[0].template.as_str()), ("A", "app/templates/a.yaml"));
        let broken = rendered.broken.iter().map(ToString::to_string).collect::<String>();
        assert!(broken.contains("app/templates/c.yaml: well-formed: duplicate entry"), "{broken}");
    }

    #[test]
    fn a_path_ends_where_the_object_does_and_names_list_items() {
        let value = serde_json::json!({"spec": {"containers": [{"name": "api"}]}, "a.b/c": 1});
        let object = Object { value, template: String::new() };
        let container = object.root().at(&["spec", "containers"]).items().next().unwrap();
        assert_eq!(container.get("readinessProbe").finding("").path.to_string(), "spec.containers[0]");
        assert_eq!(container.path.0[2], Step::Item(0, Some("api".into())));
        assert_eq!(object.root().get("a.b/c").path.to_string(), "[\"a.b/c\"]");
    }
}
