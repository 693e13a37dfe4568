//! Where in an object something is.

use std::fmt;

use serde_json::Value;

/// Where in an object: keys, and places in lists.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Path(pub Vec<PathStep>);

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum PathStep {
    /// A key of a map.
    Key(String),
    /// A place in a list, from 0, and the `name` of what is there.
    Item(usize, Option<String>),
}

impl Path {
    /// One key further.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        self.with(PathStep::Key(key.to_owned()))
    }

    /// One place in a list further.
    #[must_use]
    pub fn item(&self, index: usize, name: Option<&str>) -> Self {
        self.with(PathStep::Item(index, name.map(str::to_owned)))
    }

    /// Whether it is the object itself.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The path with every place in a list as `[]`: the same for all items.
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

    /// The key that the last step is, or that the list is under whose item it is.
    pub fn last_key(&self) -> Option<&str> {
        self.0.iter().rev().find_map(|step| match step {
            PathStep::Key(key) => Some(key.as_str()),
            PathStep::Item(..) => None,
        })
    }

    /// What is there in an object.
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

    /// Takes what is there out of an object.
    pub fn remove_from(&self, object: &mut Value) {
        let Some((last, steps)) = self.0.split_last() else { return };
        match (Self::find_mut(steps, object), last) {
            (Some(Value::Object(map)), PathStep::Key(key)) => drop(map.remove(key)),
            (Some(Value::Array(list)), PathStep::Item(at, _)) if *at < list.len() => drop(list.remove(*at)),
            _ => {}
        }
    }

    /// Puts a value there, into a map or in the place of what is in a list.
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
