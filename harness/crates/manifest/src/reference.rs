//! References to images by digest.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use harness_base::{Error, Result};

/// An image's reference `repository[:tag]@digest`: by its digest it cannot become another image.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Reference {
    /// Registry and path, such as `ghcr.io/shop/backend`.
    pub repository: String,
    /// The tag, for people alone.
    pub tag: Option<String>,
    /// The digest: `sha256:` and 64 lower-case hex digits.
    pub digest: String,
}

impl Reference {
    /// The registry: the repository's part before the first slash; empty without a slash.
    pub fn registry(&self) -> &str {
        self.repository.split_once('/').map_or("", |(registry, _)| registry)
    }

    /// The reference without its tag, `repository@digest`, as manifests have it.
    pub fn by_digest(&self) -> String {
        format!("{}@{}", self.repository, self.digest)
    }

    /// The same image at another registry.
    #[must_use]
    pub fn at_registry(&self, registry: &str) -> Self {
        let path = self.repository.split_once('/').map_or(self.repository.as_str(), |(_, path)| path);
        Self { repository: format!("{registry}/{path}"), ..self.clone() }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.tag {
            Some(tag) => write!(f, "{}:{tag}@{}", self.repository, self.digest),
            None => write!(f, "{}@{}", self.repository, self.digest),
        }
    }
}

impl From<Reference> for String {
    fn from(reference: Reference) -> Self {
        reference.to_string()
    }
}

impl TryFrom<String> for Reference {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl FromStr for Reference {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refuse = |problem: &str| {
            Error::refused(
                format!("image reference {text:?}: {problem}"),
                "name the image as repository@sha256:<64 hex digits>",
            )
        };
        let (name, digest) = text.split_once('@').ok_or_else(|| refuse("it has no digest"))?;
        let hex = digest.strip_prefix("sha256:").ok_or_else(|| refuse("its digest is not a sha256"))?;
        if hex.len() != 64 || !hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(refuse("its digest is not 64 lower-case hex digits"));
        }
        // A colon after the last slash begins a tag; before it, a port.
        let path = name.rfind('/').map_or(0, |slash| slash + 1);
        let (repository, tag) = match name[path..].find(':') {
            Some(colon) => (&name[..path + colon], Some(name[path + colon + 1..].to_owned())),
            None => (name, None),
        };
        if repository.is_empty() {
            return Err(refuse("it has no repository"));
        }
        // Lower case and a few other characters (OCI distribution spec, "Pulling manifests"); it becomes an argument and a
        // value.
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-/:".contains(&byte);
        if !repository.bytes().all(allowed) || repository.split('/').any(str::is_empty) {
            return Err(refuse("its repository has signs that no repository has"));
        }
        Ok(Self { repository: repository.to_owned(), tag, digest: digest.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const HEX: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[rstest]
    #[case::bare("backend", "backend", None)]
    #[case::tag("backend:v1", "backend", Some("v1"))]
    #[case::port("127.0.0.1:5000/a/backend", "127.0.0.1:5000/a/backend", None)]
    #[case::port_and_tag("127.0.0.1:5000/backend:x", "127.0.0.1:5000/backend", Some("x"))]
    fn reads_and_writes_the_same(#[case] name: &str, #[case] repository: &str, #[case] tag: Option<&str>) {
        let text = format!("{name}@sha256:{HEX}");
        let reference: Reference = text.parse().unwrap();
        assert_eq!((reference.repository.as_str(), reference.tag.as_deref()), (repository, tag));
        assert_eq!(reference.to_string(), text);
    }

    #[rstest]
    #[case::tag_alone("backend:latest", "no digest")]
    #[case::short("backend@sha256:12", "64 lower-case hex")]
    #[case::md5("backend@md5:12", "not a sha256")]
    #[case::nothing(&format!("@sha256:{HEX}"), "no repository")]
    #[case::space(&format!("r/back end@sha256:{HEX}"), "signs that no repository has")]
    #[case::value(&format!("r/a,b=c@sha256:{HEX}"), "signs that no repository has")]
    #[case::slashes(&format!("r//a@sha256:{HEX}"), "signs that no repository has")]
    fn refuses(#[case] text: &str, #[case] says: &str) {
        let error = text.parse::<Reference>().unwrap_err().report();
        assert!(error.contains(says), "{error}");
    }

    #[test]
    fn moves_to_another_registry() {
        let reference: Reference = format!("127.0.0.1:5000/backend:x@sha256:{HEX}").parse().unwrap();
        assert_eq!(reference.at_registry("r.internal").to_string(), format!("r.internal/backend:x@sha256:{HEX}"));
    }
}
