//! A container of one of the stack's images by itself: no cluster, no chart.

use std::time::Duration;

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::http::Reader;
use crate::tools::Output;

/// The number of lines that an error shows of the container's logs.
const LAST: usize = 10;

/// How a container is started.
#[derive(Debug, Clone, Copy, Default)]
pub struct ContainerOptions<'a> {
    /// A program in the place of the image's entrypoint, and its arguments; empty: as the image starts by itself.
    pub command: &'a [&'a str],
    /// Variables of its environment.
    pub envs: &'a [(&'a str, &'a str)],
    /// The TCP port that it listens on; published at a free port of 127.0.0.1.
    pub port: Option<u16>,
}

/// A container of one of the stack's images ([`Images::start`](super::Images::start)).
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
    /// [`Error::Unmet`] when the container ends before; otherwise as [`Reader::answers`]. Either has the last lines of its logs.
    pub async fn answers(&self, path: &str, limit: Duration) -> Result<()> {
        let outcome = tokio::select! {
            answer = self.asked(path, limit) => answer,
            // Its deadline is the later one: who waits for an answer is told of the answer.
            status = self.wait(limit * 2) => status.and_then(|status| Err(ended_before_it_served(status))),
        };
        match outcome {
            Ok(()) => Ok(()),
            Err(error) => Err(error.diagnosed(self.last_lines().await)),
        }
    }

    async fn asked(&self, path: &str, limit: Duration) -> Result<()> {
        let port = self.port.ok_or_else(|| {
            Error::refused("the container publishes no port", "start it with a port (ContainerOptions, port)")
        })?;
        let address = match self.engine.published(&self.id, port).await {
            Ok(address) => address,
            Err(error) => {
                // A container that has ended publishes nothing any more.
                let runs = self.engine.container(&self.id).await?.is_some_and(|container| container.state.running);
                return Err(if runs { error.into() } else { ended_before_it_served(self.wait(limit).await?) });
            }
        };
        Reader::new(&format!("http://{address}"))?.answers(path, limit).await?;
        Ok(())
    }

    async fn last_lines(&self) -> String {
        let Output { stdout, stderr } = match self.logs().await {
            Ok(logs) => logs,
            Err(error) => return error.report(),
        };
        let lines: Vec<&str> = stdout.lines().chain(stderr.lines()).collect();
        format!("its last lines:\n{}", lines[lines.len().saturating_sub(LAST)..].join("\n"))
    }

    /// Waits until the container has ended by itself; returns its exit status.
    ///
    /// # Errors
    /// [`harness_base::Error::Deadline`] when it has not within `limit`.
    pub async fn wait(&self, limit: Duration) -> Result<i32> {
        Ok(self.engine.wait(&self.id, limit).await?)
    }

    /// Sends the image's stop signal (SIGTERM unless the image names another), as a kubelet does, and SIGKILL if the container has
    /// not ended within `grace`; returns its exit status, which is 137 after SIGKILL.
    ///
    /// # Errors
    /// [`Error::Command`] when the engine does not answer.
    pub async fn stop(&self, grace: Duration) -> Result<i32> {
        Ok(self.engine.stop(&self.id, grace).await?)
    }

    /// Runs a shell command in the container; returns its standard output.
    ///
    /// # Errors
    /// [`Error::Command`] when it exits with another status than 0.
    pub async fn exec(&self, line: &str) -> Result<String> {
        Ok(self.engine.exec(&self.id, line, "").await?)
    }

    /// What the container wrote so far.
    ///
    /// # Errors
    /// [`Error::Command`] when the engine does not answer.
    pub async fn logs(&self) -> Result<Output> {
        Ok(self.engine.logs(&self.id).await?)
    }
}

fn ended_before_it_served(status: i32) -> Error {
    Error::Unmet(format!("the container ended with status {status} before it served"))
}
