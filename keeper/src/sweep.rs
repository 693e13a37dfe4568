//! The keeper's sweep, every 600 s: removes parts of stores without a preview, and logs what an administrator should do.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::PoisonError;
use std::time::Duration;

use harness::preview::PullRequest;
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;

use crate::error::Result;
use crate::keeper::{Keeper, within};
use crate::{elasticache, postgres, redis, s3};

/// The interval in which the stores are compared with the namespaces.
const SWEEP: Duration = Duration::from_secs(600);

impl Keeper {
    /// Sweeps at once and then every 600 s. Errors are logged, and the next sweep tries again.
    pub(crate) async fn sweep_for_ever(&self) -> Infallible {
        let mut beat = tokio::time::interval(SWEEP);
        loop {
            beat.tick().await;
            if let Err(error) = within(self.advise()).await {
                tracing::warn!("{}", error.report());
            }
            let orphans = match within(self.owns()).await {
                Ok(true) => self.found().await,
                Ok(false) => {
                    tracing::warn!("{}", self.namesake().report());
                    BTreeSet::new()
                }
                Err(error) => {
                    tracing::warn!("{}", error.report());
                    BTreeSet::new()
                }
            };
            for of in orphans {
                if let Err(error) = within(self.remove_orphan(of)).await {
                    tracing::warn!("{}", error.report());
                }
            }
        }
    }

    /// The previews of this cluster that have a part of any store. A store that does not answer is logged and left out.
    async fn found(&self) -> BTreeSet<PullRequest> {
        let prefix = self.stores.cluster.prefix();
        let mut names = BTreeSet::new();
        let mut add = |listed: Result<BTreeSet<String>>| match listed {
            Ok(listed) => names.extend(listed),
            Err(error) => tracing::warn!("{}", error.report()),
        };
        if let Some(server) = &self.stores.postgres {
            add(within(async { postgres::list(server, &self.files.secret("postgres-password")?, &prefix).await }).await);
        }
        if let Some((_, aws)) = self.elasticache() {
            add(within(elasticache::list(aws, &prefix)).await);
        }
        if let Some(server) = self.plain_redis() {
            add(within(async { redis::users(server, &self.files.secret("redis-password")?, &prefix).await }).await);
        }
        if let Some(server) = &self.stores.redis {
            add(within(async { redis::keys(server, &self.files.secret("redis-password")?, &prefix).await }).await);
        }
        if let (Some(aws), Some(bucket)) = (&self.aws, &self.stores.s3) {
            add(within(s3::list(aws, bucket, &prefix)).await);
        }
        names.iter().filter_map(|name| self.stores.cluster.named(name)).collect()
    }

    /// Removes a preview's part of the stores if it has no namespace any more: that was removed past its finalizer.
    async fn remove_orphan(&self, of: PullRequest) -> Result<()> {
        if self.has_namespace(of).await? {
            return Ok(());
        }
        let _turn = self.turns.write().await;
        // Checked again: the namespace may have been made while the lock was waited for.
        if self.has_namespace(of).await? {
            return Ok(());
        }
        tracing::warn!("{} has stores and no namespace: they go", self.stores.cluster.name_of(of));
        self.remove(of).await
    }

    async fn has_namespace(&self, of: PullRequest) -> Result<bool> {
        let (api, name): (Api<Namespace>, _) = (Api::all(self.client.clone()), of.namespace());
        let found = api.get_opt(&name).await.map_err(harness::Error::kube(format!("read the namespace {name}")))?;
        Ok(found.is_some())
    }

    /// Logs the statements by which an administrator shuts previews out of other databases; only when they have changed.
    async fn advise(&self) -> Result<()> {
        let Some(server) = &self.stores.postgres else { return Ok(()) };
        let open = postgres::open_to_all(server, &self.files.secret("postgres-password")?).await?;
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if *told != open {
            for statements in &open {
                tracing::warn!(
                    "every preview's role may connect to a database that is not its own; to be run there: {statements}"
                );
            }
            *told = open;
        }
        Ok(())
    }
}
