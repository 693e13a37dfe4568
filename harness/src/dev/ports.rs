//! Checks that the fixed ports of stage dev are free, and names the holders of those that are not.

use crate::doctor::ports::{Holder, holder};
use crate::engine::{Engine, KIND_LABEL};
use crate::error::{Error, Result};

/// Expects that no process of this machine listens at these ports.
///
/// # Errors
/// [`harness_base::Error::Refused`] with the holder of each taken port, and how to end it.
pub async fn expect_free(engine: &Engine, ports: &[u16]) -> Result<()> {
    let mut taken = Vec::new();
    let mut next = Vec::new();
    for port in ports {
        let Some(found) = holder(*port) else { continue };
        let (who, end) = match cluster_at(engine, *port).await? {
            Some(cluster) => (format!("the Kind cluster {cluster}"), format!("kind delete cluster --name {cluster}")),
            None => named(&found),
        };
        taken.push(format!("port {port} is held by {who}"));
        if !next.contains(&end) {
            next.push(end);
        }
    }
    match taken.is_empty() {
        true => Ok(()),
        false => Err(Error::refused(taken.join("\n"), next.join("\n        "))),
    }
}

fn named(found: &Holder) -> (String, String) {
    match found.pid {
        Some(pid) => (found.to_string(), format!("end it (kill {pid}), and run the same command again")),
        None => (found.to_string(), "end it, and run the same command again".to_owned()),
    }
}

/// The kind cluster whose node publishes a port of this machine.
async fn cluster_at(engine: &Engine, port: u16) -> Result<Option<String>> {
    Ok(engine.label_at_port(KIND_LABEL, port).await?)
}
