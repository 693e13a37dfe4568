//! What previews share outside their namespaces: a database server, a Redis, a bucket; and what one preview has of each.
//!
//! An administrator says by charts/preview-sweeper where they are. Their credentials stay in the cluster with the keeper
//! (the crate `keeper`), which makes a preview's own part when it is asked, and removes it before its namespace ends.

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

/// The finalizer by which the keeper has its turn before a preview's namespace is gone.
pub const FINALIZER: StackLabel = StackLabel("stores");
/// What the keeper is asked for last: any text, another one for each time.
const WANTED: StackLabel = StackLabel("stores-wanted");
/// What the keeper has made last.
const MADE: StackLabel = StackLabel("stores-made");
/// Why the keeper could not; the finalizer's name is its beginning, by which a wait for the namespace's end finds it.
const FAILED: StackLabel = StackLabel("stores-failed");

/// The key of the ConfigMap [`PreviewSpec::stores`](harness_settings::spec::PreviewSpec).
const KEY: &str = "stores.json";

/// How long the keeper may take; it makes a database in a second, and an IAM role is seen everywhere after some.
const MADE_WITHIN: Duration = Duration::from_secs(120);
/// How long the same failure is believed to be passing.
const TOLERANCE: Duration = Duration::from_secs(30);

/// Where the stores are, as `cluster` and `stores` in charts/preview-sweeper's values.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Stores {
    /// The cluster whose previews these are: another one may use the same stores.
    pub cluster: ClusterName,
    /// The database server.
    pub postgres: Option<Server>,
    /// The cache.
    pub redis: Option<Server>,
    /// The bucket.
    pub s3: Option<S3>,
}

/// A server with TLS.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Server {
    /// As its certificate names it.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Its administrator.
    pub user: String,
    /// Who signs its certificate, as PEM; without, the authorities that everybody trusts.
    pub ca: Option<String>,
    /// Where it is, as NetworkPolicy peers.
    pub peers: Vec<Value>,
    /// Of a Redis that takes no `ACL SETUSER`: how its users are made instead.
    pub elasticache: Option<ElastiCache>,
}

/// How users of ElastiCache are made, by AWS' own API.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ElastiCache {
    /// The user group that the cache lets in.
    pub user_group: String,
    /// Its region.
    pub region: String,
    /// What the group is for; default `redis`.
    #[serde(default = "default_engine")]
    pub engine: String,
    /// Where the API answers, if not at AWS.
    pub endpoint: Option<String>,
    /// Who signs that endpoint's certificate, as PEM.
    pub ca: Option<String>,
}

fn default_engine() -> String {
    "redis".to_owned()
}

/// A bucket that all previews share, and how one gets a role for its part.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct S3 {
    /// The bucket.
    pub bucket: String,
    /// Its region.
    pub region: String,
    /// The number of the account.
    pub account: String,
    /// Who signs the cluster's ServiceAccount tokens, without `https://`.
    pub issuer: String,
    /// Where S3, STS and IAM answer, if not at AWS.
    pub endpoint: Option<String>,
    /// Who signs that endpoint's certificate, as PEM.
    pub ca: Option<String>,
    /// Where S3 and STS are, as NetworkPolicy peers.
    pub peers: Vec<Value>,
    /// Their port, as a NetworkPolicy sees it; default 443.
    #[serde(default = "https")]
    pub port: u16,
    /// Whether pods mount their token themselves, where no webhook of EKS does it.
    #[serde(default)]
    pub web_identity_token: bool,
    /// The permissions boundary of each preview's role, by its ARN: without it the keeper may make none.
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
    /// What the ConfigMap or the file says.
    ///
    /// # Errors
    /// [`harness_base::Error::Malformed`] when it is not what the chart writes.
    pub fn parse(text: &str) -> Result<Self> {
        serde_json::from_str(text).map_err(Error::malformed(format!("read {KEY} of {}", spec().preview.stores)))
    }

    /// Those of a cluster; `None` where previews have their stores in their namespaces.
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

    /// Another name for another content, so that pods that read the old one are replaced.
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

/// Has the keeper make what a preview has of the stores, and waits for it. The namespace is there, with the release's
/// `<release>-auth`, whose passwords count.
///
/// # Errors
/// [`Error::Failed`] with what the keeper could not do; [`harness_base::Error::Deadline`] when it says nothing.
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
    // The keeper reads one Secret here, and nothing anywhere else.
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

/// What the keeper is asked for of a namespace and has not made yet.
pub fn wanted(namespace: &Namespace) -> Option<String> {
    let said = namespace.annotations();
    said.get(&WANTED.name()).filter(|wanted| said.get(&MADE.name()) != Some(wanted)).cloned()
}

/// Notes that the keeper has made what it was asked for.
///
/// # Errors
/// [`Error::Kube`].
pub async fn note_made(client: &kube::Client, namespace: &str, wanted: &str) -> Result<()> {
    annotate(client, namespace, &[(MADE, Some(wanted)), (FAILED, None)]).await
}

/// Notes why the keeper could not, unless that is what stands there.
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

/// Values on top of others: what both say, the second says.
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

/// The ServiceAccount of the api, whose token a preview's role is given for.
pub fn api_account() -> String {
    format!("{}-{}", spec().release, spec().api.suffix)
}

/// The Secret beside a preview's release that has its passwords.
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
