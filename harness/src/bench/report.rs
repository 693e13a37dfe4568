//! What a benchmark found, as it is kept.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::machine::Machine;
use crate::error::Result;
use crate::files::{private_folder, write_json};
use crate::settings::Settings;

/// What the values of a figure are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// Seconds, to the tenth.
    Seconds,
    /// Milliseconds, to the tenth.
    Milliseconds,
    /// MiB, whole.
    Mebibytes,
}

impl Unit {
    /// Its symbol.
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Seconds => "s",
            Self::Milliseconds => "ms",
            Self::Mebibytes => "MiB",
        }
    }

    /// A value, as it is printed.
    pub fn shown(self, value: f64) -> String {
        match self {
            Self::Seconds if value < 10.0 => format!("{value:.2}"),
            Self::Seconds | Self::Milliseconds => format!("{value:.1}"),
            Self::Mebibytes => format!("{value:.0}"),
        }
    }
}

/// What one contender took, round by round.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The contender, and what of it was measured where that is more than one thing.
    pub name: String,
    /// What it ran, and how it was set up.
    pub about: String,
    /// What is measured.
    pub unit: Unit,
    /// In the order of the rounds.
    pub values: Vec<f64>,
    /// How many of its answers came from what ran before the edit; `None` where nobody looked.
    pub old_answers: Option<usize>,
    /// How many of its turns failed after the round that is not counted, and are no values; of ours none may.
    #[serde(default)]
    pub failed: usize,
}

/// What a benchmark found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BenchReport {
    /// The figure's name.
    pub figure: String,
    /// From what to what it is measured.
    pub title: String,
    /// The values of ratio 1: the first row of each unit.
    pub rows: Vec<Row>,
    /// What a reader has to know besides.
    pub notes: Vec<String>,
    /// When, as HTTP writes a time.
    pub at: String,
    /// The commit, `-dirty` when the working tree had changes.
    pub commit: String,
    /// Where.
    pub machine: Machine,
    /// The version of each tool that took part.
    pub versions: BTreeMap<String, String>,
}

impl BenchReport {
    /// The file that it is kept in.
    pub fn path(&self, settings: &Settings) -> PathBuf {
        folder(settings).join(format!("{}.json", self.figure))
    }

    /// Keeps it, in the place of the one before.
    pub(super) fn keep(&self, settings: &Settings) -> Result<()> {
        private_folder(&folder(settings))?;
        Ok(write_json(&self.path(settings), self)?)
    }
}

fn folder(settings: &Settings) -> PathBuf {
    settings.state_root.join("bench")
}
