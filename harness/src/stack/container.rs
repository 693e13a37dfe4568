//! A container of one of the stack's images by itself: no cluster, no chart.

use std::time::Duration;

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::http::Reader;

/// The number of lines of its log with which an error says how a container ended.
const LAST: usize = 10;

/// How a container is started.
#[derive(Debug, Clone, Copy, Default)]
pub struct ContainerOptions<'a> {
    /// Its image: the name of one of the stack's built images.
    pub image: &'a str,
    /// A program in the place of the image's entrypoint, and its arguments; empty: as the image starts by itself.
    pub command: &'a [&'a str],
    /// Variables of its environment.
    pub envs: &'a [(&'a str, &'a str)],
    /// The TCP port that it listens on; published at a free port of 127.0.0.1.
    pub port: Option<u16>,
}

/// A container of one of the stack's images ([`Images::start`](super::Images::start)). It is removed after the scenario; on
/// cancel or kill, by the next run or the reaper.
#[derive(Debug)]
pub struct ImageContainer {
    pub(super) engine: Engine,
    pub(super) id: String,
    pub(super) port: Option<u16>,
}

impl ImageContainer {
    /// Sends GET to the published port until the answer is 200; then the container serves.
    ///
    /// # Errors
    /// [`Error::Unmet`] with its last words when the container ends before; otherwise as [`Reader::answers`].
    pub async fn answers(&self, path: &str, limit: Duration) -> Result<()> {
        let port = self.port.ok_or_else(|| {
            harness_base::Error::refused(
                "the container publishes no port",
                "start it with a port (ContainerOptions, port)",
            )
        })?;
        let reader = Reader::new(&format!("http://{}", self.engine.published(&self.id, port).await?))?;
        tokio::select! {
            answer = reader.answers(path, limit) => Ok(answer.map(drop)?),
            status = self.ended(limit) => Err(self.ended_before_it_served(status?).await),
        }
    }

    /// Waits until the container has ended by itself; returns its exit status.
    ///
    /// # Errors
    /// [`Error::Command`] when it has not within `limit`.
    pub async fn ended(&self, limit: Duration) -> Result<i32> {
        Ok(self.engine.ended(&self.id, limit).await?)
    }

    /// Sends SIGTERM, and SIGKILL if the container has not ended within `grace`; returns its exit status: 137 after SIGKILL.
    ///
    /// # Errors
    /// [`Error::Command`] when the engine does not answer.
    pub async fn stop(&self, grace: Duration) -> Result<i32> {
        self.engine.stop(&self.id, grace).await?;
        self.ended(grace).await
    }

    /// Runs a shell command in the container; returns its standard output.
    ///
    /// # Errors
    /// [`Error::Command`] when it exits with another status than 0.
    pub async fn exec(&self, line: &str) -> Result<String> {
        Ok(self.engine.exec(&self.id, line, "").await?)
    }

    /// What the container wrote so far: first its standard output, then its standard error.
    ///
    /// # Errors
    /// [`Error::Command`] when the engine does not answer.
    pub async fn log(&self) -> Result<String> {
        Ok(self.engine.log(&self.id).await?)
    }

    async fn ended_before_it_served(&self, status: i32) -> Error {
        let log = self.log().await.unwrap_or_else(|error| error.report());
        let lines: Vec<&str> = log.lines().collect();
        let last = lines[lines.len().saturating_sub(LAST)..].join("\n");
        Error::Unmet(format!("the container ended with status {status} before it served:\n{last}"))
    }
}
