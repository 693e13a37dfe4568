//! Who a preview is: PR_NUMBER and GIT_SHA -> namespace, host, labels; and back from a namespace. Pure.

use std::collections::BTreeMap;
use std::fmt;
use std::time::SystemTime;

use k8s_openapi::api::core::v1::Namespace;
use kube::ResourceExt;
use serde::{Deserialize, Serialize};

use crate::descriptor::{OWNER_LABEL, PREVIEW_DOMAIN, PREVIEW_PREFIX};
use crate::error::{Error, Result};
use crate::settings::{self, Settings};

/// The owner that a preview's labels name.
const OWNER: &str = "jetscale-preview";
const PR_LABEL: &str = "jetscale.ai/pr";
const SHA_LABEL: &str = "jetscale.ai/sha";
const CREATED_LABEL: &str = "jetscale.ai/created";
pub(super) const EXPIRES_LABEL: &str = "jetscale.ai/expires";

/// A pull request, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PullRequest(u32);

impl PullRequest {
    /// The one that [`settings::PR_NUMBER`] names.
    ///
    /// # Errors
    /// [`Error::Refused`] when it names none.
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
        Self::parse(name.strip_prefix(PREVIEW_PREFIX)?)
    }

    /// Its namespace.
    pub fn namespace(self) -> String {
        format!("{PREVIEW_PREFIX}{self}")
    }

    /// Its host.
    pub fn host(self) -> String {
        format!("pr-{self}.{PREVIEW_DOMAIN}")
    }
}

impl fmt::Display for PullRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A preview, as its namespace's name and labels say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    /// Of which pull request.
    pub of: PullRequest,
    /// The revision that was deployed last.
    pub sha: String,
    /// When it was made, in seconds since 1970.
    pub created: u64,
    /// When its time is over.
    pub expires: Expiry,
    /// Whether it is being deleted.
    pub is_terminating: bool,
}

/// When a preview's time is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// In seconds since 1970.
    At(u64),
    /// Its label is no time: nobody knows, so it never is.
    Unknown,
}

impl Preview {
    /// What a namespace says of itself.
    ///
    /// # Errors
    /// Why it is none of ours: both the name's pattern and our labels are asked for, and they must agree.
    pub fn of(namespace: &Namespace) -> Result<Self, String> {
        let (name, labels) = (namespace.name_any(), namespace.labels());
        let of = PullRequest::of_namespace(&name).ok_or_else(|| format!("its name is not {PREVIEW_PREFIX}<number>"))?;
        let label = |name: &str| labels.get(name).map(String::as_str);
        match label(OWNER_LABEL) {
            Some(OWNER) => {}
            Some(other) => return Err(format!("its label {OWNER_LABEL} is {other}, not {OWNER}")),
            None => return Err(format!("it has no label {OWNER_LABEL}={OWNER}")),
        }
        if label(PR_LABEL).and_then(PullRequest::parse) != Some(of) {
            return Err(format!("its label {PR_LABEL} is {:?}, not {of}", label(PR_LABEL).unwrap_or_default()));
        }
        let time = |name: &str| label(name).and_then(|text| text.parse().ok());
        Ok(Self {
            of,
            sha: label(SHA_LABEL).unwrap_or("unknown").to_owned(),
            created: time(CREATED_LABEL).unwrap_or_default(),
            expires: time(EXPIRES_LABEL).map_or(Expiry::Unknown, Expiry::At),
            is_terminating: namespace.metadata.deletion_timestamp.is_some(),
        })
    }
}

/// The label selector of all previews.
pub fn selector() -> String {
    format!("{OWNER_LABEL}={OWNER}")
}

/// The labels of a preview's namespace: whose it is, of what, and until when; and what its pods may not do.
pub fn labels(of: PullRequest, sha: &str, created: u64, expires: u64) -> BTreeMap<String, String> {
    [
        (OWNER_LABEL, OWNER.to_owned()),
        ("jetscale.ai/stage", "preview".to_owned()),
        (PR_LABEL, of.to_string()),
        (SHA_LABEL, sha.to_owned()),
        (CREATED_LABEL, created.to_string()),
        (EXPIRES_LABEL, expires.to_string()),
        ("pod-security.kubernetes.io/enforce", "restricted".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

/// Seconds since 1970, by this machine's clock: to be shown, never to decide by.
pub fn now() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs()
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
        assert_eq!((of.namespace().as_str(), of.host().as_str()), ("jetscale-pr-123", "pr-123.app.jetscale.ai"));
        assert_eq!(PullRequest::of_namespace("jetscale-pr-123"), Some(of));
    }

    #[rstest]
    #[case::of_production("jetscale")]
    #[case::prefix_alone("jetscale-pr-")]
    #[case::more_behind("jetscale-pr-1-data")]
    #[case::zero_in_front("jetscale-pr-01")]
    #[case::more_in_front("my-jetscale-pr-1")]
    fn other_namespaces_have_no_number(#[case] name: &str) {
        assert_eq!(PullRequest::of_namespace(name), None);
    }

    fn namespace(name: &str, change: &[(&str, Option<&str>)]) -> Namespace {
        let mut labels = labels(PullRequest::parse("7").unwrap(), "abcdef0", 5, now() + 60);
        for (label, value) in change {
            match value {
                Some(value) => labels.insert((*label).to_owned(), (*value).to_owned()),
                None => labels.remove(*label),
            };
        }
        let mut namespace = Namespace::default();
        (namespace.metadata.name, namespace.metadata.labels) = (Some(name.to_owned()), Some(labels));
        namespace
    }

    #[test]
    fn a_namespace_of_ours_is_read_back() {
        let preview = Preview::of(&namespace("jetscale-pr-7", &[])).unwrap();
        assert_eq!((preview.of.to_string().as_str(), preview.sha.as_str(), preview.created), ("7", "abcdef0", 5));
        assert!(matches!(preview.expires, Expiry::At(at) if at > now()));
        let odd = Preview::of(&namespace("jetscale-pr-7", &[(EXPIRES_LABEL, Some("tomorrow"))])).unwrap();
        assert_eq!(odd.expires, Expiry::Unknown);
    }

    #[rstest]
    #[case::name("production", &[], "its name is not")]
    #[case::number("jetscale-pr-8", &[], "its label jetscale.ai/pr is \"7\", not 8")]
    #[case::no_owner("jetscale-pr-7", &[(OWNER_LABEL, None)], "it has no label")]
    #[case::other_owner("jetscale-pr-7", &[(OWNER_LABEL, Some("somebody"))], "is somebody")]
    #[case::no_number("jetscale-pr-7", &[(PR_LABEL, None)], "its label jetscale.ai/pr is \"\"")]
    fn a_foreign_namespace_says_why(#[case] name: &str, #[case] change: &[(&str, Option<&str>)], #[case] says: &str) {
        let why = Preview::of(&namespace(name, change)).unwrap_err();
        assert!(why.contains(says), "{why}");
    }
}
