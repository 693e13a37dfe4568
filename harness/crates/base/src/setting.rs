//! The value of one variable.

use crate::error::{Error, Result};

/// A setting's value, or why the variable's text is none: said where it is asked for.
#[derive(Debug, Clone)]
pub struct Setting<T>(pub std::result::Result<T, Refusal>);

impl<T: Clone> Setting<T> {
    /// The value.
    ///
    /// # Errors
    /// [`Error::Refused`] with the variable, and what it may be set to.
    pub fn get(&self) -> Result<T> {
        self.0.as_ref().map_err(Refusal::error).cloned()
    }
}

impl<T> From<T> for Setting<T> {
    fn from(value: T) -> Self {
        Self(Ok(value))
    }
}

/// Why a variable's text is no value of its setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The variable.
    pub name: String,
    /// What is wrong with its text.
    pub what: String,
    /// What it may be.
    pub next: String,
}

impl Refusal {
    /// The error that says so.
    pub fn error(&self) -> Error {
        Error::refused(self.what.as_str(), self.next.as_str())
    }
}
