//! The workloads of a release.

use harness::spec::{Component, Told};

use crate::services::{VERSION, WS_READY};

/// Where both services of the backend say which pod answers.
const INSTANCE: &str = "/data/instance";

/// The api.
pub const API: Component = Component {
    suffix: "backend",
    label: "api",
    stateful: false,
    container_port: 8000,
    service_port: 8000,
    dev_node_port: Some(30800),
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
    dev_node_port: None,
    artifact: "backend",
    instance: Some(Told { path: WS_READY, pointer: INSTANCE }),
};
/// The page and the one router.
pub const FRONTEND: Component = Component {
    suffix: "frontend",
    label: "frontend",
    stateful: false,
    container_port: 8080,
    service_port: 80,
    dev_node_port: Some(30300),
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
    dev_node_port: None,
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
    dev_node_port: None,
    artifact: "redis",
    instance: None,
};
/// All of them.
pub static COMPONENTS: [Component; 5] = [API, WEBSOCKET, FRONTEND, POSTGRES, REDIS];
