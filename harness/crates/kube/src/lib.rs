//! Waits, diagnoses and forwards on Kubernetes, with a given client: nothing here connects, or knows how a cluster, a release
//! or a test is made.
//!
//! | what | modules |
//! |---|---|
//! | one waiting loop, driven by watch events | [`mod@wait`], [`snapshot`] |
//! | whether what was deployed has converged | [`verdict`] |
//! | failure causes, how long each may last, and pods' probes | [`failure_cause`], [`window`], [`probe`] |
//! | evidence of a failure | [`mod@diagnose`], [`log`] |
//! | forwards to pods | [`forward`] |
//! | kubeconfig files | [`kubeconfig`] |
//! | Jobs, namespaces, Secrets, workloads, pods | [`job`], [`namespace`], [`secret`], [`workload`], [`pod`] |
//!
//! ```
//! use harness_kube::verdict::{Instance, converged};
//! use harness_kube::{Snapshot, State};
//!
//! let shop = Instance::new("app.kubernetes.io/instance", "shop");
//! assert!(matches!(converged(&Snapshot::default(), &shop), State::Pending(why) if why.contains("instance=shop")));
//! ```

mod apply;
pub mod diagnose;
pub mod error;
pub mod failure_cause;
pub mod forward;
pub mod job;
pub mod kubeconfig;
mod last_words;
pub mod log;
pub mod namespace;
pub mod pod;
pub mod probe;
pub mod quantity;
pub mod secret;
pub mod snapshot;
pub mod verdict;
pub mod wait;
mod watch_stream;
pub mod window;
pub mod workload;

use std::future::Future;
use std::time::Duration;

use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::Namespace;

pub use apply::apply;
pub use diagnose::{Begin, diagnose, diagnose_deploy};
pub use error::{Error, Result, in_one_line};
pub use failure_cause::FailureCause;
pub use forward::Forward;
pub use snapshot::Snapshot;
pub use wait::{State, gone, wait};

/// The limit for one call to the Kubernetes API, unless the caller sets another: 10 s.
pub const CALL: Duration = Duration::from_secs(10);

/// The field manager of everything that the harness applies.
pub const FIELD_MANAGER: &str = "harness";

/// Checks that the API server answers, its store included.
///
/// # Errors
/// [`Error::Kube`], or [`harness_base::Error::Deadline`] after [`CALL`].
pub async fn answers(client: &kube::Client) -> Result<()> {
    let what = "ask the API server whether it is ready";
    // The namespace kube-system exists in every cluster, and is read from the store.
    let api: kube::Api<Namespace> = kube::Api::all(client.clone());
    within(what, CALL, async { api.get("kube-system").await.map(drop).map_err(Error::kube(what)) }).await
}

/// Bounds a call that has no deadline of its own; `what` says what is tried, on what.
///
/// On cancel nothing remains in this process; the server may still carry out the request.
///
/// # Errors
/// The call's own error, or [`harness_base::Error::Deadline`] after `limit`.
pub async fn within<T, E: From<harness_base::Error>>(
    what: &str,
    limit: Duration,
    future: impl Future<Output = Result<T, E>> + Send,
) -> Result<T, E> {
    // Of one type for all calls with the same outcome: what bounds them would otherwise be compiled for each.
    let future: BoxFuture<'_, _> = Box::pin(future);
    match harness_base::events::step(what, tokio::time::timeout(limit, future)).await {
        Ok(result) => result,
        Err(_) => Err(harness_base::Error::Deadline {
            awaited: what.to_owned(),
            after: limit,
            last: "the Kubernetes API has not answered".to_owned(),
        }
        .into()),
    }
}

/// Bounds one call by [`CALL`], and adds to its error what was tried.
///
/// On cancel nothing remains in this process; the server may still carry out the request.
///
/// # Errors
/// [`Error::Kube`], or [`harness_base::Error::Deadline`] after [`CALL`].
pub async fn call<T>(what: &str, future: impl Future<Output = kube::Result<T>> + Send) -> Result<T> {
    within(what, CALL, async { future.await.map_err(Error::kube(what)) }).await
}

/// Whether the error is the API's answer with this HTTP status.
pub fn has_code(error: &Error, code: u16) -> bool {
    matches!(error, Error::Kube { source, .. } if matches!(source.as_ref(), kube::Error::Api(status) if status.code == code))
}
