//! The ground of the harness: what any of its crates, and a suite beside it, may use without knowing Kubernetes.
//!
//! | what | modules |
//! |---|---|
//! | what goes wrong, and how it is said | [`error`], [`text`], [`secrets`] |
//! | files and folders, whole or not at all | [`files`], [`folders`], [`hash`] |
//! | processes, and locks that outlive none | [`process`], [`lock`] |
//! | what a run writes down, and what a person sees of it | [`events`], [`output`], [`progress`], [`terminal`] |
//! | the value of a variable | [`setting`] |
//! | what nobody can guess, and names that somebody else wrote | [`random`], [`name`] |
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
pub mod process;
pub mod progress;
pub mod random;
pub mod secrets;
pub mod setting;
pub mod terminal;
pub mod text;

pub use error::{Error, Result};
