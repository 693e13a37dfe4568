//! `Site`: an address that answers, in every stage.

use std::path::PathBuf;
use std::sync::Arc;

use super::shared::SharedCare;
use crate::cluster::Cluster;
use crate::descriptor;
use crate::dev;
use crate::error::{Error, Result};
use crate::fixture::Fixtures;
use crate::http::{Options, Reader, Reply};
use crate::k8s::Forward;
use crate::release::Plan;
use crate::scenario::{Argument, Made, Needs, Nothing};
use crate::services::{self, Backend};
use crate::settings::Settings;
use crate::stage::Stage;
use crate::websocket::Handshake;

/// An address that answers: GET, HEAD, and a WebSocket handshake; nothing that writes.
#[derive(Debug, Clone)]
pub struct Site {
    reader: Reader,
    /// Keeps the way to the cluster open.
    forward: Option<Arc<Forward>>,
}

impl Site {
    /// The live site.
    fn live(settings: &Settings) -> Result<Self> {
        let read = |path: &PathBuf| std::fs::read(path).map_err(Error::io(format!("read {}", path.display())));
        let ca_bundle = settings.ca_bundle.as_ref().map(read).transpose()?;
        let reader = Reader::with(Options { ca_bundle, ..Options::new(&settings.live_url) })?;
        Ok(Self { reader, forward: None })
    }

    /// The site of stage dev: its router, by Kind's port mapping, as the developer's browser reaches it.
    pub(super) fn dev() -> Result<Self> {
        Ok(Self { reader: Reader::new(dev::FRONTEND)?, forward: None })
    }

    /// The site of a release: its one router, the frontend, through a forward to a ready pod.
    pub(super) async fn of(cluster: &Cluster, plan: &Plan) -> Result<Self> {
        let component = &descriptor::FRONTEND;
        let selector = plan.selector(component);
        let port = component.container_port;
        let forward = Forward::open(cluster.client.clone(), &plan.namespace, &selector, port).await?;
        Ok(Self { reader: Reader::new(&forward.url())?, forward: Some(Arc::new(forward)) })
    }

    /// Scheme, host and port.
    pub(super) fn base(&self) -> &str {
        self.reader.base()
    }

    /// GET of a path of the page.
    ///
    /// # Errors
    /// [`Error::Http`] when there is no answer.
    pub async fn get(&self, path: &str) -> Result<Reply> {
        self.reader.get(path).await.map_err(|error| self.explained(error))
    }

    /// GET of a path with one more header.
    ///
    /// # Errors
    /// [`Error::Http`] when there is no answer.
    pub async fn get_with(&self, path: &str, header: &str, value: &str) -> Result<Reply> {
        let reader = self.reader.clone().with_header(header, value)?;
        reader.get(path).await.map_err(|error| self.explained(error))
    }

    /// HEAD of a path.
    ///
    /// # Errors
    /// [`Error::Http`] when there is no answer.
    pub async fn head(&self, path: &str) -> Result<Reply> {
        self.reader.head(path).await.map_err(|error| self.explained(error))
    }

    /// A reset connection cannot say what the forward knows of it.
    fn explained(&self, error: Error) -> Error {
        match (error, self.forward.as_ref().and_then(|forward| forward.last_problem())) {
            (Error::Http { what, source }, Some(problem)) => {
                Error::Http { what: format!("{what} (the forward to the pod: {problem})"), source }
            }
            (error, _) => error,
        }
    }

    /// The api behind the same origin.
    pub fn backend(&self) -> Backend {
        Backend::new(self.reader.clone())
    }

    /// Tries to open the WebSocket on the same origin.
    ///
    /// # Errors
    /// [`Error::Http`] when there is no answer at all.
    pub async fn websocket(&self, token: Option<&str>) -> Result<Handshake> {
        services::open_websocket(self.reader.base(), token).await
    }
}

impl Argument for Site {
    const NEEDS: Needs = Needs::Site;

    async fn make(fixtures: Arc<Fixtures>, _: &str) -> Result<Made<Self>> {
        if fixtures.stage == Stage::Live {
            return Ok(Made { argument: Self::live(&fixtures.settings)?, aftercare: Box::new(Nothing) });
        }
        let shared = fixtures.release().await?;
        let care = SharedCare::of(&fixtures, &shared.cluster, &shared.plan).await?;
        let argument = match fixtures.stage {
            Stage::Dev => Self::dev()?,
            _ => Self::of(&shared.cluster, &shared.plan).await?,
        };
        Ok(Made { argument, aftercare: Box::new(care) })
    }
}
