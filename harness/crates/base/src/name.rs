//! A name from outside that becomes part of a path, of a reference or of a command's argument.

use std::fmt;

use serde::Deserialize;

/// The longest name, in bytes: that of a DNS label (RFC 1035), which most names become.
const LONGEST: usize = 63;

/// A checked name: 1 to 63 lower-case letters, digits, `-`, `_` and `.`, the first a letter or a digit. So it is one part of
/// a path, never `.` or `..`, and distinct on a file system that ignores case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Name(String);

/// A text that is not a [`Name`].
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no name: 1 to 63 of a-z, 0-9, '-', '_' and '.', the first a letter or a digit")]
pub struct NoName(String);

impl Name {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Name {
    type Error = NoName;

    fn try_from(text: String) -> Result<Self, NoName> {
        let plain = |sign: u8| sign.is_ascii_lowercase() || sign.is_ascii_digit();
        let fits = text.len() <= LONGEST
            && text.bytes().next().is_some_and(plain)
            && text.bytes().all(|sign| plain(sign) || b"-_.".contains(&sign));
        if fits { Ok(Self(text)) } else { Err(NoName(text)) }
    }
}

impl std::str::FromStr for Name {
    type Err = NoName;

    fn from_str(text: &str) -> Result<Self, NoName> {
        text.to_owned().try_into()
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::absolute("/x")]
    #[case::parent("../x")]
    #[case::two_parts("a/b")]
    #[case::here(".")]
    #[case::above("..")]
    #[case::hidden(".x")]
    #[case::nothing("")]
    #[case::nul("a\0b")]
    #[case::line("a\nb")]
    #[case::case_twin("Backend")]
    #[case::of_windows("a\\b")]
    #[case::option("-x")]
    #[case::list("a,b=c")]
    #[case::other_letters("bаckend")]
    #[case::long("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")]
    fn no_name(#[case] text: &str) {
        let error = text.parse::<Name>().unwrap_err().to_string();
        assert!(error.contains("is no name") && !error.contains('\0') && !error.contains('\n'), "{error}");
    }

    #[rstest]
    #[case("backend")]
    #[case("my_image-2.x")]
    #[case("0")]
    fn a_name(#[case] text: &str) {
        assert_eq!(text.parse::<Name>().unwrap().as_str(), text);
    }
}
