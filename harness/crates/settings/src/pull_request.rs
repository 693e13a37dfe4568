//! A pull request, and the names of its preview.

use std::fmt;

use harness_base::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::settings::{self, Settings};
use crate::spec::spec;

/// What the number follows in a preview's host.
const HOST: &str = "pr-";

/// A pull request's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PullRequest(u32);

impl PullRequest {
    /// The pull request that [`settings::PR_NUMBER`] names.
    ///
    /// # Errors
    /// [`harness_base::Error::Refused`] when the variable is unset, or no number of a pull request.
    pub fn of(settings: &Settings) -> Result<Self> {
        let text = settings.pr_number.as_deref().unwrap_or_default();
        Self::parse(text).ok_or_else(|| {
            Error::refused(
                format!("{}={text:?} is no pull request", settings::PR_NUMBER),
                format!("set {} to the pull request's number, such as 123", settings::PR_NUMBER),
            )
        })
    }

    /// A number as GitHub writes it: a positive whole one in decimal digits, without a sign or a leading zero; else `None`.
    pub fn parse(text: &str) -> Option<Self> {
        let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
        plain.then(|| text.parse().ok().map(Self)).flatten()
    }

    /// The pull request whose preview has this namespace; `None` for other names.
    pub fn of_namespace(name: &str) -> Option<Self> {
        Self::parse(name.strip_prefix(spec().preview.prefix)?)
    }

    /// The namespace of its preview.
    pub fn namespace(self) -> String {
        format!("{}{self}", spec().preview.prefix)
    }

    /// The pull request whose preview has this host; `None` for other hosts.
    pub fn of_host(host: &str) -> Option<Self> {
        let first = host.strip_suffix(spec().preview.domain)?.strip_suffix('.')?;
        Self::parse(first.strip_prefix(HOST)?)
    }

    /// The host of its preview.
    pub fn host(self) -> String {
        format!("{HOST}{self}.{}", spec().preview.domain)
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
        assert_eq!(
            (PullRequest::of_namespace("shop-pr-123"), PullRequest::of_host("pr-123.app.shop.ai")),
            (Some(of), Some(of))
        );
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

    #[rstest]
    #[case::of_production("app.shop.ai")]
    #[case::zero("pr-0.app.shop.ai")]
    #[case::zero_in_front("pr-01.app.shop.ai")]
    #[case::more_in_front("x.pr-1.app.shop.ai")]
    #[case::without_a_dot("pr-1app.shop.ai")]
    #[case::another_domain("pr-1.app.shop.example")]
    fn other_hosts_have_no_number(#[case] host: &str) {
        assert_eq!(PullRequest::of_host(host), None);
    }
}
