//! The values files of each stage, in charts/app.

use harness::spec::ValuesFile;

/// Stage dev's values.
pub const DEV: ValuesFile = ValuesFile { name: "dev", file: "values.local.dev.yaml", set: &[], dev: true };
/// The values of stages local and ci.
pub const E2E: ValuesFile = ValuesFile { name: "e2e", file: "values.local.e2e.yaml", set: &[], dev: false };
/// The values of stage preview with its stores in the cluster.
pub const PREVIEW: ValuesFile =
    ValuesFile { name: "preview", file: VALUES_PREVIEW, set: &["ingress.host=pr-1.app.jetscale.ai"], dev: false };
/// The values of stage preview with all stores outside of the cluster.
pub const MANAGED: ValuesFile = ValuesFile { name: "managed", file: VALUES_PREVIEW, set: &MANAGED_STORES, dev: false };
/// The values of stage live.
pub const LIVE: ValuesFile = ValuesFile { name: "live", file: "values.live.yaml", set: &[], dev: false };
/// All ways in which stages render the charts, each with examples of the values that a deployer adds.
pub const VALUES_FILES: [ValuesFile; 5] = [DEV, E2E, PREVIEW, MANAGED, LIVE];

const VALUES_PREVIEW: &str = "values.preview.yaml";
/// An example of each value that a deployer sets where a preview's stores are managed ones.
const MANAGED_STORES: [&str; 27] = [
    "ingress.host=pr-1.app.jetscale.ai",
    "postgres.enabled=false",
    "backend.database.external.host=db.example.internal",
    "backend.database.external.name=jetscale-pr-1",
    "backend.database.external.user=jetscale-pr-1",
    "backend.database.external.peers[0].ipBlock.cidr=10.1.0.0/16",
    "backend.database.external.tls.mode=verify-full",
    "backend.database.external.tls.caSecret.name=jetscale-managed",
    "redis.enabled=false",
    "backend.redis.external.host=redis.example.internal",
    "backend.redis.external.port=6380",
    "backend.redis.external.user=jetscale-pr-1",
    "backend.redis.external.prefix=jetscale-pr-1:",
    "backend.redis.external.peers[0].ipBlock.cidr=0.0.0.0/0",
    "backend.redis.external.tls.enabled=true",
    "backend.redis.external.tls.caSecret.name=jetscale-managed",
    "backend.storage.bucket=jetscale-previews",
    "backend.storage.prefix=jetscale-pr-1/",
    "backend.storage.region=eu-central-1",
    "backend.storage.caSecret.name=jetscale-managed",
    "backend.storage.roleArn=arn:aws:iam::123456789012:role/jetscale-pr-1",
    "backend.storage.webIdentityToken.enabled=true",
    "backend.storage.peers[0].ipBlock.cidr=128.0.0.0/1",
    "backend.storage.peers[0].ipBlock.except[0]=172.16.0.0/12",
    "backend.networkPolicy.egress[0].ports[0].port=443",
    "backend.networkPolicy.egress[0].ports[0].protocol=TCP",
    "backend.networkPolicy.egress[0].to[0].ipBlock.cidr=0.0.0.0/0",
];
