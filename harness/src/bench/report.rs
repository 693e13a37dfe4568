//! The report of a benchmark, as it is kept in the state folder.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::machine::Machine;
use crate::error::Result;
use crate::files::{private_folder, write_json};
use crate::settings::Settings;

/// The unit of a row's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// Seconds, shown to the tenth; below 10 s to the hundredth.
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

    /// A value as text, without the symbol.
    pub fn shown(self, value: f64) -> String {
        match self {
            Self::Seconds if value < 10.0 => format!("{value:.2}"),
            Self::Seconds | Self::Milliseconds => format!("{value:.1}"),
            Self::Mebibytes => format!("{value:.0}"),
        }
    }
}

/// The values of one contender's measure, round by round.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The contender's name; with several measures, `<contender>: <measure>`.
    pub name: String,
    /// What the contender ran, and its setup.
    pub about: String,
    /// The unit of the values.
    pub unit: Unit,
    /// The measured values, in the order of the rounds.
    pub values: Vec<f64>,
    /// How many answers were still from before the edit; `None` where that was not checked.
    pub old_answers: Option<usize>,
    /// How many counted turns failed, and gave no value; always 0 for the harness itself.
    #[serde(default)]
    pub failed: usize,
}

/// The report of one figure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BenchReport {
    /// The figure's name.
    pub figure: String,
    /// From what to what it is measured.
    pub title: String,
    /// The rows; the first of each measure and unit has the ratio 1.
    pub rows: Vec<Row>,
    /// Further notes for the reader.
    pub notes: Vec<String>,
    /// The time of the report, as an HTTP date (RFC 9110).
    pub at: String,
    /// The commit, `-dirty` when the working tree had changes.
    pub commit: String,
    /// The machine that it was measured on.
    pub machine: Machine,
    /// The version of each tool that took part.
    pub versions: BTreeMap<String, String>,
}

impl BenchReport {
    /// The file in the state folder that the report is kept in.
    pub fn path(&self, settings: &Settings) -> PathBuf {
        folder(settings).join(format!("{}.json", self.figure))
    }

    /// Writes the report to its file, over the one before.
    pub(super) fn keep(&self, settings: &Settings) -> Result<()> {
        private_folder(&folder(settings))?;
        Ok(write_json(&self.path(settings), self)?)
    }
}

fn folder(settings: &Settings) -> PathBuf {
    settings.state_root.join("bench")
}
