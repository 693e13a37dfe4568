//! The artifact set: every image of a release, by digest, as one JSON file (docs/artifacts.md).
//!
//! `builds` is what `skaffold build --file-output` writes and `--build-artifacts` reads, so that Skaffold takes the file as
//! it is; the other members are the harness's.

use std::collections::BTreeSet;

use harness_base::hash;
use harness_base::name::Name;
use harness_base::{Error, Result};
use harness_settings::marks::REGISTRY;
use harness_settings::spec::spec;
use serde::{Deserialize, Serialize};

use crate::reference::Reference;

/// The images of a release, by digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArtifactSet {
    /// The images, sorted by name.
    pub builds: Vec<Artifact>,
    /// The stack's revision that the images were built from: 7 to 40 hex digits or `unknown`, with `-dirty` when the working
    /// tree had changes.
    pub revision: String,
    /// The platform of all images, as `os/architecture`.
    pub platform: String,
    /// The origin of the images, for people alone: nothing depends on it.
    #[serde(default)]
    pub provenance: Provenance,
}

/// The origin of a set. It names no time of the build and no machine, so that two builds give the same.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Provenance {
    /// The version in the images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The branch or tag of the revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// The time of the revision's commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub committed: Option<String>,
    /// The tool that built the images, such as `skaffold 2.16.1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub builder: Option<String>,
    /// The URL of the CI run that built the images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
}

/// An image of a set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Artifact {
    /// The image's name in skaffold.yaml and in the charts' values.
    pub image_name: String,
    /// The image's reference, `repository[:tag]@sha256:…`.
    pub tag: Reference,
    /// The official image that this one stands in for; `None` when it is the official one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stands_in_for: Option<String>,
    /// The revision of the image's own repository, when it was not built from the stack's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
}

/// A set before its checks: every member may be missing, so that each fault can be named with its artifact.
#[derive(Deserialize)]
struct Written {
    builds: Option<Vec<WrittenArtifact>>,
    revision: Option<String>,
    platform: Option<String>,
    #[serde(default)]
    provenance: Provenance,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrittenArtifact {
    image_name: Option<String>,
    tag: Option<String>,
    stands_in_for: Option<String>,
    revision: Option<String>,
}

impl ArtifactSet {
    /// Parses a set, and refuses it unless it is whole: each image by digest, each of `needed` among them, none twice and no
    /// other, a revision and a platform. `from` is the text's origin, for errors; `needed` are names of images, or their
    /// forms in Skaffold's variables.
    ///
    /// # Errors
    /// [`harness_base::Error::Refused`] with the artifact, and the command that writes a whole set.
    pub fn parse(text: &str, from: &str, needed: &BTreeSet<String>) -> Result<Self> {
        let remake = || "cargo stack artifacts build --output FILE writes a whole set (docs/artifacts.md)".to_owned();
        let refuse = |what: String| Error::refused(format!("the artifact set {from} {what}"), remake());
        if text.trim().is_empty() {
            return Err(refuse("is empty".to_owned()));
        }
        let written: Written =
            serde_json::from_str(text).map_err(|error| refuse(format!("does not parse: {error}")))?;
        let listed = written.builds.filter(|builds| !builds.is_empty());
        let listed =
            listed.ok_or_else(|| refuse("names no image: its member `builds` is missing or empty".to_owned()))?;
        let mut builds = Vec::new();
        for (index, WrittenArtifact { image_name, tag, stands_in_for, revision }) in listed.into_iter().enumerate() {
            let image_name = image_name.filter(|name| !name.is_empty());
            let image_name =
                image_name.ok_or_else(|| refuse(format!("has an image without imageName, number {index}")))?;
            // The name becomes a part of references and of arguments.
            for part in image_name.split('/') {
                part.parse::<Name>().map_err(|why| refuse(format!("names an image badly: {why}")))?;
            }
            let tag = tag.ok_or_else(|| refuse(format!("has no tag for {image_name}")))?;
            let tag = tag.parse().map_err(|error: Error| match error {
                Error::Refused { what, next } => {
                    Error::refused(format!("the artifact set {from}: {image_name}: {what}"), next)
                }
                other => other,
            })?;
            if builds.iter().any(|other: &Artifact| other.image_name == image_name) {
                return Err(refuse(format!("names {image_name} twice")));
            }
            if let Some(odd) = revision.as_ref().filter(|revision| !is_revision(revision)) {
                return Err(refuse(format!(
                    "says of {image_name} the revision {odd:?}, which is not 7 to 40 hex digits"
                )));
            }
            builds.push(Artifact { image_name, tag, stands_in_for, revision });
        }
        let there: BTreeSet<String> = builds.iter().map(|artifact| in_variables(&artifact.image_name)).collect();
        let missing: Vec<&str> =
            needed.iter().filter(|name| !there.contains(&in_variables(name))).map(String::as_str).collect();
        if !missing.is_empty() {
            // Skaffold would render `<no value>` for them without an error.
            return Err(refuse(format!("has no {}, which skaffold.yaml names", missing.join(", "))));
        }
        let wanted: BTreeSet<String> = needed.iter().map(|name| in_variables(name)).collect();
        let further: Vec<&str> = builds
            .iter()
            .map(|artifact| artifact.image_name.as_str())
            .filter(|name| !wanted.contains(&in_variables(name)))
            .collect();
        if !further.is_empty() {
            return Err(refuse(format!("has {} too, which skaffold.yaml does not name", further.join(", "))));
        }
        let revision = written.revision.filter(|revision| is_revision(revision)).ok_or_else(|| {
            refuse("does not say which revision it was built from: `revision`, 7 to 40 hex digits".to_owned())
        })?;
        let platform = written.platform.filter(|platform| is_platform(platform)).ok_or_else(|| {
            refuse("does not say which platform it is for: `platform`, such as linux/amd64".to_owned())
        })?;
        builds.sort_by(|a, b| a.image_name.cmp(&b.image_name));
        Ok(Self { builds, revision, platform, provenance: written.provenance })
    }

    /// The revision that an image was built from: its own repository's, else the stack's.
    pub fn revision_of(&self, image: &str) -> &str {
        let own = self.builds.iter().find(|artifact| artifact.image_name == image);
        own.and_then(|artifact| artifact.revision.as_deref()).unwrap_or(&self.revision)
    }

    /// Whether the stack's working tree, or that of an image's own repository, had uncommitted changes.
    pub fn is_dirty(&self) -> bool {
        let own = self.builds.iter().filter_map(|artifact| artifact.revision.as_ref());
        [&self.revision].into_iter().chain(own).any(|revision| revision.ends_with(DIRTY))
    }

    /// The differences of another set's images, one line each; empty when digests and platform are the same, whatever the
    /// repositories.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let find = |set: &Self, name: &str| set.builds.iter().find(|artifact| artifact.image_name == name).cloned();
        let names: BTreeSet<&str> =
            [self, other].iter().flat_map(|set| &set.builds).map(|a| a.image_name.as_str()).collect();
        let lines = names.into_iter().filter_map(|name| match (find(self, name), find(other, name)) {
            (Some(old), Some(new)) if old.tag.digest == new.tag.digest => None,
            (Some(old), Some(new)) => Some(format!("{name}: {} -> {}", old.tag.digest, new.tag.digest)),
            (Some(_), None) => Some(format!("{name}: only in the first")),
            _ => Some(format!("{name}: only in the second")),
        });
        let platform =
            (self.platform != other.platform).then(|| format!("platform: {} -> {}", self.platform, other.platform));
        platform.into_iter().chain(lines).collect()
    }

    /// A set with every image of the release and made-up digests, for renders that are never deployed.
    pub fn placeholder() -> Self {
        let names = spec()
            .images
            .built
            .iter()
            .map(|image| image.name)
            .chain(spec().images.third_party.iter().map(|image| image.name));
        let artifact = |name: &str| Artifact {
            image_name: name.to_owned(),
            tag: Reference {
                repository: format!("{REGISTRY}/{name}"),
                tag: None,
                digest: format!("sha256:{}", hash::text(name)),
            },
            stands_in_for: None,
            revision: None,
        };
        let none = || "none".to_owned();
        let builds = names.map(artifact).collect();
        Self { builds, revision: none(), platform: none(), provenance: Provenance::default() }
    }

    /// The artifact of this name.
    ///
    /// # Errors
    /// [`harness_base::Error::Refused`] with the names that the set has.
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

/// The end of a revision whose working tree had changes.
pub const DIRTY: &str = "-dirty";

/// An image's name in Skaffold's variables, whose templates take letters, digits and `_` alone (its
/// `SanitizeHelmTemplateValue`).
pub fn in_variables(image: &str) -> String {
    image.replace(|sign: char| !sign.is_ascii_alphanumeric(), "_")
}

/// Whether a text is 7 to 40 hex digits, or `unknown` for an exported tree, with or without `-dirty`.
fn is_revision(text: &str) -> bool {
    let sha = text.strip_suffix(DIRTY).unwrap_or(text);
    sha == "unknown" || (7..=40).contains(&sha.len()) && sha.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Whether a text is `os/architecture`.
fn is_platform(text: &str) -> bool {
    let word =
        |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    text.split_once('/').is_some_and(|(os, architecture)| word(os) && word(architecture))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const HEX: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn needed() -> BTreeSet<String> {
        ["backend", "redis"].map(str::to_owned).into()
    }

    fn whole() -> serde_json::Value {
        serde_json::json!({
            "builds": [
                {"imageName": "redis", "tag": format!("r.example/redis@sha256:{HEX}"), "standsInFor": "redis:8"},
                {"imageName": "backend", "tag": format!("r.example/backend:v1@sha256:{HEX}")},
            ],
            "revision": "0123456", "platform": "linux/amd64", "provenance": {"version": "1.0"}, "more": 1,
        })
    }

    #[test]
    fn a_whole_set_is_read_and_written_the_same() {
        let set = ArtifactSet::parse(&whole().to_string(), "x.json", &needed()).unwrap();
        assert_eq!(set.builds[0].image_name, "backend", "sorted by name");
        let again = ArtifactSet::parse(&serde_json::to_string(&set).unwrap(), "x.json", &needed()).unwrap();
        assert_eq!((set.is_dirty(), &again), (false, &set));
    }

    #[test]
    fn an_image_may_be_of_a_repository_of_its_own() {
        let mut text = whole();
        text["builds"][1]["revision"] = "fedcba9-dirty".into();
        let set = ArtifactSet::parse(&text.to_string(), "x.json", &needed()).unwrap();
        assert_eq!((set.revision_of("backend"), set.revision_of("redis")), ("fedcba9-dirty", "0123456"));
        assert!(set.is_dirty());
    }

    #[test]
    fn names_are_found_as_variables_spell_them() {
        let mut text = whole();
        text["builds"][1]["imageName"] = "acme/back-end".into();
        text["builds"] = serde_json::json!([text["builds"][1]]);
        let needed = ["acme_back_end", "acme/back-end"].map(str::to_owned).into();
        assert!(ArtifactSet::parse(&text.to_string(), "x.json", &needed).is_ok());
    }

    type Damage = fn(&mut serde_json::Value) -> serde_json::Value;

    #[test]
    fn sets_differ_by_digest_alone() {
        let old = ArtifactSet::parse(&whole().to_string(), "x.json", &needed()).unwrap();
        let mut new = old.clone();
        new.revision = "7654321".into();
        new.builds[0].tag.repository = "elsewhere.example/backend".into();
        assert!(old.differences(&new).is_empty());
        new.builds[0].tag.digest = format!("sha256:{}", "0".repeat(64));
        new.builds.remove(1);
        assert_eq!(
            old.differences(&new),
            [format!("backend: sha256:{HEX} -> sha256:{}", "0".repeat(64)), "redis: only in the first".into()]
        );
    }

    #[rstest]
    #[case::empty(|_: &mut serde_json::Value| serde_json::Value::Null, "names no image")]
    #[case::no_builds(|set: &mut serde_json::Value| { set["builds"].take(); set.take() }, "names no image")]
    #[case::no_image(|set: &mut serde_json::Value| { set["builds"] = serde_json::json!([]); set.take() }, "names no image")]
    #[case::missing(|set: &mut serde_json::Value| { set["builds"].as_array_mut().unwrap().remove(0); set.take() }, "has no redis, which skaffold.yaml names")]
    #[case::no_name(|set: &mut serde_json::Value| { set["builds"][1]["imageName"].take(); set.take() }, "without imageName")]
    #[case::no_tag(|set: &mut serde_json::Value| { set["builds"][1]["tag"].take(); set.take() }, "has no tag for backend")]
    #[case::tag_alone(|set: &mut serde_json::Value| { set["builds"][1]["tag"] = "r.example/backend:v1".into(); set.take() }, "backend: image reference \"r.example/backend:v1\": it has no digest")]
    #[case::short_digest(|set: &mut serde_json::Value| { set["builds"][1]["tag"] = "r.example/backend@sha256:12".into(); set.take() }, "backend: image reference \"r.example/backend@sha256:12\": its digest is not 64")]
    #[case::twice(|set: &mut serde_json::Value| { set["builds"][0]["imageName"] = "backend".into(); set.take() }, "names backend twice")]
    #[case::further(|set: &mut serde_json::Value| { let mut more = set["builds"][0].clone(); more["imageName"] = "miner".into(); set["builds"].as_array_mut().unwrap().push(more); set.take() }, "has miner too, which skaffold.yaml does not name")]
    #[case::path(|set: &mut serde_json::Value| { set["builds"][0]["imageName"] = "../backend".into(); set.take() }, "\"..\" is no name")]
    #[case::argument(|set: &mut serde_json::Value| { set["builds"][0]["imageName"] = "ingress.host=x,backend".into(); set.take() }, "is no name")]
    #[case::no_revision(|set: &mut serde_json::Value| { set["revision"] = "main".into(); set.take() }, "which revision it was built from")]
    #[case::odd_revision_of_its_own(|set: &mut serde_json::Value| { set["builds"][1]["revision"] = "main".into(); set.take() }, "says of backend the revision \"main\"")]
    #[case::no_platform(|set: &mut serde_json::Value| { set["platform"].take(); set.take() }, "which platform it is for")]
    #[case::odd_platform(|set: &mut serde_json::Value| { set["platform"] = "amd64".into(); set.take() }, "which platform it is for")]
    fn malformed_sets_are_refused_each_with_its_own_error(#[case] damage: Damage, #[case] says: &str) {
        let text = match damage(&mut whole()) {
            serde_json::Value::Null => "{}".to_owned(),
            damaged => damaged.to_string(),
        };
        let error = ArtifactSet::parse(&text, "x.json", &needed()).unwrap_err().report();
        assert!(error.contains(says) && error.contains("x.json") && error.contains("next: "), "{error}");
    }

    #[rstest]
    #[case::nothing("", "is empty")]
    #[case::no_json("builds: []", "does not parse")]
    #[case::cut_off("{\"builds\": [", "does not parse")]
    fn what_is_no_set_is_refused(#[case] text: &str, #[case] says: &str) {
        let error = ArtifactSet::parse(text, "x.json", &needed()).unwrap_err().report();
        assert!(error.contains(says), "{error}");
    }
}
