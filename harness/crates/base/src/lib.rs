//! The base of the harness: what its crates, and a suite, use without knowing Kubernetes.
//!
//! | what | modules |
//! |---|---|
//! | errors, and text as it may be shown | [`error`], [`text`], [`secrets`] |
//! | files and folders, written whole or not at all | [`files`], [`folders`], [`hash`] |
//! | processes, and locks that end with their process | [`process`], [`lock`] |
//! | what a run records, and what a person sees of it | [`events`], [`output`], [`progress`], [`terminal`] |
//! | the value of a variable | [`setting`] |
//! | random values, names that come from outside, patterns for them | [`random`], [`name`], [`pattern`] |
//!
//! ```
//! let folder = tempfile::tempdir()?;
//! let record = folder.path().join("record.json");
//! harness_base::files::write_json(&record, &["one", "two"])?;
//! let read: Option<Vec<String>> = harness_base::files::read_json(&record, "run it again")?;
//! assert_eq!(read.unwrap_or_default(), ["one", "two"]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod error;
pub mod events;
pub mod files;
pub mod folders;
pub mod hash;
pub mod lock;
pub mod name;
pub mod output;
pub mod pattern;
pub mod process;
pub mod progress;
pub mod random;
pub mod secrets;
pub mod setting;
pub mod terminal;
pub mod text;

pub use error::{Error, Result};
