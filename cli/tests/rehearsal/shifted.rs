//! A proxy before the API server, whose answers' Date is days from the truth.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use base64::Engine;
use kube::config::Kubeconfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;

/// How far.
pub const FAR: Duration = Duration::from_secs(4 * 24 * 3600);
const HEADER: &[u8] = b"\r\nDate: ";
/// The value has one length, so that a proxy need not know where a header ends.
const VALUE: usize = 29;

/// Which way the proxy's clock is wrong.
#[derive(Clone, Copy, Debug)]
pub enum Shift {
    Ahead,
    Behind,
}

/// A proxy that goes on until the process ends.
pub struct Proxy {
    pub server: String,
    shifted: Arc<AtomicUsize>,
}

impl Proxy {
    /// Before the first cluster of a kubeconfig.
    pub async fn before(file: Kubeconfig, way: Shift) -> Self {
        harness::http::install_tls();
        let cluster = file.clusters[0].cluster.clone().unwrap();
        let authority = cluster.server.unwrap().trim_start_matches("https://").to_owned();
        let ca = base64::engine::general_purpose::STANDARD.decode(cluster.certificate_authority_data.unwrap()).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(&ca).unwrap()).unwrap();
        let tls = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let tls = TlsConnector::from(Arc::new(tls));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = format!("http://{}", listener.local_addr().unwrap());
        let shifted = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&shifted);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (tls, authority, count) = (tls.clone(), authority.clone(), Arc::clone(&count));
                tokio::spawn(async move {
                    let tcp = TcpStream::connect(&authority).await.unwrap();
                    let name = ServerName::try_from("kubernetes").unwrap();
                    let (from_server, mut to_server) = tokio::io::split(tls.connect(name, tcp).await.unwrap());
                    let (mut from_client, to_client) = client.into_split();
                    let asks = tokio::io::copy(&mut from_client, &mut to_server);
                    let _ = tokio::join!(asks, shift(from_server, to_client, way, &count));
                });
            }
        });
        Self { server, shifted }
    }

    /// How many answers it has shifted.
    pub fn shifted(&self) -> usize {
        self.shifted.load(Ordering::Relaxed)
    }
}

async fn shift(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, way: Shift, count: &AtomicUsize) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        // The head of an answer comes in one piece.
        let found = buffer[..read].windows(HEADER.len()).position(|bytes| bytes == HEADER);
        if let Some(at) = found.map(|at| at + HEADER.len()).filter(|at| at + VALUE <= read) {
            let value = &mut buffer[at..at + VALUE];
            let date = std::str::from_utf8(value).ok().and_then(|text| httpdate::parse_http_date(text).ok());
            if let Some(date) = date {
                value.copy_from_slice(httpdate::fmt_http_date(moved(date, way)).as_bytes());
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
    let _ = to.shutdown().await;
}

fn moved(date: SystemTime, way: Shift) -> SystemTime {
    match way {
        Shift::Ahead => date + FAR,
        Shift::Behind => date - FAR,
    }
}
