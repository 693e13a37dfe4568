//! The known objects of one namespace at one moment, by which a wait's judge decides.

use std::fmt::Debug;
use std::sync::Arc;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Event, Pod, Service};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;

use super::failure_cause::is_about_claim;
use super::pod::is_terminating;
use super::watch_stream::{WatchStream, updates};

/// The objects of ONE namespace that a wait watches; `events` holds warnings alone.
#[derive(Debug, Default, Clone)]
#[expect(missing_docs, reason = "each field is the list of what its name says")]
pub struct Snapshot {
    pub pods: Vec<Arc<Pod>>,
    pub deployments: Vec<Arc<Deployment>>,
    pub replica_sets: Vec<Arc<ReplicaSet>>,
    pub stateful_sets: Vec<Arc<StatefulSet>>,
    pub jobs: Vec<Arc<Job>>,
    pub services: Vec<Arc<Service>>,
    pub endpoint_slices: Vec<Arc<EndpointSlice>>,
    pub events: Vec<Arc<Event>>,
}

/// A kind of object to watch; fewer kinds need fewer connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each variant is the Kubernetes kind of its name")]
pub enum Watched {
    Pods,
    Deployments,
    ReplicaSets,
    StatefulSets,
    Jobs,
    Services,
    EndpointSlices,
    /// Warning events; a client that may not read them goes on without.
    Warnings,
}

impl Watched {
    /// Every kind, for a judge that looks at the whole namespace.
    pub const ALL: &'static [Self] = &[
        Self::Pods,
        Self::Deployments,
        Self::ReplicaSets,
        Self::StatefulSets,
        Self::Jobs,
        Self::Services,
        Self::EndpointSlices,
        Self::Warnings,
    ];

    pub(super) fn stream(self, client: &Client, namespace: &str) -> WatchStream<Snapshot> {
        let client = client.clone();
        match self {
            Self::Pods => of("pods", Api::namespaced(client, namespace), |all| &mut all.pods),
            Self::Deployments => of("deployments", Api::namespaced(client, namespace), |all| &mut all.deployments),
            Self::ReplicaSets => of("replica sets", Api::namespaced(client, namespace), |all| &mut all.replica_sets),
            Self::StatefulSets => of("stateful sets", Api::namespaced(client, namespace), |all| &mut all.stateful_sets),
            Self::Jobs => of("jobs", Api::namespaced(client, namespace), |all| &mut all.jobs),
            Self::Services => of("services", Api::namespaced(client, namespace), |all| &mut all.services),
            Self::EndpointSlices => {
                of("endpoint slices", Api::namespaced(client, namespace), |all| &mut all.endpoint_slices)
            }
            Self::Warnings => {
                let stream = updates(
                    Api::namespaced(client, namespace),
                    "type=Warning",
                    |all: &mut Snapshot| -> &mut Vec<Arc<Event>> { &mut all.events },
                );
                WatchStream { name: "events", optional: true, stream }
            }
        }
    }
}

fn of<K>(name: &'static str, api: Api<K>, part: fn(&mut Snapshot) -> &mut Vec<Arc<K>>) -> WatchStream<Snapshot>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
{
    WatchStream { name, optional: false, stream: updates(api, "", part) }
}

impl Snapshot {
    /// The deployment with this name.
    pub fn deployment(&self, name: &str) -> Option<&Deployment> {
        self.deployments.iter().find(|one| one.name_any() == name).map(AsRef::as_ref)
    }

    /// The stateful set with this name.
    pub fn stateful_set(&self, name: &str) -> Option<&StatefulSet> {
        self.stateful_sets.iter().find(|one| one.name_any() == name).map(AsRef::as_ref)
    }

    /// The job with this name.
    pub fn job(&self, name: &str) -> Option<&Job> {
        self.jobs.iter().find(|one| one.name_any() == name).map(AsRef::as_ref)
    }

    /// The pod with this name.
    pub fn pod(&self, name: &str) -> Option<&Pod> {
        self.pods.iter().find(|one| one.name_any() == name).map(AsRef::as_ref)
    }

    /// The pods whose controller is the object with this uid, sorted by name; terminating ones too.
    pub fn pods_of<'a>(&'a self, owner_uid: &str) -> Vec<&'a Pod> {
        let mut pods: Vec<&Pod> =
            self.pods.iter().map(AsRef::as_ref).filter(|pod| is_controlled_by(*pod, owner_uid)).collect();
        pods.sort_by_key(|pod| pod.name_any());
        pods
    }

    /// The replica set of the deployment's current revision; `None` until the controller has made it.
    ///
    /// The deployment's own revision annotation decides, not the highest number in sight: the two kinds arrive by different
    /// watches, and an old set must never be taken for the new one.
    pub fn current_replica_set(&self, deployment: &Deployment) -> Option<&ReplicaSet> {
        const REVISION: &str = "deployment.kubernetes.io/revision";
        let uid = deployment.uid()?;
        let revision = deployment.annotations().get(REVISION)?;
        self.replica_sets
            .iter()
            .find(|set| is_controlled_by(set.as_ref(), &uid) && set.annotations().get(REVISION) == Some(revision))
            .map(AsRef::as_ref)
    }

    /// Whether a Service has a ready endpoint whose pod is not terminating.
    pub fn has_ready_endpoint(&self, service: &str) -> bool {
        self.ready_endpoints(service).any(|endpoint| match pod_of(endpoint) {
            // Slices lag behind pods: one with a pod that is gone proves nothing.
            Some(name) => self.pod(name).is_some_and(|pod| !is_terminating(pod)),
            None => true,
        })
    }

    /// The names of the pods behind a Service's ready endpoints.
    pub fn pods_behind<'a>(&'a self, service: &'a str) -> impl Iterator<Item = &'a str> {
        self.ready_endpoints(service).filter_map(pod_of)
    }

    fn ready_endpoints<'a>(&'a self, service: &'a str) -> impl Iterator<Item = &'a Endpoint> {
        let of_service = move |slice: &&Arc<EndpointSlice>| {
            slice.labels().get("kubernetes.io/service-name").is_some_and(|owner| owner == service)
        };
        let endpoints = self.endpoint_slices.iter().filter(of_service).flat_map(|slice| &slice.endpoints);
        endpoints.filter(|endpoint| {
            let conditions = endpoint.conditions.as_ref();
            let ready = conditions.and_then(|conditions| conditions.ready).unwrap_or(true);
            ready && !conditions.and_then(|conditions| conditions.terminating).unwrap_or(false)
        })
    }

    /// The warnings about a pod and its volume claims, oldest first.
    pub fn warnings_of<'a>(&'a self, pod: &Pod) -> Vec<&'a Event> {
        warnings_of(self.events.iter().map(AsRef::as_ref), pod)
    }

    /// The warnings about the object with this uid, oldest first.
    pub fn warnings_about<'a>(&'a self, uid: &str) -> Vec<&'a Event> {
        let mut found: Vec<&Event> =
            self.events.iter().map(AsRef::as_ref).filter(|it| it.involved_object.uid.as_deref() == Some(uid)).collect();
        found.sort_by_key(|event| event_time(event));
        found
    }
}

/// The warnings about a pod and its volume claims, oldest first; events know a claim by the name that the pod gives it.
pub(super) fn warnings_of<'a>(events: impl Iterator<Item = &'a Event>, pod: &Pod) -> Vec<&'a Event> {
    let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
    let claims: Vec<&str> =
        volumes.filter_map(|volume| Some(volume.persistent_volume_claim.as_ref()?.claim_name.as_str())).collect();
    let uid = pod.metadata.uid.as_deref();
    let is_ours = |event: &&Event| {
        let about = &event.involved_object;
        let of_claim = is_about_claim(event) && about.name.as_deref().is_some_and(|name| claims.contains(&name));
        of_claim || (uid.is_some() && about.uid.as_deref() == uid)
    };
    let mut found: Vec<&Event> = events.filter(is_ours).collect();
    found.sort_by_key(|event| event_time(event));
    found
}

fn pod_of(endpoint: &Endpoint) -> Option<&str> {
    let target = endpoint.target_ref.as_ref().filter(|target| target.kind.as_deref() == Some("Pod"))?;
    Some(target.name.as_deref().unwrap_or_default())
}

/// When an event was last seen; different reporters fill different time fields.
pub(super) fn event_time(event: &Event) -> Option<k8s_openapi::jiff::Timestamp> {
    let series = event.series.as_ref().and_then(|series| series.last_observed_time.as_ref()).map(|time| time.0);
    series
        .or(event.last_timestamp.as_ref().map(|time| time.0))
        .or(event.event_time.as_ref().map(|time| time.0))
        .or(event.metadata.creation_timestamp.as_ref().map(|time| time.0))
}

/// Whether `object`'s controller is the object with this uid.
pub fn is_controlled_by<K: Resource>(object: &K, uid: &str) -> bool {
    object.owner_references().iter().any(|owner| owner.controller == Some(true) && owner.uid == uid)
}
