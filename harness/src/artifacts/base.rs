//! Base and third-party images: official ones where the hub is reached, else made from package registries.

use std::time::Duration;

use crate::engine::{Engine, Image};
use crate::error::{Error, Result};
use crate::hash;
use crate::progress::Step;
use crate::project::Project;
use crate::tools::Command;

/// How long a pull may take; a hub that cannot be reached says so much sooner.
const PULL: Duration = Duration::from_secs(300);
/// How long the recipes may take, all together.
const MAKE: Duration = Duration::from_secs(900);

/// An image that the engine holds.
#[derive(Debug, Clone)]
pub struct Held {
    /// What to call it in a build argument, a `docker run`, or a push.
    pub reference: String,
    /// What the engine says of it.
    pub image: Image,
}

/// An image that is wanted: the recipe's name, and the official image's.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    /// Its recipe in kind/base-images.
    pub recipe: &'static str,
    /// The official image.
    pub official: &'static str,
}

/// Makes sure that the engine holds all of these, in the order given.
///
/// Looked for in this order: made by the recipe as it is now (its tag is the recipe's content hash),
/// held under the official name, pulled, made. What remains on cancel: images that are whole.
///
/// # Errors
/// [`Error::Refused`] when one is missing and may not be made; [`Error::Command`] when a recipe fails.
pub async fn ensure(engine: &Engine, project: &Project, may_make: bool, wanted: &[Wanted]) -> Result<Vec<Held>> {
    let recipes = project.root.join("kind/base-images");
    let version = hash::folder(&recipes)?;
    let tag = |recipe: &str| format!("jetscale.internal/base/{recipe}:{}", hash::short(&version));
    let mut held = Vec::new();
    let mut missing = Vec::new();
    for want in wanted {
        let found = find(engine, &tag(want.recipe), want.official).await?;
        if found.is_none() && !pull(engine, want.official).await? {
            missing.push(want);
        }
        held.push(found);
    }
    if !missing.is_empty() {
        let names: Vec<_> = missing.iter().map(|want| want.official).collect();
        if !may_make {
            return Err(Error::refused(
                format!("{} cannot be pulled, and JETSCALE_SETUP=never forbids making a substitute", names.join(", ")),
                format!("docker pull {}, or unset JETSCALE_SETUP", names[0]),
            ));
        }
        let step = Step::begin(format!("making {} from package registries", names.join(", ")));
        Command::new(recipes.join("make"))
            .args(missing.iter().flat_map(|want| [want.recipe.to_owned(), tag(want.recipe)]))
            .limit(MAKE)
            .telling(step.teller().aloud())
            .run()
            .await?;
        step.done();
    }
    let mut all = Vec::new();
    for (want, found) in wanted.iter().zip(held) {
        let found = match found {
            Some(found) => Some(found),
            // Pulled or made since.
            None => find(engine, &tag(want.recipe), want.official).await?,
        };
        all.push(found.ok_or_else(|| {
            Error::refused(
                format!("{} was made, but the engine does not hold it", want.official),
                format!("{} --help", recipes.join("make").display()),
            )
        })?);
    }
    Ok(all)
}

async fn find(engine: &Engine, made: &str, official: &str) -> Result<Option<Held>> {
    for reference in [made, official] {
        if let Some(image) = engine.image(reference).await? {
            return Ok(Some(Held { reference: reference.to_owned(), image }));
        }
    }
    Ok(None)
}

/// Whether the official image could be pulled; why not is an event.
async fn pull(engine: &Engine, official: &str) -> Result<bool> {
    match engine.docker()?.args(["pull", "--quiet", official]).limit(PULL).run().await {
        Ok(_) => Ok(true),
        Err(error) => {
            tracing::debug!(reason = %error.report(), "cannot pull {official}");
            Ok(false)
        }
    }
}
