//! The image of kind's nodes: held by the engine, loaded from the toolbox, pulled, or made from package registries.

use std::path::PathBuf;
use std::time::Duration;

use harness_base::hash;
use harness_base::progress::Step;
use harness_machine::engine::Engine;
use harness_machine::project::Project;
use harness_machine::source::{Planned, ProvisionSource, size_of};
use harness_machine::tools::{ChildKind, Tools};
use harness_settings::marks::DOMAIN;
use harness_settings::settings::Settings;
use harness_settings::spec::variable::{KIND_NODE_IMAGE, SETUP, TOOLBOX};

use crate::artifacts::pull_size;
use crate::error::{Error, Result};

/// The deadline of a pull; a registry that cannot be reached fails much sooner.
const PULL: Duration = Duration::from_secs(900);
/// The deadline for loading an archive.
const LOAD: Duration = Duration::from_secs(600);
/// The deadline of the recipe, which compiles Kubernetes.
const MAKE: Duration = Duration::from_secs(3600);
/// The disk that the recipe needs meanwhile, in MiB: mostly Go's build cache.
const MAKE_MIB: u64 = 7000;
/// The name in the manifest of a network that carries more than one node.
const MULTI_NODE_NETWORK: &str = "kindnet";

/// The arguments for having a node image, or another image of the harness.
#[derive(Debug, Clone, Copy)]
pub struct NodeImageRequest<'a> {
    /// The engine that is to hold it.
    pub engine: &'a Engine,
    /// The tools: Go, for the recipe.
    pub tools: &'a Tools,
    /// The checkout, with the pinned version and the recipe.
    pub project: &'a Project,
    /// The settings: a node image to use, the toolbox, whether anything may be set up.
    pub settings: &'a Settings,
    /// The allowed sources.
    pub from: ProvisionSource,
}

/// The image that kind/kind-config.yaml pins.
#[derive(Debug, PartialEq, Eq)]
struct Pinned {
    /// `repository:tag@digest`.
    reference: String,
    /// How many nodes the configuration has.
    nodes: usize,
}

/// A source of an image.
enum ImageSource {
    Held(String),
    Toolbox(PathBuf),
    Pull,
    Make,
}

/// Makes sure that the engine holds a node image, and returns its reference.
///
/// Sources in this order: [`harness_settings::settings::KIND_NODE_IMAGE`] (which kind pulls by itself), a held image of the
/// pinned minor version, a held image that the current recipe made, the toolbox's archive, a pull of the pinned digest, the
/// recipe.
///
/// What remains on cancel: complete images, and the recipe's finished pieces.
///
/// # Errors
/// [`harness_base::Error::Refused`] when there is none and none may be made, or it cannot carry as many nodes as are configured;
/// [`Error::Command`] when the recipe fails.
pub async fn ensure(request: NodeImageRequest<'_>) -> Result<String> {
    if let Some(set) = &request.settings.node_image {
        return Ok(set.clone());
    }
    let pinned = pinned(request.project)?;
    let mut reason = String::new();
    for way in ways(&request, &pinned).await? {
        let image = match way {
            ImageSource::Held(image) => image,
            ImageSource::Toolbox(archive) => match load(&request, &pinned, &archive).await {
                Ok(image) => image,
                Err(error) => {
                    tracing::warn!("the toolbox's node image is not used: {error}");
                    continue;
                }
            },
            ImageSource::Pull => match pull(request.engine, &pinned.reference).await {
                Ok(image) => image,
                Err(error) => {
                    reason = error.to_string();
                    continue;
                }
            },
            ImageSource::Make => make(&request, &reason).await?,
        };
        check_nodes(request.engine, &pinned, &image).await?;
        return Ok(image);
    }
    Err(Error::refused(
        format!("there is no node image {}{}{reason}", pinned.reference, if reason.is_empty() { "" } else { ": " }),
        format!("docker pull {}, or let it be made (unset {SETUP}, or --from auto)", pinned.reference),
    ))
}

/// What [`ensure`] would do; provides nothing.
///
/// # Errors
/// As [`ensure`], except for errors of providing an image.
pub async fn plan(request: NodeImageRequest<'_>) -> Result<Planned> {
    let name = "node image";
    if let Some(set) = &request.settings.node_image {
        return Ok(Planned::at_hand(name, format!("{set}, as {KIND_NODE_IMAGE} says")));
    }
    let pinned = pinned(request.project)?;
    let ways = ways(&request, &pinned).await?;
    if let Some(ImageSource::Held(image)) = ways.first() {
        return Ok(Planned::at_hand(name, image.clone()));
    }
    let mut words = Vec::new();
    for way in ways {
        words.push(match way {
            ImageSource::Held(image) => image,
            ImageSource::Toolbox(archive) => format!("load {}{}", archive.display(), size_of(&archive)),
            ImageSource::Pull => pull_size(request.engine.manifest(&pinned.reference)?, &pinned.reference).await,
            ImageSource::Make => "make it from package registries (kind/node-image; it compiles Kubernetes)".to_owned(),
        });
    }
    Ok(Planned::to_do(name, words))
}

/// The possible sources, in their order; only one if the engine holds an image.
async fn ways(request: &NodeImageRequest<'_>, pinned: &Pinned) -> Result<Vec<ImageSource>> {
    if request.engine.image(&pinned.reference).await?.is_some() {
        return Ok(vec![ImageSource::Held(pinned.reference.clone())]);
    }
    if let Some(held) = held(request.engine, pinned).await? {
        return Ok(vec![ImageSource::Held(held)]);
    }
    // After the official image, which can do more.
    let is_made = recipe(request.project).is_dir();
    if is_made {
        let made = made_tag(request.project)?;
        if request.engine.image(&made).await?.is_some() {
            return Ok(vec![ImageSource::Held(made)]);
        }
    }
    let mut ways = Vec::new();
    if !request.settings.may_set_up() {
        return Ok(ways);
    }
    if request.from.toolbox() {
        ways.extend(archive(request.settings, pinned)?.map(ImageSource::Toolbox));
    }
    if request.from.downloads() {
        ways.push(ImageSource::Pull);
    }
    if request.from.registries() && is_made {
        ways.push(ImageSource::Make);
    }
    Ok(ways)
}

/// The newest image of the pinned repository and minor version that the engine holds by a tag.
async fn held(engine: &Engine, pinned: &Pinned) -> Result<Option<String>> {
    let repository = repository(&pinned.reference);
    let listed = engine.tags(repository).await?;
    Ok(newest(listed.iter().map(String::as_str), &pinned.reference))
}

/// The newest of these references that has the pinned minor version.
fn newest<'a>(listed: impl Iterator<Item = &'a str>, pinned: &str) -> Option<String> {
    let minor = minor(pinned);
    let patch = |reference: &str| reference.rsplit_once(&minor)?.1.parse::<u32>().ok();
    listed.filter_map(|line| Some((patch(line.trim())?, line.trim().to_owned()))).max().map(|(_, reference)| reference)
}

/// The part `repository` of `repository:tag@digest`.
fn repository(reference: &str) -> &str {
    let name = reference.split_once('@').map_or(reference, |(name, _)| name);
    name.rsplit_once(':').map_or(name, |(repository, _)| repository)
}

/// The minor version `v1.34.` of `repository:v1.34.11@digest`.
fn minor(reference: &str) -> String {
    let name = reference.split_once('@').map_or(reference, |(name, _)| name);
    let tag = name.rsplit_once(':').map_or("", |(_, tag)| tag);
    tag.rsplit_once('.').map_or_else(|| tag.to_owned(), |(minor, _)| format!("{minor}."))
}

/// The toolbox's archive of a node image of the pinned minor version.
fn archive(settings: &Settings, pinned: &Pinned) -> Result<Option<PathBuf>> {
    let Some(toolbox) = settings.toolbox.get()? else { return Ok(None) };
    let start = format!("kind-node-{}", minor(&pinned.reference));
    let say = || format!("list {}", toolbox.display());
    for entry in std::fs::read_dir(&toolbox).map_err(Error::io(say()))? {
        let path = entry.map_err(Error::io(say()))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with(&start) && name.ends_with(".tar.zst") {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

async fn load(request: &NodeImageRequest<'_>, pinned: &Pinned, archive: &std::path::Path) -> Result<String> {
    let step = Step::begin(format!("loading the node image from {}", archive.display()));
    // The archive's window is larger than zstd's default.
    let script = "set -o pipefail; zstd -dcq --long=31 \"$1\" | docker load --quiet";
    request
        .tools
        .program("bash", ChildKind::Engine)
        .args(["-c", script, "bash"])
        .arg(archive)
        .limit(LOAD)
        .on_failure(format!("install zstd (apt-get install zstd), or unset {TOOLBOX}"))
        .run()
        .await?;
    step.done();
    held(request.engine, pinned).await?.ok_or_else(|| {
        Error::refused(
            format!("{} holds no image of {}", archive.display(), repository(&pinned.reference)),
            format!("unset {TOOLBOX}, or correct the archive"),
        )
    })
}

async fn pull(engine: &Engine, reference: &str) -> Result<String> {
    let step = Step::begin(format!("pulling {reference}"));
    engine.pull(reference, PULL).await?;
    step.done();
    Ok(reference.to_owned())
}

fn made_tag(project: &Project) -> Result<String> {
    // The recipe uses the base images' helpers.
    let both = format!("{}{}", hash::recipe(&recipe(project))?, hash::recipe(&project.recipes().join("base-images"))?);
    Ok(format!("{DOMAIN}/kind/node:{}", hash::short(&hash::text(&both))))
}

fn recipe(project: &Project) -> PathBuf {
    project.recipes().join("node-image")
}

async fn make(request: &NodeImageRequest<'_>, reason: &str) -> Result<String> {
    if !reason.is_empty() {
        tracing::info!("the node image cannot be pulled; it is made here, once\n{reason}");
    }
    let tag = made_tag(request.project)?;
    request.tools.need("making the node image", MAKE_MIB)?;
    let go = request.tools.go().await?;
    let what = "making the node image from package registries";
    let turn = request.tools.turn_to_build(what).await?;
    // Another process may have made it while this one waited.
    if request.engine.image(&tag).await?.is_none() {
        let step = Step::begin(what);
        let make = go.call(recipe(request.project).join("make")).env("GO", go.program.to_string_lossy()).arg(&tag);
        make.holding(Some(turn.descriptor()?)).limit(MAKE).telling(step.teller().aloud()).run().await?;
        step.done();
    }
    Ok(tag)
}

/// Checks that the image's network carries as many nodes as are configured, by its manifest and not by its name.
async fn check_nodes(engine: &Engine, pinned: &Pinned, image: &str) -> Result<()> {
    if pinned.nodes < 2 {
        return Ok(());
    }
    let manifest = engine.read_file(image, "/kind/manifests/default-cni.yaml").await?;
    if manifest.contains(MULTI_NODE_NETWORK) {
        return Ok(());
    }
    Err(Error::refused(
        format!("kind/kind-config.yaml has {} nodes, and the network of {image} joins no two", pinned.nodes),
        format!("docker pull {}, or leave one node in kind/kind-config.yaml", pinned.reference),
    ))
}

fn pinned(project: &Project) -> Result<Pinned> {
    let path = project.recipes().join("kind-config.yaml");
    let text = std::fs::read_to_string(&path).map_err(Error::io(format!("read {}", path.display())))?;
    parse(&text)
}

fn parse(text: &str) -> Result<Pinned> {
    let root: serde_yaml::Value = serde_yaml::from_str(text).map_err(Error::malformed("read kind/kind-config.yaml"))?;
    let nodes = root["nodes"].as_sequence().map(Vec::as_slice).unwrap_or_default();
    let image = nodes.iter().find_map(|node| node["image"].as_str()).ok_or_else(|| {
        Error::refused(
            "kind/kind-config.yaml names no node image",
            "pin one: nodes: [{image: kindest/node:…@sha256:…}]",
        )
    })?;
    Ok(Pinned { reference: image.to_owned(), nodes: nodes.len() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PINNED: &str = "kindest/node:v1.34.11@sha256:44e2";

    #[test]
    fn the_newest_of_the_pinned_minor_version_is_taken() {
        let listed = ["kindest/node:v1.34.4", "kindest/node:v1.34.10", "kindest/node:v1.35.8", "kindest/node:<none>"];
        assert_eq!(newest(listed.into_iter(), PINNED).as_deref(), Some("kindest/node:v1.34.10"));
        assert_eq!(newest(["kindest/node:v1.3.4"].into_iter(), PINNED), None);
    }

    #[test]
    fn a_reference_has_a_repository_and_a_minor_version() {
        assert_eq!((repository(PINNED), minor(PINNED).as_str()), ("kindest/node", "v1.34."));
    }

    #[test]
    fn the_configuration_pins_an_image_and_has_nodes() {
        let text = format!("nodes:\n- role: control-plane\n  image: {PINNED}\n- role: worker\n");
        assert_eq!(parse(&text).unwrap(), Pinned { reference: PINNED.to_owned(), nodes: 2 });
        assert!(parse("nodes: []").unwrap_err().report().contains("names no node image"));
    }
}
