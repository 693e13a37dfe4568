//! Real plugins, and an API server of the test's own that knows some tokens.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

use harness_machine::tools::Environment;
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use rstest::rstest;
use serde_json::json;

use super::super::KubeconfigFiles;
use super::is_used;
use crate::error::Result;
use crate::k8s;
use crate::testing::install;

/// Answers every request with a namespace, if it carries this token; else 401.
fn server(token: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let head: Vec<String> = lines.map(Result::unwrap).take_while(|line| !line.is_empty()).collect();
            let is_known = head.contains(&format!("authorization: Bearer {token}"));
            let (status, body) = match is_known {
                true => ("200 OK", json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "x"}})),
                false => ("401 Unauthorized", json!({"kind": "Status", "code": 401, "message": "who are you?"})),
            };
            let body = body.to_string();
            let length = body.len();
            let _ = write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
        }
    });
    address
}

/// A folder with a kubeconfig whose context `test` has a plugin: this shell script, told the folder by FOLDER.
fn plugin(server: &str, script: &str, more: serde_json::Value) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    install(folder.path(), "plugin", &format!("#!/bin/sh\necho asked >>\"$FOLDER/calls\"\n{script}\n"));
    let mut exec = json!({
        "apiVersion": "client.authentication.k8s.io/v1", "command": "./plugin", "interactiveMode": "IfAvailable",
        "env": [{"name": "FOLDER", "value": folder.path()}],
    });
    exec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let config = json!({
        "apiVersion": "v1", "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "users": [{"name": "u", "user": {"exec": exec}}, {"name": "plain", "user": {"token": "t"}}],
        "contexts": [
            {"name": "test", "context": {"cluster": "c", "user": "u"}},
            {"name": "plain", "context": {"cluster": "c", "user": "plain"}},
        ],
    });
    std::fs::write(folder.path().join("config"), config.to_string()).unwrap();
    folder
}

async fn connect(folder: &Path) -> Result<kube::Client> {
    let pairs = [("PATH", "/usr/bin:/bin"), ("AWS_PROFILE", "me"), ("GITHUB_TOKEN", "hunter2"), ("KUBECONFIG", "/x")];
    let pairs: BTreeMap<_, _> = pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    k8s::connect_with(&folder.join("config").into(), "test", &Environment::new(&pairs)).await
}

async fn ask(client: &kube::Client) -> Result<()> {
    let api: Api<Namespace> = Api::all(client.clone());
    k8s::call("ask for a namespace", api.get("x")).await?;
    Ok(())
}

fn calls(folder: &Path) -> usize {
    std::fs::read_to_string(folder.join("calls")).unwrap().lines().count()
}

/// A script that prints a credential with this status.
fn prints(status: &str) -> String {
    format!(
        "printf '%s' '{{\"apiVersion\": \"client.authentication.k8s.io/v1\", \"kind\": \"ExecCredential\", \
         \"status\": {status}}}'"
    )
}

#[rstest]
#[case::lasts(r#"{"token": "good"}"#, 1)]
#[case::lasts_long(r#"{"token": "good", "expirationTimestamp": "2999-01-01T00:00:00Z"}"#, 1)]
// Once as the client is made, and for each of two requests.
#[case::has_expired(r#"{"token": "good", "expirationTimestamp": "2020-01-01T00:00:00Z"}"#, 3)]
#[tokio::test]
async fn a_token_is_asked_for_again_when_it_expires(#[case] status: &str, #[case] asked: usize) {
    let folder = plugin(&server("good"), &prints(status), json!({}));
    let client = connect(folder.path()).await.unwrap();
    ask(&client).await.unwrap();
    ask(&client).await.unwrap();
    assert_eq!(calls(folder.path()), asked);
}

#[tokio::test]
async fn a_token_that_is_refused_is_asked_for_again_once() {
    let next = format!(
        "[ $(wc -l <\"$FOLDER/calls\") = 1 ] && {{ {}; exit; }}\n{}",
        prints(r#"{"token": "old"}"#),
        prints(r#"{"token": "good"}"#)
    );
    let folder = plugin(&server("good"), &next, json!({}));
    ask(&connect(folder.path()).await.unwrap()).await.unwrap();
    assert_eq!(calls(folder.path()), 2);

    let folder = plugin(&server("good"), &prints(r#"{"token": "bad"}"#), json!({}));
    let error = ask(&connect(folder.path()).await.unwrap()).await.unwrap_err().report();
    assert!(error.contains("who are you?"), "{error}");
    assert_eq!(calls(folder.path()), 2);
}

#[tokio::test]
async fn a_plugin_is_given_what_it_needs_and_told_of_its_cluster() {
    let server = server("good");
    let script = format!("env >\"$FOLDER/env\"\n{}", prints(r#"{"token": "good"}"#));
    let folder = plugin(&server, &script, json!({"provideClusterInfo": true}));
    connect(folder.path()).await.unwrap();
    let seen = std::fs::read_to_string(folder.path().join("env")).unwrap();
    assert!(seen.contains("AWS_PROFILE=me") && !seen.contains("hunter2") && !seen.contains("KUBECONFIG"), "{seen}");
    let about = seen.lines().find_map(|line| line.strip_prefix("KUBERNETES_EXEC_INFO=")).unwrap();
    let about: serde_json::Value = serde_json::from_str(about).unwrap();
    assert_eq!(about["apiVersion"], "client.authentication.k8s.io/v1");
    assert_eq!(about["spec"]["interactive"], false);
    assert_eq!(about["spec"]["cluster"]["server"], server);
}

#[rstest]
#[case::fails("echo hunter2; echo 'token has expired' >&2; exit 255", json!({}), "token has expired")]
#[case::missing("", json!({"command": "no-such-plugin", "installHint": "install the cloud's tool"}), "install the cloud's tool")]
#[case::nonsense("echo hunter2", json!({}), "no ExecCredential")]
#[case::empty(&prints("{}"), json!({}), "neither a token nor a certificate")]
#[case::half(&prints(r#"{"clientCertificateData": "x"}"#), json!({}), "neither a token nor a certificate")]
#[case::another_version(&prints("{}"), json!({"apiVersion": "client.authentication.k8s.io/v1beta1"}), "and not")]
#[case::old_version("", json!({"apiVersion": "client.authentication.k8s.io/v1alpha1"}), "its apiVersion is")]
#[case::terminal("", json!({"interactiveMode": "Always"}), "wants a terminal")]
#[tokio::test]
async fn a_plugin_that_fails_is_named(#[case] script: &str, #[case] more: serde_json::Value, #[case] says: &str) {
    let folder = plugin("http://127.0.0.1:9", script, more);
    let error = connect(folder.path()).await.err().unwrap().report();
    assert!(error.contains(says) && error.contains("plugin of the context \"test\""), "{error}");
    assert!(error.contains("next: ") && !error.contains("hunter2"), "{error}");
}

#[tokio::test]
async fn a_plugin_that_hangs_later_is_ended_and_named() {
    let first = prints(r#"{"token": "good", "expirationTimestamp": "2020-01-01T00:00:00Z"}"#);
    let script = format!("[ $(wc -l <\"$FOLDER/calls\") = 1 ] && {{ {first}; exit; }}\nsleep 600");
    let folder = plugin(&server("good"), &script, json!({}));
    let client = connect(folder.path()).await.unwrap();
    let started = Instant::now();
    let error = ask(&client).await.unwrap_err().report();
    assert!(error.contains("not done after 6s") && error.contains("plugin of the context \"test\""), "{error}");
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
}

#[test]
fn a_context_with_a_plugin_is_told_by_its_user() {
    let folder = plugin("http://127.0.0.1:9", "", json!({}));
    let config = folder.path().join("config").into();
    let nowhere = KubeconfigFiles::new(vec!["/nowhere".into()]);
    assert!(is_used(&config, "test") && !is_used(&config, "plain") && !is_used(&nowhere, "test"));
}

/// A certificate is PEM in what a plugin prints, and reaches TLS: one that is none is refused there, before any request.
#[tokio::test]
async fn a_certificate_is_handed_to_kube() {
    let key = rcgen::generate_simple_self_signed(["user".to_owned()]).unwrap();
    let status = json!({"clientCertificateData": key.cert.pem(), "clientKeyData": key.signing_key.serialize_pem()});
    let folder = plugin("http://127.0.0.1:9", &prints(&status.to_string()), json!({}));
    connect(folder.path()).await.unwrap();
    let status = json!({"clientCertificateData": "none", "clientKeyData": "none"});
    let folder = plugin("http://127.0.0.1:9", &prints(&status.to_string()), json!({}));
    assert!(connect(folder.path()).await.is_err());
}
