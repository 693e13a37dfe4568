//! Names that the harness itself gives, whatever stack it deploys: by them it knows what is its own. `.internal` is kept for
//! private use (ICANN, 2024), so that they are nobody else's.

/// The domain of names that mean something beside a cluster of ours alone; a node's list of hosts without a proxy has it.
pub const DOMAIN: &str = "harness.internal";
/// The registry's one name in manifests and inside clusters.
pub const REGISTRY: &str = "registry.harness.internal";
/// The namespace of the edge, and its ingress class.
pub const EDGE_NAMESPACE: &str = "harness-edge";
/// The label that every object, container and namespace of ours carries; its value is the owner.
pub const OWNER_LABEL: &str = "harness.internal/owner";
/// The label that says for which checkout a container or network was made.
pub const CHECKOUT_LABEL: &str = "harness.internal/checkout";
/// The label that says for which stage a namespace was made.
pub const STAGE_LABEL: &str = "harness.internal/stage";
/// The label that says in which run an isolated release was made.
pub const RUN_LABEL: &str = "harness.internal/run";
/// The label that says when what is left of an isolated release may go, in seconds since the epoch.
pub const EXPIRES_LABEL: &str = "harness.internal/expires";
/// The label of an image that a recipe of ours made.
pub const MADE_FROM_LABEL: &str = "internal.harness.made-from";
/// The label that marks an image which stands in for an official one.
pub const STAND_IN_LABEL: &str = "internal.harness.stand-in";
