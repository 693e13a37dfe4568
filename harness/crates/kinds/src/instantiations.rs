//! The kinds whose generic code is instantiated in this crate.

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{
    ConfigMap, Event, Namespace, Node, PersistentVolume, PersistentVolumeClaim, Pod, Secret, Service, ServiceAccount,
};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::Ingress;
use k8s_openapi::api::storage::v1::StorageClass;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use serde_json::Value;

use crate::watch::{ObjectEvents, watch};

/// Uses the functions that are generic in a kind with each of these: a watch, with which goes what reads an object or a list of
/// them from the API's text; and what makes an object of a JSON value, or JSON of an object.
macro_rules! instantiate {
    ($($kind:ty),* $(,)?) => {
        $(const _: () = {
            #[used]
            static WATCHED: fn(Api<$kind>, &str) -> ObjectEvents<$kind> = watch::<$kind>;
            #[used]
            static READ: fn(Value) -> serde_json::Result<$kind> = serde_json::from_value::<$kind>;
            #[used]
            static WRITTEN: fn(&$kind) -> serde_json::Result<Vec<u8>> = serde_json::to_vec::<$kind>;
        };)*
    };
}

// Kinds that the harness watches, reads or writes. One that is missing works all the same; it is compiled more often.
instantiate![
    ConfigMap,
    CustomResourceDefinition,
    DaemonSet,
    Deployment,
    EndpointSlice,
    Event,
    Ingress,
    Job,
    Lease,
    Namespace,
    Node,
    PersistentVolume,
    PersistentVolumeClaim,
    Pod,
    ReplicaSet,
    Secret,
    Service,
    ServiceAccount,
    StatefulSet,
    StorageClass,
];
