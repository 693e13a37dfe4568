//! The components of a JetScale release: its workloads.

use harness::spec::{Component, DevPort, Told};

use crate::services::{VERSION, WS_READY};

/// The JSON pointer (RFC 6901) in answers of both backend services to the name of the answering pod.
const INSTANCE: &str = "/data/instance";

/// The api.
pub const API: Component = Component {
    suffix: "backend",
    label: "api",
    stateful: false,
    container_port: 8000,
    service_port: 8000,
    dev_port: Some(DevPort { node: 30800, host: 8000 }),
    artifact: "backend",
    instance: Some(Told { path: VERSION, pointer: INSTANCE }),
};
/// The WebSocket service.
pub const WEBSOCKET: Component = Component {
    suffix: "websocket",
    label: "websocket",
    stateful: false,
    container_port: 8001,
    service_port: 8001,
    dev_port: None,
    artifact: "backend",
    instance: Some(Told { path: WS_READY, pointer: INSTANCE }),
};
/// The frontend: the page, and the router in front of everything.
pub const FRONTEND: Component = Component {
    suffix: "frontend",
    label: "frontend",
    stateful: false,
    container_port: 8080,
    service_port: 80,
    dev_port: Some(DevPort { node: 30300, host: 3000 }),
    artifact: "frontend",
    instance: None,
};
/// The database.
pub const POSTGRES: Component = Component {
    suffix: "postgres",
    label: "postgres",
    stateful: true,
    container_port: 5432,
    service_port: 5432,
    dev_port: None,
    artifact: "postgres",
    instance: None,
};
/// The cache.
pub const REDIS: Component = Component {
    suffix: "redis",
    label: "redis",
    stateful: true,
    container_port: 6379,
    service_port: 6379,
    dev_port: None,
    artifact: "redis",
    instance: None,
};
/// All components.
pub static COMPONENTS: [Component; 5] = [API, WEBSOCKET, FRONTEND, POSTGRES, REDIS];
