//! What the services ask of the charts, from the service contract: health, environment, writable folders, who asks whom.
//!
//! The charts say how that is met; [`crate::validate::policy`] compares the two, and the mutants of [`crate::mutants`]
//! show that it would see a difference. Nothing here repeats what a rendered object says by itself.

use crate::descriptor::{API, Component, FRONTEND, POSTGRES, REDIS, WEBSOCKET};
use crate::services::{LIVE, READY, WS_READY};

/// What a component asks of its chart.
#[derive(Debug, Clone, Copy)]
pub struct Promise {
    /// The component.
    pub component: &'static Component,
    /// Its containers, init containers too.
    pub containers: &'static [ContainerContract],
    /// How it is asked for its health.
    pub health: Health,
    /// The components that its pods ask; no others.
    pub asks: &'static [&'static Component],
    /// Whether its pods resolve names.
    pub resolves_names: bool,
    /// Who asks it beside other components.
    pub asked_by: AskedBy,
    /// Whether it keeps data: one pod alone, whose folder outlives it where the stage says so.
    pub is_store: bool,
}

/// Who asks a component beside other components of its release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AskedBy {
    /// Nobody.
    Nobody,
    /// Pods of its namespace that are marked as clients: scenarios' Jobs.
    Clients,
    /// Every pod of its namespace, and the edge.
    Everybody,
}

/// How a component is asked for its health.
#[derive(Debug, Clone, Copy)]
pub enum Health {
    /// By GET.
    Http {
        /// The path that answers as long as the process works, whatever the stores do.
        live: &'static str,
        /// The path that answers while it can serve.
        ready: &'static str,
    },
    /// By a command, of which each word is one of these, and each of these is there; `$NAME` is the container's variable.
    Command {
        /// The words that must be there.
        words: &'static [&'static str],
        /// Words that change nothing.
        may: &'static [&'static str],
    },
}

/// What one container asks for.
#[derive(Debug, Clone, Copy)]
pub struct ContainerContract {
    /// Its name.
    pub name: &'static str,
    /// The variables that it reads; one that is not among them is read by nobody.
    pub reads: &'static [Variable],
    /// The folders that it writes to: its root is read-only.
    pub writes: &'static [&'static str],
    /// The file that its configuration is read from.
    pub configuration: Option<&'static str>,
}

/// A variable of a container's environment.
#[derive(Debug, Clone, Copy)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// What its value must be.
    pub is: Meaning,
    /// Whether it does not start, or not as itself, without.
    pub needed: bool,
}

/// What a variable's value must be.
#[derive(Debug, Clone, Copy)]
pub enum Meaning {
    /// The name of a component's Service; where the release has none, a host outside, by its whole name.
    HostOf(&'static Component),
    /// The port of a component's Service; where the release has none, one that the pod may go to.
    PortOf(&'static Component),
    /// A key of the Secret `<release>-auth`.
    Secret(&'static str),
    /// What a store's own variable says; where the release has no such store, anything.
    SameAs(&'static Component, &'static str),
    /// One of these.
    OneOf(&'static [&'static str]),
    /// A file or folder below one of the container's volumes.
    Path,
    /// How many proxies stand between a client and the api: the router, and one more where there is an Ingress.
    Proxies,
    /// Anything that its pattern fits: a beginning, and an end.
    Like(&'static str, &'static str),
}

const fn needed(name: &'static str, is: Meaning) -> Variable {
    Variable { name, is, needed: true }
}

const fn optional(name: &'static str, is: Meaning) -> Variable {
    Variable { name, is, needed: false }
}

/// Which part of the backend's image runs.
const fn part(name: &'static [&'static str]) -> Variable {
    needed("JETSCALE_COMPONENT", Meaning::OneOf(name))
}

const DB_HOST: Variable = needed("JETSCALE_DB_HOST", Meaning::HostOf(&POSTGRES));
const DB_PORT: Variable = optional("JETSCALE_DB_PORT", Meaning::PortOf(&POSTGRES));
const DB_NAME: Variable = needed("JETSCALE_DB_NAME", Meaning::SameAs(&POSTGRES, "POSTGRES_DB"));
const DB_USER: Variable = needed("JETSCALE_DB_USER", Meaning::SameAs(&POSTGRES, "POSTGRES_USER"));
const DB_PASSWORD: Variable = needed("JETSCALE_DB_PASSWORD", Meaning::Secret("db-password"));
const DB_SSLMODE: Variable = optional("JETSCALE_DB_SSLMODE", Meaning::OneOf(&["require", "verify-full"]));
const DB_CA: Variable = optional("JETSCALE_DB_CA_FILE", Meaning::Path);
const REDIS_HOST: Variable = needed("JETSCALE_REDIS_HOST", Meaning::HostOf(&REDIS));
const JWT_KEY: Variable = needed("JETSCALE_JWT_SECRET_KEY", Meaning::Secret("jwt-secret-key"));
const ADMIN_EMAIL: Variable = needed("JETSCALE_DEFAULT_ADMIN_EMAIL", Meaning::Secret("admin-email"));
const ADMIN_PASSWORD: Variable = needed("JETSCALE_DEFAULT_ADMIN_PASSWORD", Meaning::Secret("admin-password"));

/// What each component asks for.
pub static PROMISES: [Promise; 5] = [
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
                    needed("JETSCALE_PROXIES", Meaning::Proxies),
                    optional("JETSCALE_REDIS_URL", Meaning::Like("redis", "/0")),
                    optional("JETSCALE_REDIS_CA_FILE", Meaning::Path),
                    optional("JETSCALE_REDIS_USER", Meaning::Like("", "")),
                    optional("JETSCALE_REDIS_PASSWORD", Meaning::Secret("redis-password")),
                    optional("JETSCALE_REDIS_PREFIX", Meaning::Like("", ":")),
                    optional("JETSCALE_S3_BUCKET", Meaning::Like("", "")),
                    optional("JETSCALE_S3_REGION", Meaning::Like("", "")),
                    optional("JETSCALE_S3_PREFIX", Meaning::Like("", "/")),
                    optional("JETSCALE_S3_ENDPOINT", Meaning::Like("http", "")),
                    optional("AWS_ENDPOINT_URL_STS", Meaning::Like("http", "")),
                    optional("AWS_CA_BUNDLE", Meaning::Path),
                    optional("AWS_EC2_METADATA_DISABLED", Meaning::OneOf(&["true"])),
                    optional("AWS_ROLE_ARN", Meaning::Like("arn:aws", "")),
                    optional("AWS_WEB_IDENTITY_TOKEN_FILE", Meaning::Path),
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
                needed("POSTGRES_DB", Meaning::Like("", "")),
                needed("POSTGRES_USER", Meaning::Like("", "")),
                needed("POSTGRES_PASSWORD", Meaning::Secret("db-password")),
                needed("PGDATA", Meaning::Path),
            ],
            writes: &["/tmp", "/var/run/postgresql", "/var/lib/postgresql/data"],
            configuration: None,
        }],
        // Over TCP: the server of the first start, while the database is made, listens on the socket alone.
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
        // -e: an answer that is an error is a failure.
        health: Health::Command { words: &["redis-cli", "-e", "-h", "127.0.0.1", "ping"], may: &[] },
        asks: &[],
        resolves_names: false,
        asked_by: AskedBy::Nobody,
        is_store: true,
    },
];

/// Where the router leads: what a browser may ask for, and the component whose answer it gets; none: a file of the page.
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

/// A path where attachments go.
pub const ATTACHMENT: &str = "/api/v2/items/1/attachments/plan.json";

/// The largest attachment, in bytes (apps/backend, ATTACHMENT_MAX_BYTES), and the most that the router may let pass there
/// (DRAIN_MAX_BYTES): of more the api does not wait for the end.
pub const ATTACHMENT_BYTES: (u64, u64) = (5 << 20, 8 << 20);

/// The largest body that the api takes elsewhere, in bytes (apps/backend, BODY_MAX_BYTES).
pub const BODY_BYTES: u64 = 64 << 10;

/// The promise of the component with that label.
pub fn of(label: &str) -> Option<&'static Promise> {
    PROMISES.iter().find(|promise| promise.component.label == label)
}
