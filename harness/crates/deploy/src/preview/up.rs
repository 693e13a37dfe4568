//! Brings a preview up: its charts are admitted first; then, under its Lease, namespace, limits and release are deployed.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use harness_http::{HttpOptions, Reader};
use harness_machine::tools::is_of_revision;
use harness_manifest::yaml;
use harness_settings::settings::{PREVIEW_URL, Settings};
use harness_settings::spec::{Told, spec};
use k8s_openapi::api::core::v1::{Namespace, Secret};
use k8s_openapi::api::storage::v1::StorageClass;
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use reqwest::Url;
use serde_json::{Value, json};

use super::github::LABEL;
use super::{
    GitHub, Preview, PullRequest, PullState, Stores, admission, clock, identity, lease, namespace_objects, stores,
};
use crate::cluster::Cluster;
use crate::error::{Error, Result};
use crate::k8s::{self, State};
use crate::release::{self, Capabilities, Deployment, Plan, Pull};

/// How long to wait for another deploy or teardown of the same preview.
const TURN: Duration = Duration::from_secs(900);
/// The deadline for a namespace that is being deleted to be gone.
const GONE: Duration = Duration::from_secs(300);
/// The deadline for DNS, certificate and route once the pods are ready: ExternalDNS and ACM take minutes.
const REACHED: Duration = Duration::from_secs(600);

/// The arguments of [`up`].
#[derive(Debug)]
pub struct DeployRequest<'a> {
    /// The cluster to deploy to.
    pub cluster: &'a Cluster,
    /// The pull request.
    pub of: PullRequest,
    /// The git revision that the artifact set has to be of; may be abbreviated.
    pub sha: &'a str,
    /// The plan to deploy.
    pub plan: &'a Plan,
    /// The time after which it expires, unless it is deployed again.
    pub lifetime: Duration,
    /// The client that tells whether the pull request is open; `None`: not checked.
    pub github: Option<&'a GitHub>,
    /// A folder for the deployer's own files.
    pub scratch: &'a Path,
    /// The HTTP options for its host.
    pub site: &'a HttpOptions,
}

/// Deploys a preview, or upgrades the one that exists, and waits until its host serves the plan's revision. The charts are
/// rendered once, admitted, and deployed exactly as they were admitted.
///
/// What remains on cancel or kill: a preview that is half deployed, and a Lease that expires by itself; the next call goes on
/// from there, and a sweep removes the preview once it has expired.
///
/// # Errors
/// [`harness_base::Error::Refused`], before anything is applied, for an artifact set of another revision, charts with objects
/// that a preview may not have, or a namespace that is not ours; then as [`release::deploy`], [`harness_base::Error::Deadline`]
/// or [`harness_http::Error::Unreachable`].
pub async fn up(request: DeployRequest<'_>) -> Result<()> {
    check_revision(&request.plan.artifacts.revision, request.sha)?;
    let admitted = admitted(&request).await?;
    let purpose = format!("up of {}", short(request.sha));
    // Sealed before anything is applied, since they may be too large.
    let charts = release::seal(&request.plan.charts, &request.plan.values, &admitted)?;
    let plan = Plan { charts, ..request.plan.clone() };
    lease::under(request.cluster, request.of, &purpose, TURN, Box::pin(deploy(&request, &plan, &admitted))).await?;
    // The Lease is free again, so that a teardown need not wait for this preview's DNS.
    tokio::select! {
        outcome = reached(&request) => outcome,
        outcome = taken_down(&request) => outcome,
    }
}

/// Waits until the preview is being removed, and returns that as an error: its host will not be reached any more.
async fn taken_down(request: &DeployRequest<'_>) -> Result<()> {
    let name = request.of.namespace();
    let api: Api<Namespace> = Api::all(request.cluster.client.clone());
    let awaited = format!("the end of {name}");
    // Longer than the wait for the host, beside which it runs.
    k8s::wait::object(api, &name, &awaited, REACHED * 2, |found| {
        match found.is_none_or(|found| found.metadata.deletion_timestamp.is_some()) {
            true => State::Ready,
            false => State::Pending("it is there".to_owned()),
        }
    })
    .await?;
    Err(Error::refused(
        format!("{name} was taken down while its host was waited for"),
        "see whether its pull request was closed or lost its label; else run the same command again",
    ))
}

/// Renders the charts for this cluster, and returns the objects if a preview may have all of them.
async fn admitted(request: &DeployRequest<'_>) -> Result<Vec<Value>> {
    let DeployRequest { cluster, of, plan, .. } = request;
    let values = match &plan.more_values {
        Some(path) => {
            let text = std::fs::read_to_string(path).map_err(Error::io(format!("read {}", path.display())))?;
            yaml::value(&text).map_err(Error::malformed(format!("read {}", path.display())))?
        }
        None => Value::Null,
    };
    let (capabilities, stores, classes) =
        tokio::try_join!(Capabilities::of(cluster), Stores::of(cluster), storage_classes(cluster))?;
    let secrets = stores.iter().map(Stores::ca_secret).collect();
    let mut limits = admission::Limits::new(*of, &plan.artifacts, &values, secrets);
    for class in classes {
        if class.reclaim_policy.as_deref() == Some("Retain") {
            let is_default = class.annotations().get("storageclass.kubernetes.io/is-default-class");
            limits.default_retains |= is_default.is_some_and(|is| is == "true");
            limits.retaining.push(class.name_any());
        }
    }
    let objects = yaml::objects(&release::render_for(&cluster.tools, plan, &capabilities).await?)?;
    admission::objects(&limits, &objects)?;
    Ok(objects)
}

async fn storage_classes(cluster: &Cluster) -> Result<Vec<StorageClass>> {
    let api: Api<StorageClass> = Api::all(cluster.client.clone());
    let what = "list the cluster's classes of storage";
    Ok(k8s::call(what, api.list(&ListParams::default())).await.map(|list| list.items)?)
}

/// The pull accounts of previews, as `.dockerconfigjson`, which an administrator left in the cluster; empty where its nodes need
/// none.
async fn pull_accounts(cluster: &Cluster) -> Result<String> {
    let api: Api<Secret> = Api::namespaced(cluster.client.clone(), spec().preview.namespace);
    let what = format!("read the Secret {} in {}", spec().preview.pull, spec().preview.namespace);
    let found = k8s::call(&what, api.get_opt(spec().preview.pull)).await?;
    let accounts = found.and_then(|secret| secret.data?.remove(".dockerconfigjson"));
    match accounts {
        Some(accounts) => String::from_utf8(accounts.0).map_err(Error::malformed(what)),
        None => Ok(json!({"auths": {}}).to_string()),
    }
}

/// Checks that the pull request is still open and labelled; a state that is not known counts as open.
async fn is_wanted(request: &DeployRequest<'_>) -> Result<()> {
    let Some(github) = request.github else { return Ok(()) };
    let why = match github.state(request.of).await {
        PullState::Open => return Ok(()),
        PullState::Unknown(why) => {
            tracing::warn!("{why}: pr-{} counts as open", request.of);
            return Ok(());
        }
        PullState::Closed => "is closed".to_owned(),
        PullState::Unlabelled => format!("has no label {LABEL}"),
    };
    Err(Error::refused(
        format!("the pull request {} {why}: nothing was deployed", request.of),
        format!("open it and give it the label {LABEL}"),
    ))
}

async fn deploy(request: &DeployRequest<'_>, plan: &Plan, admitted: &[Value]) -> Result<()> {
    let DeployRequest { cluster, of, .. } = request;
    is_wanted(request).await?;
    let created = match look(cluster, *of).await? {
        Some(preview) if preview.is_terminating => {
            tracing::info!("waiting until the namespace {} that is being deleted is gone", of.namespace());
            k8s::namespace::gone_by(&cluster.client, &of.namespace(), GONE).await?;
            None
        }
        Some(preview) => Some(preview.created),
        None => None,
    };
    let now = clock::now(cluster).await?;
    let labels = identity::labels(*of, request.sha, created.unwrap_or(now), now + request.lifetime.as_secs());
    // Labelled from the start, so that a sweep finds it.
    k8s::namespace::apply(&cluster.client, &of.namespace(), &labels).await?;
    namespace_objects::allow_ourselves(cluster, *of, &labels).await?;
    k8s::namespace::create(&cluster.client, &of.namespace(), labels.clone(), Default::default()).await?;
    namespace_objects::limit(cluster, *of, &labels).await?;
    if let Some(shared) = Stores::of(cluster).await? {
        // The stores get the passwords of this Secret, so it is made first.
        release::ensure_auth(cluster, plan, &labels).await?;
        stores::ask(cluster, *of, &shared, &labels).await?;
    }
    let accounts = pull_accounts(cluster).await?;
    let (scratch, pull) = (request.scratch, Pull::Given(&accounts));
    let deployment = Deployment { cluster, plan, scratch, lock: None, labels: &labels, pull, admitted: Some(admitted) };
    Box::pin(release::deploy(deployment)).await
}

/// The preview of a pull request, if it exists.
///
/// # Errors
/// [`harness_base::Error::Refused`] when its namespace is there and is not ours.
pub async fn look(cluster: &Cluster, of: PullRequest) -> Result<Option<Preview>> {
    let name = of.namespace();
    let api: Api<Namespace> = Api::all(cluster.client.clone());
    let Some(found) = k8s::call(&format!("read the namespace {name}"), api.get_opt(&name)).await? else {
        return Ok(None);
    };
    Preview::of(&found).map(Some).map_err(|why| foreign(&name, &why))
}

pub(super) fn foreign(name: &str, why: &str) -> Error {
    Error::refused(
        format!("the namespace {name} is none of our previews, and is left alone: {why}"),
        format!("kubectl get namespace {name} --show-labels"),
    )
}

/// All previews of a cluster, by number; namespaces that only look like a preview are left out.
///
/// # Errors
/// [`Error::Kube`] when they cannot be listed.
pub async fn list(cluster: &Cluster) -> Result<Vec<Preview>> {
    let found = k8s::namespace::list_labelled(&cluster.client, &identity::selector()).await?;
    let mut previews: Vec<Preview> = found.iter().filter_map(|namespace| Preview::of(namespace).ok()).collect();
    previews.sort_by_key(|preview| preview.of);
    Ok(previews)
}

/// Waits until the host answers from outside, and checks that it serves the deployed revision.
async fn reached(request: &DeployRequest<'_>) -> Result<()> {
    let reader = Reader::with(request.site.clone())?;
    if let Err(error) = reader.answers("/", REACHED).await {
        // The probe's error names the layer: DNS, connection or certificate.
        reader.target().probe().await?;
        return Err(error.into());
    }
    let Some(Told { path, pointer }) = spec().revision else { return Ok(()) };
    let reply = reader.get(path).await?;
    let served = reply.expect_status(200)?.at(pointer)?;
    let served = served.as_str().unwrap_or_default();
    if served == request.plan.revision() || is_of_revision(served, request.sha) {
        return Ok(());
    }
    Err(Error::Unmet(format!("{} serves {served}, not {}", request.of.host(), request.sha)))
}

/// The HTTP options for a preview's host, at the address that the settings name, if they do.
///
/// # Errors
/// [`harness_base::Error::Refused`] for the address of another host; [`harness_base::Error::Io`] when the CA bundle cannot be
/// read.
pub fn options(settings: &Settings, of: PullRequest) -> Result<HttpOptions> {
    let base = format!("https://{}", of.host());
    let mut options = HttpOptions { direct: true, ..HttpOptions::new(&base) };
    if let Some(path) = &settings.ca_bundle.get()? {
        let bundle = std::fs::read(path).map_err(Error::io(format!("read {}", path.display())))?;
        options.ca_bundle = Some(bundle);
    }
    let Some(text) = &settings.preview_url else { return Ok(options) };
    let refuse = || {
        Error::refused(
            format!("{PREVIEW_URL}={text} is not where {} is found", of.host()),
            format!("set it to https://{} or to https://ADDRESS:PORT, or unset it", of.host()),
        )
    };
    let url = Url::parse(text).map_err(|_| refuse())?;
    let port = url.port().unwrap_or(443);
    let host = url.host_str().unwrap_or_default();
    match host.trim_matches(['[', ']']).parse::<IpAddr>() {
        _ if url.scheme() != "https" || url.path() != "/" => return Err(refuse()),
        Ok(address) => options.resolve = Some((address, port).into()),
        Err(_) if host == of.host() => options.base = format!("https://{host}:{port}"),
        Err(_) => return Err(refuse()),
    }
    Ok(options)
}

/// Checks that a set's images are of the requested revision; either may be abbreviated. A set of a checkout with uncommitted
/// changes (`-dirty`) counts as its revision's: a rehearsal has one.
fn check_revision(revision: &str, sha: &str) -> Result<()> {
    if is_of_revision(revision.strip_suffix("-dirty").unwrap_or(revision), sha) {
        return Ok(());
    }
    Err(Error::refused(
        format!("the artifact set is of the revision {revision}, and GIT_SHA is {sha}"),
        "give the set that was built of that commit, or the commit of that set",
    ))
}

fn short(sha: &str) -> &str {
    &sha[..sha.len().min(7)]
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::whole("abcdef0123", "abcdef0123", true)]
    #[case::abbreviated("abcdef0123", "abcdef0", true)]
    #[case::abbreviated_set("abcdef0", "abcdef0123", true)]
    #[case::another("abcdef0123", "1234567", false)]
    #[case::changed("abcdef0123-dirty", "abcdef0", true)]
    #[case::nothing("", "1234567", false)]
    #[case::exported("unknown", "1234567", false)]
    fn a_set_is_of_the_revision(#[case] revision: &str, #[case] sha: &str, #[case] same: bool) {
        assert_eq!(check_revision(revision, sha).is_ok(), same);
    }

    fn asked(text: &str) -> Result<HttpOptions> {
        let variables = [("SHOP_PREVIEW_URL".to_owned(), text.to_owned())].into();
        options(&Settings::parse(&variables), PullRequest::parse("7").unwrap())
    }

    #[rstest]
    #[case::production("https://app.shop.ai")]
    #[case::another("https://pr-8.app.shop.ai")]
    #[case::plain("http://127.0.0.1:8080")]
    #[case::path("https://127.0.0.1:8443/x")]
    #[case::no_url("pr-7")]
    fn another_address_is_refused(#[case] text: &str) {
        let error = asked(text).unwrap_err().report();
        assert!(error.contains("pr-7.app.shop.ai"), "{error}");
    }

    #[test]
    fn an_address_says_where_and_the_host_stays() {
        let options = asked("https://127.0.0.1:8443").unwrap();
        assert_eq!(options.base, "https://pr-7.app.shop.ai");
        assert_eq!(options.resolve, Some("127.0.0.1:8443".parse().unwrap()));
        assert_eq!(asked("").unwrap().base, "https://pr-7.app.shop.ai");
    }
}
