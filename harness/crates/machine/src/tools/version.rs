//! Versions that programs print, and ranges of supported versions.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A version of three numbers; a suffix (`-rc.1`, `+g144ca65`) is ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Version {
    /// The first number.
    pub major: u32,
    /// The second number.
    pub minor: u32,
    /// The third number; 0 where there is none.
    pub patch: u32,
}

impl Version {
    /// A version of these numbers.
    pub const fn new(major: u32, minor: u32, patch: u32) -> Self {
        Self { major, minor, patch }
    }

    /// The first version in a program's output; `None` when there is none, or it is 0.0.0, which stands for "not known".
    pub fn said(text: &str) -> Option<Self> {
        let parts = text.split(|c: char| !c.is_ascii_digit() && c != '.');
        parts.filter_map(Self::numbers).next().filter(|version| *version != Self::new(0, 0, 0))
    }

    /// Parses two numbers or more with points between them.
    fn numbers(text: &str) -> Option<Self> {
        let mut numbers = text.trim_end_matches('.').split('.').map(|number| number.parse().ok());
        let (major, minor) = (numbers.next()??, numbers.next()??);
        Some(Self { major, minor, patch: numbers.next().flatten().unwrap_or(0) })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

impl From<Version> for String {
    fn from(version: Version) -> Self {
        version.to_string()
    }
}

impl TryFrom<String> for Version {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::numbers(&text).ok_or_else(|| format!("{text:?} is no version"))
    }
}

/// The versions of a tool that are supported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// The oldest.
    pub from: Version,
    /// The first that is too new, if one is known.
    pub below: Option<Version>,
}

impl Range {
    /// From this version on, below that one.
    pub const fn new(from: Version, below: Option<Version>) -> Self {
        Self { from, below }
    }

    /// Whether a version is supported.
    pub fn contains(&self, version: Version) -> bool {
        version >= self.from && self.below.is_none_or(|below| version < below)
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, ">={}", Short(self.from))?;
        self.below.map_or(Ok(()), |below| write!(f, ", <{}", Short(below)))
    }
}

/// A bound as people write it: `3.16`, `4`.
struct Short(Version);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Version { major, minor: 0, patch: 0 } => write!(f, "{major}"),
            Version { major, minor, patch: 0 } => write!(f, "{major}.{minor}"),
            version => version.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::kind("kind v0.33.0 go1.26.8 linux/amd64", Some((0, 33, 0)))]
    #[case::helm("v3.22.0+g144ca65", Some((3, 22, 0)))]
    #[case::helm_without_its_stamp("v3.22", Some((3, 22, 0)))]
    #[case::skaffold("v2.16.1\n", Some((2, 16, 1)))]
    #[case::tilt("v0.37.6, built 2026-05-01", Some((0, 37, 6)))]
    #[case::buildx("github.com/docker/buildx v0.33.0 f7897eba0285", Some((0, 33, 0)))]
    #[case::nextest("cargo-nextest 0.9.151 (6b3f99457 2026-11-02)\nrelease: 0.9.151", Some((0, 9, 151)))]
    #[case::go("go version go1.26.8 linux/amd64", Some((1, 26, 8)))]
    #[case::candidate("go version go1.27rc1 linux/amd64", Some((1, 27, 0)))]
    #[case::docker("Docker version 20.10.24+dfsg1, build 297e128", Some((20, 10, 24)))]
    #[case::sentence("it is 1.2.", Some((1, 2, 0)))]
    #[case::not_stamped("github.com/docker/buildx v0.0.0+unknown", None)]
    #[case::empty("", None)]
    #[case::too_large("99999999999.1", None)]
    fn what_programs_say(#[case] text: &str, #[case] version: Option<(u32, u32, u32)>) {
        assert_eq!(Version::said(text), version.map(|(major, minor, patch)| Version::new(major, minor, patch)));
    }

    #[rstest]
    #[case((3, 15, 9), false)]
    #[case((3, 16, 0), true)]
    #[case((3, 99, 9), true)]
    #[case((4, 0, 0), false)]
    fn a_range_has_its_lower_end_and_not_its_upper(#[case] (a, b, c): (u32, u32, u32), #[case] inside: bool) {
        let range = Range::new(Version::new(3, 16, 0), Some(Version::new(4, 0, 0)));
        assert_eq!(range.contains(Version::new(a, b, c)), inside);
        assert_eq!(range.to_string(), ">=3.16, <4");
    }

    #[test]
    fn a_version_is_written_as_text() {
        assert_eq!(serde_json::to_string(&Version::new(3, 22, 0)).unwrap(), "\"3.22.0\"");
        assert_eq!(serde_json::from_str::<Version>("\"3.22.0\"").unwrap(), Version::new(3, 22, 0));
        assert!(serde_json::from_str::<Version>("\"x\"").is_err());
    }
}
