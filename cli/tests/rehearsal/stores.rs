//! What previews share on a cluster of AWS, in a namespace of its own: Postgres, Redis, and moto as S3, STS and IAM; all
//! with TLS, and each administered as there. What a preview has of them is read past the keeper. Beside them, what plays
//! GitHub's API for the sweeper in the cluster.

use harness::artifacts;
use harness::cluster::edge::certificate;
use harness::k8s;
use harness::preview::{ClusterName, PullRequest};
use k8s_openapi::api::core::v1::{Secret, Service};
use kube::{Api, Client};
use serde_json::{Value, json};

use super::cluster::{converge, exec, token};
use super::command::docker;
use super::place::{LIMIT, PREVIEWS, Place};

/// What the cluster calls itself.
pub const CLUSTER: &str = "rehearsal";
pub const NAMESPACE: &str = "rehearsal-stores";
pub const ACCOUNT: &str = "123456789012";
const SERVERS: [&str; 4] = ["postgres", "redis", "aws", "github"];

/// What the account holds, as an auditor sees it who comes by a token.
const LOOK_AT_AWS: &str = r#"
import sys, botocore.session
from botocore import UNSIGNED
from botocore.config import Config
def client(service, **options):
    session = botocore.session.get_session()
    return session.create_client(
        service, region_name="eu-central-1", endpoint_url="https://localhost:8443", verify="/tls/ca.crt", **options
    )
role, token = sys.argv[1:]
sts = client("sts", config=Config(signature_version=UNSIGNED))
keys = sts.assume_role_with_web_identity(RoleArn=role, RoleSessionName="auditor", WebIdentityToken=token)["Credentials"]
keys = {
    "aws_access_key_id": keys["AccessKeyId"],
    "aws_secret_access_key": keys["SecretAccessKey"],
    "aws_session_token": keys["SessionToken"],
}
for found in client("iam", **keys).list_roles()["Roles"]:
    print("role", found["RoleName"])
for found in client("elasticache", **keys).describe_users()["Users"]:
    print("cache-user", found["UserId"])
s3 = client("s3", config=Config(s3={"addressing_style": "path"}), **keys)
for found in s3.list_objects_v2(Bucket="attachments").get("Contents", []):
    print("object", found["Key"])
"#;

/// Makes them anew, and gives the values by which charts/preview-sweeper knows of them.
pub async fn make(place: &Place) -> Value {
    let client = place.client();
    k8s::namespace::delete(client, NAMESPACE, LIMIT).await.unwrap();
    k8s::namespace::create(client, NAMESPACE, Default::default(), Default::default()).await.unwrap();
    let aws = aws_image(place).await;
    let third_party = |name: &str| place.shared.plan.artifacts.get(name).unwrap().tag.by_digest();
    let [jwks, discovery] = ["/openid/v1/jwks", "/.well-known/openid-configuration"].map(|path| raw(client, path));
    let (jwks, discovery) = (jwks.await, discovery.await);
    let issuer = discovery["issuer"].as_str().unwrap().to_owned();
    let hosts = SERVERS.map(|name| format!("{name}.{NAMESPACE}.svc"));
    // The last two for their own probes.
    let hosts: Vec<&str> = hosts.iter().map(String::as_str).chain(["localhost", "127.0.0.1"]).collect();
    let issued = certificate::issue(&hosts).unwrap();
    let tls = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
        "metadata": {"name": "tls", "namespace": NAMESPACE},
        "stringData": {"tls.crt": issued.chain, "tls.key": issued.key, "ca.crt": issued.ca},
    });
    let keys = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "jwks", "namespace": NAMESPACE},
        "data": {"jwks.json": jwks.to_string()},
    });
    let [postgres_password, redis_password] = [(); 2].map(|()| harness::random::hex().unwrap());
    let passwords = json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": "preview-stores", "namespace": PREVIEWS},
        "stringData": {"postgres-password": postgres_password, "redis-password": redis_password},
    });
    let token = json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": "github", "namespace": PREVIEWS},
        "stringData": {"token": "of-the-sweeper"},
    });
    for object in [tls, keys, passwords, token] {
        k8s::apply(client, &object).await.unwrap();
    }
    let manifests = include_str!("stores/manifests.yaml")
        .replace("$NAMESPACE", NAMESPACE)
        .replace("$POSTGRES_IMAGE", &third_party("postgres"))
        .replace("$REDIS_IMAGE", &third_party("redis"))
        .replace("$AWS_IMAGE", &aws)
        .replace("$POSTGRES_PASSWORD", &postgres_password)
        .replace("$REDIS_PASSWORD", &redis_password)
        .replace("$ISSUER", &issuer)
        .replace("$CLUSTER", CLUSTER);
    for object in harness::yaml::objects(&manifests).unwrap() {
        k8s::apply(client, &object).await.unwrap();
    }
    converge(client, NAMESPACE, &SERVERS).await;
    values(&issued.ca, issuer.trim_start_matches("https://"))
}

fn values(ca: &str, issuer: &str) -> Value {
    let peers = json!([{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": NAMESPACE}}}]);
    let host = |name: &str| format!("{name}.{NAMESPACE}.svc");
    json!({
        "stores": {
            "postgres": {"host": host("postgres"), "port": 5432, "user": "master", "ca": ca, "peers": peers},
            "redis": {"host": host("redis"), "port": 6379, "user": "default", "ca": ca, "peers": peers},
            "s3": {
                "bucket": "attachments", "region": "eu-central-1", "account": ACCOUNT, "issuer": issuer, "ca": ca,
                "permissionsBoundary": format!("arn:aws:iam::{ACCOUNT}:policy/previews"),
                "endpoint": format!("https://{}", host("aws")), "port": 8443, "peers": peers, "webIdentityToken": true,
            },
        },
        "sweeper": {
            "schedule": "0 0 1 1 *",
            "github": {
                "repository": "jetscale/stack", "apiUrl": format!("http://{}:6443", host("github")), "tokenSecret": "github",
            },
        },
        "keeper": {"roleArn": format!("arn:aws:iam::{ACCOUNT}:role/preview-stores")},
    })
}

/// Leads from a second cluster to the Postgres and the Redis of the first, by the names that stand in their certificates, and
/// gives the values by which it knows of them.
pub async fn share(first: &Place, second: &Place) -> Value {
    let engine = first.session.engine().await.unwrap();
    // Each cluster is on a network of its own.
    let network = artifacts::network_of(&engine, &first.node()).await.unwrap();
    docker(&["network", "connect", &network, &second.node()]).await;
    let format = format!("{{{{(index .NetworkSettings.Networks {network:?}).IPAddress}}}}");
    let address = docker(&["inspect", "--format", &format, &first.node()]).await;
    let client = second.client();
    k8s::namespace::create(client, NAMESPACE, Default::default(), Default::default()).await.unwrap();
    let mut values =
        json!({"keeper": {"secret": "preview-stores"}, "sweeper": {"schedule": "0 0 1 1 *"}, "stores": {}});
    for name in ["postgres", "redis"] {
        let port = open_to_outside(first.client(), name).await;
        let metadata = json!({"name": name, "namespace": NAMESPACE, "labels": {"kubernetes.io/service-name": name}});
        let ports = json!([{"name": name, "port": port}]);
        let service = json!({
            "apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"clusterIP": "None", "ports": ports},
        });
        let slice = json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": metadata, "addressType": "IPv4",
            "endpoints": [{"addresses": [address]}], "ports": ports,
        });
        for object in [service, slice] {
            k8s::apply(client, &object).await.unwrap();
        }
        let mut store = first.installed()["stores"][name].clone();
        store["port"] = json!(port);
        store["peers"] = json!([{"ipBlock": {"cidr": format!("{address}/32")}}]);
        values["stores"][name] = store;
    }
    let secrets = |client: &Client| Api::<Secret>::namespaced(client.clone(), PREVIEWS);
    let passwords = secrets(first.client()).get("preview-stores").await.unwrap().data;
    let metadata = json!({"name": "preview-stores", "namespace": PREVIEWS});
    let copy = json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": passwords});
    k8s::apply(client, &copy).await.unwrap();
    values
}

/// The port of the node by which a store is reached from outside its cluster.
async fn open_to_outside(client: &Client, name: &str) -> i32 {
    let port = json!({"port": 1, "targetPort": name});
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": format!("{name}-outside"), "namespace": NAMESPACE},
        "spec": {"type": "NodePort", "selector": {"app": name}, "ports": [port]},
    });
    k8s::apply(client, &service).await.unwrap();
    let services: Api<Service> = Api::namespaced(client.clone(), NAMESPACE);
    let made = services.get(&format!("{name}-outside")).await.unwrap();
    made.spec.unwrap().ports.unwrap()[0].node_port.unwrap()
}

/// How the values say that AWS' API makes the users of the cache.
pub fn by_elasticache(mut values: Value) -> Value {
    let ca = values["stores"]["s3"]["ca"].clone();
    let endpoint = values["stores"]["s3"]["endpoint"].clone();
    values["stores"]["redis"]["elasticache"] =
        json!({"userGroup": "previews", "region": "eu-central-1", "endpoint": endpoint, "ca": ca});
    values
}

/// How the values say that there are none.
pub fn none(mut values: Value) -> Value {
    values["stores"] = json!({});
    values["keeper"] = json!({});
    values
}

/// What the stores call a preview of the first cluster.
pub fn name_of(number: &str) -> String {
    name_in(CLUSTER, number)
}

/// What the stores call a cluster's preview.
pub fn name_in(cluster: &str, number: &str) -> String {
    ClusterName::parse(cluster).unwrap().name_of(PullRequest::parse(number).unwrap())
}

/// What the stores hold under a name: databases, roles, Redis users and keys, IAM roles, users of ElastiCache, objects.
pub async fn holds(client: &Client, name: &str) -> Vec<String> {
    let query = "SELECT 'database ' || datname FROM pg_database UNION ALL SELECT 'login ' || rolname FROM pg_roles";
    let psql = ["psql", "-qAtX", "-U", "admin", "-d", "postgres", "-c", query];
    let postgres = exec(client, NAMESPACE, "app=postgres", &psql);
    let redis = ["redis-cli", "-e", "--tls", "--cacert", "/tls/ca.crt", "--no-auth-warning"];
    let users = [&redis[..], &["ACL", "USERS"]].concat();
    let keys = [&redis[..], &["KEYS", "*"]].concat();
    let auditor = format!("arn:aws:iam::{ACCOUNT}:role/auditor");
    let token = token(client, NAMESPACE, "default", &["sts.amazonaws.com"]).await;
    let look = ["python", "-c", LOOK_AT_AWS, &auditor, &token];
    let aws = exec(client, NAMESPACE, "app=aws", &look);
    let mut all = [postgres.await, aws.await].concat();
    for line in exec(client, NAMESPACE, "app=redis", &users).await.lines() {
        all.push_str(&format!("\nuser {line}"));
    }
    for line in exec(client, NAMESPACE, "app=redis", &keys).await.lines() {
        all.push_str(&format!("\nkey {line}"));
    }
    let of_it = |line: &&str| {
        let found = line.split_once(' ').map_or("", |(_, name)| name);
        found.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/']))
    };
    all.lines().filter(of_it).map(str::to_owned).collect()
}

async fn raw(client: &Client, path: &str) -> Value {
    let request = http::Request::get(path).body(Vec::new()).unwrap();
    tokio::time::timeout(LIMIT, client.request(request)).await.unwrap().unwrap()
}

async fn aws_image(place: &Place) -> String {
    let (session, checkout) = (&place.session, place.checkout());
    let own = checkout.join("cli/tests/rehearsal/stores");
    let context = place.folder.join("aws");
    std::fs::create_dir_all(&context).unwrap();
    let backend = checkout.join("apps/backend");
    let (policies, deploy) = (checkout.join("keeper/policies"), checkout.join("deploy/aws"));
    let files = [
        own.join("serve.py"),
        own.join("elasticache.py"),
        own.join("github.py"),
        backend.join("requirements.txt"),
        backend.join("requirements-reload.txt"),
        backend.join("requirements-dev.txt"),
        backend.join("tests/managed/aws.py"),
        policies.join("role-trust.json"),
        deploy.join("keeper-policy.json"),
        deploy.join("preview-boundary.json"),
    ];
    for file in files {
        std::fs::copy(&file, context.join(file.file_name().unwrap())).unwrap();
    }
    let tag = "jetscale.internal/rehearsal-aws:rehearsal";
    let leave = session.stage.may_build().unwrap();
    let built = session.build_on_python(leave, &own.join("Dockerfile"), &context, tag).await;
    built.unwrap_or_else(|error| panic!("{}", error.report()));
    session.push(tag, "rehearsal-aws").await.unwrap().by_digest()
}
