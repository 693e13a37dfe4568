//! The spec of the JetScale stack: names, components, images, values and contract. No file of the harness names the stack.
//!
//! ```
//! harness::spec::of(&jetscale::STACK);
//! assert_eq!(harness::spec::spec().router.suffix, "frontend");
//! ```

pub mod components;
pub mod contract;
pub mod dev;
pub mod images;
pub mod services;
pub mod values;

use harness::spec::{
    AdministratorsChart, AuthSpec, BenchEdit, BenchJudge, BenchSpec, ChartsSpec, DevSpec, EdgeSpec, ImageValues,
    ImagesSpec, OwnSpec, PreviewSpec, SignInSpec, StackSpec, Told, ValuesSpec,
};

use services::{DOCS, READY, SIGN_IN, VERSION, WS_READY};

/// The name of the Secret for pulling images, beside each release.
pub const PULL_SECRET: &str = "jetscale-pull";
/// The suffix of the Secret `<release>-auth`, which the charts name and do not make.
pub const AUTH: &str = "auth";

/// The spec of this repository's stack.
pub static STACK: StackSpec = StackSpec {
    name: "jetscale",
    source: file!(),
    domain: "jetscale.ai",
    env_prefix: "JETSCALE",
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
    live_url: "https://app.jetscale.ai",
    charts: ChartsSpec {
        folder: "charts",
        umbrella: "app",
        release_max: 43,
        release_label: "app.kubernetes.io/instance",
        component_label: "app.kubernetes.io/component",
        image: ImageValues::Split { repository: "{image}.image.repository", digest: "{image}.image.digest" },
    },
    recipes: "kind",
    values: ValuesSpec {
        dev: Some(values::DEV),
        shared: values::E2E,
        preview: Some(values::PREVIEW),
        live: Some(values::LIVE),
        all: &values::VALUES_FILES,
    },
    namespace: "jetscale",
    release: "jetscale",
    images: ImagesSpec { built: &images::BUILT, third_party: &images::THIRD_PARTY },
    components: &components::COMPONENTS,
    api: &components::API,
    router: &components::FRONTEND,
    reached: &["/", READY, WS_READY],
    auth: Some(AuthSpec {
        suffix: AUTH,
        // redis-password is for a shared Redis; the release's own has no password.
        random: &["db-password", "redis-password", "jwt-secret-key", "admin-password"],
        fixed: &[("admin-email", "admin@jetscale.example")],
    }),
    sign_in: Some(SignInSpec {
        path: SIGN_IN,
        members: ["login", "password"],
        token: "/data/tokens/access_token",
        keys: ["admin-email", "admin-password"],
    }),
    revision: Some(Told { path: VERSION, pointer: "/data/git_sha" }),
    pull_secret: Some(PULL_SECRET),
    client_label: "jetscale.ai/client",
    edge: EdgeSpec { label: "jetscale.ai/edge", host: "app.jetscale.example" },
    own: OwnSpec { in_its_pod: Some("postgres.persistence.enabled=false"), bytes: 2 << 30, most: 3 },
    dev: DevSpec {
        hud_port: 10350,
        debuggers: &[(&components::API, 5678), (&components::WEBSOCKET, 5679)],
        image_host: "jetscale.internal",
        reached: &[READY],
    },
    preview: PreviewSpec {
        reserved: "jetscale-preview",
        annotations: &["jetscale.ai/nginx-conf"],
        stores_ca: "jetscale-stores-ca",
        role_path: "/jetscale-previews/",
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
        administrators_chart: Some(AdministratorsChart {
            path: "charts/preview-sweeper",
            example: "docs/preview-sweeper.yaml",
        }),
    },
    bench: BenchSpec {
        isolated: &[
            "config::secrets_differ_between_releases",
            "network::stores_answer_the_backend_alone",
            "network::another_namespace_reaches_nothing",
        ],
        backend: BenchJudge { scenario: "backend::docs_are_served", path: DOCS },
        page: BenchJudge { scenario: "frontend::page_is_served", path: "/" },
        backend_edit: BenchEdit {
            file: "apps/backend/jetscale_backend/application.py",
            from: "title=\"JetScale backend\"",
            to: "title=\"JetScale backend {number}\"",
            shows: true,
        },
        page_edit: BenchEdit {
            file: "apps/frontend/html/index.html",
            from: "content=\"JetScale: what is running",
            to: "content=\"JetScale {number}: what is running",
            shows: true,
        },
        values_edit: BenchEdit {
            file: "charts/app/values.local.e2e.yaml",
            from: "requests: {cpu: 25m, memory: 128Mi}",
            to: "requests: {cpu: 25m, memory: \"{number}\"}",
            shows: false,
        },
        broken_import: BenchEdit {
            file: "apps/backend/jetscale_backend/app.py",
            from: "import sys\n",
            to: "import sys\nimport absent_{number}\n",
            shows: false,
        },
    },
    together: &[
        ("JETSCALE_REDIS_CA_FILE", &["JETSCALE_REDIS_URL"]),
        ("JETSCALE_S3_BUCKET", &["JETSCALE_S3_REGION", "AWS_EC2_METADATA_DISABLED"]),
        ("AWS_ROLE_ARN", &["AWS_WEB_IDENTITY_TOKEN_FILE"]),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", &["AWS_ROLE_ARN"]),
        ("JETSCALE_REDIS_USER", &["JETSCALE_REDIS_PASSWORD", "JETSCALE_REDIS_PREFIX"]),
        ("JETSCALE_DB_CA_FILE", &["JETSCALE_DB_SSLMODE"]),
    ],
    stores_verified_by: Some("JETSCALE_DB_SSLMODE"),
    contract: &contract::PROMISES,
    routing: contract::ROUTING,
};

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_debuggers_ports_are_tilts_and_the_editors() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let [tiltfile, editor] =
            ["Tiltfile", ".vscode/launch.json"].map(|file| std::fs::read_to_string(root.join(file)).unwrap());
        for (component, port) in STACK.dev.debuggers {
            assert!(
                tiltfile.contains(&format!("port_forward({port}, 5678")),
                "the Tiltfile forwards no {port} to {}",
                component.suffix
            );
            assert!(editor.contains(&format!("\"port\": {port}}}")), "launch.json attaches to no {port}");
        }
    }

    #[test]
    fn the_preview_workflow_has_our_images_and_domain() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let workflow = std::fs::read_to_string(root.join(".github/workflows/preview.yaml")).unwrap();
        let images = STACK.images.built.iter().map(|image| image.name);
        let images: Vec<_> = images.chain(STACK.images.third_party.iter().map(|image| image.name)).collect();
        assert!(workflow.contains(&format!("\n  IMAGES: {}\n", images.join(" "))), "its IMAGES are not {images:?}");
        assert!(workflow.contains(&format!("https://pr-$PR_NUMBER.{}/", STACK.preview.domain)), "another domain");
    }

    #[test]
    fn what_the_bench_edits_is_there() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let BenchSpec { backend_edit, page_edit, values_edit, broken_import, .. } = &STACK.bench;
        for BenchEdit { file, from, to, .. } in [backend_edit, page_edit, values_edit, broken_import] {
            let text = std::fs::read_to_string(root.join(file)).unwrap();
            assert!(text.contains(from) && to.contains("{number}"), "{file}");
        }
    }
}
