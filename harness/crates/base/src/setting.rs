//! A setting's value, or why its variable's text is refused.

use crate::error::{Error, Result};

/// A setting's value, or the refusal of its variable's text; the error comes up when the value is asked for.
#[derive(Debug, Clone)]
pub struct Setting<T>(pub std::result::Result<T, Refusal>);

impl<T: Clone> Setting<T> {
    /// The value.
    ///
    /// # Errors
    /// [`Error::Refused`] with the variable, and the values that it may have.
    pub fn get(&self) -> Result<T> {
        self.0.as_ref().map_err(Refusal::error).cloned()
    }
}

impl<T> From<T> for Setting<T> {
    fn from(value: T) -> Self {
        Self(Ok(value))
    }
}

/// Why a variable's text is refused as its setting's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The variable's name.
    pub name: String,
    /// What is wrong with its text.
    pub what: String,
    /// The values that it may have.
    pub next: String,
}

impl Refusal {
    /// The refusal as [`Error::Refused`].
    pub fn error(&self) -> Error {
        Error::refused(self.what.as_str(), self.next.as_str())
    }
}
