//! The name of a cluster that is open to previews, and the names of its previews in shared stores. No I/O.

use std::fmt;

use harness_settings::spec::spec;
use serde::Deserialize;

use super::PullRequest;

/// The longest name in characters, so that a preview's name fits everywhere: an ElastiCache user ID has 40 characters at most.
const LONGEST: usize = 16;

/// A cluster's name, given by its administrator; it tells apart clusters that share a store.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct ClusterName(String);

impl ClusterName {
    /// Parses a name: words of `a-z0-9` with `-` between, 16 characters at most, the first a letter. No word is `pr`, so that no
    /// cluster's prefix begins with another's.
    pub fn parse(text: &str) -> Option<Self> {
        let is_word = |word: &str| {
            let plain = word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
            plain && !word.is_empty() && word != "pr"
        };
        let begins = text.starts_with(|first: char| first.is_ascii_lowercase());
        (begins && text.len() <= LONGEST && text.split('-').all(is_word)).then(|| Self(text.to_owned()))
    }

    /// The name of a preview's database, role, Redis user, IAM role and prefixes.
    pub fn name_of(&self, of: PullRequest) -> String {
        format!("{}{of}", self.prefix())
    }

    /// The pull request of a preview's name; `None` if it is another cluster's, or none.
    pub fn named(&self, name: &str) -> Option<PullRequest> {
        PullRequest::parse(name.strip_prefix(&self.prefix())?)
    }

    /// The name in a store under which the owner of this cluster's names is noted.
    pub fn owner(&self) -> String {
        format!("{}-{self}-owner", spec().release)
    }

    /// The prefix of all of its previews' names, and of no other cluster's.
    pub fn prefix(&self) -> String {
        format!("{}-{self}-pr-", spec().release)
    }
}

impl TryFrom<String> for ClusterName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).ok_or_else(|| format!("{text:?} is no name of a cluster"))
    }
}

impl fmt::Display for ClusterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::nothing("")]
    #[case::upper("Preview")]
    #[case::digit_first("1a")]
    #[case::long("a-cluster-of-ours")]
    #[case::two_dashes("a--b")]
    #[case::dash_last("a-")]
    #[case::anothers_previews("a-pr-1")]
    #[case::quote("a\"b")]
    #[case::pattern("a*")]
    fn what_is_no_name_is_refused(#[case] text: &str) {
        assert_eq!(ClusterName::parse(text), None);
    }

    #[test]
    fn a_name_is_read_back_by_its_own_cluster_alone() {
        let [one, two] = ["eu", "eu-1"].map(|name| ClusterName::parse(name).unwrap());
        let of = PullRequest::parse("7").unwrap();
        assert_eq!((one.name_of(of).as_str(), one.named(&one.name_of(of))), ("shop-eu-pr-7", Some(of)));
        assert_eq!((one.named(&two.name_of(of)), two.named(&one.name_of(of))), (None, None));
        for foreign in ["shop-pr-7", "shop-eu-pr-07", "shop-eu-pr-7-data", "my-shop-eu-pr-7"] {
            assert_eq!(one.named(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn the_longest_name_fits_everywhere() {
        let name = ClusterName::parse(&"a".repeat(LONGEST)).unwrap();
        assert_eq!(name.name_of(PullRequest::parse(&u32::MAX.to_string()).unwrap()).len(), spec().release.len() + 31);
    }
}
