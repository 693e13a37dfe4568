//! TLS on the client's side: which roots it trusts, which certificates a server showed, and why one is refused.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, SignatureScheme};
use rustls_platform_verifier::Verifier;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::certificate::Certificate;
use crate::Result;

/// A successful TLS handshake: the chain leads to a trusted root, and the certificate names the host.
#[derive(Debug, Clone)]
pub struct Tls {
    /// The protocol that was agreed on, such as `TLSv1.3`.
    pub protocol: String,
    /// The certificates that the server sent, its own first.
    pub chain: Vec<Certificate>,
    own: Certificate,
}

impl Tls {
    /// The server's own certificate.
    pub fn own(&self) -> &Certificate {
        &self.own
    }

    /// The certificates from the server's own towards a root, each signed by the next, as far as the server sent them; others
    /// that it sent are left out, since verification ignores them.
    pub fn path(&self) -> Vec<&Certificate> {
        path(&self.own, &self.chain)
    }

    /// The certificate of the path that expires first.
    pub fn first_to_expire(&self) -> &Certificate {
        self.path().into_iter().min_by_key(|certificate| certificate.not_after).unwrap_or(&self.own)
    }
}

fn path<'a>(own: &'a Certificate, sent: &'a [Certificate]) -> Vec<&'a Certificate> {
    let mut path = vec![own];
    let signs = |last: &Certificate, path: &[&Certificate]| {
        let next = sent.iter().filter(|next| next.subject == last.issuer && !path.contains(next));
        // Of two certificates for one key, as with a cross-signature, a browser takes the one that lasts longer.
        next.max_by_key(|next| next.not_after)
    };
    while let Some(next) = path.last().copied().and_then(|last| signs(last, &path)) {
        path.push(next);
    }
    path
}

/// A TLS client's configuration that trusts the system's authorities and those of `ca_bundle` (PEM).
///
/// # Errors
/// [`harness_base::Error::Malformed`] when the bundle does not parse, or there is no authority at all.
pub fn trusting(ca_bundle: Option<&[u8]>) -> Result<ClientConfig> {
    Ok(recording(ca_bundle)?.0)
}

/// The configuration of [`trusting`], and the recorder of what servers show to it.
fn recording(ca_bundle: Option<&[u8]>) -> Result<(ClientConfig, Arc<Recorder>)> {
    super::install_tls();
    let extra = CertificateDer::pem_slice_iter(ca_bundle.unwrap_or_default())
        .collect::<Result<Vec<_>, _>>()
        .map_err(harness_base::Error::malformed("the CA bundle"))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let inner = Verifier::new_with_extra_roots(extra, Arc::clone(&provider))
        .map_err(harness_base::Error::malformed("the certificate authorities to trust"))?;
    let recorder = Arc::new(Recorder { inner, provider, shown: Mutex::new(Vec::new()) });
    let config = ClientConfig::builder()
        .dangerous() // It only listens: what is trusted is decided by the verifier inside.
        .with_custom_certificate_verifier(Arc::<Recorder>::clone(&recorder))
        .with_no_client_auth();
    Ok((config, recorder))
}

/// Makes a TLS handshake over an open connection.
///
/// # Errors
/// The reason in words: which certificate, which check.
pub(super) async fn handshake(
    stream: TcpStream,
    host: &str,
    ca_bundle: Option<&[u8]>,
    limit: Duration,
) -> Result<Tls, String> {
    let name = ServerName::try_from(host.to_owned()).map_err(|_| format!("{host} can stand in no certificate"))?;
    let (config, recorder) = recording(ca_bundle).map_err(|error| error.report())?;
    let shaking = TlsConnector::from(Arc::new(config)).connect(name, stream);
    match tokio::time::timeout(limit, shaking).await {
        Ok(Ok(stream)) => {
            let (_, session) = stream.get_ref();
            let protocol = session.protocol_version().and_then(|version| version.as_str()).unwrap_or("unknown");
            let chain = recorder.chain()?;
            let own = chain.first().cloned().ok_or("the server showed no certificate")?;
            Ok(Tls { protocol: protocol.replace('_', "."), chain, own })
        }
        Ok(Err(error)) => Err(recorder.why(host, &error)),
        Err(_) => Err(format!("it was silent: no end of the handshake within {limit:.1?}")),
    }
}

/// A verifier that keeps the certificates that a server showed, so that a refusal can name them.
#[derive(Debug)]
struct Recorder {
    inner: Verifier,
    provider: Arc<CryptoProvider>,
    shown: Mutex<Vec<CertificateDer<'static>>>,
}

impl Recorder {
    fn chain(&self) -> Result<Vec<Certificate>, String> {
        let shown = self.shown.lock().map_err(|_| "a panic elsewhere".to_owned())?;
        shown.iter().map(|der| Certificate::parse(der)).collect()
    }

    /// Why the handshake failed, with the certificate where it is the cause.
    fn why(&self, host: &str, error: &std::io::Error) -> String {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        let Some(rustls::Error::InvalidCertificate(check)) = inner else {
            return match inner {
                Some(error @ rustls::Error::InvalidMessage(_)) => format!("what answers is no TLS: {error}"),
                _ => format!("the handshake failed: {error}"),
            };
        };
        let chain = self.chain().unwrap_or_default();
        let Some(own) = chain.first() else { return format!("the certificate is refused: {check}") };
        match check {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                let expired = chain.iter().min_by_key(|certificate| certificate.not_after).unwrap_or(own);
                format!("the certificate has expired: {expired}")
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                format!("the certificate is not valid yet: {own}")
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                format!("the certificate is not for {host}, but for {}: {own}", own.names.join(", "))
            }
            CertificateError::UnknownIssuer => {
                format!("the certificate's issuer is not trusted (unknown CA, or a missing link in the chain): {own}")
            }
            other => format!("the certificate is refused ({other}): {own}"),
        }
    }
}

impl ServerCertVerifier for Recorder {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if let Ok(mut shown) = self.shown.lock() {
            *shown = std::iter::once(end_entity).chain(intermediates).map(|der| der.clone().into_owned()).collect();
        }
        self.inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
