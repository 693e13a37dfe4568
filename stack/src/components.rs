//! The workloads of a release.

use harness::services::{VERSION, WS_READY};
use harness::spec::Component;

/// The api.
pub const API: Component = Component {
    suffix: "backend",
    label: "api",
    stateful: false,
    container_port: 8000,
    service_port: 8000,
    dev_node_port: Some(30800),
    artifact: "backend",
    instance_path: Some(VERSION),
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
    instance_path: Some(WS_READY),
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
    instance_path: None,
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
    instance_path: None,
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
    instance_path: None,
};
/// All of them.
pub static COMPONENTS: [Component; 5] = [API, WEBSOCKET, FRONTEND, POSTGRES, REDIS];
