//! Names and labels that the harness gives for any stack, by which it recognises its own objects. `.internal` is reserved for
//! private use (ICANN, 2024), so that nobody else has these names.

/// The domain of names that only exist beside a cluster of the harness; it is in a node's list of hosts without a proxy.
pub const DOMAIN: &str = "harness.internal";
/// The registry's name in manifests and inside clusters.
pub const REGISTRY: &str = "registry.harness.internal";
/// The namespace of the edge, and the name of its ingress class.
pub const EDGE_NAMESPACE: &str = "harness-edge";
/// The label on every object, container and namespace of the harness; its value is the owner.
pub const OWNER_LABEL: &str = "harness.internal/owner";
/// The label that names the checkout of a container or network.
pub const CHECKOUT_LABEL: &str = "harness.internal/checkout";
/// The label that names the stage of a namespace.
pub const STAGE_LABEL: &str = "harness.internal/stage";
/// The label that names the run of an isolated release.
pub const RUN_LABEL: &str = "harness.internal/run";
/// The label with the time from which the rest of an isolated release may be removed, in seconds since the epoch.
pub const EXPIRES_LABEL: &str = "harness.internal/expires";
/// The label of an image that a recipe of the harness made.
pub const MADE_FROM_LABEL: &str = "internal.harness.made-from";
/// The label of an image that stands in for an official one.
pub const STAND_IN_LABEL: &str = "internal.harness.stand-in";
