//! Equivalent mutants, whose effect could not be noticed: listed in a file, each with its reason.

use std::path::Path;

use harness_base::pattern::matches;
use serde::Deserialize;

use super::Operator;
use crate::error::{Error, Result};

/// The file, in the checkout.
pub const FILE: &str = "e2e/mutants/equivalent.yaml";

/// A group of mutants that are equivalent for one reason.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Equivalent {
    /// Kind, name and path, with `[]` for each item of a list: `Deployment * spec.replicas`; `*` stands for anything.
    pub path: String,
    /// The operator's name; empty: any.
    #[serde(default)]
    pub operator: String,
    /// The value of the leaf before the mutation; empty: any.
    #[serde(default)]
    pub value: String,
    /// The change, as the list of survivors writes it, with `*` for anything; empty: any.
    #[serde(default)]
    pub change: String,
    /// Why nobody could notice.
    pub because: String,
}

impl Equivalent {
    /// Whether this entry covers a mutant.
    pub fn holds(&self, place: &str, operator: Operator, value: &str, change: &str) -> bool {
        (self.operator.is_empty() || self.operator == operator.name())
            && (self.value.is_empty() || self.value == value)
            && (self.change.is_empty() || matches(&self.change, change))
            && matches(&self.path, place)
    }
}

/// Reads the file of equivalent mutants.
///
/// # Errors
/// [`harness_base::Error::Io`] when there is none; [`harness_base::Error::Malformed`] when it does not parse;
/// [`harness_base::Error::Refused`] when it names an unknown operator.
pub fn read(root: &Path) -> Result<Vec<Equivalent>> {
    let path = root.join(FILE);
    let text = std::fs::read_to_string(&path).map_err(Error::io(format!("read {}", path.display())))?;
    let list: Vec<Equivalent> = serde_yaml::from_str(&text).map_err(Error::malformed(format!("read {FILE}")))?;
    let named = |operator: &str| operator.is_empty() || Operator::ALL.iter().any(|one| one.name() == operator);
    match list.iter().find(|one| !named(&one.operator)) {
        None => Ok(list),
        Some(one) => Err(Error::refused(
            format!("{FILE} names the operator {:?}", one.operator),
            format!("name one of {}", Operator::ALL.map(Operator::name).join(", ")),
        )),
    }
}
