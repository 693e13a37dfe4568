//! Calls of image registries, by the OCI distribution API: an image's platforms, and copies to another registry.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::future::try_join_all;
use futures::{StreamExt, TryStreamExt};
use harness_base::error::innermost;
use harness_base::hash;
use harness_http::is_loopback;
use harness_manifest::Reference;
use oci_client::client::{Certificate, CertificateEncoding, ClientConfig, ClientProtocol};
use oci_client::errors::{OciDistributionError as Oci, OciErrorCode};
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, RegistryOperation};
use serde_json::{Value, json};

use super::credentials::RegistryCredentials;
use crate::error::{Error, Result};

/// The deadline of a question to a registry.
const ASK: Duration = Duration::from_secs(30);
/// The deadline for copying an image.
const COPY: Duration = Duration::from_secs(900);

/// The media types of manifests of images and of indexes, by OCI and by Docker.
const MANIFESTS: [&str; 4] = [
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
];

/// The media type of an image's configuration (OCI).
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";

/// One image in its registry.
struct At<'a> {
    reference: &'a Reference,
    client: Client,
    credentials: &'a RegistryCredentials,
    user: Option<String>,
    auth: RegistryAuth,
}

/// The platforms of an image that a registry holds, as `os/architecture`.
///
/// # Errors
/// [`harness_base::Error::Refused`] when the registry is not reached, wants other credentials, or does not hold it.
pub(super) async fn platforms(reference: &Reference, credentials: &RegistryCredentials) -> Result<BTreeSet<String>> {
    let at = At::new(reference, credentials).await?;
    let work = async {
        let (manifest, _) = at.manifest(&reference.digest).await?;
        if let Some(list) = manifest["manifests"].as_array() {
            return Ok(list.iter().map(|entry| platform(&entry["platform"])).collect());
        }
        let digest = manifest["config"]["digest"].as_str().unwrap_or_default().to_owned();
        let config: Value = serde_json::from_slice(&at.blob(&digest).await?)
            .map_err(Error::malformed(format!("read the configuration of {}", reference.by_digest())))?;
        Ok(BTreeSet::from([platform(&config)]))
    };
    at.within(ASK, work).await
}

fn platform(value: &Value) -> String {
    format!("{}/{}", value["os"].as_str().unwrap_or("?"), value["architecture"].as_str().unwrap_or("?"))
}

/// Copies an image byte for byte, so that its digest stays the same; layers that are there already are not sent again.
///
/// What remains on cancel: layers without a manifest, which the registry's garbage collection removes.
///
/// # Errors
/// [`harness_base::Error::Refused`], naming the registry that refused; [`harness_base::Error::Deadline`] after 900 s.
pub async fn copy(from: &Reference, to: &Reference, credentials: &RegistryCredentials) -> Result<()> {
    let (source, target) = (At::new(from, credentials).await?, At::new(to, credentials).await?);
    source.within(COPY, source.copy(&target, from.digest.clone())).await
}

/// Pushes an image without layers for any platform; `repository` is its whole name.
///
/// # Errors
/// [`harness_base::Error::Refused`] when the registry does not take it.
pub(super) async fn push_nothing(
    repository: &str,
    platform: &str,
    credentials: &RegistryCredentials,
) -> Result<Reference> {
    let (os, architecture) = platform.split_once('/').unwrap_or((platform, ""));
    let root = json!({"type": "layers", "diff_ids": []});
    let config = json!({"os": os, "architecture": architecture, "rootfs": root}).to_string();
    let digest = |text: &str| format!("sha256:{}", hash::text(text));
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MANIFESTS[0], "layers": [],
        "config": {"mediaType": CONFIG, "digest": digest(&config), "size": config.len()},
    });
    let manifest = manifest.to_string();
    let reference = Reference { repository: repository.to_owned(), tag: None, digest: digest(&manifest) };
    let at = At::new(&reference, credentials).await?;
    let (of_config, kind) = (digest(&config), reqwest::header::HeaderValue::from_static(MANIFESTS[0]));
    at.within(ASK, async {
        let pushed = at.client.push_blob(&at.named(&of_config), config, &of_config).await;
        pushed.map_err(|error| at.refusal(&error))?;
        let pushed = at.client.push_manifest_raw(&at.named(&reference.digest), manifest, kind).await;
        pushed.map(drop).map_err(|error| at.refusal(&error))
    })
    .await?;
    Ok(reference)
}

impl<'a> At<'a> {
    async fn new(reference: &'a Reference, credentials: &'a RegistryCredentials) -> Result<Self> {
        harness_http::install_tls();
        let registry = reference.registry();
        let login = credentials.at(registry).await?;
        let user = login.as_ref().map(|login| login.username.clone());
        let auth = login.map_or(RegistryAuth::Anonymous, |login| RegistryAuth::Basic(login.username, login.password));
        let authority = |data| Certificate { encoding: CertificateEncoding::Der, data };
        let extra_root_certificates = credentials.authorities()?.into_iter().map(authority).collect();
        // As in the engine's client, a registry on this machine needs no TLS.
        let plain = if is_local(registry) { vec![registry.to_owned()] } else { Vec::new() };
        // Given here, so that the client does not read the environment's proxies, which it would use for loopback too.
        let environment = credentials.environment();
        let client = Client::try_from(ClientConfig {
            http_proxy: environment.proxy("http"),
            https_proxy: environment.proxy("https"),
            no_proxy: Some(environment.no_proxy(&[])),
            protocol: ClientProtocol::HttpsExcept(plain),
            extra_root_certificates,
            // Else each received piece would be a request.
            use_monolithic_push: true,
            connect_timeout: Some(Duration::from_secs(5)),
            read_timeout: Some(ASK),
            user_agent: concat!("harness/", env!("CARGO_PKG_VERSION")),
            ..ClientConfig::default()
        })
        .map_err(Error::malformed(format!("make a client for the registry {registry}")))?;
        let at = Self { reference, client, credentials, user, auth };
        // Stored for the name that requests go to, which is another one for Docker Hub; the first request may not be a manifest.
        at.client.store_auth_if_needed(at.named(&reference.digest).resolve_registry(), &at.auth).await;
        Ok(at)
    }

    fn named(&self, digest: &str) -> oci_client::Reference {
        let (registry, path) = self.reference.repository.split_once('/').unwrap_or(("", &self.reference.repository));
        oci_client::Reference::with_digest(registry.to_owned(), path.to_owned(), digest.to_owned())
    }

    async fn manifest(&self, digest: &str) -> Result<(Value, Vec<u8>)> {
        let pulled = self.client.pull_manifest_raw(&self.named(digest), &self.auth, &MANIFESTS).await;
        let pulled = match pulled {
            Err(Oci::UnauthorizedError { .. }) => self.pulled_again(digest).await,
            other => other.map(|(bytes, _)| bytes.to_vec()),
        };
        let bytes = pulled.map_err(|error| self.refusal(&error))?;
        let say = format!("read the manifest of {}@{digest}", self.reference.repository);
        Ok((serde_json::from_slice(&bytes).map_err(Error::malformed(say))?, bytes))
    }

    async fn blob(&self, digest: &str) -> Result<Vec<u8>> {
        let stream = self.client.pull_blob_stream(&self.named(digest), digest).await;
        let read = stream.map_err(|error| self.refusal(&error))?;
        let parts: Vec<_> =
            read.try_collect().await.map_err(Error::io(format!("read {digest} of {}", self.reference)))?;
        Ok(parts.concat())
    }

    /// Copies all that a manifest names, and the manifest last: a registry refuses one with missing parts.
    async fn copy(&self, target: &At<'_>, digest: String) -> Result<()> {
        let (manifest, bytes) = self.manifest(&digest).await?;
        for entry in manifest["manifests"].as_array().into_iter().flatten() {
            let inner = entry["digest"].as_str().unwrap_or_default().to_owned();
            Box::pin(self.copy(target, inner)).await?;
        }
        let blobs = manifest["layers"].as_array().into_iter().flatten().chain(manifest.get("config"));
        try_join_all(blobs.map(|blob| self.copy_blob(target, blob))).await?;
        let kind = manifest["mediaType"].as_str().unwrap_or(MANIFESTS[0]);
        let kind = kind.parse().map_err(Error::malformed(format!("the media type {kind:?} of {}", self.reference)))?;
        target
            .client
            .push_manifest_raw(&target.named(&digest), bytes, kind)
            .await
            .map(drop)
            .map_err(|error| target.refusal(&error))
    }

    async fn copy_blob(&self, target: &At<'_>, blob: &Value) -> Result<()> {
        let (digest, size) = (blob["digest"].as_str().unwrap_or_default(), blob["size"].as_u64());
        let there = target.client.blob_exists(&target.named(digest), digest).await;
        if there.map_err(|error| target.refusal(&error))? {
            return Ok(());
        }
        let stream = self.client.pull_blob_stream(&self.named(digest), digest).await;
        let stream = stream.map_err(|error| self.refusal(&error))?.map(|part| part.map_err(Oci::from));
        let pushed = target.client.push_blob_stream(&target.named(digest), stream, digest, size).await;
        pushed.map(drop).map_err(|error| target.refusal(&error))
    }

    async fn within<T>(&self, limit: Duration, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
            Err(harness_base::Error::Deadline {
                awaited: format!("the registry {} to serve {}", self.reference.registry(), self.reference.by_digest()),
                after: limit,
                last: "it has not answered in full".to_owned(),
            }
            .into())
        })
    }

    /// Pulls a manifest once more after a 401: where the token server gave no token, the client asked without one and hid why. Now
    /// the token server's own error is the error.
    async fn pulled_again(&self, digest: &str) -> std::result::Result<Vec<u8>, Oci> {
        let named = self.named(digest);
        self.client.auth(&named, &self.auth, RegistryOperation::Pull).await?;
        self.client.pull_manifest_raw(&named, &self.auth, &MANIFESTS).await.map(|(bytes, _)| bytes.to_vec())
    }

    /// A registry's error as a refusal, with a remedy.
    fn refusal(&self, error: &Oci) -> Error {
        let (registry, image) = (self.reference.registry(), self.reference.by_digest());
        let refuse = |what: String, next: String| Error::refused(format!("{image}: {what}"), next);
        match (meaning(error), &self.user) {
            (RegistryAnswer::Denied, None) => refuse(
                format!(
                    "the registry {registry} wants credentials, and there are none: {}",
                    self.credentials.places(registry)
                ),
                format!(
                    "docker login {registry}, or set {}, _USERNAME and _PASSWORD",
                    harness_settings::settings::REGISTRY_SERVER
                ),
            ),
            (RegistryAnswer::Denied, Some(user)) => refuse(
                format!("the registry {registry} refuses the credentials of {user}"),
                format!("docker login {registry}, or correct {}", harness_settings::settings::REGISTRY_PASSWORD),
            ),
            (RegistryAnswer::Absent, _) => refuse(
                format!("the registry {registry} does not hold it"),
                "push it, or build the set anew: cargo stack artifacts build --output FILE".to_owned(),
            ),
            (RegistryAnswer::Silent(why), _) => {
                let scheme = if is_local(registry) { "http" } else { "https" };
                let through = self.credentials.environment().through(&format!("{scheme}://{registry}/v2/"));
                let or_the_proxy = if through.is_empty() { "" } else { ", and what the proxy lets through" };
                refuse(
                    format!("the registry {registry} cannot be reached: {through}{why}"),
                    format!("find out whether {registry} is the right name, and up{or_the_proxy}"),
                )
            }
            (RegistryAnswer::Other(why), _) => refuse(why, format!("ask whoever runs the registry {registry}")),
        }
    }
}

/// The meaning of an error of the registry client.
enum RegistryAnswer {
    Denied,
    Absent,
    Silent(String),
    Other(String),
}

fn meaning(error: &Oci) -> RegistryAnswer {
    match error {
        Oci::AuthenticationFailure(answer) if is_no_verdict(answer) => {
            let line = answer.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
            RegistryAnswer::Other(format!(
                "its token server gives no token now, and says {:?}",
                line.chars().take(200).collect::<String>()
            ))
        }
        Oci::UnauthorizedError { .. } | Oci::AuthenticationFailure(_) | Oci::ServerError { code: 401 | 403, .. } => {
            RegistryAnswer::Denied
        }
        Oci::ImageManifestNotFoundError(_) | Oci::ServerError { code: 404, .. } => RegistryAnswer::Absent,
        Oci::RegistryError { envelope, .. } => {
            let has = |codes: &[OciErrorCode]| envelope.errors.iter().any(|error| codes.contains(&error.code));
            if has(&[OciErrorCode::Unauthorized, OciErrorCode::Denied]) {
                RegistryAnswer::Denied
            } else if has(&[OciErrorCode::ManifestUnknown, OciErrorCode::NameUnknown, OciErrorCode::NotFound]) {
                RegistryAnswer::Absent
            } else {
                RegistryAnswer::Other(error.to_string())
            }
        }
        Oci::RequestError(error) if error.status().is_none() => RegistryAnswer::Silent(innermost(error).to_string()),
        Oci::RequestError(error) if error.status().is_some_and(|status| [401, 403].contains(&status.as_u16())) => {
            RegistryAnswer::Denied
        }
        other => RegistryAnswer::Other(other.to_string()),
    }
}

/// Whether a token server that refused says that it is busy or broken, and nothing about the credentials. The client passes its
/// answer on without the status; codes are those of the OCI distribution spec ("Error Codes"), words those of RFC 9110's statuses.
fn is_no_verdict(answer: &str) -> bool {
    let text = answer.to_ascii_lowercase();
    let says = [
        "toomanyrequests",
        "too many requests",
        "rate limit",
        "unavailable",
        "bad gateway",
        "gateway time",
        "internal server error",
    ];
    text.trim().is_empty() || says.iter().any(|words| text.contains(words))
}

/// Whether a registry's name is this machine's own (`localhost`, 127.x, `[::1]`), with or without a port.
pub(super) fn is_local(registry: &str) -> bool {
    is_loopback(registry.rsplit_once(':').map_or(registry, |(host, _)| host))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::{BufRead, BufReader, Write};

    use rstest::rstest;

    use super::super::{Reference, RegistryCredentials};
    use harness_machine::tools::Environment;

    /// A server on loopback that answers each request by its first line, which `answer` is given with the server's address: a
    /// status with header fields, and a body.
    fn server(answer: impl Fn(&str, &str) -> (String, &'static str) + Send + 'static) -> String {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let own = address.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map(Result::unwrap);
                let first = lines.next().unwrap_or_default();
                let _ = lines.take_while(|line| !line.is_empty()).count();
                let (head, body) = answer(&first, &own);
                let length = body.len();
                let _ =
                    write!(stream, "HTTP/1.1 {head}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
            }
        });
        address
    }

    /// A registry that holds nothing.
    fn empty_registry() -> String {
        server(|_, _| ("404 Not Found".to_owned(), ""))
    }

    /// A registry whose token server answers so.
    fn with_token_server(status: &'static str, body: &'static str) -> String {
        server(move |request, own| match request.contains(" /token") {
            true => (status.to_owned(), body),
            false => {
                let challenge = format!("Bearer realm=\"http://{own}/token\",service=\"r\"");
                (format!("401 Unauthorized\r\nWWW-Authenticate: {challenge}"), "")
            }
        })
    }

    #[rstest]
    #[case::busy(
        "429 Too Many Requests",
        r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"slow down"}]}"#,
        "gives no token now"
    )]
    #[case::broken("503 Service Unavailable", "<h1>503 Service Unavailable</h1>", "gives no token now")]
    #[case::overloaded(
        "503 Service Temporarily Unavailable",
        "<center><h1>503 Service Temporarily Unavailable</h1></center>",
        "gives no token now"
    )]
    #[case::slow("504 Gateway Time-out", "<h1>504 Gateway Time-out</h1>", "gives no token now")]
    #[case::silent("500 Internal Server Error", "", "gives no token now")]
    #[case::refuses("401 Unauthorized", r#"{"details":"incorrect username or password"}"#, "credentials")]
    #[tokio::test]
    async fn a_token_server_without_time_refuses_no_credentials(
        #[case] status: &'static str,
        #[case] body: &'static str,
        #[case] says: &str,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let credentials = RegistryCredentials::of_client(folder.path(), &Environment::new(&BTreeMap::new()));
        let digest = format!("sha256:{}", harness_base::hash::text("x"));
        let reference = Reference { repository: format!("{}/x", with_token_server(status, body)), tag: None, digest };
        let error = super::platforms(&reference, &credentials).await.unwrap_err().report();
        assert!(error.contains(says) && (says == "credentials" || !error.contains("credentials")), "{error}");
    }

    #[tokio::test]
    async fn a_registry_on_this_machine_is_reached_without_a_proxy() {
        let folder = tempfile::tempdir().unwrap();
        // Nobody listens there.
        let pairs =
            ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"].map(|name| (name.to_owned(), "http://127.0.0.1:9".to_owned()));
        let environment = Environment::new(&BTreeMap::from(pairs));
        let credentials = RegistryCredentials::of_client(folder.path(), &environment);
        let digest = format!("sha256:{}", harness_base::hash::text("x"));
        let reference =
            |registry: &str| Reference { repository: format!("{registry}/x"), tag: None, digest: digest.clone() };
        let error = super::platforms(&reference(&empty_registry()), &credentials).await.unwrap_err().report();
        assert!(error.contains("does not hold") && !error.contains("refused"), "{error}");
        let error = super::platforms(&reference("registry.invalid"), &credentials).await.unwrap_err().report();
        assert!(error.contains("through the proxy http://127.0.0.1:9: "), "the proxy was not asked: {error}");
    }

    #[rstest]
    #[case("127.0.0.1:5000", true)]
    #[case("localhost", true)]
    #[case("[::1]:5000", true)]
    #[case("ghcr.io", false)]
    #[case("localhost.example:5000", false)]
    fn only_this_machine_needs_no_certificate(#[case] registry: &str, #[case] local: bool) {
        assert_eq!(super::is_local(registry), local);
    }
}
