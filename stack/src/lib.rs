//! JetScale's own: what its stack is called, made of, and asks for. Nothing else knows it.
//!
//! ```
//! harness::spec::of(&jetscale::STACK);
//! assert_eq!(harness::spec::spec().router.suffix, "frontend");
//! ```

pub mod components;
pub mod contract;
pub mod images;
pub mod values;

use harness::services::{READY, WS_READY};
use harness::spec::{AuthSpec, ChartsSpec, DevSpec, EdgeSpec, ImagesSpec, OwnSpec, PreviewSpec, StackSpec, ValuesSpec};

/// The stack that this repository takes through its stages.
pub static STACK: StackSpec = StackSpec {
    name: "jetscale",
    charts: ChartsSpec { folder: "charts", umbrella: "app", release_max: 43 },
    values: ValuesSpec {
        dev: values::DEV,
        shared: values::E2E,
        preview: values::PREVIEW,
        live: values::LIVE,
        all: &values::VALUES_FILES,
    },
    namespace: "jetscale",
    release: "jetscale",
    images: ImagesSpec { built: &images::BUILT, third_party: &images::THIRD_PARTY },
    components: &components::COMPONENTS,
    api: &components::API,
    router: &components::FRONTEND,
    reached: &["/", READY, WS_READY],
    auth: AuthSpec {
        suffix: "auth",
        // redis-password is of a Redis that asks for one: the release's own does not.
        random: &["db-password", "redis-password", "jwt-secret-key", "admin-password"],
        fixed: &[("admin-email", "admin@jetscale.example")],
    },
    pull_secret: "jetscale-pull",
    client_label: "jetscale.ai/client",
    edge: EdgeSpec { label: "jetscale.ai/edge", host: "app.jetscale.example" },
    own: OwnSpec { in_its_pod: "postgres.persistence.enabled=false", bytes: 2 << 30, most: 3 },
    dev: DevSpec { hud_port: 10350, debugger_port: 5678, node_ports: &[8000, 3000] },
    preview: PreviewSpec {
        prefix: "jetscale-pr-",
        domain: "app.jetscale.ai",
        namespace: "jetscale-previews",
        role: "jetscale-preview-namespace",
        cluster: "preview-cluster",
        pull: "preview-pull",
        stores: "preview-stores",
        stores_role: "jetscale-preview-stores",
        postgres: &components::POSTGRES,
        redis: &components::REDIS,
    },
    contract: &contract::PROMISES,
    routing: contract::ROUTING,
};
