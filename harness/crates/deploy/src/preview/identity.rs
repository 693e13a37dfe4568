//! The identity of a preview: from pull request and revision to a namespace's labels, and back. No I/O.

use std::collections::BTreeMap;
use std::time::SystemTime;

use k8s_openapi::api::core::v1::Namespace;
use kube::ResourceExt;

use harness_settings::pull_request::PullRequest;
use harness_settings::spec::spec;
use harness_settings::spec::variable::StackLabel;

/// The label by which an administrator's policies, the sweeper and the keeper know a preview.
const OWNER_LABEL: StackLabel = StackLabel("owner");
const STAGE_LABEL: StackLabel = StackLabel("stage");
const PR_LABEL: StackLabel = StackLabel("pr");
const SHA_LABEL: StackLabel = StackLabel("sha");
const CREATED_LABEL: StackLabel = StackLabel("created");
pub(super) const EXPIRES_LABEL: StackLabel = StackLabel("expires");

/// A preview, as its namespace's name and labels say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    /// Its pull request.
    pub of: PullRequest,
    /// The revision that was deployed last.
    pub sha: String,
    /// When it was made, in seconds since 1970; 0 if its label is no time.
    pub created: u64,
    /// When it expires.
    pub expires: Expiry,
    /// Whether it is being deleted.
    pub is_terminating: bool,
}

/// When a preview expires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// At a time, in seconds since 1970.
    At(u64),
    /// Its label is no time: it never expires.
    Unknown,
}

impl Preview {
    /// Reads a preview from its namespace's name and labels, which have to agree.
    ///
    /// # Errors
    /// The reason why the namespace is no preview of ours.
    pub fn of(namespace: &Namespace) -> Result<Self, String> {
        let (name, labels) = (namespace.name_any(), namespace.labels());
        let of = PullRequest::of_namespace(&name)
            .ok_or_else(|| format!("its name is not {}<number>", spec().preview.prefix))?;
        let label = |name: StackLabel| labels.get(&name.name()).map(String::as_str);
        let owner = spec().preview.reserved;
        match label(OWNER_LABEL) {
            Some(ours) if ours == owner => {}
            Some(other) => return Err(format!("its label {OWNER_LABEL} is {other}, not {owner}")),
            None => return Err(format!("it has no label {OWNER_LABEL}={owner}")),
        }
        if label(PR_LABEL).and_then(PullRequest::parse) != Some(of) {
            return Err(format!("its label {PR_LABEL} is {:?}, not {of}", label(PR_LABEL).unwrap_or_default()));
        }
        let time = |name: StackLabel| label(name).and_then(|text| text.parse().ok());
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
    format!("{OWNER_LABEL}={}", spec().preview.reserved)
}

/// The labels of a preview's namespace: owner, stage, pull request, revision, times (seconds since 1970), and the Pod Security
/// Standard `restricted`.
pub fn labels(of: PullRequest, sha: &str, created: u64, expires: u64) -> BTreeMap<String, String> {
    [
        (OWNER_LABEL.name(), spec().preview.reserved.to_owned()),
        (STAGE_LABEL.name(), "preview".to_owned()),
        (PR_LABEL.name(), of.to_string()),
        (SHA_LABEL.name(), sha.to_owned()),
        (CREATED_LABEL.name(), created.to_string()),
        (EXPIRES_LABEL.name(), expires.to_string()),
        ("pod-security.kubernetes.io/enforce".to_owned(), "restricted".to_owned()),
    ]
    .into()
}

/// Seconds since 1970 by this machine's clock: only to be shown, never to decide by.
pub fn now() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn namespace(name: &str, change: &[(StackLabel, Option<&str>)]) -> Namespace {
        let mut labels = labels(PullRequest::parse("7").unwrap(), "abcdef0", 5, now() + 60);
        for (label, value) in change {
            match value {
                Some(value) => labels.insert(label.name(), (*value).to_owned()),
                None => labels.remove(&label.name()),
            };
        }
        let mut namespace = Namespace::default();
        (namespace.metadata.name, namespace.metadata.labels) = (Some(name.to_owned()), Some(labels));
        namespace
    }

    #[test]
    fn a_namespace_of_ours_is_read_back() {
        let preview = Preview::of(&namespace("shop-pr-7", &[])).unwrap();
        assert_eq!((preview.of.to_string().as_str(), preview.sha.as_str(), preview.created), ("7", "abcdef0", 5));
        assert!(matches!(preview.expires, Expiry::At(at) if at > now()));
        let odd = Preview::of(&namespace("shop-pr-7", &[(EXPIRES_LABEL, Some("tomorrow"))])).unwrap();
        assert_eq!(odd.expires, Expiry::Unknown);
    }

    #[rstest]
    #[case::name("production", &[], "its name is not")]
    #[case::number("shop-pr-8", &[], "its label shop.ai/pr is \"7\", not 8")]
    #[case::no_owner("shop-pr-7", &[(OWNER_LABEL, None)], "it has no label")]
    #[case::other_owner("shop-pr-7", &[(OWNER_LABEL, Some("somebody"))], "is somebody")]
    #[case::no_number("shop-pr-7", &[(PR_LABEL, None)], "its label shop.ai/pr is \"\"")]
    fn a_foreign_namespace_says_why(
        #[case] name: &str,
        #[case] change: &[(StackLabel, Option<&str>)],
        #[case] says: &str,
    ) {
        let why = Preview::of(&namespace(name, change)).unwrap_err();
        assert!(why.contains(says), "{why}");
    }
}
