//! A sample stack, `shop`, whose spec uses everything that a spec can: the harness's own tests use it, and it can be read as
//! an example.

use super::{
    AuthSpec, BaseImage, BenchEdit, BenchJudge, BenchSpec, Built, ChartsSpec, Component, DevPort, DevSpec, EdgeSpec,
    ImageValues, ImagesSpec, OwnSpec, PreviewSpec, SignInSpec, StackSpec, ThirdParty, Told, ValuesFile, ValuesSpec,
};
use crate::spec::contract::{AskedBy, ContainerContract, Health, Meaning, Promise, RouterContract, Variable};

/// The api.
pub const API: Component = Component {
    suffix: "backend",
    label: "api",
    stateful: false,
    container_port: 8000,
    service_port: 8000,
    dev_port: Some(DevPort { node: 30800, host: 8000 }),
    artifact: "backend",
    instance: Some(Told { path: "/api/v2/system/version", pointer: "/data/instance" }),
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
    instance: Some(Told { path: "/api/v2/system/ws/ready", pointer: "/data/instance" }),
};
/// The page and the one router.
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

/// The images that Skaffold builds.
pub const BUILT: [Built; 2] = [
    Built {
        name: "backend",
        context: "apps/backend",
        sibling: true,
        base: Some(BaseImage {
            argument: "PYTHON_IMAGE",
            recipe: "python",
            official: "python:3.13.15-alpine3.24@sha256:540c7d91f98ff6880174c40e99067bf5941eb54d818a7a5e094d188b196a934d",
        }),
    },
    Built {
        name: "frontend",
        context: "apps/frontend",
        sibling: true,
        base: Some(BaseImage {
            argument: "NGINX_IMAGE",
            recipe: "nginx",
            official: "nginx:1.29.8-alpine3.23@sha256:5616878291a2eed594aee8db4dade5878cf7edcb475e59193904b198d9b830de",
        }),
    },
];

/// The third-party images.
pub const THIRD_PARTY: [ThirdParty; 2] = [
    ThirdParty {
        name: "postgres",
        official: "postgres:17.11@sha256:d74eeac9a635390a49bc21bd49fccd973de707e2a53a76ac49b552b8712ec46f",
    },
    ThirdParty {
        name: "redis",
        official: "redis:8.10.1@sha256:298e5b3bc566bade82f46ad5511777a4a07a294097ce16ada2f6a42be5239df5",
    },
];

/// Stage dev's values.
pub const DEV: ValuesFile = ValuesFile { name: "dev", file: "values.local.dev.yaml", set: &[], dev: true };
/// The values of stages local and ci.
pub const E2E: ValuesFile = ValuesFile { name: "e2e", file: "values.local.e2e.yaml", set: &[], dev: false };
/// The values of stage preview, its stores in the cluster.
pub const PREVIEW: ValuesFile =
    ValuesFile { name: "preview", file: VALUES_PREVIEW, set: &["ingress.host=pr-1.app.shop.ai"], dev: false };
/// The values of stage preview, every store outside of the cluster.
pub const MANAGED: ValuesFile = ValuesFile { name: "managed", file: VALUES_PREVIEW, set: &MANAGED_STORES, dev: false };
/// The values of stage live.
pub const LIVE: ValuesFile = ValuesFile { name: "live", file: "values.live.yaml", set: &[], dev: false };
/// Every way in which a stage renders the charts, including values that only a deployer knows.
pub const VALUES_FILES: [ValuesFile; 5] = [DEV, E2E, PREVIEW, MANAGED, LIVE];

const VALUES_PREVIEW: &str = "values.preview.yaml";
/// The values that a deployer sets for a preview with managed stores: an example of each key.
const MANAGED_STORES: [&str; 27] = [
    "ingress.host=pr-1.app.shop.ai",
    "postgres.enabled=false",
    "backend.database.external.host=db.example.internal",
    "backend.database.external.name=shop-pr-1",
    "backend.database.external.user=shop-pr-1",
    "backend.database.external.peers[0].ipBlock.cidr=10.1.0.0/16",
    "backend.database.external.tls.mode=verify-full",
    "backend.database.external.tls.caSecret.name=shop-managed",
    "redis.enabled=false",
    "backend.redis.external.host=redis.example.internal",
    "backend.redis.external.port=6380",
    "backend.redis.external.user=shop-pr-1",
    "backend.redis.external.prefix=shop-pr-1:",
    "backend.redis.external.peers[0].ipBlock.cidr=0.0.0.0/0",
    "backend.redis.external.tls.enabled=true",
    "backend.redis.external.tls.caSecret.name=shop-managed",
    "backend.storage.bucket=shop-previews",
    "backend.storage.prefix=shop-pr-1/",
    "backend.storage.region=eu-central-1",
    "backend.storage.caSecret.name=shop-managed",
    "backend.storage.roleArn=arn:aws:iam::123456789012:role/shop-pr-1",
    "backend.storage.webIdentityToken.enabled=true",
    "backend.storage.peers[0].ipBlock.cidr=128.0.0.0/1",
    "backend.storage.peers[0].ipBlock.except[0]=172.16.0.0/12",
    "backend.networkPolicy.egress[0].ports[0].port=443",
    "backend.networkPolicy.egress[0].ports[0].protocol=TCP",
    "backend.networkPolicy.egress[0].to[0].ipBlock.cidr=0.0.0.0/0",
];

/// The variable that selects the part of the backend's image to run.
const fn part(name: &'static [&'static str]) -> Variable {
    Variable::needed("SHOP_COMPONENT", Meaning::OneOf(name))
}

const DB_HOST: Variable = Variable::needed("SHOP_DB_HOST", Meaning::HostOf(&POSTGRES));
const DB_PORT: Variable = Variable::optional("SHOP_DB_PORT", Meaning::PortOf(&POSTGRES));
const DB_NAME: Variable = Variable::needed("SHOP_DB_NAME", Meaning::SameAs(&POSTGRES, "POSTGRES_DB"));
const DB_USER: Variable = Variable::needed("SHOP_DB_USER", Meaning::SameAs(&POSTGRES, "POSTGRES_USER"));
const DB_PASSWORD: Variable = Variable::needed("SHOP_DB_PASSWORD", Meaning::Secret("db-password"));
const DB_SSLMODE: Variable = Variable::optional("SHOP_DB_SSLMODE", Meaning::OneOf(&["require", "verify-full"]));
const DB_CA: Variable = Variable::optional("SHOP_DB_CA_FILE", Meaning::Path);
const REDIS_HOST: Variable = Variable::needed("SHOP_REDIS_HOST", Meaning::HostOf(&REDIS));
const JWT_KEY: Variable = Variable::needed("SHOP_JWT_SECRET_KEY", Meaning::Secret("jwt-secret-key"));
const ADMIN_EMAIL: Variable = Variable::needed("SHOP_DEFAULT_ADMIN_EMAIL", Meaning::Secret("admin-email"));
const ADMIN_PASSWORD: Variable = Variable::needed("SHOP_DEFAULT_ADMIN_PASSWORD", Meaning::Secret("admin-password"));

/// The contracts of the components.
pub const PROMISES: [Promise; 5] = [
    Promise {
        component: &API,
        containers: &[
            ContainerContract {
                name: "migrate",
                reads: &[
                    part(&["migrate"]),
                    DB_HOST,
                    DB_PORT,
                    DB_NAME,
                    DB_USER,
                    DB_PASSWORD,
                    DB_SSLMODE,
                    DB_CA,
                    REDIS_HOST,
                    JWT_KEY,
                    ADMIN_EMAIL,
                    ADMIN_PASSWORD,
                ],
                writes: &["/tmp"],
                configuration: None,
            },
            ContainerContract {
                name: "api",
                reads: &[
                    DB_HOST,
                    DB_PORT,
                    DB_NAME,
                    DB_USER,
                    DB_PASSWORD,
                    DB_SSLMODE,
                    DB_CA,
                    REDIS_HOST,
                    JWT_KEY,
                    ADMIN_EMAIL,
                    ADMIN_PASSWORD,
                    Variable::needed("SHOP_PROXIES", Meaning::Proxies),
                    Variable::optional("SHOP_REDIS_URL", Meaning::Like("redis", "/0")),
                    Variable::optional("SHOP_REDIS_CA_FILE", Meaning::Path),
                    Variable::optional("SHOP_REDIS_USER", Meaning::Like("", "")),
                    Variable::optional("SHOP_REDIS_PASSWORD", Meaning::Secret("redis-password")),
                    Variable::optional("SHOP_REDIS_PREFIX", Meaning::Like("", ":")),
                    Variable::optional("SHOP_S3_BUCKET", Meaning::Like("", "")),
                    Variable::optional("SHOP_S3_REGION", Meaning::Like("", "")),
                    Variable::optional("SHOP_S3_PREFIX", Meaning::Like("", "/")),
                    Variable::optional("SHOP_S3_ENDPOINT", Meaning::Like("http", "")),
                    Variable::optional("AWS_ENDPOINT_URL_STS", Meaning::Like("http", "")),
                    Variable::optional("AWS_CA_BUNDLE", Meaning::Path),
                    Variable::optional("AWS_EC2_METADATA_DISABLED", Meaning::OneOf(&["true"])),
                    Variable::optional("AWS_ROLE_ARN", Meaning::Like("arn:aws", "")),
                    Variable::optional("AWS_WEB_IDENTITY_TOKEN_FILE", Meaning::Path),
                ],
                writes: &["/tmp"],
                configuration: None,
            },
        ],
        health: Health::Http { live: "/api/v2/system/live", ready: "/api/v2/system/ready" },
        asks: &[&POSTGRES, &REDIS],
        resolves_names: true,
        asked_by: AskedBy::Clients,
        is_store: false,
    },
    Promise {
        component: &WEBSOCKET,
        containers: &[ContainerContract {
            name: "websocket",
            reads: &[part(&["websocket"]), DB_HOST, DB_PORT, DB_NAME, DB_USER, DB_PASSWORD, REDIS_HOST, JWT_KEY],
            writes: &["/tmp"],
            configuration: None,
        }],
        health: Health::Http { live: "/api/v2/system/live", ready: "/api/v2/system/ws/ready" },
        asks: &[&POSTGRES, &REDIS],
        resolves_names: true,
        asked_by: AskedBy::Clients,
        is_store: false,
    },
    Promise {
        component: &FRONTEND,
        containers: &[ContainerContract {
            name: "frontend",
            reads: &[],
            writes: &["/tmp"],
            configuration: Some("/etc/nginx/nginx.conf"),
        }],
        health: Health::Http { live: "/", ready: "/" },
        asks: &[&API, &WEBSOCKET],
        resolves_names: true,
        asked_by: AskedBy::Everybody,
        is_store: false,
    },
    Promise {
        component: &POSTGRES,
        containers: &[ContainerContract {
            name: "postgres",
            reads: &[
                Variable::needed("POSTGRES_DB", Meaning::Like("", "")),
                Variable::needed("POSTGRES_USER", Meaning::Like("", "")),
                Variable::needed("POSTGRES_PASSWORD", Meaning::Secret("db-password")),
                Variable::needed("PGDATA", Meaning::Path),
            ],
            writes: &["/tmp", "/var/run/postgresql", "/var/lib/postgresql/data"],
            configuration: None,
        }],
        // Over TCP: the server of the first start, which makes the database, listens on the socket alone.
        health: Health::Command {
            words: &["pg_isready", "--host=127.0.0.1", "--username=$POSTGRES_USER", "--dbname=$POSTGRES_DB"],
            may: &["--quiet"],
        },
        asks: &[],
        resolves_names: false,
        asked_by: AskedBy::Nobody,
        is_store: true,
    },
    Promise {
        component: &REDIS,
        containers: &[ContainerContract { name: "redis", reads: &[], writes: &["/tmp", "/data"], configuration: None }],
        // With -e an error as answer is a failure.
        health: Health::Command { words: &["redis-cli", "-e", "-h", "127.0.0.1", "ping"], may: &[] },
        asks: &[],
        resolves_names: false,
        asked_by: AskedBy::Nobody,
        is_store: true,
    },
];

/// The router's routes.
pub const ROUTES: &[(&str, Option<&Component>)] = &[
    ("/", None),
    ("/styles.css", None),
    ("/apidocs", None),
    ("/docsx", None),
    ("/openapi.jsonx", None),
    ("/api/v2/items", Some(&API)),
    (ATTACHMENT, Some(&API)),
    ("/api/v2/system/version", Some(&API)),
    ("/api/v1/wsx", Some(&API)),
    ("/docs", Some(&API)),
    ("/docs/oauth2-redirect", Some(&API)),
    ("/openapi.json", Some(&API)),
    ("/api/v1/ws", Some(&WEBSOCKET)),
    ("/api/v1/ws/", Some(&WEBSOCKET)),
    ("/api/v2/system/ws/ready", Some(&WEBSOCKET)),
];

/// A path that takes attachments.
const ATTACHMENT: &str = "/api/v2/items/1/attachments/plan.json";

/// The contract of the router.
pub const ROUTING: RouterContract = RouterContract {
    routes: ROUTES,
    websocket: Some("/api/v1/ws"),
    // FastAPI's page loads Swagger UI from its CDN.
    scripts_from: Some(("/docs", "https://cdn.jsdelivr.net")),
    no_store: Some("~^:[0-9]+:/(api/|docs|openapi\\.json)"),
    attachment: ATTACHMENT,
    // apps/backend: ATTACHMENT_MAX_BYTES, DRAIN_MAX_BYTES.
    attachment_bytes: (5 << 20, 8 << 20),
    // apps/backend: BODY_MAX_BYTES.
    body_bytes: 64 << 10,
};

/// The sample stack.
pub static STACK: StackSpec = StackSpec {
    name: "shop",
    source: file!(),
    domain: "shop.ai",
    env_prefix: "SHOP",
    services_variables: &[
        "COMPONENT",
        "DATABASE_URL",
        "DB_HOST",
        "DB_PORT",
        "DB_NAME",
        "DB_USER",
        "DB_PASSWORD",
        "REDIS_HOST",
        "REDIS_PORT",
        "REDIS_URL",
        "MIGRATE_DEADLINE_SECS",
        "JWT_SECRET_KEY",
        "DEFAULT_ADMIN_EMAIL",
        "DEFAULT_ADMIN_PASSWORD",
        "S3_BUCKET",
        "S3_ENDPOINT",
        "VERSION",
        "GIT_SHA",
        "GIT_REF",
        "BUILD_TIME",
    ],
    live_url: "https://app.shop.ai",
    charts: ChartsSpec {
        folder: "charts",
        umbrella: "app",
        release_max: 43,
        release_label: "app.kubernetes.io/instance",
        component_label: "app.kubernetes.io/component",
        image: ImageValues::Split { repository: "{image}.image.repository", digest: "{image}.image.digest" },
    },
    recipes: "kind",
    values: ValuesSpec { dev: Some(DEV), shared: E2E, preview: Some(PREVIEW), live: Some(LIVE), all: &VALUES_FILES },
    namespace: "shop",
    release: "shop",
    images: ImagesSpec { built: &BUILT, third_party: &THIRD_PARTY },
    components: &COMPONENTS,
    api: &API,
    router: &FRONTEND,
    reached: &["/", "/api/v2/system/ready", "/api/v2/system/ws/ready"],
    auth: Some(AuthSpec {
        suffix: "auth",
        // redis-password is for an external Redis; the release's own has no password.
        random: &["db-password", "redis-password", "jwt-secret-key", "admin-password"],
        fixed: &[("admin-email", "admin@shop.example")],
    }),
    sign_in: Some(SignInSpec {
        path: "/api/v2/auth/sign-in",
        members: ["login", "password"],
        token: "/data/tokens/access_token",
        keys: ["admin-email", "admin-password"],
    }),
    revision: Some(Told { path: "/api/v2/system/version", pointer: "/data/git_sha" }),
    pull_secret: Some("shop-pull"),
    client_label: "shop.ai/client",
    edge: EdgeSpec { label: "shop.ai/edge", host: "app.shop.example" },
    own: OwnSpec { in_its_pod: Some("postgres.persistence.enabled=false"), bytes: 2 << 30, most: 3 },
    dev: DevSpec {
        hud_port: 10350,
        debuggers: &[(&API, 5678), (&WEBSOCKET, 5679)],
        image_host: "shop.internal",
        reached: &["/api/v2/system/ready"],
    },
    preview: PreviewSpec {
        reserved: "shop-preview",
        annotations: &["shop.ai/nginx-conf"],
        stores_ca: "shop-stores-ca",
        role_path: "/shop-previews/",
        prefix: "shop-pr-",
        domain: "app.shop.ai",
        namespace: "shop-previews",
        role: "shop-preview-namespace",
        cluster: "preview-cluster",
        pull: "preview-pull",
        stores: "preview-stores",
        stores_role: "shop-preview-stores",
        postgres: &POSTGRES,
        redis: &REDIS,
        administrators_chart: None,
    },
    bench: BenchSpec {
        isolated: &[
            "config::secrets_differ_between_releases",
            "network::stores_answer_the_backend_alone",
            "network::another_namespace_reaches_nothing",
        ],
        backend: BenchJudge { scenario: "backend::docs_are_served", path: "/docs" },
        page: BenchJudge { scenario: "frontend::page_is_served", path: "/" },
        backend_edit: BenchEdit {
            file: "apps/backend/shop_backend/application.py",
            from: "title=\"Shop backend\"",
            to: "title=\"Shop backend {number}\"",
            shows: true,
        },
        page_edit: BenchEdit {
            file: "apps/frontend/html/index.html",
            from: "content=\"Shop: what is running",
            to: "content=\"Shop {number}: what is running",
            shows: true,
        },
        values_edit: BenchEdit {
            file: "charts/app/values.local.e2e.yaml",
            from: "requests: {cpu: 25m, memory: 128Mi}",
            to: "requests: {cpu: 25m, memory: \"{number}\"}",
            shows: false,
        },
        broken_import: BenchEdit {
            file: "apps/backend/shop_backend/app.py",
            from: "import sys\n",
            to: "import sys\nimport absent_{number}\n",
            shows: false,
        },
    },
    together: &[
        ("SHOP_REDIS_CA_FILE", &["SHOP_REDIS_URL"]),
        ("SHOP_S3_BUCKET", &["SHOP_S3_REGION", "AWS_EC2_METADATA_DISABLED"]),
        ("AWS_ROLE_ARN", &["AWS_WEB_IDENTITY_TOKEN_FILE"]),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", &["AWS_ROLE_ARN"]),
        ("SHOP_REDIS_USER", &["SHOP_REDIS_PASSWORD", "SHOP_REDIS_PREFIX"]),
        ("SHOP_DB_CA_FILE", &["SHOP_DB_SSLMODE"]),
    ],
    stores_verified_by: Some("SHOP_DB_SSLMODE"),
    contract: &PROMISES,
    routing: ROUTING,
};
