//! Stores that previews share outside their namespaces: a database server, a Redis, a bucket; each preview has a part of each.
//!
//! An administrator sets their addresses in the administrators' chart. Their credentials stay in the cluster with the keeper (the
//! crate `keeper`), which makes a preview's part on request, and removes it before the preview's namespace ends.

use std::collections::BTreeMap;
use std::time::Duration;

use harness_base::hash;
use harness_base::progress::Step;
use harness_settings::spec::spec;
use harness_settings::spec::variable::StackLabel;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{ClusterName, PullRequest};
use crate::cluster::Cluster;
use crate::error::{Error, Result};
use crate::k8s::{self, State};

/// The finalizer that keeps a preview's namespace until the keeper has removed its stores.
pub const FINALIZER: StackLabel = StackLabel("stores");
/// The annotation with the last request to the keeper: a random text.
const WANTED: StackLabel = StackLabel("stores-wanted");
/// The annotation with the last request that the keeper has fulfilled.
const MADE: StackLabel = StackLabel("stores-made");
/// The annotation with the keeper's last error; the finalizer's name is its prefix, by which a wait for the namespace's end finds
/// it.
const FAILED: StackLabel = StackLabel("stores-failed");

/// The key of the ConfigMap [`PreviewSpec::stores`](harness_settings::spec::PreviewSpec).
const KEY: &str = "stores.json";

/// The deadline for the keeper: a database takes a second, an IAM role some seconds until it is seen everywhere.
const MADE_WITHIN: Duration = Duration::from_secs(120);
/// How long the keeper's error has to stay until the wait fails.
const TOLERANCE: Duration = Duration::from_secs(30);

/// The addresses of the stores, as `cluster` and `stores` in the values of the administrators' chart.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Stores {
    /// The name of the cluster; another cluster may use the same stores.
    pub cluster: ClusterName,
    /// The Postgres server; `None`: previews have a database of their own.
    pub postgres: Option<Server>,
    /// The Redis; `None`: previews have one of their own.
    pub redis: Option<Server>,
    /// The bucket; `None`: previews have none.
    pub s3: Option<S3>,
}

/// A server with TLS.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Server {
    /// Its host name, as its certificate has it.
    pub host: String,
    /// Its TCP port.
    pub port: u16,
    /// The name of its administrator.
    pub user: String,
    /// The CA of its certificate, as PEM; `None`: the public CAs.
    pub ca: Option<String>,
    /// Its addresses, as NetworkPolicy peers.
    pub peers: Vec<Value>,
    /// For a Redis that does not allow `ACL SETUSER`: how its users are made instead.
    pub elasticache: Option<ElastiCache>,
}

/// An ElastiCache, whose users are made by AWS's API.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ElastiCache {
    /// The ID of the user group with access to the cache.
    pub user_group: String,
    /// Its AWS region.
    pub region: String,
    /// The engine of the user group: `redis` (default) or `valkey`.
    #[serde(default = "default_engine")]
    pub engine: String,
    /// The API's endpoint; `None`: AWS's own.
    pub endpoint: Option<String>,
    /// The CA of that endpoint's certificate, as PEM; `None`: the public CAs.
    pub ca: Option<String>,
}

fn default_engine() -> String {
    "redis".to_owned()
}

/// A bucket that all previews share; each preview gets an IAM role for its prefix.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct S3 {
    /// The bucket's name.
    pub bucket: String,
    /// Its AWS region.
    pub region: String,
    /// The ID of the AWS account.
    pub account: String,
    /// The OIDC issuer of the cluster's ServiceAccount tokens, without `https://`.
    pub issuer: String,
    /// The endpoint of S3, STS and IAM; `None`: AWS's own.
    pub endpoint: Option<String>,
    /// The CA of that endpoint's certificate, as PEM; `None`: the public CAs.
    pub ca: Option<String>,
    /// The addresses of S3 and STS, as NetworkPolicy peers.
    pub peers: Vec<Value>,
    /// Their TCP port, as a NetworkPolicy sees it; default 443.
    #[serde(default = "https")]
    pub port: u16,
    /// Whether pods mount their token themselves, where EKS's webhook does not; default false.
    #[serde(default)]
    pub web_identity_token: bool,
    /// The ARN of the permissions boundary of each preview's role, without which the keeper may make no role.
    pub permissions_boundary: String,
}

fn https() -> u16 {
    443
}

impl S3 {
    /// The ARN of a role below the stack's path ([`PreviewSpec::role_path`](harness_settings::spec::PreviewSpec)).
    fn role_arn(&self, name: &str) -> String {
        format!("arn:aws:iam::{}:role{}{name}", self.account, spec().preview.role_path)
    }
}

impl Stores {
    /// Parses the JSON of the ConfigMap or of the keeper's file.
    ///
    /// # Errors
    /// [`harness_base::Error::Malformed`] when it is not of this shape.
    pub fn parse(text: &str) -> Result<Self> {
        serde_json::from_str(text).map_err(Error::malformed(format!("read {KEY} of {}", spec().preview.stores)))
    }

    /// The stores of a cluster; `None` where previews have their stores in their namespaces.
    ///
    /// # Errors
    /// [`Error::Kube`] when it cannot be read; as [`Stores::parse`].
    pub async fn of(cluster: &Cluster) -> Result<Option<Self>> {
        let api: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), spec().preview.namespace);
        let what = format!("read the ConfigMap {} in {}", spec().preview.stores, spec().preview.namespace);
        let found = k8s::call(&what, api.get_opt(spec().preview.stores)).await?;
        let text = found.and_then(|map| map.data?.remove(KEY));
        text.map(|text| Self::parse(&text)).transpose()
    }

    /// The charts' values for one preview.
    pub fn values(&self, of: PullRequest) -> Value {
        let (name, secret) = (self.cluster.name_of(of), self.ca_secret());
        let ca = |store: &str, ca: &Option<String>| match ca {
            Some(_) => json!({"name": secret, "key": format!("{store}.crt")}),
            None => json!({}),
        };
        let mut values = json!({"backend": {}});
        if let Some(postgres) = &self.postgres {
            values["postgres"] = json!({"enabled": false});
            let tls = json!({"mode": "verify-full", "caSecret": ca("postgres", &postgres.ca)});
            let (host, port, peers) = (&postgres.host, postgres.port, &postgres.peers);
            values["backend"]["database"]["external"] =
                json!({"host": host, "port": port, "name": name, "user": name, "peers": peers, "tls": tls});
        }
        if let Some(redis) = &self.redis {
            values["redis"] = json!({"enabled": false});
            let tls = json!({"enabled": true, "caSecret": ca("redis", &redis.ca)});
            let (host, port, peers) = (&redis.host, redis.port, &redis.peers);
            let prefix = format!("{name}:");
            values["backend"]["redis"]["external"] =
                json!({"host": host, "port": port, "user": name, "prefix": prefix, "peers": peers, "tls": tls});
        }
        if let Some(s3) = &self.s3 {
            let endpoint = s3.endpoint.clone().unwrap_or_default();
            values["backend"]["storage"] = json!({
                "bucket": s3.bucket, "region": s3.region, "prefix": format!("{name}/"), "roleArn": s3.role_arn(&name),
                "endpoint": endpoint, "stsEndpoint": endpoint, "caSecret": ca("s3", &s3.ca),
                "port": s3.port, "peers": s3.peers, "webIdentityToken": {"enabled": s3.web_identity_token},
            });
        }
        values
    }

    /// The components that a release need not have, by their suffix.
    pub fn elsewhere(&self) -> Vec<String> {
        let all = [(&self.postgres, spec().preview.postgres), (&self.redis, spec().preview.redis)];
        all.into_iter().filter(|(store, _)| store.is_some()).map(|(_, part)| part.suffix.to_owned()).collect()
    }

    /// The name of the Secret with the stores' CAs: with a hash of its content, so that pods are replaced when that changes.
    pub(super) fn ca_secret(&self) -> String {
        format!("{}-{}", spec().preview.stores_ca, hash::short(&hash::text(&json!(self.authorities()).to_string())))
    }

    fn authorities(&self) -> BTreeMap<String, &str> {
        let all = [
            ("postgres.crt", self.postgres.as_ref().and_then(|it| it.ca.as_deref())),
            ("redis.crt", self.redis.as_ref().and_then(|it| it.ca.as_deref())),
            ("s3.crt", self.s3.as_ref().and_then(|it| it.ca.as_deref())),
        ];
        all.into_iter().filter_map(|(name, ca)| Some((name.to_owned(), ca?))).collect()
    }
}

/// Asks the keeper for a preview's part of the stores, and waits until it is made. The namespace has to exist, with the release's
/// Secret `<release>-auth`, whose passwords are used.
///
/// # Errors
/// [`Error::Failed`] with the keeper's error; [`harness_base::Error::Deadline`] when it has not answered after 120 s.
pub(super) async fn ask(
    cluster: &Cluster,
    of: PullRequest,
    stores: &Stores,
    labels: &BTreeMap<String, String>,
) -> Result<()> {
    let (client, namespace) = (&cluster.client, of.namespace());
    let step = Step::begin(format!("having the stores of {namespace} made"));
    let metadata = json!({"name": stores.ca_secret(), "namespace": namespace, "labels": labels});
    let secret =
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": stores.authorities()});
    k8s::apply(client, &secret).await?;
    // The keeper may read one Secret in this namespace.
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
        "metadata": {"name": spec().preview.stores, "namespace": namespace, "labels": labels},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": spec().preview.stores_role},
        "subjects": [{"kind": "ServiceAccount", "name": spec().preview.stores, "namespace": spec().preview.namespace}],
    });
    k8s::apply(client, &binding).await?;
    let wanted = harness_base::random::hex()?[..8].to_owned();
    annotate(client, &namespace, &[(WANTED, Some(&wanted))]).await?;
    let api: Api<Namespace> = Api::all(client.clone());
    let awaited =
        format!("the stores of {namespace}, which {} in {} makes", spec().preview.stores, spec().preview.namespace);
    k8s::wait::object(api, &namespace, &awaited, MADE_WITHIN, |found| match found {
        Some(found) => answer(found, &wanted),
        None => State::Failed("its namespace is gone".to_owned()),
    })
    .await?;
    step.done();
    Ok(())
}

fn answer(namespace: &Namespace, wanted: &str) -> State {
    let said = namespace.annotations();
    if said.get(&MADE.name()).is_some_and(|made| made == wanted) {
        return State::Ready;
    }
    match said.get(&FAILED.name()) {
        Some(why) => State::Degraded(k8s::FailureCause::quoted(why, TOLERANCE)),
        None => State::Pending("the keeper has not answered".to_owned()),
    }
}

/// The request to the keeper in a namespace's annotations, if it is not fulfilled yet.
pub fn wanted(namespace: &Namespace) -> Option<String> {
    let said = namespace.annotations();
    said.get(&WANTED.name()).filter(|wanted| said.get(&MADE.name()) != Some(wanted)).cloned()
}

/// Notes at the namespace that the keeper has fulfilled a request.
///
/// # Errors
/// [`Error::Kube`].
pub async fn note_made(client: &kube::Client, namespace: &str, wanted: &str) -> Result<()> {
    annotate(client, namespace, &[(MADE, Some(wanted)), (FAILED, None)]).await
}

/// Notes the keeper's error at the namespace, unless it is noted already.
///
/// # Errors
/// [`Error::Kube`].
pub async fn note_failed(client: &kube::Client, namespace: &Namespace, why: &str) -> Result<()> {
    if namespace.annotations().get(&FAILED.name()).is_some_and(|said| said == why) {
        return Ok(());
    }
    annotate(client, &namespace.name_any(), &[(FAILED, Some(why))]).await
}

async fn annotate(client: &kube::Client, namespace: &str, annotations: &[(StackLabel, Option<&str>)]) -> Result<()> {
    let annotations: BTreeMap<_, _> = annotations.iter().map(|(name, value)| (name.name(), *value)).collect();
    let patch = json!({"metadata": {"annotations": annotations}});
    let api: Api<Namespace> = Api::all(client.clone());
    let what = format!("annotate the namespace {namespace}");
    k8s::call(&what, api.patch(namespace, &PatchParams::default(), &Patch::Merge(&patch))).await?;
    Ok(())
}

/// Merges Helm values: where both have a value, `above` counts.
pub fn merged(mut below: Value, above: Value) -> Value {
    match (&mut below, above) {
        (Value::Object(below), Value::Object(above)) => {
            for (key, value) in above {
                let under = below.remove(&key).unwrap_or_default();
                below.insert(key, merged(under, value));
            }
        }
        (below, above) => *below = above,
    }
    below
}

/// The name of the api's ServiceAccount, which may assume a preview's IAM role.
pub fn api_account() -> String {
    format!("{}-{}", spec().release, spec().api.suffix)
}

/// The name of the Secret beside a preview's release with its passwords.
pub fn auth_secret() -> String {
    format!("{}-{}", spec().release, spec().auth.as_ref().map_or("", |auth| auth.suffix))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &str = r#"{
        "cluster": "eu-1",
        "postgres": {"host": "db.example", "port": 5432, "user": "master", "ca": "PEM", "peers": [{"ipBlock": {"cidr": "10.0.0.0/24"}}]},
        "redis": {"host": "cache.example", "port": 6379, "user": "default", "peers": []},
        "s3": {"bucket": "previews", "region": "eu-central-1", "account": "123456789012", "issuer": "oidc.example/id/1", "peers": [],
            "permissionsBoundary": "arn:aws:iam::123456789012:policy/previews"}
    }"#;

    fn of() -> PullRequest {
        PullRequest::parse("7").unwrap()
    }

    #[test]
    fn each_preview_has_its_own() {
        let values = Stores::parse(ALL).unwrap().values(of());
        insta::assert_snapshot!(serde_yaml::to_string(&values).unwrap());
    }

    #[test]
    fn without_stores_nothing_is_said() {
        assert_eq!(Stores::parse(r#"{"cluster": "eu-1"}"#).unwrap().values(of()), json!({"backend": {}}));
        for wrong in [r#"{}"#, r#"{"cluster": "eu-1", "mysql": {}}"#, r#"{"cluster": "a-pr-1"}"#] {
            assert!(Stores::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_was_said_of_an_earlier_wish_does_not_count() {
        let mut namespace = Namespace::default();
        let mut say = |name: StackLabel, value: &str| {
            namespace.metadata.annotations.get_or_insert_default().insert(name.name(), value.to_owned());
            namespace.clone()
        };
        assert_eq!(wanted(&Namespace::default()), None);
        assert_eq!(wanted(&say(WANTED, "1")).as_deref(), Some("1"));
        let made = say(MADE, "1");
        assert_eq!((wanted(&made), answer(&made, "1")), (None, State::Ready));
        let again = say(WANTED, "2");
        assert_eq!(wanted(&again).as_deref(), Some("2"));
        assert!(matches!(answer(&again, "2"), State::Pending(_)));
        assert!(matches!(answer(&say(FAILED, "no"), "2"), State::Degraded(found) if found.to_string() == "no"));
    }

    #[test]
    fn the_second_says_what_both_say() {
        let below = json!({"a": {"x": 1, "y": 1}, "b": [1], "c": 1});
        assert_eq!(
            merged(below, json!({"a": {"y": 2}, "b": [2], "d": 2})),
            json!({"a": {"x": 1, "y": 2}, "b": [2], "c": 1, "d": 2})
        );
    }
}
