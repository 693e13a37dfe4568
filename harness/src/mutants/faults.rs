//! The catalogue of faults, written by hand: edits of the checkout that could be merged, and the scenarios that must catch each.

use std::collections::BTreeSet;
use std::path::{Component, Path};

use serde::Deserialize;

use crate::error::{Error, Result};
use crate::files::replaced_once;

/// The file, in the checkout.
pub const FILE: &str = "e2e/mutants/faults.yaml";

/// One fault, as the file has it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// The fault's name, unique in the file.
    pub name: String,
    /// Its effect: who suffers what.
    pub suffers: String,
    /// The edits of the checkout's files; at least one.
    pub edits: Vec<FaultEdit>,
    /// The names of the scenarios that must turn red, each by its own assertion; at least one.
    pub caught_by: Vec<String>,
}

/// One edit of a file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultEdit {
    /// The file's path in the checkout.
    pub file: String,
    /// The text to replace, which the file holds exactly once; empty: the file does not exist yet.
    pub from: String,
    /// The text that replaces it, or the new file's text.
    pub to: String,
}

/// Scenarios that no fault is planted for, and why.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unplanted {
    /// A scenario's name, or the common prefix of several.
    pub scenarios: String,
    /// The reason.
    pub because: String,
}

/// All faults, and the scenarios without one.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    /// The faults, in the order of the file.
    pub faults: Vec<Fault>,
    /// The scenarios without one.
    pub unplanted: Vec<Unplanted>,
}

impl Catalogue {
    /// Reads the file, and checks that each edit fits the checkout.
    ///
    /// # Errors
    /// [`harness_base::Error::Io`] when there is none; [`harness_base::Error::Malformed`] when it does not parse;
    /// [`harness_base::Error::Refused`] when an edit leaves the checkout or does not fit it, a name stands twice, or a fault has
    /// no edit or no scenario.
    pub fn read(root: &Path) -> Result<Self> {
        let path = root.join(FILE);
        let text = std::fs::read_to_string(&path).map_err(Error::io(format!("read {}", path.display())))?;
        let catalogue = Self::parse(&text)?;
        for fault in &catalogue.faults {
            for edit in &fault.edits {
                edit.apply(root)?;
            }
        }
        Ok(catalogue)
    }

    fn parse(text: &str) -> Result<Self> {
        let mut documents = serde_yaml::Deserializer::from_str(text);
        let malformed = || Error::malformed(format!("read {FILE}"));
        let faults = documents.next().map(Vec::<Fault>::deserialize).transpose().map_err(malformed())?;
        let unplanted = documents.next().map(Vec::<Unplanted>::deserialize).transpose().map_err(malformed())?;
        let (faults, unplanted) = (faults.unwrap_or_default(), unplanted.unwrap_or_default());
        let mut names = BTreeSet::new();
        for fault in &faults {
            if !names.insert(&fault.name) || fault.edits.is_empty() || fault.caught_by.is_empty() {
                return Err(Error::refused(
                    format!("{FILE}: {} stands twice, or has no edit, or no scenario", fault.name),
                    "correct it there",
                ));
            }
        }
        Ok(Self { faults, unplanted })
    }

    /// The gaps of the catalogue for a list of scenarios: scenarios without a fault or a reason, and names that no scenario has.
    pub fn gaps(&self, scenarios: &[String]) -> Vec<String> {
        let named: BTreeSet<&str> = self.faults.iter().flat_map(|fault| &fault.caught_by).map(String::as_str).collect();
        let left_out = |name: &str| self.unplanted.iter().any(|one| name.starts_with(&one.scenarios));
        let idle = scenarios.iter().filter(|name| !named.contains(name.as_str()) && !left_out(name));
        let idle = idle.map(|name| format!("no fault is planted for {name}"));
        let unknown = named.iter().filter(|name| !scenarios.iter().any(|known| known == *name));
        let unknown = unknown.map(|name| format!("there is no scenario {name}"));
        let stale = self.unplanted.iter().filter(|one| !scenarios.iter().any(|name| name.starts_with(&one.scenarios)));
        idle.chain(unknown).chain(stale.map(|one| format!("there is no scenario {}…", one.scenarios))).collect()
    }
}

impl FaultEdit {
    /// The file's text with the edit, in a checkout; writes nothing.
    ///
    /// # Errors
    /// [`harness_base::Error::Refused`] when the file is outside, or what the edit replaces does not stand there exactly once.
    pub fn apply(&self, root: &Path) -> Result<String> {
        let refused = |what: &str| Error::refused(format!("{FILE}: {}: {what}", self.file), "correct the edit there");
        if !Path::new(&self.file).components().all(|part| matches!(part, Component::Normal(_))) {
            return Err(refused("it is no file of the checkout"));
        }
        let path = root.join(&self.file);
        if self.from.is_empty() {
            return if path.exists() { Err(refused("it is there already")) } else { Ok(self.to.clone()) };
        }
        let text = std::fs::read_to_string(&path).map_err(Error::io(format!("read {}", path.display())))?;
        replaced_once(&text, &self.from, &self.to)
            .map_err(|count| refused(&format!("{count} places have {:?}, not one", self.from)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "- name: a\n  suffers: all\n  edits: [{file: x.txt, from: one, to: two}]\n  caught_by: [m::seen]\n\
                        ---\n- scenarios: \"m::left\"\n  because: it is\n";

    /// Each edit fits the file as it is now; else none of the faults is tried.
    #[test]
    fn the_catalogue_fits_this_checkout() {
        let catalogue = Catalogue::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("..")).unwrap();
        assert!(!catalogue.faults.is_empty());
    }

    #[test]
    fn a_catalogue_says_what_it_leaves_open() {
        let catalogue = Catalogue::parse(TEXT).unwrap();
        let scenarios = ["m::seen", "m::left::a", "m::idle"].map(str::to_owned);
        assert_eq!(catalogue.gaps(&scenarios), ["no fault is planted for m::idle"]);
        assert_eq!(catalogue.gaps(&[]), ["there is no scenario m::seen", "there is no scenario m::left…"]);
    }

    #[test]
    fn an_edit_replaces_what_stands_there_once() {
        let folder = tempfile::tempdir().unwrap();
        let edit = |file: &str, from: &str| FaultEdit { file: file.into(), from: from.into(), to: "two".into() };
        std::fs::write(folder.path().join("x"), "one\nthree three\n").unwrap();
        assert_eq!(edit("x", "one").apply(folder.path()).unwrap(), "two\nthree three\n");
        assert_eq!(edit("new", "").apply(folder.path()).unwrap(), "two");
        for (file, from) in [("x", "three"), ("x", "four"), ("x", ""), ("../x", "one"), ("/x", "one")] {
            assert!(edit(file, from).apply(folder.path()).is_err(), "{file} {from}");
        }
    }
}
