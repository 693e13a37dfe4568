//! Builds artifact sets from the working tree by `skaffold build`, for stage local and for other stages.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use harness_machine::engine::Engine;
use harness_machine::tools::{ChildKind, Command, Look, Tool, Tools};
use harness_manifest::Reference;
use harness_manifest::{Artifact, ArtifactSet, Provenance};
use harness_settings::marks;
use harness_settings::settings::DOCKER_CONFIG;
use harness_settings::spec::spec;
use harness_settings::spec::variable::in_a_variable;
use harness_settings::stage::MayBuild;
use serde::Deserialize;

use super::Sources;
use super::base::{HeldImage, wanted};
use super::build_context::{BuildContext, Origins, Revision};
use super::client_config::without_helper;
use super::distribution::is_local;
use super::registry::Registry;
use crate::artifacts::REGISTRY_IMAGE;
use crate::error::{Error, Result};

/// The deadline of all builds together; the first one on a slow line downloads everything.
const BUILD: Duration = Duration::from_secs(1200);

/// The build arguments for an image's revision; skaffold.yaml fills them from variables of the same names.
fn revision_arguments() -> [String; 3] {
    ["GIT_SHA", "GIT_REF", "BUILD_TIME"].map(|name| format!("{}_{name}", spec().env_prefix))
}

/// The options of a build.
#[derive(Debug, Clone, Copy, Default)]
pub struct BuildOptions<'a> {
    /// Whether to build from commits; uncommitted changes are refused before anything is built. Default: from the working tree.
    pub official: bool,
    /// The repository that images are pushed below, such as `ghcr.io/example`; `None`: the registry beside the cluster.
    pub repository: Option<&'a str>,
}

#[derive(Deserialize)]
struct SkaffoldOutput {
    builds: Vec<Artifact>,
}

/// Builds an artifact set: base images, built images and third-party images; all but the bases are pushed.
///
/// Another registry than the one beside the cluster is pushed to by the engine's client, with the accounts of its configuration.
/// What remains on cancel: the registry's container, which has the owner label, and complete images.
///
/// # Errors
/// [`Error::Command`] when something does not build; [`harness_base::Error::Refused`] when a tool or an image cannot be had, or
/// an official set is asked of a tree that no commit holds.
pub async fn build(
    _: MayBuild,
    engine: &Engine,
    sources: &Sources<'_>,
    order: BuildOptions<'_>,
) -> Result<ArtifactSet> {
    let started = Instant::now();
    let mut origins = Origins::of(sources).await?;
    if order.official {
        origins.expect_official()?;
        origins = origins.committed(sources.tools, sources.scratch).await?;
    }
    // Skaffold and buildx are needed after the bases; to have either may take minutes.
    let (mut wanted, bases) = (wanted(), sources.bases(engine));
    if order.repository.is_some() {
        wanted.retain(|want| want.recipe != REGISTRY_IMAGE.name);
    }
    let builders = sources.tools.require(&[Tool::Buildx, Tool::Skaffold]);
    // Both run to their end, so that a recipe is not cut off because a tool is missing.
    let (held, builders) = tokio::join!(bases.ensure(&wanted), builders);
    builders?;
    let held = held?;
    let (bases, others) = held.split_at(spec().images.built.iter().filter(|image| image.base.is_some()).count());
    let repository = match order.repository {
        Some(repository) => repository.trim_end_matches('/').to_owned(),
        // The registry's image is the one after the third-party images.
        None => Registry::start(engine, sources, &others[spec().images.third_party.len()].reference).await?.address,
    };
    let (built, pushed) = tokio::join!(
        skaffold_build(sources, &repository, bases, &origins),
        push_all(engine, &repository, &others[..spec().images.third_party.len()])
    );
    let mut builds: Vec<Artifact> = built?.into_iter().chain(pushed?).collect();
    builds.sort_by(|a, b| a.image_name.cmp(&b.image_name));
    for artifact in &mut builds {
        artifact.revision = origins.own(&artifact.image_name).map(|own| own.sha.clone());
    }
    if order.repository.is_none() {
        for artifact in &mut builds {
            artifact.tag = artifact.tag.at_registry(marks::REGISTRY);
        }
    }
    let revision = origins.stack.sha.clone();
    tracing::info!("{} images ready after {:.1?}, revision {revision}", builds.len(), started.elapsed());
    let platform = held.first().map(|held| format!("{}/{}", held.image.os, held.image.architecture));
    let platform = platform.unwrap_or_else(|| "linux/amd64".to_owned());
    let provenance = provenance(sources, &origins).await?;
    Ok(ArtifactSet { builds, revision, platform, provenance })
}

async fn provenance(sources: &Sources<'_>, origins: &Origins) -> Result<Provenance> {
    let version = match sources.tools.look(Tool::Skaffold).await? {
        Look::Found(found) => found.version,
        Look::Missing { .. } => None,
    };
    Ok(Provenance {
        version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        reference: Some(origins.stack.reference.clone()),
        committed: Some(origins.stack.time.clone()),
        builder: version.map(|version| format!("skaffold {version}")),
        run: sources.settings.run_url.clone(),
    })
}

async fn skaffold_build(
    sources: &Sources<'_>,
    repository: &str,
    bases: &[HeldImage],
    origins: &Origins,
) -> Result<Vec<Artifact>> {
    let output = sources.scratch.join("skaffold-build.json");
    let config = harness_machine::tools::skaffold_config(sources.scratch)?;
    let definition = definition(sources, origins, &build_ca(sources)?)?;
    let registry = repository.split('/').next().unwrap_or_default();
    // The registry beside the cluster has no accounts.
    let client = match is_local(registry) {
        true => without_helper(&sources.settings.docker_config, registry, sources.scratch)?,
        false => None,
    };
    let mut command = pushing_to(repository, sources.tools.command(Tool::Skaffold).await?, sources.tools)
        // Without a profile: Skaffold would check the profile's deployer, and nothing is deployed here.
        .args(["build", "--filename"])
        .arg(&definition)
        .args(["--default-repo", repository, "--cache-file"])
        .arg(sources.registry_data.with_file_name("skaffold-cache.yaml"))
        .arg("--config")
        .arg(&config)
        .arg("--file-output")
        .arg(&output)
        .args(["--interactive=false", "--update-check=false", "--detect-minikube=false"])
        .folder(&sources.project.root)
        .env(format!("{}_VERSION", spec().env_prefix), env!("CARGO_PKG_VERSION"))
        .envs(told(&origins.stack, None))
        .limit(BUILD)
        .on_failure("mend what the last lines name, and run the same command again");
    let arguments = spec().images.built.iter().filter_map(|image| image.base);
    for (argument, base) in arguments.map(|base| base.argument).zip(bases) {
        command = command.env(argument, &base.reference);
    }
    if let Some(folder) = &client {
        command = command.env(DOCKER_CONFIG, folder.path().to_string_lossy());
    }
    for image in spec().images.built {
        command = command.envs(origins.own(image.name).into_iter().flat_map(|own| told(own, Some(image.name))));
    }
    command.run().await?;
    let say = || format!("read {}", output.display());
    let text = std::fs::read_to_string(&output).map_err(Error::io(say()))?;
    let found: SkaffoldOutput = serde_json::from_str(&text).map_err(Error::malformed(say()))?;
    for image in spec().images.built {
        if !found.builds.iter().any(|artifact| artifact.image_name == image.name) {
            return Err(Error::refused(
                format!("skaffold build made no {}", image.name),
                "name it under build.artifacts in skaffold.yaml",
            ));
        }
    }
    Ok(found.builds)
}

/// The variables for the revision of all images, or of one image from a repository of its own.
fn told(revision: &Revision, image: Option<&str>) -> [(String, String); 3] {
    let Revision { sha, reference, time, .. } = revision;
    let (told, values) = (revision_arguments(), [sha, reference, time]);
    std::array::from_fn(|at| (variable(&told[at], image), values[at].clone()))
}

/// The name of the variable that fills a build argument.
fn variable(argument: &str, image: Option<&str>) -> String {
    image.map_or_else(|| argument.to_owned(), |image| format!("{argument}_{}", in_a_variable(image)))
}

/// Writes skaffold.yaml, adapted for this build, into the scratch folder.
fn definition(sources: &Sources<'_>, origins: &Origins, ca: &Path) -> Result<PathBuf> {
    let copy = sources.scratch.join("skaffold-build.yaml");
    let text = adapted(&sources.project.skaffold()?, &origins.images, ca)?;
    std::fs::write(&copy, text).map_err(Error::io(format!("write {}", copy.display())))?;
    Ok(copy)
}

/// The text of skaffold.yaml with the images' real contexts, and the CA file as their secret: Skaffold expands no variables in a
/// context or a secret's path, and a variable's value is too short for a whole bundle.
fn adapted(text: &str, origins: &[BuildContext], ca: &Path) -> Result<String> {
    let problem = || Error::malformed("read skaffold.yaml");
    let mut root: serde_yaml::Value = serde_yaml::from_str(text).map_err(problem())?;
    let artifacts = root["build"]["artifacts"].as_sequence_mut().into_iter().flatten();
    for artifact in artifacts {
        let name = artifact["image"].as_str().unwrap_or_default().to_owned();
        if let Some(origin) = origins.iter().find(|origin| origin.image.name == name) {
            artifact["context"] = origin.folder.to_string_lossy().into_owned().into();
            for argument in origin.revision.iter().flat_map(|_| revision_arguments()) {
                // A variable, not its value: Skaffold would evaluate a branch's name with braces as a template.
                artifact["docker"]["buildArgs"][argument.as_str()] =
                    format!("{{{{.{}}}}}", variable(&argument, Some(&name))).into();
            }
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

/// The CA file that builds get as a secret: the one that the settings name, else an empty one, which is written.
///
/// # Errors
/// [`harness_base::Error::Refused`] when the setting is not allowed; [`harness_base::Error::Io`].
pub fn build_ca(sources: &Sources<'_>) -> Result<PathBuf> {
    if let Some(path) = sources.settings.build_ca.get()?.filter(|path| path.is_file()) {
        return Ok(path);
    }
    let path = sources.scratch.join("no-ca.pem");
    std::fs::write(&path, "").map_err(Error::io(format!("write {}", path.display())))?;
    Ok(path)
}

/// Adds to a pushing command the environment that a credential helper needs to ask a cloud, for registries elsewhere.
fn pushing_to(repository: &str, command: Command, tools: &Tools) -> Command {
    match is_local(repository.split('/').next().unwrap_or_default()) {
        true => command,
        false => command.given(tools.environment(), ChildKind::Credentials),
    }
}

/// Pushes the third-party images, one after another: most of their few layers are there already.
async fn push_all(engine: &Engine, prefix: &str, held: &[HeldImage]) -> Result<Vec<Artifact>> {
    let mut artifacts = Vec::new();
    for (image, held) in spec().images.third_party.iter().zip(held) {
        let reference = push(engine, &held.reference, &format!("{prefix}/{}", image.name)).await?;
        artifacts.push(Artifact {
            image_name: image.name.to_owned(),
            tag: reference,
            stands_in_for: held.image.stands_in_for().map(str::to_owned),
            revision: None,
        });
    }
    Ok(artifacts)
}

/// Pushes an image that the engine holds to a repository, and returns its reference there, with the digest.
///
/// # Errors
/// [`Error::Command`] when the engine does not push it.
pub async fn push(engine: &Engine, held: &str, repository: &str) -> Result<Reference> {
    engine.push(held, repository, |push| pushing_to(repository, push, engine.tools()).limit(BUILD)).await?;
    let pushed = engine.image(repository).await?.map(|image| image.repo_digests).unwrap_or_default();
    let reference = pushed.iter().find(|digest| digest.starts_with(&format!("{repository}@"))).ok_or_else(|| {
        Error::refused(
            format!("{repository} was pushed, but the engine knows no digest of it"),
            format!("docker push {repository}"),
        )
    })?;
    Ok(reference.parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_gets_what_is_really_built_from() {
        let text = "build:\n  artifacts:\n  - image: backend\n    context: apps/backend\n    docker:\n      \
            buildArgs: {SHOP_GIT_SHA: '{{.SHOP_GIT_SHA}}'}\n      secrets: [{id: ca, env: X}]\n";
        let revision = |sha: &str| Revision::known(sha, Path::new("/b"));
        let of = |revision| {
            let origin = BuildContext { image: &spec().images.built[0], folder: PathBuf::from("/b"), revision };
            let adapted = adapted(text, &[origin], Path::new("/ca.pem")).unwrap();
            serde_yaml::from_str::<serde_yaml::Value>(&adapted).unwrap()["build"]["artifacts"][0].clone()
        };
        let artifact = of(None);
        assert_eq!(artifact["context"], "/b");
        assert_eq!(artifact["docker"]["secrets"][0]["src"], "/ca.pem");
        assert!(artifact["docker"]["secrets"][0].get("env").is_none());
        assert_eq!(artifact["docker"]["buildArgs"]["SHOP_GIT_SHA"], "{{.SHOP_GIT_SHA}}");
        let own = of(Some(revision("0123456")));
        assert_eq!(own["docker"]["buildArgs"]["SHOP_GIT_SHA"], "{{.SHOP_GIT_SHA_backend}}");
        assert_eq!(told(&revision("0123456"), Some("backend"))[0], ("SHOP_GIT_SHA_backend".into(), "0123456".into()));
    }
}
