//! Paths in objects.

use std::fmt;

use serde_json::Value;

/// A path in an object: keys, and indices of lists.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Path(pub Vec<PathStep>);

/// A step of a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum PathStep {
    /// A key of a map.
    Key(String),
    /// An index of a list, from 0, and the `name` of the item there, if it has one.
    Item(usize, Option<String>),
}

impl Path {
    /// The path with one more key.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        self.with(PathStep::Key(key.to_owned()))
    }

    /// The path with one more list index.
    #[must_use]
    pub fn item(&self, index: usize, name: Option<&str>) -> Self {
        self.with(PathStep::Item(index, name.map(str::to_owned)))
    }

    /// Whether the path is that of the object itself.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The path as text with `[]` for every index, the same for all items of a list.
    pub fn pattern(&self) -> String {
        let anywhere = |step: &PathStep| match step {
            PathStep::Item(..) => "[]".to_owned(),
            PathStep::Key(_) => Self(vec![step.clone()]).to_string(),
        };
        let mut pattern = String::new();
        for step in self.0.iter().map(anywhere) {
            let dot = !pattern.is_empty() && !step.starts_with('[');
            pattern.extend([if dot { "." } else { "" }, &step]);
        }
        pattern
    }

    /// The last key of the path; list indices after it are skipped.
    pub fn last_key(&self) -> Option<&str> {
        self.0.iter().rev().find_map(|step| match step {
            PathStep::Key(key) => Some(key.as_str()),
            PathStep::Item(..) => None,
        })
    }

    /// The value at this path in an object; `None` when absent.
    pub fn find<'a>(&self, object: &'a Value) -> Option<&'a Value> {
        self.0.iter().try_fold(object, |value, step| match step {
            PathStep::Key(key) => value.get(key),
            PathStep::Item(at, _) => value.get(at),
        })
    }

    fn find_mut<'a>(steps: &[PathStep], object: &'a mut Value) -> Option<&'a mut Value> {
        steps.iter().try_fold(object, |value, step| match step {
            PathStep::Key(key) => value.get_mut(key),
            PathStep::Item(at, _) => value.get_mut(at),
        })
    }

    /// Removes the value at this path from an object, if it exists.
    pub fn remove_from(&self, object: &mut Value) {
        let Some((last, steps)) = self.0.split_last() else { return };
        match (Self::find_mut(steps, object), last) {
            (Some(Value::Object(map)), PathStep::Key(key)) => drop(map.remove(key)),
            (Some(Value::Array(list)), PathStep::Item(at, _)) if *at < list.len() => drop(list.remove(*at)),
            _ => {}
        }
    }

    /// Sets the value at this path: under a key, or in place of a list's item. A path whose parent is absent changes nothing.
    pub fn set_in(&self, object: &mut Value, value: Value) {
        let Some((last, steps)) = self.0.split_last() else { return };
        match (Self::find_mut(steps, object), last) {
            (Some(Value::Object(map)), PathStep::Key(key)) => drop(map.insert(key.clone(), value)),
            (Some(Value::Array(list)), PathStep::Item(at, _)) if *at < list.len() => list[*at] = value,
            _ => {}
        }
    }

    fn with(&self, step: PathStep) -> Self {
        Self(self.0.iter().cloned().chain([step]).collect())
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.0.iter().enumerate() {
            match step {
                PathStep::Item(index, _) => write!(f, "[{index}]")?,
                PathStep::Key(key) if key.contains(['.', '/']) => write!(f, "[{key:?}]")?,
                PathStep::Key(key) => write!(f, "{}{key}", if at == 0 { "" } else { "." })?,
            }
        }
        Ok(())
    }
}
