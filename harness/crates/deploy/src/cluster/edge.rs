//! The edge in front of a release: Contour and Envoy in a namespace of their own, outside the release.
//!
//! The edge terminates TLS, with a certificate by a private CA, and redirects HTTP to HTTPS; headers and routes are the router's.

pub mod certificate;
mod image;
pub mod previews;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use harness_base::hash;
use harness_base::progress::Step;
use harness_http::{HttpOptions, Reader};
use harness_machine::project::Project;
use harness_settings::marks::EDGE_NAMESPACE;
use harness_settings::spec::spec;
use k8s_openapi::api::networking::v1::Ingress;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{Api, Client, ResourceExt};
use serde::Deserialize;
use serde_json::{Value, json};

use super::node_image::NodeImageRequest;
use super::{Cluster, ClusterState, node_name};
use crate::artifacts::Sources;
use crate::error::{Error, Result};
use crate::k8s::snapshot::Watched;
use crate::k8s::verdict::deployment_converged;
use crate::k8s::{self, Forward, State};

/// The deadline for the edge's pod to be ready; its image is pulled.
const READY: Duration = Duration::from_secs(180);
/// The deadline for the route to the release once the pod is ready.
const ROUTED: Duration = Duration::from_secs(60);
/// The deadline for the API server to serve a new kind.
const ESTABLISHED: Duration = Duration::from_secs(30);

/// Envoy's port for HTTPS, and the one for HTTP.
const PORTS: (u16, u16) = (8443, 8080);
/// The name of the edge's objects in the release's namespace.
const NAME: &str = "harness-edge";
const SPEC_HASH: &str = "harness.internal/edge-mark";
const MANIFESTS: &str = include_str!("edge/manifests.yaml");

/// An edge that leads to a release.
#[derive(Clone)]
pub struct Edge {
    client: Client,
    ca: Vec<u8>,
}

impl std::fmt::Debug for Edge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Edge")
    }
}

/// Forwards to the edge.
#[derive(Debug)]
pub struct EdgeForward {
    /// HTTP options for Envoy's HTTPS port: host, forwarded address, CA.
    pub secure: HttpOptions,
    /// The forward to Envoy's HTTP port.
    pub plain: Arc<Forward>,
}

/// The release behind an edge.
#[derive(Debug, Clone, Copy)]
pub struct Behind<'a> {
    /// Its namespace.
    pub namespace: &'a str,
    /// Its name.
    pub release: &'a str,
}

/// The arguments of [`make`].
#[derive(Debug, Clone, Copy)]
pub struct EdgeOptions<'a> {
    /// The cluster to make the edge in.
    pub cluster: &'a Cluster,
    /// The cluster's state folder.
    pub cluster_state: &'a ClusterState,
    /// Engine, tools and sources for the edge's images.
    pub request: NodeImageRequest<'a>,
    /// The registry beside the cluster, which the images are pushed to.
    pub sources: &'a Sources<'a>,
    /// The release that the edge leads to.
    pub behind: Behind<'a>,
    /// The labels of all of the edge's objects: owner, stage.
    pub labels: &'a BTreeMap<String, String>,
}

/// Makes sure that the engine holds the edge's images; can run before there is a cluster.
///
/// # Errors
/// [`harness_base::Error::Refused`] when none may be made, [`Error::Command`] when the recipe fails.
pub async fn ensure_image(request: &NodeImageRequest<'_>) -> Result<()> {
    image::ensure(request).await.map(drop)
}

/// The edge, if it was made with the same content as it would be made now; does not check whether it answers.
///
/// # Errors
/// [`Error::Kube`] when the cluster does not answer.
pub async fn find(
    cluster: &Cluster,
    cluster_state: &ClusterState,
    project: &Project,
    behind: Behind<'_>,
) -> Result<Option<Edge>> {
    let Some(ca) = read(&cluster_state.edge_ca())? else { return Ok(None) };
    let api: Api<Ingress> = Api::namespaced(cluster.client.clone(), behind.namespace);
    let what = format!("read the Ingress {NAME}");
    let found = k8s::within(&what, k8s::CALL, async { api.get_opt(NAME).await.map_err(Error::kube(&what)) }).await?;
    let marked = found.and_then(|ingress| ingress.annotations().get(SPEC_HASH).cloned());
    let made = marked == Some(spec_hash(&image::tag(project)?, behind, &ca));
    Ok(made.then(|| Edge { client: cluster.client.clone(), ca }))
}

/// Makes the edge, with a new CA. Only under the lock `change`.
///
/// What remains on cancel: a part of the objects, which the next call applies again; all are removed with the cluster.
///
/// # Errors
/// As [`ensure_image`]; [`Error::Kube`] when the API refuses an object.
pub async fn make(options: EdgeOptions<'_>) -> Result<Edge> {
    let step = Step::begin("making the edge");
    let (client, behind) = (&options.cluster.client, options.behind);
    let images = image::push(&options.request, options.sources, &node_name(&options.cluster.name)).await?;
    let issued = certificate::issue(&[spec().edge.host])?;
    let path = options.cluster_state.edge_ca();
    harness_base::files::write_whole(&path, &issued.ca)?;
    let ca = issued.ca.into_bytes();

    let labels = options.labels;
    k8s::namespace::create(client, EDGE_NAMESPACE, with_edge_label(labels), BTreeMap::new()).await?;
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
        "metadata": {"name": NAME, "namespace": behind.namespace, "labels": labels},
        "stringData": {"tls.crt": issued.chain, "tls.key": issued.key},
    });
    k8s::apply(client, &secret).await?;
    let spec_hash = spec_hash(&image::tag(options.request.project)?, behind, &ca);
    for object in manifests([&images.contour.by_digest(), &images.envoy.by_digest()], behind, &spec_hash, labels)? {
        k8s::apply(client, &object).await?;
        if object["kind"] == "CustomResourceDefinition" {
            established(client, object["metadata"]["name"].as_str().unwrap_or_default()).await?;
        }
    }
    step.done();
    Ok(Edge { client: client.clone(), ca })
}

impl Edge {
    /// Waits until the edge is ready (180 s) and answers 200 from the release (60 s).
    ///
    /// # Errors
    /// [`Error::Failed`] or [`harness_base::Error::Deadline`], with a diagnosis of the edge's namespace.
    pub async fn answers(&self) -> Result<()> {
        let kinds = [Watched::Deployments, Watched::ReplicaSets, Watched::Pods, Watched::Warnings];
        let work = async {
            let judge = |seen: &k8s::Snapshot| deployment_converged(seen, "edge");
            k8s::wait::wait_on(&self.client, EDGE_NAMESPACE, &kinds, "the edge", READY, judge).await?;
            let forward = self.forward().await?;
            Reader::with(forward.secure)?.answers("/", ROUTED).await?;
            Ok::<(), Error>(())
        };
        match work.await {
            Ok(()) => Ok(()),
            Err(error) => Err(error.diagnosed(k8s::diagnose(&self.client, EDGE_NAMESPACE).await)),
        }
    }

    /// Opens forwards to the edge's ports; they last as long as the returned value.
    ///
    /// # Errors
    /// As [`Forward::open`].
    pub async fn forward(&self) -> Result<EdgeForward> {
        let open = |port| Forward::open(self.client.clone(), EDGE_NAMESPACE, "app=edge", port);
        let (secure, plain) = (open(PORTS.0).await?, Arc::new(open(PORTS.1).await?));
        let secure = HttpOptions {
            base: format!("https://{}", spec().edge.host),
            ca_bundle: Some(self.ca.clone()),
            resolve: Some(secure.address()),
            keep_alive: true,
            ..secure.options()
        };
        Ok(EdgeForward { secure, plain })
    }
}

fn with_edge_label(labels: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let edge = (spec().edge.label.to_owned(), "true".to_owned());
    labels.clone().into_iter().chain([edge]).collect()
}

fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io(format!("read {}", path.display()))(error)),
    }
}

/// A hash of all that an edge is made from: images, manifests, release, host and CA.
fn spec_hash(image: &str, behind: Behind<'_>, ca: &[u8]) -> String {
    let parts =
        json!([image, MANIFESTS, behind.namespace, behind.release, spec().edge.host, String::from_utf8_lossy(ca)]);
    hash::short(&hash::text(&parts.to_string())).to_owned()
}

/// The edge's objects, in the order in which they are applied.
fn manifests(
    [contour, envoy]: [&str; 2],
    behind: Behind<'_>,
    spec_hash: &str,
    labels: &BTreeMap<String, String>,
) -> Result<Vec<Value>> {
    let words = [
        ("$EDGE", EDGE_NAMESPACE),
        ("$NAMESPACE", behind.namespace),
        ("$RELEASE", behind.release),
        ("$CONTOUR", contour),
        ("$ENVOY", envoy),
        ("$MARK", spec_hash),
        ("$HOST", spec().edge.host),
        ("$LABEL", spec().edge.label),
        ("$OF_RELEASE", spec().charts.release_label),
        ("$OF_COMPONENT", spec().charts.component_label),
        ("$COMPONENT", spec().router.label),
        ("$ROUTER_PORT", &spec().router.container_port.to_string()),
        // Before $SERVICE, which it begins with.
        ("$SERVICE_PORT", &spec().router.service_port.to_string()),
        ("$SERVICE", &format!("{}-{}", behind.release, spec().router.suffix)),
    ];
    let text = words.iter().fold(MANIFESTS.to_owned(), |text, (word, value)| text.replace(word, value));
    let documents = serde_yaml::Deserializer::from_str(&text);
    let objects = documents.map(|document| {
        let mut object = Value::deserialize(document).map_err(Error::malformed("read the edge's manifests"))?;
        object["metadata"]["labels"] = json!(labels);
        Ok(object)
    });
    objects.collect()
}

/// Waits until the API server serves a new kind: Contour exits where it does not.
async fn established(client: &Client, name: &str) -> Result<()> {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    k8s::wait::object(api, name, &format!("the kind {name}"), ESTABLISHED, |found| {
        let conditions = found.and_then(|found| found.status.as_ref()?.conditions.as_ref());
        match conditions.into_iter().flatten().any(|one| one.type_ == "Established" && one.status == "True") {
            true => State::Ready,
            false => State::Pending("it is not established".to_owned()),
        }
    })
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEHIND: Behind<'_> = Behind { namespace: "there", release: "one" };

    #[test]
    fn every_word_is_filled_in_and_the_ingress_is_the_last() {
        let labels = BTreeMap::from([("whose".to_owned(), "ours".to_owned())]);
        let objects = manifests(["registry/edge@sha256:0", "registry/edge@sha256:1"], BEHIND, "m4rk", &labels).unwrap();
        assert!(!json!(objects).to_string().contains('$'));
        assert!(objects.iter().all(|object| object["metadata"]["labels"]["whose"] == "ours"));
        let last = objects.last().unwrap();
        assert_eq!((&last["kind"], &last["metadata"]["annotations"][SPEC_HASH]), (&json!("Ingress"), &json!("m4rk")));
        let backend = &last["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"];
        assert_eq!(backend, &json!({"name": "one-frontend", "port": {"number": 80}}));
    }

    #[test]
    fn another_ca_makes_another_mark() {
        assert_ne!(spec_hash("image", BEHIND, b"a"), spec_hash("image", BEHIND, b"b"));
    }
}
