//! The service contract: what JetScale's services require of its charts.

use harness::spec::Component;
use harness::spec::contract::{AskedBy, ContainerContract, Health, Meaning, Promise, RouterContract, Variable};

use crate::components::{API, FRONTEND, POSTGRES, REDIS, WEBSOCKET};
use crate::services::{LIVE, READY, WS_READY};

/// The variable that names the part of the backend's image to run.
const fn part(name: &'static [&'static str]) -> Variable {
    Variable::needed("JETSCALE_COMPONENT", Meaning::OneOf(name))
}

const DB_HOST: Variable = Variable::needed("JETSCALE_DB_HOST", Meaning::HostOf(&POSTGRES));
const DB_PORT: Variable = Variable::optional("JETSCALE_DB_PORT", Meaning::PortOf(&POSTGRES));
const DB_NAME: Variable = Variable::needed("JETSCALE_DB_NAME", Meaning::SameAs(&POSTGRES, "POSTGRES_DB"));
const DB_USER: Variable = Variable::needed("JETSCALE_DB_USER", Meaning::SameAs(&POSTGRES, "POSTGRES_USER"));
const DB_PASSWORD: Variable = Variable::needed("JETSCALE_DB_PASSWORD", Meaning::Secret("db-password"));
const DB_SSLMODE: Variable = Variable::optional("JETSCALE_DB_SSLMODE", Meaning::OneOf(&["require", "verify-full"]));
const DB_CA: Variable = Variable::optional("JETSCALE_DB_CA_FILE", Meaning::Path);
const REDIS_HOST: Variable = Variable::needed("JETSCALE_REDIS_HOST", Meaning::HostOf(&REDIS));
const JWT_KEY: Variable = Variable::needed("JETSCALE_JWT_SECRET_KEY", Meaning::Secret("jwt-secret-key"));
const ADMIN_EMAIL: Variable = Variable::needed("JETSCALE_DEFAULT_ADMIN_EMAIL", Meaning::Secret("admin-email"));
const ADMIN_PASSWORD: Variable = Variable::needed("JETSCALE_DEFAULT_ADMIN_PASSWORD", Meaning::Secret("admin-password"));

/// The contract of each component.
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
                    Variable::needed("JETSCALE_PROXIES", Meaning::Proxies),
                    Variable::optional("JETSCALE_REDIS_URL", Meaning::Like("redis", "/0")),
                    Variable::optional("JETSCALE_REDIS_CA_FILE", Meaning::Path),
                    Variable::optional("JETSCALE_REDIS_USER", Meaning::Like("", "")),
                    Variable::optional("JETSCALE_REDIS_PASSWORD", Meaning::Secret("redis-password")),
                    Variable::optional("JETSCALE_REDIS_PREFIX", Meaning::Like("", ":")),
                    Variable::optional("JETSCALE_S3_BUCKET", Meaning::Like("", "")),
                    Variable::optional("JETSCALE_S3_REGION", Meaning::Like("", "")),
                    Variable::optional("JETSCALE_S3_PREFIX", Meaning::Like("", "/")),
                    Variable::optional("JETSCALE_S3_ENDPOINT", Meaning::Like("http", "")),
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
        health: Health::Http { live: LIVE, ready: READY },
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
        health: Health::Http { live: LIVE, ready: WS_READY },
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
        // Over TCP: during the first start, while the database is made, the server listens on its Unix socket only.
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
        // With -e, an error as an answer fails the command.
        health: Health::Command { words: &["redis-cli", "-e", "-h", "127.0.0.1", "ping"], may: &[] },
        asks: &[],
        resolves_names: false,
        asked_by: AskedBy::Nobody,
        is_store: true,
    },
];

/// The routes: paths, each with the component that the router sends it to; `None`: the router answers itself.
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

/// A path of an attachment.
const ATTACHMENT: &str = "/api/v2/items/1/attachments/plan.json";

/// The contract of the router's configuration: routes, and limits of request bodies in bytes.
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
