//! A pull request, and what its preview is called by it.

use std::fmt;

use harness_base::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::settings::{self, Settings};
use crate::spec::spec;

/// A pull request, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PullRequest(u32);

impl PullRequest {
    /// The one that [`settings::PR_NUMBER`] names.
    ///
    /// # Errors
    /// [`harness_base::Error::Refused`] when it names none.
    pub fn of(settings: &Settings) -> Result<Self> {
        let text = settings.pr_number.as_deref().unwrap_or_default();
        Self::parse(text).ok_or_else(|| {
            Error::refused(
                format!("{}={text:?} is no pull request", settings::PR_NUMBER),
                format!("set {} to the pull request's number, such as 123", settings::PR_NUMBER),
            )
        })
    }

    /// A positive whole number as GitHub writes it: decimal digits, no sign, no zero in front.
    pub fn parse(text: &str) -> Option<Self> {
        let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
        plain.then(|| text.parse().ok().map(Self)).flatten()
    }

    /// The one whose namespace has this name.
    pub fn of_namespace(name: &str) -> Option<Self> {
        Self::parse(name.strip_prefix(spec().preview.prefix)?)
    }

    /// Its namespace.
    pub fn namespace(self) -> String {
        format!("{}{self}", spec().preview.prefix)
    }

    /// Its host.
    pub fn host(self) -> String {
        format!("pr-{self}.{}", spec().preview.domain)
    }
}

impl fmt::Display for PullRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::command("1; rm")]
    #[case::zero("0")]
    #[case::zero_in_front("01")]
    #[case::negative("-1")]
    #[case::sign("+1")]
    #[case::space(" 1")]
    #[case::nothing("")]
    #[case::too_large("4294967296")]
    #[case::hexadecimal("0x1f")]
    #[case::other_digits("१२")]
    #[case::path("../1")]
    #[case::two("1,2")]
    fn what_is_no_number_is_refused(#[case] text: &str) {
        assert_eq!(PullRequest::parse(text), None);
        let variables = [("PR_NUMBER".to_owned(), text.to_owned())].into();
        let error = PullRequest::of(&Settings::parse(&variables)).unwrap_err().report();
        assert!(error.contains("PR_NUMBER"), "{error}");
    }

    #[test]
    fn a_number_makes_every_name() {
        let of = PullRequest::parse("123").unwrap();
        assert_eq!((of.namespace().as_str(), of.host().as_str()), ("shop-pr-123", "pr-123.app.shop.ai"));
        assert_eq!(PullRequest::of_namespace("shop-pr-123"), Some(of));
    }

    #[rstest]
    #[case::of_production("shop")]
    #[case::prefix_alone("shop-pr-")]
    #[case::more_behind("shop-pr-1-data")]
    #[case::zero_in_front("shop-pr-01")]
    #[case::more_in_front("my-shop-pr-1")]
    fn other_namespaces_have_no_number(#[case] name: &str) {
        assert_eq!(PullRequest::of_namespace(name), None);
    }
}
