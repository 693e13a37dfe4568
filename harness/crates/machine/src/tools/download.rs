//! Official downloads: resumed where they were interrupted, and accepted only with the right checksum.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;
use std::time::Duration;

use harness_base::folders::remove;
use harness_base::progress::Teller;
use harness_http::{install_tls, is_loopback};
use reqwest::header::{CONTENT_RANGE, RANGE};
use reqwest::{Certificate, Response, StatusCode, Url};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

/// The deadline for connecting.
const CONNECT: Duration = Duration::from_secs(10);
/// The longest pause in which a site may send nothing.
const SILENCE: Duration = Duration::from_secs(30);
/// The deadline of a whole download: 100 MB at 1 Mbit/s.
const WHOLE: Duration = Duration::from_secs(900);
/// How many requests are made for one file, when a download breaks off.
const TRIES: u32 = 4;

/// The reason why a download failed.
#[derive(Debug)]
pub enum DownloadFault {
    /// The site was not reached, or does not have the file; another source may.
    Unreachable(String),
    /// The file has another checksum; it has been removed.
    Mismatch(String),
    /// An error on this machine.
    Here(Error),
}

/// An HTTP client for downloads, which uses the system's proxies and follows redirects to other hosts.
///
/// # Errors
/// [`harness_base::Error::Io`] or [`harness_base::Error::Malformed`] when the CA bundle cannot be read.
pub fn client(ca_bundle: Option<&Path>, url: &str) -> Result<reqwest::Client> {
    install_tls();
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("harness/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT)
        .read_timeout(SILENCE)
        .timeout(WHOLE);
    if let Some(path) = ca_bundle {
        let pem = std::fs::read(path).map_err(Error::io(format!("read {}", path.display())))?;
        let certificates = Certificate::from_pem_bundle(&pem).map_err(Error::malformed("the CA bundle"))?;
        builder = builder.tls_certs_merge(certificates);
    }
    // A proxy cannot reach an address of this machine.
    if Url::parse(url).is_ok_and(|url| is_loopback(url.host_str().unwrap_or_default())) {
        builder = builder.no_proxy();
    }
    builder.build().map_err(Error::http("make an HTTP client"))
}

/// The size of a file in bytes, if its site tells it.
///
/// # Errors
/// The reason, as text, why the file is not reached.
pub async fn size(client: &reqwest::Client, url: &str) -> Result<Option<u64>, String> {
    let answer = client.head(url).timeout(SILENCE).send().await.map_err(why)?;
    match answer.status() {
        status if status.is_success() => {
            Ok(answer.headers().get("content-length").and_then(|length| length.to_str().ok()?.parse().ok()))
        }
        status => Err(format!("it answered {status}")),
    }
}

/// Downloads a text of 1 MiB at most.
///
/// # Errors
/// The reason, as text, why there is none.
pub async fn fetch_text(ca_bundle: Option<&Path>, url: &str) -> Result<String, String> {
    const LONGEST: usize = 1 << 20;
    let client = client(ca_bundle, url).map_err(|error| error.report())?;
    let mut answer = client.get(url).timeout(SILENCE).send().await.map_err(why)?;
    if !answer.status().is_success() {
        return Err(format!("it answered {}", answer.status()));
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(why)? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > LONGEST {
            return Err(format!("it is longer than {LONGEST} bytes"));
        }
    }
    String::from_utf8(bytes).map_err(|_| "it is no text".to_owned())
}

/// Downloads a file and verifies its checksum; a part that is in `into` already is kept, and only the rest requested.
///
/// What remains on cancel: the downloaded part, for the next call.
///
/// # Errors
/// As [`DownloadFault`]'s variants say.
pub async fn fetch(
    client: &reqwest::Client,
    url: &str,
    sha256: &str,
    into: &Path,
    teller: &Teller,
) -> Result<(), DownloadFault> {
    let mut last = String::new();
    for _ in 0..TRIES {
        let resumed = into.metadata().is_ok_and(|data| data.len() > 0);
        match once(client, url, into, teller).await {
            Ok(hash) if hash == sha256 => return Ok(()),
            Ok(hash) => {
                remove(into).map_err(|error| DownloadFault::Here(error.into()))?;
                if !resumed {
                    return Err(DownloadFault::Mismatch(format!(
                        "{url} has the sha256 {hash}, and should have {sha256}"
                    )));
                }
                // The part that was there before may have been of another file: tried once more from the start.
                last = "what was there already did not fit".to_owned();
            }
            Err(DownloadFault::Unreachable(why)) => {
                let came = into.metadata().is_ok_and(|data| data.len() > 0);
                last = why;
                if !came {
                    break;
                }
            }
            Err(other) => return Err(other),
        }
    }
    Err(DownloadFault::Unreachable(format!("{url}: {last}")))
}

/// Makes one request for the missing part; returns the checksum of the file so far.
async fn once(client: &reqwest::Client, url: &str, into: &Path, teller: &Teller) -> Result<String, DownloadFault> {
    let here = |what: &str| {
        let what = format!("{what} {}", into.display());
        move |error| DownloadFault::Here(Error::io(what)(error))
    };
    let mut hasher = Sha256::new();
    let mut have = hash_file(into, &mut hasher).map_err(here("read"))?;
    let mut request = client.get(url);
    if have > 0 {
        request = request.header(RANGE, format!("bytes={have}-"));
    }
    let mut response = request.send().await.map_err(|error| DownloadFault::Unreachable(why(error)))?;
    match response.status() {
        StatusCode::PARTIAL_CONTENT if starts_at(&response, have) => {}
        // The file is complete already; the checksum tells whether it is the right one.
        StatusCode::RANGE_NOT_SATISFIABLE if have > 0 => return Ok(hex::encode(hasher.finalize())),
        status if status.is_success() => {
            (have, hasher) = (0, Sha256::new());
            remove(into).map_err(|error| DownloadFault::Here(error.into()))?;
        }
        status => return Err(DownloadFault::Unreachable(format!("it answered {status}"))),
    }
    let total = response.content_length().map(|rest| have + rest);
    let mut file = OpenOptions::new().create(true).append(true).open(into).map_err(here("write"))?;
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => {
                file.write_all(&chunk).map_err(here("write"))?;
                hasher.update(&chunk);
                have += chunk.len() as u64;
                teller.bytes(have, total);
            }
            Ok(None) => break,
            Err(error) => {
                return Err(DownloadFault::Unreachable(format!("it broke off after {have} bytes: {}", why(error))));
            }
        }
    }
    // Synced before the caller renames it: after a loss of power there must be no empty file in its place.
    file.sync_all().map_err(here("write"))?;
    Ok(hex::encode(hasher.finalize()))
}

/// Whether a partial answer begins at the requested offset.
fn starts_at(response: &Response, offset: u64) -> bool {
    let range = response.headers().get(CONTENT_RANGE).and_then(|range| range.to_str().ok());
    range.is_some_and(|range| range.starts_with(&format!("bytes {offset}-")))
}

fn hash_file(path: &Path, hasher: &mut Sha256) -> std::io::Result<u64> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    let mut buffer = vec![0; 1 << 16];
    let mut length = 0;
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(length),
            count => {
                hasher.update(&buffer[..count]);
                length += count as u64;
            }
        }
    }
}

/// The innermost cause: the outer ones say no more than that a request failed.
fn why(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    match error.is_timeout() {
        true => format!("no answer in time ({cause})"),
        false => cause.to_string(),
    }
}

#[cfg(test)]
mod tests;
