//! `Site`: the address of a release or of the live site, to read from, in every stage.

use std::fmt::Display;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::BoxFuture;

use super::shared::SharedCare;
use crate::cluster::Cluster;
use crate::cluster::edge::Edge;
use crate::dev;
use crate::error::{Error, Result};
use crate::events;
use crate::http::{Carrier, HttpOptions, Probe, Reader, Reply, Tls, old_tls_is_refused};
use crate::k8s::Forward;
use crate::release::Plan;
use crate::scenario::reading::ReadOnly;
use crate::scenario::reading::sealed::Sealed;
use crate::scenario::{Argument, Fixture, Needs, NoTeardown};
use crate::session::{Session, Shared};
use crate::spec::spec;
use crate::stage::Stage;
use crate::websocket::{self, Handshake};

/// How many times slower than the live site a release may be that shares the machine with its tests and with builds.
const SHARED_MACHINE: u32 = 5;

/// A site to read from: GET, HEAD, and WebSocket handshakes; nothing that writes.
///
/// ```compile_fail,E0599
/// async fn write(site: harness::stack::Site) {
///     site.post("/api/v2/items", &()).await;
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Site {
    reader: Reader,
    options: HttpOptions,
    /// The forward by which the same host answers without TLS, if that is not its port 80.
    plain: Option<Arc<Forward>>,
    /// The git revision that is expected to be served, where one is known.
    meant: Option<String>,
    /// How many times slower than the live site it may be; 1 for the live site itself.
    slack: u32,
    /// The scenario's name, for what it measures.
    scenario: String,
}

impl Site {
    /// A site at an address, for a scenario; without an expected revision, and as fast as the live site.
    ///
    /// # Errors
    /// The URL or the CA bundle does not parse.
    pub fn new(options: HttpOptions, scenario: &str) -> Result<Self> {
        let reader = Reader::with(options.clone())?;
        Ok(Self { reader, options, plain: None, meant: None, slack: 1, scenario: scenario.to_owned() })
    }

    /// Sets the git revision that the site is expected to serve.
    #[must_use]
    pub fn meant_to_serve(self, revision: Option<String>) -> Self {
        Self { meant: revision, ..self }
    }

    /// Sets how many times slower than the live site it may be ([`Site::allows`]); 1 by default.
    #[must_use]
    pub fn slower(self, times: u32) -> Self {
        Self { slack: times, ..self }
    }

    /// The site of stage dev: its router, by Kind's port mapping, as the developer's browser reaches it.
    pub(super) fn dev(scenario: &str) -> Result<Self> {
        Self::new(HttpOptions::new(&dev::site()?), scenario)
    }

    /// The site of a release: its one router, through a forward to a ready pod.
    pub(super) async fn of(cluster: &Cluster, plan: &Plan, scenario: &str) -> Result<Self> {
        let component = spec().router;
        let selector = plan.selector(component);
        let port = component.container_port;
        let forward = Forward::open(cluster.client.clone(), &plan.namespace, &selector, port).await?;
        Self::new(forward.options(), scenario)
    }

    /// The site of a preview: its host, through the Ingress and TLS, as anybody outside reaches it.
    pub(super) fn preview(session: &Session, plan: &Plan, scenario: &str) -> Result<Self> {
        let site = Self::new(session.preview_site()?, scenario)?;
        Ok(site.meant_to_serve(Some(plan.revision().to_owned())).slower(SHARED_MACHINE))
    }

    /// The site of the stage's shared release, through the edge where there is one.
    pub(super) async fn shared(stage: Stage, shared: &Shared, scenario: &str) -> Result<Self> {
        let site = match (&shared.edge, stage) {
            (Some(edge), _) => Self::behind(edge, scenario).await?,
            (None, Stage::Dev) => Self::dev(scenario)?,
            (None, _) => Self::of(&shared.cluster, &shared.plan, scenario).await?,
        };
        // Tilt's images are of no revision.
        let revision = (stage != Stage::Dev).then(|| shared.plan.revision().to_owned());
        Ok(site.meant_to_serve(revision).slower(SHARED_MACHINE))
    }

    async fn behind(edge: &Edge, scenario: &str) -> Result<Self> {
        let forward = edge.forward().await?;
        Ok(Self { plain: Some(forward.plain), ..Self::new(forward.secure, scenario)? })
    }

    /// The HTTP options of its clients.
    pub(super) fn options(&self) -> &HttpOptions {
        &self.options
    }

    /// Scheme, host and port.
    pub(super) fn base(&self) -> &str {
        self.reader.base()
    }

    /// The host, as a URL names it.
    pub fn host(&self) -> &str {
        &self.reader.target().host
    }

    /// Writes a measured value into the run's events; a report shows it beside the verdict.
    pub fn measured(&self, name: &str, value: impl Display) {
        events::measured(&self.scenario, name, &value.to_string());
    }

    /// GET of a path; redirects are followed.
    ///
    /// # Errors
    /// [`harness_http::Error::Unreachable`] when there is no whole answer.
    pub async fn get(&self, path: &str) -> Result<Reply> {
        Ok(self.reader.get(path).await?)
    }

    /// GET of a path with one more request header.
    ///
    /// # Errors
    /// [`harness_http::Error::Unreachable`] when there is no whole answer.
    pub async fn get_with(&self, path: &str, header: &str, value: &str) -> Result<Reply> {
        Ok(self.reader.clone().with_header(header, value)?.get(path).await?)
    }

    /// GET of a path; a redirect is returned, not followed.
    ///
    /// # Errors
    /// [`harness_http::Error::Unreachable`] when there is no whole answer.
    pub async fn first_answer(&self, path: &str) -> Result<Reply> {
        Ok(self.reader.first_answer(path).await?)
    }

    /// HEAD of a path.
    ///
    /// # Errors
    /// [`harness_http::Error::Unreachable`] when there is no answer.
    pub async fn head(&self, path: &str) -> Result<Reply> {
        Ok(self.reader.head(path).await?)
    }

    /// The HTTP client of this site, which only reads: for API clients that a stack has of its own.
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// Checks that a bearer token can be sent: an address with user and password needs the `Authorization` header for those.
    ///
    /// # Errors
    /// [`Error::NotApplicable`] for an address with an account.
    pub fn takes_a_token(&self) -> Result<()> {
        let has_account = self.reader.has_account();
        let why =
            || Error::NotApplicable("user and password of the address are sent where a token would be".to_owned());
        (!has_account).then_some(()).ok_or_else(why)
    }

    /// Tries to open the WebSocket at a path of the same origin, with a bearer token or without.
    ///
    /// # Errors
    /// [`harness_http::Error::Unreachable`] when there is no answer at all; with a token as [`Site::takes_a_token`].
    pub async fn websocket(&self, path: &str, token: Option<&str>) -> Result<Handshake> {
        token.map_or(Ok(()), |_| self.takes_a_token())?;
        self.reader.spend().await?;
        let options = websocket::WebSocketOptions {
            token: token.map(str::to_owned),
            ca_bundle: self.options.ca_bundle.clone(),
            resolve: self.options.resolve,
            ..websocket::WebSocketOptions::default()
        };
        let start = Instant::now();
        let url = format!("{}{path}", self.reader.base().trim_end_matches('/'));
        match websocket::connect_with(&url, &options).await {
            Err(error) => Err(self.reader.explained(error, start.elapsed()).await.into()),
            Ok(handshake) => Ok(handshake),
        }
    }

    /// A time limit of the live site, as it is for this site: a release beside its tests may be five times slower.
    pub fn allows(&self, live: Duration) -> Duration {
        live * self.slack
    }

    /// The git revision that is expected to be served.
    ///
    /// # Errors
    /// [`Error::NotApplicable`] in stage live without GIT_SHA.
    pub fn meant(&self) -> Result<&str> {
        self.meant
            .as_deref()
            .ok_or_else(|| Error::NotApplicable("no revision is named (GIT_SHA): any is the right one".to_owned()))
    }

    /// Connects to the site once more, layer by layer: DNS, TCP, TLS.
    ///
    /// # Errors
    /// [`harness_http::Error::Unreachable`] with the layer that does not carry.
    pub async fn probe(&self) -> Result<Probe> {
        self.reader.spend().await?;
        Ok(self.reader.target().probe().await?)
    }

    /// The IP addresses that DNS has for the host's name.
    ///
    /// # Errors
    /// [`Error::NotApplicable`] where the host is not resolved by DNS; as [`Site::probe`].
    pub async fn addresses(&self) -> Result<Vec<IpAddr>> {
        let none = || Error::NotApplicable(format!("{} is no name that DNS is asked for here", self.host()));
        self.reader.target().name().ok_or_else(none)?;
        Ok(self.probe().await?.dns.map(|(addresses, _)| addresses).unwrap_or_default())
    }

    /// The same site, asked at one of its IP addresses.
    ///
    /// # Errors
    /// [`Error::Http`] when no client can be made.
    pub fn at(&self, address: IpAddr) -> Result<Self> {
        let resolve = Some((address, self.reader.target().port).into());
        let site = Self::new(HttpOptions { resolve, ..self.options.clone() }, &self.scenario)?;
        Ok(site.meant_to_serve(self.meant.clone()).slower(self.slack))
    }

    /// Checks that the site speaks TLS.
    ///
    /// # Errors
    /// [`Error::NotApplicable`] for a plain http address.
    pub fn speaks_tls(&self) -> Result<()> {
        let why = || Error::NotApplicable(format!("{} is plain HTTP: no edge with TLS is in front of it", self.base()));
        self.reader.target().secure.then_some(()).ok_or_else(why)
    }

    /// The result of a TLS handshake: version and certificates.
    ///
    /// # Errors
    /// [`Error::NotApplicable`] for a plain http address; as [`Site::probe`].
    pub async fn tls(&self) -> Result<Tls> {
        self.speaks_tls()?;
        let shown = self.probe().await?.tls.map(|(tls, _)| tls);
        shown.ok_or_else(|| Error::Unmet("tls: there was no handshake".to_owned()))
    }

    /// Offers TLS 1.1 at most, and returns how the site refused it.
    ///
    /// # Errors
    /// [`Error::NotApplicable`] for a plain http address, [`Error::Unmet`] when TLS 1.1 is spoken.
    pub async fn refuses_old_tls(&self) -> Result<String> {
        self.speaks_tls()?;
        let probe = self.probe().await?;
        let (address, _) = probe.tcp.ok_or_else(|| Error::Unmet("tcp: there was no connection".to_owned()))?;
        self.reader.spend().await?;
        Ok(old_tls_is_refused(address, self.host(), self.options.connect).await?)
    }

    /// The same host without TLS: at port 80, or by the edge's plain forward.
    ///
    /// # Errors
    /// [`Error::NotApplicable`] for a plain http address, and where the port without TLS is not known.
    pub fn plain(&self) -> Result<Self> {
        self.speaks_tls()?;
        let target = self.reader.target();
        if self.plain.is_none() && (target.resolve.is_some() || target.port != 443) {
            let why = format!("where {} answers without TLS is not known", self.base());
            return Err(Error::NotApplicable(why));
        }
        let host = if target.host.contains(':') { format!("[{}]", target.host) } else { target.host.clone() };
        let base = format!("http://{host}");
        let resolve = self.plain.as_ref().map(|forward| forward.address());
        let carrier = self.plain.clone().map(|forward| forward as Arc<dyn Carrier>);
        Self::new(HttpOptions { base, resolve, carrier, ..self.options.clone() }, &self.scenario)
    }
}

impl ReadOnly for Site {}
impl Sealed for Site {}

impl Argument for Site {
    const NEEDS: Needs = Needs::Site;

    fn make(session: Arc<Session>, scenario: &str) -> BoxFuture<'_, Result<Fixture<Self>>> {
        Box::pin(async move {
            if session.stage == Stage::Live {
                let site = Self::new(session.live().await?, scenario)?;
                let argument = site.meant_to_serve(session.settings.git_sha.get()?);
                return Ok(Fixture { argument, teardown: Box::new(NoTeardown) });
            }
            let shared = session.release().await?;
            let care = SharedCare::of(&session, &shared.cluster, &shared.plan).await?;
            let argument = match session.stage {
                Stage::Preview => Self::preview(&session, &shared.plan, scenario)?,
                stage => Self::shared(stage, &shared, scenario).await?,
            };
            Ok(Fixture { argument, teardown: Box::new(care) })
        })
    }
}
