use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rstest::rstest;
use rustls::ServerConfig;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use super::*;

#[test]
fn the_images_of_a_profile_are_those_that_it_builds_and_those_that_its_values_ask_for() {
    let text = "build: {artifacts: [{image: acme/back-end}]}\nprofiles:\n- name: ci\n  deploy: {helm: {releases: [{\n    \
        setValueTemplates: {a: '{{.IMAGE_REPO_acme_back_end}}', b: '{{ .IMAGE_REPO_NO_DOMAIN_redis }}',\n    \
        c: '{{.IMAGE_TAG_jobs}}@{{.IMAGE_DIGEST_jobs}}', d: '{{.IMAGE_FULLY_QUALIFIED_mail}}'}}]}}\n\
        - name: live\n  deploy: {}\n";
    let of = |profile| images_of(text, profile).map(Vec::from_iter);
    assert_eq!(of("ci").unwrap(), ["acme/back-end", "jobs", "mail", "redis"]);
    assert_eq!(of("live").unwrap(), ["acme/back-end"]);
    assert!(images_of(text, "dev").unwrap_err().report().contains("no profile dev"));
}

#[tokio::test]
async fn a_file_that_is_not_there_is_named() {
    let error = text("/nowhere/set.json", None, &Environment::default()).await.unwrap_err().report();
    assert!(error.contains("/nowhere/set.json") && error.contains("artifacts build"), "{error}");
}

/// Answers once, with TLS by a certificate that nobody else trusts: its address, and the certificate.
async fn site(answer: &'static str) -> (String, String) {
    harness_http::install_tls();
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = signing_key.serialize_der().try_into().unwrap();
    let config = ServerConfig::builder().with_no_client_auth();
    let config = config.with_single_cert(vec![cert.der().clone()], key).unwrap();
    let tls = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("https://{}/set.json", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(stream) = tls.accept(stream).await else { continue };
            let mut stream = BufReader::new(stream);
            let mut line = String::new();
            while stream.read_line(&mut line).await.unwrap() > 2 {
                line.clear();
            }
            stream.write_all(answer.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
        }
    });
    (address, cert.pem())
}

#[tokio::test]
async fn a_set_at_an_https_address_is_read_by_those_who_trust_it() {
    let (address, certificate) = site("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await;
    let bundle = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(bundle.path(), certificate).unwrap();
    assert_eq!(text(&address, Some(bundle.path()), &Environment::default()).await.unwrap(), "{}");
    let error = text(&address, None, &Environment::default()).await.unwrap_err().report();
    assert!(error.contains(&address) && error.contains("certificate") && error.contains("next: curl"), "{error}");
}

#[tokio::test]
async fn an_address_without_a_set_says_what_it_answered() {
    let (address, certificate) = site("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").await;
    let bundle = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(bundle.path(), certificate).unwrap();
    let error = text(&address, Some(bundle.path()), &Environment::default()).await.unwrap_err().report();
    assert!(error.contains("404 Not Found"), "{error}");
}

#[rstest]
#[case::the_same("0123456789", "0123456789", true)]
#[case::with_changes_since("0123456789-dirty", "0123456789", true)]
#[case::made_with_changes("0123456789", "0123456789-dirty", true)]
#[case::neither_has_a_history("unknown", "unknown", true)]
#[case::of_another_commit("0123456789", "9876543210", false)]
#[case::of_some_commit("unknown", "9876543210", false)]
fn the_set_that_nobody_named_is_of_what_is_checked_out(#[case] head: &str, #[case] made: &str, #[case] taken: bool) {
    let taken_or =
        expect_of((head, "this checkout"), made, "/somewhere/artifacts.json").map_err(|error| error.report());
    assert_eq!(taken_or.is_ok(), taken);
    let told = taken_or.err().unwrap_or_else(|| format!("{made} {head} cargo stack artifacts build --official"));
    assert!([made, head, "cargo stack artifacts build --official"].iter().all(|part| told.contains(part)), "{told}");
}

#[rstest]
#[case::named(Stage::Ci, Some("/x/set.json"), true, "/x/set.json")]
#[case::made_here(Stage::Ci, None, true, "artifacts.json")]
#[case::none_is_made(Stage::Ci, None, false, "artifacts build --official")]
#[case::not_for_a_preview(Stage::Preview, None, true, "names no artifact set")]
fn stage_ci_takes_what_this_checkout_made(
    #[case] stage: Stage,
    #[case] named: Option<&str>,
    #[case] made: bool,
    #[case] says: &str,
) {
    let checkout = tempfile::tempdir().unwrap();
    let default = checkout.path().join("artifacts.json");
    if made {
        std::fs::write(&default, "{}").unwrap();
    }
    let credentials = RegistryCredentials::of(&Settings::parse(&std::collections::BTreeMap::new())).unwrap();
    let given = ProvidedArtifacts { stage, location: named.map(str::to_owned), credentials };
    let place = given.place(&default).map_or_else(|error| error.report(), std::borrow::Cow::into_owned);
    assert!(place.contains(says), "{place}");
}
