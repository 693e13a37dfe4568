//! Signed requests to AWS, or to an endpoint with the same API.

use std::time::Duration;

use base64::Engine as _;
use bytes::Bytes;
use http::{Method, Request, Uri};
use reqsign_aws_v4::{Credential, DefaultCredentialProvider, RequestSigner};
use reqsign_core::{Context, FileRead, HttpSend, OsEnv, Signer};
use reqwest::{Certificate, Client, Url};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

/// The deadline of one request.
const LIMIT: Duration = Duration::from_secs(15);
/// The region that requests to IAM, which is global, are signed for.
const IAM_REGION: &str = "us-east-1";
const IAM_VERSION: &str = "2010-05-08";
const ELASTICACHE_VERSION: &str = "2015-02-02";

/// A client of S3, IAM and ElastiCache, with the credentials that AWS's SDKs would find: in a pod those of its ServiceAccount's
/// role.
#[derive(Debug)]
pub(crate) struct Aws {
    sender: Sender,
    s3: Signer<Credential>,
    iam: Signer<Credential>,
    elasticache: Signer<Credential>,
    region: String,
}

/// The answer to a request.
pub(crate) struct Answer {
    status: u16,
    pub body: String,
}

/// The error in an answer of AWS: for S3 the root element, for other services an element in it.
#[derive(Deserialize)]
struct AwsRefusal {
    #[serde(rename = "Code")]
    code: Option<String>,
    #[serde(rename = "Message")]
    message: Option<String>,
    #[serde(rename = "Error")]
    inner: Option<Box<AwsRefusal>>,
}

impl Answer {
    /// The body of a successful answer.
    ///
    /// # Errors
    /// [`Error::Store`] with AWS's code and message for another status than 2xx.
    pub fn good(self, what: &str) -> Result<String> {
        if (200..300).contains(&self.status) {
            return Ok(self.body);
        }
        Err(Error::store(what)(match self.refusal() {
            Some((code, message)) => format!("{code}: {message}"),
            None => format!("answered {}", self.status),
        }))
    }

    /// [`Answer::good`], which also accepts a refusal with this code.
    pub fn good_or(self, what: &str, code: &str) -> Result<()> {
        if self.is_refused_as(code) { Ok(()) } else { self.good(what).map(drop) }
    }

    /// Whether the request was refused with this code.
    pub fn is_refused_as(&self, code: &str) -> bool {
        self.refusal().is_some_and(|(said, _)| said == code)
    }

    fn refusal(&self) -> Option<(String, String)> {
        if self.status < 300 {
            return None;
        }
        let outer: AwsRefusal = quick_xml::de::from_str(&self.body).ok()?;
        let refusal = outer.inner.map_or(AwsRefusal { inner: None, ..outer }, |inner| *inner);
        Some((refusal.code?, refusal.message.unwrap_or_default()))
    }
}

impl Aws {
    /// A client for a region; with `endpoint`, all requests go there instead of to AWS, and `ca` is trusted for it.
    ///
    /// # Errors
    /// [`harness_base::Error::Malformed`] for an endpoint or a certificate authority that does not parse.
    pub fn new(region: &str, endpoint: Option<&str>, ca: Option<&str>) -> Result<Self> {
        harness::http::install_tls();
        let mut client = Client::builder().timeout(LIMIT).redirect(reqwest::redirect::Policy::none());
        if let Some(ca) = ca {
            for certificate in Certificate::from_pem_bundle(ca.as_bytes())
                .map_err(harness::Error::malformed("the certificate authority of AWS' endpoint"))?
            {
                client = client.add_root_certificate(certificate);
            }
        }
        let endpoint = endpoint.map(Url::parse).transpose().map_err(harness::Error::malformed("AWS' endpoint"))?;
        let client = client.build().map_err(harness::Error::http("make a client for AWS"))?;
        let sender = Sender { client, endpoint };
        let context = Context::new().with_env(OsEnv).with_file_read(CredentialFiles).with_http_send(sender.clone());
        let signer = |service: &str, region: &str| {
            let found = DefaultCredentialProvider::new();
            Signer::new(context.clone(), found, RequestSigner::new(service, region))
        };
        let (s3, iam, elasticache) = (signer("s3", region), signer("iam", IAM_REGION), signer("elasticache", region));
        Ok(Self { sender, s3, iam, elasticache, region: region.to_owned() })
    }

    /// Calls an action of IAM.
    pub async fn iam(&self, action: &str, parameters: &[(&str, &str)]) -> Result<Answer> {
        let host = "iam.amazonaws.com";
        self.act(&self.iam, host, IAM_VERSION, action, parameters).await
    }

    /// Calls an action of ElastiCache.
    pub async fn elasticache(&self, action: &str, parameters: &[(&str, &str)]) -> Result<Answer> {
        let host = format!("elasticache.{}.amazonaws.com", self.region);
        self.act(&self.elasticache, &host, ELASTICACHE_VERSION, action, parameters).await
    }

    async fn act(
        &self,
        signer: &Signer<Credential>,
        host: &str,
        version: &str,
        action: &str,
        parameters: &[(&str, &str)],
    ) -> Result<Answer> {
        let url = self.sender.at(host, "/")?;
        let mut form = url.clone();
        form.query_pairs_mut().append_pair("Action", action).append_pair("Version", version);
        form.query_pairs_mut().extend_pairs(parameters);
        let body = form.query().unwrap_or_default().to_owned();
        let request = Request::builder()
            .method(Method::POST)
            .uri(url.as_str())
            .header("content-type", "application/x-www-form-urlencoded")
            .header("x-amz-content-sha256", hex::encode(Sha256::digest(&body)));
        self.send(signer, request, body, action).await
    }

    /// Sends a request to a bucket. `rest` follows the bucket's name in the URL, is encoded already, and must not have a part
    /// `.` or `..`, which would lead elsewhere.
    pub async fn s3(&self, method: Method, bucket: &str, rest: &str, body: String) -> Result<Answer> {
        let url = self.sender.at(&format!("s3.{}.amazonaws.com", self.region), &format!("/{bucket}"))?;
        let what = format!("{method} {bucket}{rest}");
        let digest = Sha256::digest(&body);
        let request = Request::builder().method(method).uri(format!("{url}{rest}"));
        let mut request = request.header("x-amz-content-sha256", hex::encode(digest));
        if !body.is_empty() {
            // AWS requires a checksum for a request that deletes many objects.
            let digest = base64::engine::general_purpose::STANDARD.encode(digest);
            request = request.header("x-amz-checksum-sha256", digest);
        }
        self.send(&self.s3, request, body, &what).await
    }

    async fn send(
        &self,
        signer: &Signer<Credential>,
        request: http::request::Builder,
        body: String,
        what: &str,
    ) -> Result<Answer> {
        let (mut head, ()) = request.body(()).map_err(Error::store(what))?.into_parts();
        let signed = tokio::time::timeout(LIMIT * 2, signer.sign(&mut head, None)).await;
        signed.map_err(Error::store(format!("find credentials for {what}")))?.map_err(Error::store(what))?;
        let answer =
            self.sender.http_send(Request::from_parts(head, Bytes::from(body))).await.map_err(Error::store(what))?;
        let (head, body) = answer.into_parts();
        Ok(Answer { status: head.status.as_u16(), body: String::from_utf8_lossy(&body).into_owned() })
    }
}

/// Sends requests; with an endpoint, those to AWS's hosts go there instead.
#[derive(Debug, Clone)]
struct Sender {
    client: Client,
    endpoint: Option<Url>,
}

impl Sender {
    fn at(&self, host: &str, path: &str) -> Result<Url> {
        let base = match &self.endpoint {
            Some(endpoint) => endpoint.clone(),
            None => Url::parse(&format!("https://{host}")).map_err(harness::Error::malformed("an address of AWS"))?,
        };
        Ok(base.join(path).map_err(harness::Error::malformed("an address of AWS"))?)
    }

    async fn carry(&self, mut request: Request<Bytes>) -> Result<http::Response<Bytes>> {
        // The signer chooses STS's host for the exchange of a token: sent to the endpoint instead.
        if request.uri().host().is_some_and(|host| host.starts_with("sts.")) && self.endpoint.is_some() {
            let url = self.at("", request.uri().path())?;
            *request.uri_mut() = url.as_str().parse::<Uri>().map_err(harness::Error::malformed("the endpoint"))?;
            request.headers_mut().remove("host");
        }
        let what = || format!("{} {}", request.method(), request.uri());
        let request = reqwest::Request::try_from(request.clone()).map_err(harness::Error::http(what()))?;
        let what = format!("{} {}", request.method(), request.url().origin().ascii_serialization());
        let answer = self.client.execute(request).await.map_err(harness::Error::http(&what))?;
        let mut response = http::Response::builder().status(answer.status());
        for (name, value) in answer.headers() {
            response = response.header(name, value);
        }
        let body = answer.bytes().await.map_err(harness::Error::http(&what))?;
        Ok(response.body(body).map_err(harness::Error::http(&what))?)
    }
}

impl HttpSend for Sender {
    async fn http_send(&self, request: Request<Bytes>) -> reqsign_core::Result<http::Response<Bytes>> {
        self.carry(request).await.map_err(|error| reqsign_core::Error::unexpected(error.report()))
    }
}

/// Reads a token's file each time, since the kubelet replaces it.
#[derive(Debug)]
struct CredentialFiles;

impl FileRead for CredentialFiles {
    async fn file_read(&self, path: &str) -> reqsign_core::Result<Vec<u8>> {
        tokio::fs::read(path).await.map_err(|error| reqsign_core::Error::unexpected(format!("read {path}: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_read_in_both_forms() {
        let answer = |body: &str| Answer { status: 404, body: body.to_owned() };
        let s3 = "<Error><Code>NoSuchBucket</Code><Message>gone</Message></Error>";
        let iam = "<ErrorResponse><Error><Type>Sender</Type><Code>NoSuchEntity</Code><Message>none</Message></Error></ErrorResponse>";
        assert_eq!(answer(s3).refusal(), Some(("NoSuchBucket".to_owned(), "gone".to_owned())));
        assert!(answer(iam).good_or("x", "NoSuchEntity").is_ok());
        assert!(answer(iam).good("DeleteRole").unwrap_err().report().contains("NoSuchEntity: none"));
        assert!(answer("<html>").good("x").unwrap_err().report().contains("answered 404"));
    }
}
