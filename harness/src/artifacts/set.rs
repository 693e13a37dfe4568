//! The artifact set: every image of a release, by digest, as one JSON file.
//!
//! `builds` is what `skaffold build --file-output` writes and `--build-artifacts` reads, so the
//! file serves Skaffold as it is; the other members are ours.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::descriptor::{BUILT, REGISTRY, THIRD_PARTY};
use crate::error::{Error, Result};
use crate::hash;

/// Every image of a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArtifactSet {
    /// The images, sorted by name.
    pub builds: Vec<Artifact>,
    /// The revision they were built from; ends in `-dirty` when the working tree had changes.
    pub revision: String,
    /// `os/architecture` of all of them.
    pub platform: String,
}

/// One image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Artifact {
    /// Its name in skaffold.yaml and in the charts' values.
    pub image_name: String,
    /// Where it is: `repository[:tag]@sha256:…`.
    pub tag: Reference,
    /// The image it stands in for, when it is not the official one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stands_in_for: Option<String>,
}

/// `repository[:tag]@digest`: an image that cannot become another one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Reference {
    /// Registry and path.
    pub repository: String,
    /// The tag, which is for people alone.
    pub tag: Option<String>,
    /// `sha256:` and 64 hex digits.
    pub digest: String,
}

impl ArtifactSet {
    /// A set with every image of the release and digests of nothing, for rendering what is never deployed.
    pub fn placeholder() -> Self {
        let names = BUILT.iter().map(|image| image.name).chain(THIRD_PARTY.iter().map(|image| image.name));
        let artifact = |name: &str| Artifact {
            image_name: name.to_owned(),
            tag: Reference {
                repository: format!("{REGISTRY}/{name}"),
                tag: None,
                digest: format!("sha256:{}", hash::text(name)),
            },
            stands_in_for: None,
        };
        let none = || "none".to_owned();
        Self { builds: names.map(artifact).collect(), revision: none(), platform: none() }
    }

    /// The artifact of that name.
    ///
    /// # Errors
    /// [`Error::Refused`] naming what the set holds instead.
    pub fn get(&self, name: &str) -> Result<&Artifact> {
        self.builds.iter().find(|artifact| artifact.image_name == name).ok_or_else(|| {
            let names: Vec<_> = self.builds.iter().map(|artifact| artifact.image_name.as_str()).collect();
            Error::refused(
                format!("the artifact set has no {name} (it has {})", names.join(", ")),
                format!("add {name} to the set"),
            )
        })
    }
}

impl Reference {
    /// `repository@digest`: what a manifest says.
    pub fn by_digest(&self) -> String {
        format!("{}@{}", self.repository, self.digest)
    }

    /// The same image under another registry's name.
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
        // A colon after the last slash starts a tag; before it, a port.
        let path = name.rfind('/').map_or(0, |slash| slash + 1);
        let (repository, tag) = match name[path..].find(':') {
            Some(colon) => (&name[..path + colon], Some(name[path + colon + 1..].to_owned())),
            None => (name, None),
        };
        if repository.is_empty() {
            return Err(refuse("it has no repository"));
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
