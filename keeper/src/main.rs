//! The keeper of shared stores: makes each preview's part of them, and removes it.
//!
//! ```text
//! namespaces -> keeper -> postgres, redis, elasticache, s3
//! ```
//!
//! It runs in the cluster (charts/preview-sweeper), where the stores are reached and their administrators' credentials stay.
//! `cargo stack preview up` requests a part by an annotation; a finalizer keeps a namespace until the keeper has removed its
//! part, whoever deletes the namespace.

mod aws;
mod elasticache;
mod error;
mod keeper;
mod postgres;
mod redis;
mod s3;
mod sweep;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use harness::settings::Settings;
use harness::tools::Tools;
use harness::{events, output, preview, tell};

use error::Result;

/// Makes and removes what previews have on shared stores, as their namespaces ask for it, until told to stop.
///
/// Runs in the cluster (charts/preview-sweeper), beside the stores' administrators' credentials; by hand it is of use only
/// while no other does. The cluster is that of `cargo stack preview`: JETSCALE_KUBE_CONTEXT,
/// JETSCALE_KUBE_CONTEXT_ALLOW, JETSCALE_PREVIEW_CLUSTER and KUBECONFIG name it.
///
/// Example: keeper --stores stores.json --secrets /etc/preview-stores
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Where the stores are: `stores` of the chart's values, as JSON.
    #[arg(long)]
    stores: PathBuf,
    /// A folder with the administrators' passwords: postgres-password, redis-password.
    #[arg(long)]
    secrets: PathBuf,
}

fn main() -> ExitCode {
    harness::spec::of(&jetscale::STACK);
    output::redact_panics();
    let Arguments { stores, secrets } = Arguments::parse();
    let settings = Settings::from_environment();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let kept = runtime
        .map_err(|error| harness::Error::io("start the runtime")(error).into())
        .and_then(|runtime| runtime.block_on(keep(&settings, keeper::Files { stores, secrets })));
    match kept {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell!("error: {}", error.report());
            ExitCode::FAILURE
        }
    }
}

async fn keep(settings: &Settings, files: keeper::Files) -> Result<()> {
    events::start(&settings.state_root.join("preview"), settings.shown())?;
    let cluster = preview::connect(settings, &Tools::new(settings.tools())).await?;
    keeper::keep(cluster.client, files).await
}
