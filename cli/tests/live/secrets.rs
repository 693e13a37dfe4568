//! A site that repeats secrets in what it answers to a scenario that fails: nothing that the run leaves shows one.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jetscale::services::{ITEMS, ME, SIGN_IN};

use crate::server::{Answer, Request, healthy, reply, start};
use crate::suite::{Ran, run};

/// Letters that each encoding changes.
const PASSWORD: &str = "hunt/er+\"2 &more";
/// Nobody would know it for a token by its shape.
const TOKEN: &str = "opaque/token+of~a=sign-in";
/// Nobody was told of this one.
const JWT: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl";

fn json(text: &str) -> String {
    serde_json::Value::from(text).to_string().trim_matches('"').to_owned()
}

fn percent(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// Each form in which a text could be read again.
fn forms(text: &str) -> [String; 5] {
    [text.to_owned(), json(text), percent(text), STANDARD.encode(text), STANDARD.encode(format!("somebody:{text}"))]
}

/// A line for each form of each secret, within the five that a failure shows.
fn leak() -> String {
    [PASSWORD, TOKEN].map(|secret| format!("{{\"said\": \"{}\"}}\n", forms(secret).join(" and "))).concat() + JWT + "\n"
}

fn signs_in(request: &Request) -> Answer {
    match request.path.as_str() {
        SIGN_IN => reply("200 OK", "", &format!("{{\"data\":{{\"tokens\":{{\"access_token\":\"{TOKEN}\"}}}}}}")),
        ME | ITEMS => reply("500 Internal Server Error", "set-cookie: session=of-nobody\r\n", &leak()),
        _ => healthy(request),
    }
}

fn refuses(request: &Request) -> Answer {
    match request.path.as_str() {
        SIGN_IN => {
            let tokens =
                format!("{{\"tokens\": {{\"access_token\": \"{TOKEN}\", \"refresh_token\": \"another-one\"}}}}\n");
            reply("500 Internal Server Error", "", &(tokens + &leak()))
        }
        _ => healthy(request),
    }
}

async fn against(answer: fn(&Request) -> Answer) -> Ran {
    let server = start(None, answer).await;
    let account = [("JETSCALE_ACCOUNT_LOGIN", "somebody"), ("JETSCALE_ACCOUNT_PASSWORD", PASSWORD)];
    run(&format!("http://{}", server.address), "account::i", &account).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_in_scenario_that_fails_shows_none() {
    shows_none(&against(signs_in).await, "said");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_that_fails_shows_none() {
    shows_none(&against(refuses).await, "refresh_token");
}

/// What went to the terminal, what is in the run's folder, and what is made of that by somebody who was never told a secret.
#[track_caller]
fn shows_none(ran: &Ran, shown: &str) {
    ran.is_red_with(&["answered 500 after ", "[secret]", shown]);
    let junit = ran.folder.path().join("junit.xml");
    let report = std::process::Command::new(env!("CARGO_BIN_EXE_cargo-stack"))
        .args(["report", "--annotate", "--junit", junit.to_str().unwrap()])
        .env("JETSCALE_RUN_DIR", ran.folder.path())
        .output()
        .unwrap();
    let mut texts = vec![("the run", ran.text.clone()), ("the report", String::from_utf8(report.stdout).unwrap())];
    assert!(texts[1].1.contains("::error title="), "{texts:?}");
    texts.push(("JUnit", std::fs::read_to_string(&junit).unwrap()));
    texts.extend(files(ran.folder.path()).map(|text| ("a file of the run", text)));
    assert!(texts.len() > 3, "there are no events");
    let secrets: Vec<String> = [PASSWORD, TOKEN]
        .iter()
        .flat_map(|secret| forms(secret))
        .chain([JWT, "another-one"].map(str::to_owned))
        .collect();
    for (of, text) in texts {
        for secret in &secrets {
            // In XML and in JSON it is written otherwise once more.
            let xml = secret.replace('&', "&amp;").replace('"', "&quot;");
            let found = [secret.clone(), json(secret), xml].iter().any(|form| text.contains(form.as_str()));
            assert!(!found, "{of} shows {secret}:\n{text}");
        }
    }
}

fn files(folder: &Path) -> impl Iterator<Item = String> {
    let entries = harness::hash::files(folder).unwrap().into_iter();
    entries.map(|path| String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned())
}
