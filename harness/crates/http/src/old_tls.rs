//! A check that a server refuses TLS 1.1, which RFC 8996 forbids. It writes its own handshake, since rustls does not speak
//! TLS 1.1.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::{Error, Result};

/// Offers TLS 1.1 and nothing newer, and returns how the server refused, such as `by an alert`.
///
/// # Errors
/// [`Error::Unmet`] when the server accepts, or answers with something else; [`Error::Request`] when there is no connection;
/// [`harness_base::Error::Deadline`] when the server is silent for `limit`.
pub async fn old_tls_is_refused(address: SocketAddr, host: &str, limit: Duration) -> Result<String> {
    let what = format!("offer TLS 1.1 to {address}");
    let asking = async {
        let mut stream = TcpStream::connect(address).await.map_err(Error::request(what.as_str()))?;
        let mut kind = [0];
        let asked = async {
            stream.write_all(&client_hello(host)).await?;
            stream.read_exact(&mut kind).await
        };
        match (asked.await, kind) {
            (Ok(_), [HANDSHAKE]) => Err(Error::Unmet(format!("tls: {address} speaks TLS 1.1, which is obsolete"))),
            (Ok(_), [ALERT]) => Ok("by an alert".to_owned()),
            (Ok(_), [other]) => Err(Error::Unmet(format!("tls: {address} answers with a record of type {other}"))),
            // A closed connection is a refusal too.
            (Err(error), _) => Ok(format!("by {}", error.kind())),
        }
    };
    tokio::time::timeout(limit, asking).await.unwrap_or_else(|_| {
        Err(harness_base::Error::Deadline {
            awaited: what.clone(),
            after: limit,
            last: "the other side is silent".to_owned(),
        }
        .into())
    })
}

/// Types of a TLS record (RFC 4346, 6.2.1).
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
/// The version TLS 1.1 on the wire.
const VERSION: [u8; 2] = [3, 2];
/// Cipher suites that every server of that time has: ECDHE and RSA with AES-CBC.
const SUITES: [u8; 12] = [0xc0, 0x13, 0xc0, 0x14, 0xc0, 0x09, 0xc0, 0x0a, 0x00, 0x2f, 0x00, 0x35];
/// Extension 10, supported groups: x25519 and P-256. Extension 11, point formats: uncompressed.
const CURVES: [u8; 16] = [0, 10, 0, 6, 0, 4, 0, 0x1d, 0, 0x17, 0, 11, 0, 2, 1, 0];

/// The first message of a handshake (RFC 4346, 7.4.1.2).
fn client_hello(host: &str) -> Vec<u8> {
    let mut body = VERSION.to_vec();
    // A fixed random is enough: the handshake goes no further.
    body.extend([7; 32]);
    body.push(0); // no session
    body.extend(sized(&SUITES));
    body.extend([1, 0]); // no compression
    body.extend(sized(&[server_name(host).as_slice(), &CURVES].concat()));
    let length = u32::try_from(body.len()).unwrap_or_default().to_be_bytes();
    let message = [&[1], length.get(1..).unwrap_or_default(), &body].concat();
    [&[HANDSHAKE, 3, 1], sized(&message).as_slice()].concat()
}

/// Extension 0, the server's name; empty for an address, which is not sent (RFC 6066, 3).
fn server_name(host: &str) -> Vec<u8> {
    if host.parse::<IpAddr>().is_ok() {
        return Vec::new();
    }
    let name = [&[0], sized(host.as_bytes()).as_slice()].concat();
    [&[0, 0], sized(&sized(&name)).as_slice()].concat()
}

/// The bytes after their count, in two bytes.
fn sized(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_be_bytes();
    [length.as_slice(), bytes].concat()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use tokio::net::TcpListener;

    use super::*;

    #[rstest]
    #[case::server_hello(&[HANDSHAKE, 3, 2, 0, 1, 2], Err("speaks TLS 1.1"))]
    #[case::alert(&[ALERT, 3, 2, 0, 2, 2, 70], Ok("by an alert"))]
    #[case::hang_up(&[], Ok("by "))]
    #[case::http(b"HTTP/1.1 400 Bad Request\r\n\r\n", Err("a record of type 72"))]
    #[tokio::test]
    async fn an_answer_is_read(#[case] answer: &'static [u8], #[case] wanted: Result<&str, &str>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 1024]).await;
            let _ = stream.write_all(answer).await;
        });
        let outcome = old_tls_is_refused(address, "app.example", Duration::from_secs(5)).await;
        match (outcome, wanted) {
            (Ok(how), Ok(part)) => assert!(how.contains(part), "{how}"),
            (Err(error), Err(part)) => assert!(error.report().contains(part), "{}", error.report()),
            (outcome, wanted) => panic!("{outcome:?} is not {wanted:?}"),
        }
    }

    /// Another TLS implementation reads the whole hello, and misses what TLS 1.1 must not offer (RFC 5246, 7.4.1.4.1).
    #[test]
    fn the_offer_is_well_formed() {
        let mut server = rustls::server::Acceptor::default();
        server.read_tls(&mut client_hello("app.example").as_slice()).unwrap();
        let missed = rustls::Error::PeerIncompatible(rustls::PeerIncompatible::SignatureAlgorithmsExtensionRequired);
        match server.accept() {
            Err((error, _)) => assert_eq!(error, missed),
            Ok(None) => panic!("the message is not whole"),
            Ok(Some(_)) => panic!("a newer version was offered"),
        }
    }
}
