//! `Images`: the run's built images, without a cluster.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::future::BoxFuture;

use crate::artifacts::{ArtifactSet, PrivateRegistry, ProvidedArtifacts, Reference, RegistryCredentials};
use crate::engine::{Engine, NewContainer};
use crate::error::{Error, Result};
use crate::release::Plan;
use crate::scenario::{Argument, Fixture, Needs, Teardown};
use crate::session::{Owner, Session};
use crate::spec::spec;
use crate::stage::Stage;

use super::container::{ContainerOptions, ImageContainer};

/// The run's artifact set, whose built images the container engine holds; starts no cluster.
#[derive(Debug)]
pub struct Images {
    /// The container engine that holds the images.
    pub engine: Engine,
    held: BTreeMap<&'static str, Reference>,
    plan: Arc<Plan>,
    session: Arc<Session>,
    owner: Arc<Owner>,
    started: AtomicUsize,
}

impl Images {
    /// The reference, with its digest, by which the engine knows one of the stack's built images.
    ///
    /// # Errors
    /// [`harness_base::Error::Refused`] when the stack builds no image of that name.
    pub fn reference(&self, name: &str) -> Result<Reference> {
        let held = self.held.get(name).cloned();
        held.ok_or_else(|| {
            Error::refused(
                format!("{name} is no image of ours"),
                "name one of the stack's own (StackSpec, images.built)",
            )
        })
    }

    /// All artifacts of the release, whether the engine holds them or not, as this host reaches them.
    ///
    /// # Errors
    /// [`Error::Command`] when the registry beside the cluster does not run.
    pub async fn artifacts(&self) -> Result<ArtifactSet> {
        let mut set = self.plan.artifacts.clone();
        for artifact in &mut set.builds {
            artifact.tag = self.session.from_here(&self.engine, &artifact.tag).await?;
        }
        Ok(set)
    }

    /// Starts a registry that wants credentials. Its container is removed after the scenario; on cancel or kill, by the next run
    /// that has a cluster, or the reaper.
    ///
    /// # Errors
    /// As [`PrivateRegistry::start`].
    pub async fn private_registry(&self) -> Result<PrivateRegistry> {
        self.session.private_registry(&self.engine, &self.owner.name, None).await
    }

    /// The run's registry credentials.
    pub fn credentials(&self) -> &RegistryCredentials {
        &self.session.credentials
    }

    /// Reads the text of an artifact set and checks it against its registries, exactly as stage ci does before a deploy.
    ///
    /// # Errors
    /// The error by which stage ci refuses to deploy it.
    pub async fn check_set(&self, text: &str, credentials: RegistryCredentials) -> Result<ArtifactSet> {
        let file = tempfile::NamedTempFile::new().map_err(Error::io("make a file for an artifact set"))?;
        std::fs::write(file.path(), text).map_err(Error::io("write an artifact set"))?;
        self.session.check_set(&self.engine, &ProvidedArtifacts::at(Stage::Ci, file.path(), credentials)).await
    }

    /// Starts a container of one of the stack's built images. It is removed after the scenario; on cancel or kill, by the next
    /// run that has a cluster, or the reaper.
    ///
    /// # Errors
    /// [`harness_base::Error::Refused`] when the stack builds no image of that name; [`Error::Command`] when the engine does not
    /// start it.
    pub async fn start(&self, image: &str, options: ContainerOptions<'_>) -> Result<ImageContainer> {
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        let new = NewContainer {
            name: &format!("{}-{image}-{number}", self.owner.name),
            owner: &self.owner.name,
            checkout: &self.session.project.root,
            image: &self.reference(image)?.by_digest(),
            command: options.command,
            port: options.port,
            network: None,
            alias: None,
            volumes: &[],
            envs: options.envs,
        };
        let id = self.engine.create(new).await?;
        self.engine.start(&id).await?;
        Ok(ImageContainer { engine: self.engine.clone(), id, port: options.port })
    }
}

impl Argument for Images {
    const NEEDS: Needs = Needs::Images;

    fn make(session: Arc<Session>, _: &str) -> BoxFuture<'_, Result<Fixture<Self>>> {
        Box::pin(async move {
            let plan = session.images().await?;
            let engine = session.engine().await?;
            let mut held = BTreeMap::new();
            for image in spec().images.built {
                let reference = session.from_here(&engine, &plan.artifacts.get(image.name)?.tag).await?;
                let login = session.credentials.at(reference.registry()).await?;
                engine.hold(&reference.by_digest(), login.as_ref(), &session.settings).await?;
                held.insert(image.name, reference);
            }
            let owner = Arc::new(session.owner()?);
            let teardown = Box::new(ContainerCare(engine.clone(), Arc::clone(&owner)));
            Ok(Fixture {
                argument: Self { engine, held, plan, session, owner, started: AtomicUsize::new(0) },
                teardown,
            })
        })
    }
}

/// The teardown of [`Images`]: removes the containers that the scenario started.
struct ContainerCare(Engine, Arc<Owner>);

impl Teardown for ContainerCare {
    fn remove(self: Box<Self>, passed: bool) -> Pin<Box<dyn Future<Output = Result<()>> + Send>> {
        Box::pin(async move { self.1.end(&self.0, passed).await })
    }
}
