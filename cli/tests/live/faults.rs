//! One fault each: the suite is red, and the failure names the layer.

use std::time::Duration;

use jetscale::services::{ME, READY};
use rstest::rstest;
use rustls::pki_types::CertificateDer;
use tokio::net::TcpListener;

use crate::certificates::Authority;
use crate::server::{Answer, Request, Then, healthy, reply, start};
use crate::suite::{Ran, run};

/// A scenario that asks for the page alone.
const PAGE: &str = "page::is_served";

async fn plain(answer: fn(&Request) -> Answer, filter: &str) -> Ran {
    let server = start(None, answer).await;
    run(&format!("http://{}", server.address), filter, &[]).await
}

/// What a site answers, which scenario asks it, and what the failure says: the layer first.
#[rstest]
#[case::a_status_of_500(
    |_: &Request| reply("500 Internal Server Error", "", "first\nsecond"),
    PAGE,
    &["http: GET ", "answered 500 after ", "instead of 200\n  | first\n  | second"],
)]
#[case::redirects_in_a_circle(
    |_: &Request| reply("302 Found", "location: /again\r\n", ""),
    PAGE,
    &["http: GET ", "/ -> ", "/again: more than 5 redirects", "layers: tcp "],
)]
// It is not followed: whoever plays the other host is asked nothing.
#[case::a_redirect_to_another_host(
    |_: &Request| reply("302 Found", "location: https://elsewhere.invalid/\r\n", ""),
    PAGE,
    &["http: GET ", "answered 302 after ", "instead of 200, to https://elsewhere.invalid/"],
)]
#[case::a_body_that_stalls(
    |_: &Request| Answer { after: Duration::ZERO, bytes: HALF.to_vec(), then: Then::Stall },
    PAGE,
    &["body: GET ", "stalled at byte 17 of 100: nothing more for ", "layers: tcp ", "http ", "body failed"],
)]
#[case::a_body_without_an_end(
    |_: &Request| Answer {
        after: Duration::ZERO,
        bytes: [b"HTTP/1.1 200 OK\r\n\r\n".as_slice(), &[b'x'; 64 * 1024]].concat(),
        then: Then::Repeat,
    },
    PAGE,
    &["body: GET ", "sent more than 4194304 bytes without an end"],
)]
#[case::slow_answers(
    |request: &Request| Answer { after: Duration::from_millis(850), ..healthy(request) },
    "latency::p95_is_within_its_budget::page",
    &["http: slow: p95 of / is ", " of 800ms: ["],
)]
#[case::a_policy_that_lets_in_any_script(
    |request: &Request| match request.path.as_str() {
        "/" => reply("200 OK", LAX, "<title>JetScale</title>"),
        _ => healthy(request),
    },
    "headers::the_page",
    &["lets in what is not the site's own: default-src *"],
)]
#[tokio::test]
async fn what_a_site_does_wrong_is_told(
    #[case] answer: fn(&Request) -> Answer,
    #[case] filter: &str,
    #[case] said: &[&str],
) {
    plain(answer, filter).await.is_red_with(said);
}

/// Half of a page.
const HALF: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n<title>half of it";
/// The headers of a page that any script may run in.
const LAX: &str = "content-type: text/html\r\ncontent-security-policy: default-src *; frame-ancestors 'none'\r\n";

/// All of it fails by the same cause, which is told once.
#[tokio::test]
async fn a_name_that_does_not_resolve_is_dns() {
    let ran = run("https://nothing.invalid", "", &[]).await;
    ran.is_red_with(&["dns: the name nothing.invalid does not resolve: ", " 0 passed; "]);
    assert_eq!(ran.text.matches("layers: dns failed after ").count(), 1, "{}", ran.text);
}

#[tokio::test]
async fn a_closed_port_is_tcp() {
    // Bound, so that nobody else gets the port, and not listening.
    let closed = tokio::net::TcpSocket::new_v4().unwrap();
    closed.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let ran = run(&format!("https://{}", closed.local_addr().unwrap()), "", &[]).await;
    ran.is_red_with(&["tcp: 127.0.0.1 takes no connection at port ", "Connection refused", " 0 passed; "]);
}

#[tokio::test]
async fn a_silent_port_is_tls() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let ran = run(&format!("https://{}", silent.local_addr().unwrap()), "", &[]).await;
    ran.is_red_with(&["tls: 127.0.0.1 port ", "it was silent: no end of the handshake within 5.0s", "layers: tcp "]);
}

#[tokio::test]
async fn a_silent_port_without_tls_is_http() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let ran = run(&format!("http://{}", silent.local_addr().unwrap()), PAGE, &[]).await;
    ran.is_red_with(&["http: GET ", "no answer within 10.0s", "layers: tcp ", "http failed after 10."]);
}

async fn with_certificate(name: &str, until: i32, trusted: bool) -> Ran {
    let authority = Authority::new();
    let server = start(Some(authority.acceptor(name, until)), healthy).await;
    let bundle = authority.bundle();
    let settings = [("JETSCALE_CA_BUNDLE", bundle.to_str().unwrap())];
    run(&format!("https://{}", server.address), "", if trusted { &settings } else { &[] }).await
}

/// Which certificate, too.
const SHOWN: &str = "subject CN=site of a test, issuer CN=authority of a test, valid from 2020-01-01 until ";

#[tokio::test]
async fn an_expired_certificate_is_tls() {
    let ran = with_certificate("127.0.0.1", 2021, true).await;
    ran.is_red_with(&["tls: 127.0.0.1 port ", "the certificate has expired: ", SHOWN, "2021-12-31", " 0 passed; "]);
}

#[tokio::test]
async fn a_certificate_for_another_host_is_tls() {
    let ran = with_certificate("other.example", 2999, true).await;
    ran.is_red_with(&["tls: ", "the certificate is not for 127.0.0.1, but for other.example: ", SHOWN]);
}

#[tokio::test]
async fn an_unknown_authority_is_tls() {
    let ran = with_certificate("127.0.0.1", 2999, false).await;
    ran.is_red_with(&["tls: ", "issuer is not trusted (unknown CA", SHOWN]);
}

/// Who trusts the issuer itself misses no link; a browser that trusts the root does.
#[tokio::test]
async fn a_certificate_that_is_sent_alone_is_tls() {
    let authority = Authority::new();
    let ran = with_chain(&authority, &[]).await;
    ran.is_red_with(&["---- tls::chain_is_whole ----", "is sent alone", SHOWN]);
    assert_eq!(ran.failed(), ["tls::chain_is_whole"]);
}

#[tokio::test]
async fn a_stranger_beside_the_chain_is_of_no_matter() {
    let (authority, stranger) = (Authority::new(), Authority::named("somebody else"));
    let ran = with_chain(&authority, &[stranger.certificate(), authority.certificate()]).await;
    assert!(ran.passed, "{}", ran.text);
    let ran = with_chain(&authority, &[stranger.certificate()]).await;
    assert_eq!(ran.failed(), ["tls::chain_is_whole"]);
}

async fn with_chain(authority: &Authority, behind: &[&CertificateDer<'static>]) -> Ran {
    let server = start(Some(authority.acceptor_sending("127.0.0.1", 2999, behind)), healthy).await;
    let bundle = authority.bundle();
    run(&format!("https://{}", server.address), "tls::c", &[("JETSCALE_CA_BUNDLE", bundle.to_str().unwrap())]).await
}

/// A page that names no file of a kind: nothing is claimed of all of none.
#[tokio::test]
async fn a_page_without_files_is_told() {
    let bare = |request: &Request| match request.path.as_str() {
        "/" => reply("200 OK", "content-type: text/html\r\n", "<title>JetScale</title>"),
        _ => healthy(request),
    };
    let ran = plain(bare, "page::").await;
    for scenario in ["styles_are_compressed", "every_asset_says_how_long_it_may_be_kept"] {
        ran.is_red_with(&[&format!("---- page::{scenario} ----"), "the page names no .css"]);
    }
}

/// Whoever takes any token.
#[tokio::test]
async fn a_spoilt_token_that_is_taken_is_told() {
    let careless = |request: &Request| match request.path.as_str() {
        ME => reply("200 OK", "content-type: application/json\r\n", r#"{"data":{"login":"somebody"}}"#),
        _ => healthy(request),
    };
    let server = start(None, careless).await;
    let account = [("JETSCALE_ACCOUNT_LOGIN", "somebody"), ("JETSCALE_ACCOUNT_PASSWORD", "hunter2")];
    let ran = run(&format!("http://{}", server.address), "account::a_spoilt", &account).await;
    ran.is_red_with(&[ME, "answered 200 after ", "instead of 401"]);
}

#[tokio::test]
async fn another_version_than_was_meant_is_told() {
    let server = start(None, healthy).await;
    let url = format!("http://{}", server.address);
    let ran = run(&url, "version::", &[("GIT_SHA", "fedcba9")]).await;
    ran.is_red_with(&["version: 0123456789", "is served, and fedcba9 is meant", " 1 passed; 1 failed"]);
}

/// The site as such is well then, and the failure says which part is not.
#[tokio::test]
async fn a_part_that_is_down_is_told_by_name() {
    let down = |request: &Request| match request.path.as_str() {
        READY => reply("503 Service Unavailable", "", r#"{"data":{"components":{"database":"ok","redis":"down"}}}"#),
        _ => healthy(request),
    };
    let ran = plain(down, "api::").await;
    ran.is_red_with(&["---- api::part_is_ready::redis ----", "---- api::is_ready ----"]);
    assert!(!ran.text.contains("---- api::part_is_ready::database ----"), "{}", ran.text);
}
