//! `Images`: what was built, by itself.

use std::pin::Pin;
use std::sync::Arc;

use crate::artifacts::{Reference, Registry};
use crate::descriptor;
use crate::engine::Engine;
use crate::error::Result;
use crate::fixture::{Fixtures, Owner};
use crate::release::Plan;
use crate::scenario::{Aftercare, Argument, Made, Needs};

/// Built images in the engine, with no cluster.
#[derive(Debug)]
pub struct Images {
    plan: Arc<Plan>,
    /// The engine that holds them.
    pub engine: Engine,
    /// The registry's address on this host.
    registry: String,
    owner: Arc<Owner>,
}

impl Images {
    /// Repository and digest by which the engine knows an artifact.
    ///
    /// # Errors
    /// [`Error::Refused`] when the set has none of that name.
    pub fn reference(&self, name: &str) -> Result<Reference> {
        Ok(self.plan.artifacts.get(name)?.tag.at_registry(&self.registry))
    }

    /// The label that containers of this scenario carry, so that they go even if this process is killed.
    pub fn owner_label(&self) -> (&str, &str) {
        (descriptor::OWNER_LABEL, &self.owner.name)
    }
}

impl Argument for Images {
    const NEEDS: Needs = Needs::Images;

    async fn make(fixtures: Arc<Fixtures>, _: &str) -> Result<Made<Self>> {
        let plan = fixtures.images().await?;
        let engine = fixtures.engine().await?;
        let registry = Registry::address(&engine, fixtures.cluster_name()).await?;
        let owner = Arc::new(fixtures.owner()?);
        let aftercare = Box::new(ContainerCare(engine.clone(), Arc::clone(&owner)));
        Ok(Made { argument: Self { plan, engine, registry, owner }, aftercare })
    }
}

/// The end of the containers that a scenario started.
struct ContainerCare(Engine, Arc<Owner>);

impl Aftercare for ContainerCare {
    fn remove(self: Box<Self>) -> Pin<Box<dyn Future<Output = Result<()>> + Send>> {
        Box::pin(async move { self.1.end(&self.0).await })
    }
}
