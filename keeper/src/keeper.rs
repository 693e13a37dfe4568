//! Watches previews' namespaces, and does for each what it asks for.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use harness::error::{Error, Result};
use harness::preview::stores::{self, FINALIZER, Stores};
use harness::preview::{self, Preview, PullRequest};
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::runtime::controller::{Action, Controller};
use kube::runtime::finalizer::{Event, finalizer};
use kube::runtime::watcher;
use kube::{Api, Client, ResourceExt};

use crate::aws::Aws;
use crate::{postgres, redis, s3};

/// How long all of a preview's stores may take, one attempt.
const LIMIT: Duration = Duration::from_secs(60);
/// How long until what failed is tried again.
const AGAIN: Duration = Duration::from_secs(5);
/// How many previews are seen to at once.
const AT_ONCE: u16 = 8;

/// Where the keeper finds what an administrator gave it.
#[derive(Debug, Clone)]
pub struct Files {
    /// Where the stores are: `stores` of the chart's values, as JSON.
    pub stores: PathBuf,
    /// A folder with the administrators' passwords: `postgres-password`, `redis-password`.
    pub secrets: PathBuf,
}

impl Files {
    fn secret(&self, name: &str) -> Result<String> {
        read(&self.secrets.join(name))
            .map(|text| text.trim_end().to_owned())
            .inspect(|text| harness::secrets::know(text))
    }
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(Error::io(format!("read {}", path.display())))
}

struct Keeper {
    client: Client,
    files: Files,
    stores: Stores,
    aws: Option<Aws>,
}

/// A failure, as kube's runtime takes one.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.report())]
struct Failure(Error);

/// Keeps previews' stores until it is told to stop (SIGTERM, SIGINT); what was begun is done to its end.
///
/// What remains on a kill: at worst a half-made part, which the next keeper makes whole or removes, since the namespace
/// still asks for it.
///
/// # Errors
/// The files cannot be read. Afterwards failures are noted at the namespace, and tried again.
pub async fn keep(client: Client, files: Files) -> Result<()> {
    let stores = Stores::parse(&read(&files.stores)?)?;
    let aws = stores.s3.as_ref().map(Aws::new).transpose()?;
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let keeper = Arc::new(Keeper { client, files, stores, aws });
    let watched = watcher::Config::default().labels(&preview::selector());
    let config = kube::runtime::controller::Config::default().concurrency(AT_ONCE);
    let work = Controller::new(namespaces, watched).with_config(config).shutdown_on_signal();
    work.run(see_to, |_, _, _| Action::requeue(AGAIN), keeper)
        .for_each(|outcome| async {
            if let Err(error) = outcome {
                tracing::warn!("{error}");
            }
        })
        .await;
    Ok(())
}

async fn see_to(namespace: Arc<Namespace>, keeper: Arc<Keeper>) -> Result<Action, Failure> {
    let held = namespace.finalizers().iter().any(|name| name == FINALIZER);
    let Ok(preview) = Preview::of(&namespace) else { return Ok(Action::await_change()) };
    if !held && stores::wanted(&namespace).is_none() {
        return Ok(Action::await_change());
    }
    let api: Api<Namespace> = Api::all(keeper.client.clone());
    let turn = finalizer(&api, FINALIZER, Arc::clone(&namespace), |event| async {
        match event {
            Event::Apply(namespace) => keeper.bounded(&namespace, keeper.make(&namespace, preview.of)).await,
            Event::Cleanup(namespace) => keeper.bounded(&namespace, keeper.remove(preview.of)).await,
        }
    });
    turn.await.map_err(|error| Failure(Error::store(format!("see to {}", namespace.name_any()))(error)))
}

impl Keeper {
    /// Within the limit; a failure is noted where whoever waits looks.
    async fn bounded(&self, namespace: &Namespace, work: impl Future<Output = Result<()>>) -> Result<Action, Failure> {
        let outcome = tokio::time::timeout(LIMIT, work).await.unwrap_or_else(|_| {
            let last = "a store has not answered".to_owned();
            Err(Error::Deadline { awaited: "the stores".to_owned(), after: LIMIT, last })
        });
        let Err(error) = outcome else { return Ok(Action::await_change()) };
        if let Err(second) = stores::note_failed(&self.client, namespace, &error.report()).await {
            tracing::warn!("{}", second.report());
        }
        Err(Failure(error))
    }

    async fn make(&self, namespace: &Namespace, of: PullRequest) -> Result<()> {
        let Some(wanted) = stores::wanted(namespace) else { return Ok(()) };
        let name = of.namespace();
        if let Some(server) = &self.stores.postgres {
            let password = self.password(of, "db-password").await?;
            postgres::make(server, &self.files.secret("postgres-password")?, &name, &password).await?;
        }
        if let Some(server) = &self.stores.redis {
            let password = self.password(of, "redis-password").await?;
            redis::make(server, &self.files.secret("redis-password")?, &name, &password).await?;
        }
        if let (Some(aws), Some(bucket)) = (&self.aws, &self.stores.s3) {
            s3::make(aws, bucket, of).await?;
        }
        tracing::info!("{name} has its stores");
        stores::note_made(&self.client, &name, &wanted).await
    }

    async fn remove(&self, of: PullRequest) -> Result<()> {
        let name = of.namespace();
        if let Some(server) = &self.stores.postgres {
            postgres::remove(server, &self.files.secret("postgres-password")?, &name).await?;
        }
        if let Some(server) = &self.stores.redis {
            redis::remove(server, &self.files.secret("redis-password")?, &name).await?;
        }
        if let (Some(aws), Some(bucket)) = (&self.aws, &self.stores.s3) {
            s3::remove(aws, bucket, of).await?;
        }
        tracing::info!("{name} has no stores any more");
        Ok(())
    }

    /// A password of the preview's release.
    async fn password(&self, of: PullRequest, key: &str) -> Result<String> {
        let (namespace, name) = (of.namespace(), stores::auth_secret());
        let what = format!("read {key} of the Secret {name} in {namespace}");
        let api: Api<Secret> = Api::namespaced(self.client.clone(), &namespace);
        let found = api.get(&name).await.map_err(Error::kube(&what))?;
        let value = found.data.and_then(|mut data| data.remove(key));
        let text = value.and_then(|value| String::from_utf8(value.0).ok());
        text.inspect(|text| harness::secrets::know(text))
            .ok_or_else(|| Error::refused(what, "it is not there: take the preview down, and deploy it again"))
    }
}
