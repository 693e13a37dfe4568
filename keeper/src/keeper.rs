//! The keeper: watches previews' namespaces, and makes, renews or removes each one's part of the stores. One keeper leads, by a
//! Lease; others stand by.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt;
use harness::preview::stores::{self, ElastiCache, FINALIZER, Server, Stores};
use harness::preview::{self, Preview, PullRequest};
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::runtime::controller::{Action, Controller};
use kube::runtime::finalizer::{Event, finalizer};
use kube::runtime::watcher;
use kube::{Api, Client, ResourceExt};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{RwLock, oneshot};

use crate::aws::Aws;
use crate::error::{Error, Result};
use crate::{elasticache, postgres, redis, s3};

/// The deadline of one attempt for all of a preview's stores.
const LIMIT: Duration = Duration::from_secs(60);
/// The pause before a failed attempt is repeated.
const AGAIN: Duration = Duration::from_secs(5);
/// The interval in which a preview's Redis user is made anew: a Redis that restarts has forgotten it.
const RENEW: Duration = Duration::from_secs(60);
/// The name of the leading keeper's Lease. Deployers may touch only previews' Leases (policies.yaml of charts/preview-sweeper).
const LEASE: &str = "keeper";
/// How long a keeper stands by: its pod is replaced long before.
const STANDS_BY: Duration = Duration::from_secs(365 * 24 * 3600);
/// How many previews are worked on at once.
const AT_ONCE: u16 = 8;

/// The files that an administrator gave the keeper.
#[derive(Debug, Clone)]
pub struct Files {
    /// The file with the stores' addresses: `stores` of the chart's values, as JSON.
    pub stores: PathBuf,
    /// The folder with the administrators' passwords: `postgres-password`, `redis-password`.
    pub secrets: PathBuf,
}

impl Files {
    pub(crate) fn secret(&self, name: &str) -> Result<String> {
        read(&self.secrets.join(name))
            .map(|text| text.trim_end().to_owned())
            .inspect(|text| harness::secrets::know(text))
    }
}

fn read(path: &Path) -> Result<String> {
    Ok(std::fs::read_to_string(path).map_err(harness::Error::io(format!("read {}", path.display())))?)
}

pub(crate) struct Keeper {
    pub client: Client,
    pub files: Files,
    pub stores: Stores,
    /// The AWS clients of the bucket's region and, next, of the cache's.
    pub aws: Option<Aws>,
    elasticache: Option<Aws>,
    /// Read-locked while a preview is worked on; write-locked while orphans are removed, so that no preview begins meanwhile.
    pub turns: RwLock<()>,
    /// Whether the stores have confirmed, since this keeper leads, that the cluster's names are its own.
    owns: AtomicBool,
    /// The advice that was logged last for an administrator.
    pub told: Mutex<Vec<String>>,
}

/// An error in the form that kube's runtime takes.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.report())]
struct Failure(Error);

/// Keeps previews' stores, once it leads, until SIGTERM or SIGINT; work that was begun is finished. Another keeper leads 30 s
/// after a leader died.
///
/// What remains on a kill: at worst a half-made part of a store, which the next keeper completes or removes, since the namespace
/// still requests it.
///
/// # Errors
/// When the files cannot be read, or the Lease is not had or is lost. Other errors are noted at the namespace, and the work is
/// repeated.
pub async fn keep(client: Client, files: Files) -> Result<()> {
    let mut told = signal(SignalKind::terminate()).map_err(harness::Error::io("listen for SIGTERM"))?;
    let (leads, led) = oneshot::channel::<()>();
    let lead = preview::holding(&client, LEASE, "a keeper", STANDS_BY, async {
        drop(leads);
        lead(client.clone(), files).await
    });
    let told_while_standing_by = async {
        tokio::select! {
            _ = told.recv() => {}
            // A leader handles signals itself.
            _ = led => std::future::pending().await,
        }
    };
    tokio::select! {
        outcome = lead => outcome,
        () = told_while_standing_by => Ok(()),
    }
}

async fn lead(client: Client, files: Files) -> Result<()> {
    let stores = Stores::parse(&read(&files.stores)?)?;
    let aws =
        stores.s3.as_ref().map(|it| Aws::new(&it.region, it.endpoint.as_deref(), it.ca.as_deref())).transpose()?;
    let elasticache = stores.redis.as_ref().and_then(|redis| redis.elasticache.as_ref());
    let elasticache =
        elasticache.map(|it| Aws::new(&it.region, it.endpoint.as_deref(), it.ca.as_deref())).transpose()?;
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let keeper = Arc::new(Keeper {
        client,
        files,
        stores,
        aws,
        elasticache,
        turns: RwLock::default(),
        owns: AtomicBool::default(),
        told: Mutex::default(),
    });
    let watched = watcher::Config::default().labels(&preview::selector());
    let config = kube::runtime::controller::Config::default().concurrency(AT_ONCE);
    let work = Controller::new(namespaces, watched).with_config(config).shutdown_on_signal();
    let work = work.run(see_to, |_, _, _| Action::requeue(AGAIN), Arc::clone(&keeper)).for_each(|outcome| async {
        if let Err(error) = outcome {
            tracing::warn!("{error}");
        }
    });
    tracing::info!("leads, for the previews of {}", keeper.stores.cluster);
    tokio::select! {
        () = work => Ok(()),
        never = keeper.sweep_for_ever() => match never {},
    }
}

/// A namespace's request.
#[derive(Debug, Clone, PartialEq, Eq)]
enum NamespaceRequest {
    /// Make the preview's part of the stores, or make it anew; with the request's text, which the answer repeats.
    Make(String),
    /// Make again what a store may have forgotten.
    Renew,
    /// Remove the preview's part: the namespace is being deleted, and waits for that.
    Remove,
}

/// The request of a namespace, and its pull request; `None` if it is no preview, or requests nothing. No I/O.
fn asked(namespace: &Namespace) -> Option<(PullRequest, NamespaceRequest)> {
    let of = Preview::of(namespace).ok()?.of;
    let is_held = namespace.finalizers().iter().any(|name| *name == FINALIZER.name());
    let asked = match (namespace.metadata.deletion_timestamp.is_some(), is_held, stores::wanted(namespace)) {
        (true, true, _) => NamespaceRequest::Remove,
        // Deleted before anything was made: nothing to do.
        (true, false, _) => return None,
        (false, _, Some(wanted)) => NamespaceRequest::Make(wanted),
        (false, true, None) => NamespaceRequest::Renew,
        (false, false, None) => return None,
    };
    Some((of, asked))
}

async fn see_to(namespace: Arc<Namespace>, keeper: Arc<Keeper>) -> Result<Action, Failure> {
    let Some((of, asked)) = asked(&namespace) else { return Ok(Action::await_change()) };
    let api: Api<Namespace> = Api::all(keeper.client.clone());
    let _turn = keeper.turns.read().await;
    // The finalizer is set before anything is made, and removed once nothing is left.
    let name = FINALIZER.name();
    let turn = finalizer(&api, &name, Arc::clone(&namespace), |event| async {
        let (Event::Apply(namespace) | Event::Cleanup(namespace)) = event;
        match &asked {
            NamespaceRequest::Make(wanted) => keeper.noted(&namespace, keeper.make(of, wanted)).await,
            NamespaceRequest::Renew => within(keeper.renew(of)).await,
            NamespaceRequest::Remove => keeper.noted(&namespace, keeper.remove(of)).await,
        }
        .map(|()| Action::requeue(RENEW))
        .map_err(Failure)
    });
    turn.await.map_err(|error| Failure(Error::store(format!("see to {}", namespace.name_any()))(error)))
}

/// Runs work with a deadline of 60 s.
pub(crate) async fn within<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(LIMIT, work).await.unwrap_or_else(|_| {
        let last = "a store has not answered".to_owned();
        Err(harness_base::Error::Deadline { awaited: "the stores".to_owned(), after: LIMIT, last }.into())
    })
}

impl Keeper {
    /// Runs work with the deadline; an error is noted at the namespace, for the deployer that waits.
    async fn noted(&self, namespace: &Namespace, work: impl Future<Output = Result<()>>) -> Result<()> {
        let outcome = within(work).await;
        if let Err(error) = &outcome
            && let Err(second) = stores::note_failed(&self.client, namespace, &error.report()).await
        {
            tracing::warn!("{}", second.report());
        }
        outcome
    }

    /// Whether this cluster owns its names in the stores: another cluster may have the same name, and its parts must neither be
    /// changed nor removed. A bucket has no such note; the other stores decide for it.
    pub(crate) async fn owns(&self) -> Result<bool> {
        if self.owns.load(Ordering::Relaxed) {
            return Ok(true);
        }
        // The UID of kube-system identifies a cluster for its whole life.
        let api: Api<Namespace> = Api::all(self.client.clone());
        let found = api.get("kube-system").await.map_err(harness::Error::kube("read the namespace kube-system"))?;
        let (owner, identity) = (self.stores.cluster.owner(), found.uid().unwrap_or_default());
        if let Some(server) = &self.stores.postgres {
            let password = self.files.secret("postgres-password")?;
            if !postgres::claim(server, &password, &owner, &identity).await? {
                return Ok(false);
            }
        }
        if let Some(server) = &self.stores.redis {
            let password = self.files.secret("redis-password")?;
            if !redis::claim(server, &password, &owner, &identity).await? {
                return Ok(false);
            }
        }
        self.owns.store(true, Ordering::Relaxed);
        Ok(true)
    }

    pub(crate) fn namesake(&self) -> Error {
        let owner = self.stores.cluster.owner();
        harness::Error::refused(
            format!(
                "another cluster that calls itself {} uses these stores: nothing there is touched",
                self.stores.cluster
            ),
            format!(
                "give this one another `cluster`; if that one is gone, remove the role {owner} of Postgres and the key {owner} of Redis"
            ),
        )
        .into()
    }

    async fn make(&self, of: PullRequest, wanted: &str) -> Result<()> {
        if !self.owns().await? {
            return Err(self.namesake());
        }
        let name = self.stores.cluster.name_of(of);
        if let Some(server) = &self.stores.postgres {
            let password = self.password(of, "db-password").await?;
            postgres::make(server, &self.files.secret("postgres-password")?, &name, &password).await?;
        }
        if let Some((cache, aws)) = self.elasticache() {
            let password = self.password(of, "redis-password").await?;
            elasticache::make(aws, cache, &name, &password).await?;
        }
        self.renew(of).await?;
        if let (Some(aws), Some(bucket)) = (&self.aws, &self.stores.s3) {
            s3::make(aws, bucket, &name, of).await?;
        }
        tracing::info!("{name} has its stores");
        Ok(stores::note_made(&self.client, &of.namespace(), wanted).await?)
    }

    /// The ElastiCache, if there is one, with its AWS client.
    pub(crate) fn elasticache(&self) -> Option<(&ElastiCache, &Aws)> {
        self.stores.redis.as_ref()?.elasticache.as_ref().zip(self.elasticache.as_ref())
    }

    /// The Redis whose users are made by `ACL SETUSER`, if there is one.
    pub(crate) fn plain_redis(&self) -> Option<&Server> {
        self.stores.redis.as_ref().filter(|server| server.elasticache.is_none())
    }

    /// Makes again what a store may have forgotten: the preview's Redis user.
    async fn renew(&self, of: PullRequest) -> Result<()> {
        if !self.owns().await? {
            return Err(self.namesake());
        }
        let Some(server) = self.plain_redis() else { return Ok(()) };
        let password = self.password(of, "redis-password").await?;
        redis::make(server, &self.files.secret("redis-password")?, &self.stores.cluster.name_of(of), &password).await
    }

    pub(crate) async fn remove(&self, of: PullRequest) -> Result<()> {
        if !self.owns().await? {
            // Nothing there is this cluster's, so the namespace need not wait.
            tracing::warn!("{}", self.namesake().report());
            return Ok(());
        }
        let name = self.stores.cluster.name_of(of);
        // Side by side, so that a store that does not answer does not keep the parts in the others.
        let (postgres, redis, s3) =
            tokio::join!(self.remove_from_postgres(&name), self.remove_from_redis(&name), self.remove_from_s3(&name),);
        postgres.and(redis).and(s3)?;
        tracing::info!("{name} has no stores any more");
        Ok(())
    }

    async fn remove_from_postgres(&self, name: &str) -> Result<()> {
        let Some(server) = &self.stores.postgres else { return Ok(()) };
        postgres::remove(server, &self.files.secret("postgres-password")?, name).await
    }

    /// Removes the user first, so that nothing is written any more, then the keys.
    async fn remove_from_redis(&self, name: &str) -> Result<()> {
        let Some(server) = &self.stores.redis else { return Ok(()) };
        let password = self.files.secret("redis-password")?;
        match self.elasticache() {
            Some((cache, aws)) => elasticache::remove(aws, cache, name).await?,
            None => redis::remove_user(server, &password, name).await?,
        }
        redis::remove_keys(server, &password, name).await
    }

    async fn remove_from_s3(&self, name: &str) -> Result<()> {
        let (Some(aws), Some(bucket)) = (&self.aws, &self.stores.s3) else { return Ok(()) };
        s3::remove(aws, bucket, name).await
    }

    /// A password of the preview's release, from its Secret.
    async fn password(&self, of: PullRequest, key: &str) -> Result<String> {
        let (namespace, name) = (of.namespace(), stores::auth_secret());
        let what = format!("read {key} of the Secret {name} in {namespace}");
        let api: Api<Secret> = Api::namespaced(self.client.clone(), &namespace);
        let found = api.get(&name).await.map_err(harness::Error::kube(&what))?;
        let value = found.data.and_then(|mut data| data.remove(key));
        let text = value.and_then(|value| String::from_utf8(value.0).ok());
        let absent = || harness::Error::refused(what, "it is not there: take the preview down, and deploy it again");
        Ok(text.inspect(|text| harness::secrets::know(text)).ok_or_else(absent)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PREVIEW: &str = "jetscale-pr-7";

    /// A preview's namespace, which the keeper holds or not, and which goes or not; `say` is its annotations.
    fn namespace(name: &str, is_held: bool, goes: bool, say: &[(&str, &str)]) -> Namespace {
        let of = PullRequest::parse("7").unwrap();
        let mut namespace = Namespace::default();
        namespace.metadata.name = Some(name.to_owned());
        namespace.metadata.labels = Some(preview::labels(of, "0123456789", 0, 1));
        namespace.metadata.finalizers = is_held.then(|| vec![FINALIZER.name()]);
        namespace.metadata.deletion_timestamp =
            goes.then(|| serde_json::from_value(serde_json::json!("2026-01-01T00:00:00Z")).unwrap());
        let domain = harness::spec::spec().domain;
        let say = say.iter().map(|(key, value)| (format!("{domain}/{key}"), (*value).to_owned()));
        namespace.metadata.annotations = Some(say.collect());
        namespace
    }

    #[test]
    fn what_a_namespace_asks_of_the_stores() {
        harness::spec::of(&jetscale::STACK);
        let (new, made) = (&[("stores-wanted", "1")][..], &[("stores-wanted", "1"), ("stores-made", "1")][..]);
        let again = &[("stores-wanted", "2"), ("stores-made", "1")][..];
        let make = |word: &str| Some(NamespaceRequest::Make(word.to_owned()));
        let cases = [
            ("a preview that asks for nothing", false, false, &[][..], None),
            ("a new one", false, false, new, make("1")),
            ("one that was held, and whose stores were not made to the end", true, false, new, make("1")),
            ("one that has them", true, false, made, Some(NamespaceRequest::Renew)),
            ("one that was deployed again", true, false, again, make("2")),
            ("one that goes", true, true, made, Some(NamespaceRequest::Remove)),
            ("one that goes while it asks", true, true, new, Some(NamespaceRequest::Remove)),
            ("one that goes before anything was made", false, true, new, None),
            ("one that has let go", false, true, made, None),
        ];
        for (what, is_held, goes, say, wanted) in cases {
            let found = asked(&namespace(PREVIEW, is_held, goes, say));
            assert_eq!(found.map(|(_, asked)| asked), wanted, "{what}");
        }
    }

    /// Name and labels have to agree: neither alone makes a namespace ours.
    #[test]
    fn what_is_no_preview_asks_for_nothing() {
        harness::spec::of(&jetscale::STACK);
        let asks = &[("stores-wanted", "1")][..];
        assert_eq!(asked(&namespace("jetscale", true, false, asks)), None);
        assert_eq!(asked(&namespace("jetscale-pr-8", true, true, asks)), None);
        let mut foreign = namespace(PREVIEW, true, true, asks);
        foreign.metadata.labels = None;
        assert_eq!(asked(&foreign), None);
    }
}
