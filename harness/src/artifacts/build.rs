//! Builds the artifact set of stage local: once a run, from the working tree, by `skaffold build`.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::base::{Bases, Held, Wanted};
use super::registry::Registry;
use super::set::{Artifact, ArtifactSet, Reference};
use crate::descriptor::{self, BUILT, REGISTRY_IMAGE, THIRD_PARTY};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::project::Project;
use crate::settings::Settings;
use crate::source::From;
use crate::tools::{Tool, Tools};

/// How long all builds may take together; the first one on a slow line downloads everything.
const BUILD: Duration = Duration::from_secs(1200);

/// What a build needs to know.
#[derive(Debug)]
pub struct Sources<'a> {
    /// The checkout.
    pub project: &'a Project,
    /// What the environment asks for.
    pub settings: &'a Settings,
    /// Where the tools are.
    pub tools: &'a Tools,
    /// The cluster that the registry stands beside.
    pub cluster: &'a str,
    /// Where the registry's data lies.
    pub registry_data: &'a Path,
    /// A folder for the build's own files.
    pub scratch: &'a Path,
}

/// The revision of the working tree, as images and the set record it.
#[derive(Debug, PartialEq, Eq)]
struct Revision {
    sha: String,
    reference: String,
    time: String,
}

#[derive(Deserialize)]
struct SkaffoldOutput {
    builds: Vec<Artifact>,
}

impl Sources<'_> {
    fn bases<'b>(&'b self, engine: &'b Engine) -> Bases<'b> {
        Bases { engine, project: self.project, may_set_up: self.settings.may_set_up, from: From::Auto }
    }
}

/// All base and third-party images: our builds' bases, what the release takes from others, the registry's.
pub fn wanted() -> Vec<Wanted> {
    let ours = BUILT.iter().map(|image| Wanted { recipe: image.base, official: image.official_base });
    ours.chain(THIRD_PARTY.iter().chain([&REGISTRY_IMAGE]).map(third_party)).collect()
}

fn third_party(image: &descriptor::ThirdParty) -> Wanted {
    Wanted { recipe: image.name, official: image.official }
}

/// Makes sure that the registry with a set that was built before is up.
///
/// # Errors
/// As [`build`].
pub async fn serve(engine: &Engine, sources: &Sources<'_>) -> Result<()> {
    let held = sources.bases(engine).ensure(&[third_party(&REGISTRY_IMAGE)]).await?;
    start_registry(engine, sources, &held).await.map(drop)
}

/// An image that runs by itself, for tests of what we do to containers.
#[cfg(test)]
pub(crate) async fn third_party_image(engine: &Engine, project: &Project, settings: &Settings) -> Result<String> {
    let bases = Bases { engine, project, may_set_up: settings.may_set_up, from: From::Auto };
    let held = bases.ensure(&[third_party(&THIRD_PARTY[1])]).await?;
    Ok(held[0].reference.clone())
}

async fn start_registry(engine: &Engine, sources: &Sources<'_>, image: &[Held]) -> Result<Registry> {
    Registry::start(engine, sources.cluster, &image[0].reference, sources.registry_data).await
}

/// Makes the artifact set: base images, the registry, our builds, and the third-party images, all in the registry.
///
/// What remains on cancel: the registry's container (it carries the owner label) and whole images.
///
/// # Errors
/// [`Error::Command`] when something does not build; [`Error::Refused`] when a tool or an image cannot be had.
pub async fn build(engine: &Engine, sources: &Sources<'_>) -> Result<ArtifactSet> {
    let started = Instant::now();
    // Skaffold and buildx are needed once the bases are there; having either may take minutes.
    let (wanted, bases) = (wanted(), sources.bases(engine));
    let builders = sources.tools.require(&[Tool::Buildx, Tool::Skaffold]);
    // Both to their end, so that a recipe is not cut off because a tool is missing.
    let (held, builders) = tokio::join!(bases.ensure(&wanted), builders);
    let held = builders.and(held)?;
    let (bases, others) = held.split_at(BUILT.len());
    let (third_party, registry_image) = others.split_at(THIRD_PARTY.len());
    let registry = start_registry(engine, sources, registry_image).await?;
    let revision = revision(sources).await?;
    let (built, pushed) =
        tokio::join!(skaffold_build(sources, &registry, bases, &revision), push_all(engine, &registry, third_party));
    let mut builds: Vec<Artifact> = built?.into_iter().chain(pushed?).collect();
    builds.sort_by(|a, b| a.image_name.cmp(&b.image_name));
    for artifact in &mut builds {
        artifact.tag = artifact.tag.at_registry(descriptor::REGISTRY);
    }
    tracing::info!("{} images ready after {:.1?}, revision {}", builds.len(), started.elapsed(), revision.sha);
    let image = &bases[0].image;
    Ok(ArtifactSet { builds, revision: revision.sha, platform: format!("{}/{}", image.os, image.architecture) })
}

async fn skaffold_build(
    sources: &Sources<'_>,
    registry: &Registry,
    bases: &[Held],
    revision: &Revision,
) -> Result<Vec<Artifact>> {
    let output = sources.scratch.join("skaffold-build.json");
    let config = crate::tools::skaffold_config(sources.scratch)?;
    let definition = definition(sources, &build_ca(sources)?)?;
    let mut command = sources
        .tools
        .command(Tool::Skaffold)
        .await?
        // No profile: its deployer would be asked for, and nothing is deployed here.
        .args(["build", "--filename"])
        .arg(&definition)
        .args(["--default-repo", &registry.address, "--cache-file"])
        .arg(sources.registry_data.with_file_name("skaffold-cache.yaml"))
        .arg("--config")
        .arg(&config)
        .arg("--file-output")
        .arg(&output)
        .args(["--interactive=false", "--update-check=false", "--detect-minikube=false"])
        .folder(&sources.project.root)
        .env("JETSCALE_VERSION", env!("CARGO_PKG_VERSION"))
        .env("JETSCALE_GIT_SHA", &revision.sha)
        .env("JETSCALE_GIT_REF", &revision.reference)
        .env("JETSCALE_BUILD_TIME", &revision.time)
        .limit(BUILD)
        .on_failure("mend what the last lines name, and run the same command again");
    for (image, base) in BUILT.iter().zip(bases) {
        command = command.env(image.base_argument, &base.reference);
    }
    command.run().await?;
    let say = || format!("read {}", output.display());
    let text = std::fs::read_to_string(&output).map_err(Error::io(say()))?;
    let found: SkaffoldOutput = serde_json::from_str(&text).map_err(Error::malformed(say()))?;
    for image in &BUILT {
        if !found.builds.iter().any(|artifact| artifact.image_name == image.name) {
            return Err(Error::refused(
                format!("skaffold build made no {}", image.name),
                "name it under build.artifacts in skaffold.yaml",
            ));
        }
    }
    Ok(found.builds)
}

/// skaffold.yaml as this build needs it, beside the build's other files.
fn definition(sources: &Sources<'_>, ca: &Path) -> Result<PathBuf> {
    let original = sources.project.root.join("skaffold.yaml");
    let text = std::fs::read_to_string(&original).map_err(Error::io(format!("read {}", original.display())))?;
    let contexts = BUILT
        .iter()
        .map(|image| Ok((image.context, sources.project.context(image, sources.settings)?)))
        .collect::<Result<Vec<_>>>()?;
    let copy = sources.scratch.join("skaffold-build.yaml");
    std::fs::write(&copy, adapted(&text, &contexts, ca)?).map_err(Error::io(format!("write {}", copy.display())))?;
    Ok(copy)
}

/// The definition with the folders that the images are really built from, and the CA file as their secret:
/// Skaffold expands no variable in either, and a variable's value is too short for a whole bundle.
fn adapted(text: &str, contexts: &[(&str, PathBuf)], ca: &Path) -> Result<String> {
    let problem = || Error::malformed("read skaffold.yaml");
    let mut root: serde_yaml::Value = serde_yaml::from_str(text).map_err(problem())?;
    let artifacts = root["build"]["artifacts"].as_sequence_mut().into_iter().flatten();
    for artifact in artifacts {
        let context = artifact["context"].as_str().unwrap_or_default().to_owned();
        if let Some((_, folder)) = contexts.iter().find(|(own, _)| *own == context) {
            artifact["context"] = folder.to_string_lossy().into_owned().into();
        }
        for secret in artifact["docker"]["secrets"].as_sequence_mut().into_iter().flatten() {
            if secret["id"] == "ca" {
                *secret = serde_yaml::from_str("{id: ca}").map_err(problem())?;
                secret["src"] = ca.to_string_lossy().into_owned().into();
            }
        }
    }
    serde_yaml::to_string(&root).map_err(problem())
}

/// The CA file that builds get as a secret: the host's, where it has one of its own; else an empty one.
fn build_ca(sources: &Sources<'_>) -> Result<PathBuf> {
    if let Some(path) = sources.settings.build_ca.as_ref().filter(|path| path.is_file()) {
        return Ok(path.clone());
    }
    let path = sources.scratch.join("no-ca.pem");
    std::fs::write(&path, "").map_err(Error::io(format!("write {}", path.display())))?;
    Ok(path)
}

/// Pushes images that are not ours into the registry, one after another: each is a few layers that are mostly there.
async fn push_all(engine: &Engine, registry: &Registry, held: &[Held]) -> Result<Vec<Artifact>> {
    let mut artifacts = Vec::new();
    for (image, held) in THIRD_PARTY.iter().zip(held) {
        let repository = format!("{}/{}", registry.address, image.name);
        engine.docker()?.args(["tag", &held.reference, &repository]).run().await?;
        engine.docker()?.args(["push", "--quiet", &repository]).limit(BUILD).run().await?;
        let pushed = engine.image(&repository).await?.map(|image| image.repo_digests).unwrap_or_default();
        let reference =
            pushed.iter().find(|digest| digest.starts_with(&format!("{repository}@"))).ok_or_else(|| {
                Error::refused(
                    format!("{} was pushed, but the engine knows no digest of it", image.name),
                    format!("docker push {repository}"),
                )
            })?;
        artifacts.push(Artifact {
            image_name: image.name.to_owned(),
            tag: reference.parse::<Reference>()?,
            stands_in_for: held.image.stands_in_for().map(str::to_owned),
        });
    }
    Ok(artifacts)
}

/// What the images record of their source. The time is the commit's, so that building twice gives the same image.
async fn revision(sources: &Sources<'_>) -> Result<Revision> {
    let git = |args: &[&str]| {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        async move {
            let command = sources.tools.command(Tool::Git).await?.args(args).folder(&sources.project.root);
            Ok::<_, Error>(command.run().await?.stdout.trim().to_owned())
        }
    };
    let head = git(&["show", "--no-patch", "--format=%H %cI", "HEAD"]).await;
    // An exported tree has no history; its images say so.
    let Ok(head) = head else {
        tracing::warn!("the checkout has no git history: images record the revision as unknown");
        let unknown = || "unknown".to_owned();
        return Ok(Revision { sha: unknown(), reference: unknown(), time: unknown() });
    };
    let (reference, changes) =
        tokio::join!(git(&["rev-parse", "--abbrev-ref", "HEAD"]), git(&["status", "--porcelain"]));
    let (sha, time) = head.split_once(' ').unwrap_or((head.as_str(), ""));
    let dirty = if changes?.is_empty() { "" } else { "-dirty" };
    Ok(Revision { sha: format!("{sha}{dirty}"), reference: reference?, time: time.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_gets_folders_and_the_ca_file() {
        let text = "build:\n  artifacts:\n  - context: apps/backend\n    docker: {secrets: [{id: ca, env: X}]}\n";
        let adapted = adapted(text, &[("apps/backend", PathBuf::from("/b"))], Path::new("/ca.pem")).unwrap();
        let value: serde_yaml::Value = serde_yaml::from_str(&adapted).unwrap();
        let artifact = &value["build"]["artifacts"][0];
        assert_eq!(artifact["context"], "/b");
        assert_eq!(artifact["docker"]["secrets"][0]["src"], "/ca.pem");
        assert!(artifact["docker"]["secrets"][0].get("env").is_none());
    }
}
