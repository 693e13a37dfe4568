//! Sites as people have them: nothing is wrong with them, and they are other than ours.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::certificates::Authority;
use crate::server::{Answer, Request, healthy, reply, start};
use crate::suite::{Ran, run};

/// The whole suite against a site behind TLS.
async fn against(answer: fn(&Request) -> Answer, account: &str) -> (Ran, Vec<Request>) {
    let authority = Authority::new();
    let server = start(Some(authority.acceptor("127.0.0.1", 2999)), answer).await;
    let bundle = authority.bundle();
    let url = format!("https://{account}{}", server.address);
    let ran = run(&url, "", &[("JETSCALE_CA_BUNDLE", bundle.to_str().unwrap())]).await;
    let asked = server.asked.lock().unwrap().clone();
    (ran, asked)
}

const PASSWORD: &str = "hunt/er+2";

fn basic() -> String {
    STANDARD.encode(format!("gate:{PASSWORD}"))
}

fn gated(request: &Request) -> Answer {
    match request.has(&format!("authorization: basic {}", basic().to_lowercase())) {
        true => healthy(request),
        false => reply("401 Unauthorized", "www-authenticate: Basic realm=\"gate\"\r\n", "who are you?\n"),
    }
}

/// As in front of a site that is not public yet: for the page, the api and the WebSocket.
#[tokio::test(flavor = "multi_thread")]
async fn a_password_in_the_address_is_used_and_printed_nowhere() {
    let (ran, asked) = against(gated, "gate:hunt%2Fer%2B2@").await;
    assert!(ran.passed, "{}", ran.text);
    assert!(asked.iter().any(|request| request.has("upgrade: websocket")), "no WebSocket was opened");
    let record = std::fs::read_dir(ran.folder.path()).unwrap().map(|entry| entry.unwrap().path());
    let files = record.flat_map(|run| harness::hash::files(&run).unwrap_or_default());
    let written: String =
        files.map(|file| String::from_utf8_lossy(&std::fs::read(file).unwrap()).into_owned()).collect();
    assert!(written.contains("verdict"), "the run wrote nothing down");
    for form in [PASSWORD, "hunt%2Fer%2B2", &basic()] {
        assert!(!ran.text.contains(form) && !written.contains(form), "{form} is shown:\n{}", ran.text);
    }
}

/// Names and words that are of any case, in any case; a policy in two fields, each of which counts.
fn shouting(request: &Request) -> Answer {
    let mut answer = healthy(request);
    let whole = String::from_utf8_lossy(&answer.bytes).into_owned();
    let (head, body) = whole.split_once("\r\n\r\n").unwrap();
    let head = head
        .replace("default-src 'self'; ", "Default-Src 'SELF'\r\nContent-Security-Policy: ")
        .replace("frame-ancestors 'none'", "Frame-Ancestors 'NONE'")
        .replace("max-age=31536000", "Max-Age=\"31536000\" ; includeSubDomains")
        .replace("nosniff", "NoSniff")
        .replace("DENY", "deny")
        .replace("content-encoding: gzip", "Content-Encoding: GZIP")
        .replace("text/html", "Text/HTML")
        .replace("no-cache", "private\r\nCache-Control: No-Cache");
    answer.bytes = format!("{head}\r\n\r\n{body}").into_bytes();
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_of_any_case_or_sent_twice_is_understood() {
    let (ran, _) = against(shouting, "").await;
    assert!(ran.passed, "{}", ran.text);
}

fn maintenance(_: &Request) -> Answer {
    reply("200 OK", "content-type: text/html\r\n", "<title>Back soon</title>")
}

#[tokio::test]
async fn a_page_that_says_back_soon_with_200_is_red() {
    let server = start(None, maintenance).await;
    let ran = run(&format!("http://{}", server.address), "api::is_", &[]).await;
    let mut failed = ran.failed();
    failed.sort_unstable();
    assert_eq!(failed, ["api::is_live", "api::is_ready"]);
    ran.is_red_with(&["<title>Back soon</title>"]);
}
