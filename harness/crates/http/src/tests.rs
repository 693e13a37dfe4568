use rstest::rstest;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::reader::LONGEST_BODY;
use super::*;

/// A server that gives the same answer to every request, and ignores what was asked.
async fn answers(answer: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    url
}

fn with_body(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

#[tokio::test]
async fn a_place_of_the_body_is_read() {
    let url = answers(with_body("200 OK", r#"{"data":{"id":7}}"#)).await;
    let reply = Reader::new(&url).unwrap().get("/api").await.unwrap();
    assert_eq!(reply.expect_status(200).unwrap().at("/data/id").unwrap(), json!(7));
}

#[tokio::test]
async fn another_status_shows_the_request_and_the_body_without_the_query() {
    let url = answers(with_body("500 Oops", "first\nsecond")).await;
    let client = writer(HttpOptions::new(&url)).unwrap().bearer("abc.def").unwrap();
    let reply = client.post("/sign-in?token=hush", &json!({ "password": "hush" })).await.unwrap();
    let text = reply.expect_status(201).unwrap_err().to_string();
    assert!(text.starts_with(&format!("http: POST {url}/sign-in?... answered 500 after ")), "{text}");
    assert!(text.ends_with(" instead of 201\n  | first\n  | second"), "{text}");
}

#[tokio::test]
async fn an_answer_without_the_place_is_told() {
    let url = answers(with_body("200 OK", "{}")).await;
    let error = Reader::new(&url).unwrap().get("/").await.unwrap().at("/data").unwrap_err().to_string();
    assert!(error.contains("without /data"), "{error}");
}

#[tokio::test]
async fn a_redirect_to_another_host_is_the_answer() {
    let away = "HTTP/1.1 302 Found\r\nlocation: http://elsewhere.invalid/\r\ncontent-length: 0\r\n\r\n";
    let url = answers(away.to_owned()).await;
    let reply = Reader::new(&url).unwrap().get("/").await.unwrap();
    let text = reply.expect_status(200).unwrap_err().to_string();
    assert!(text.contains("answered 302") && text.contains(", to http://elsewhere.invalid/"), "{text}");
}

#[tokio::test]
async fn redirects_that_never_end_are_an_error() {
    let round = "HTTP/1.1 302 Found\r\nlocation: /again\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let url = answers(round.to_owned()).await;
    let error = Reader::new(&url).unwrap().get("/").await.unwrap_err();
    let report = error.report();
    assert!(report.starts_with("http: GET ") && report.contains("more than 5 redirects"), "{report}");
    assert!(report.contains("layers: tcp ") && report.contains("http failed after "), "{report}");
}

#[tokio::test]
async fn a_body_without_end_is_not_read_to_it() {
    let url = answers(with_body("200 OK", &"x".repeat(LONGEST_BODY + 1))).await;
    let error = Reader::new(&url).unwrap().get("/").await.unwrap_err().to_string();
    assert!(error.starts_with("body: ") && error.contains("more than 4194304 bytes"), "{error}");
}

#[tokio::test]
async fn a_body_that_breaks_off_is_told_with_its_byte() {
    let url = answers("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf".to_owned()).await;
    let error = Reader::new(&url).unwrap().get("/").await.unwrap_err().to_string();
    assert!(error.starts_with("body: ") && error.contains("broke off at byte 4 of 9: "), "{error}");
}

#[tokio::test]
async fn who_is_silent_is_told_with_the_layers_below() {
    // The kernel accepts connections, and nobody answers them.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", silent.local_addr().unwrap());
    let options = HttpOptions { whole: Duration::from_millis(100), ..HttpOptions::new(base) };
    let error = Reader::with(options).unwrap().get("/").await.unwrap_err().to_string();
    assert!(error.starts_with("http: GET ") && error.contains("no answer within 100.0ms"), "{error}");
    assert!(error.contains("layers: tcp "), "{error}");
}

#[rstest]
#[case("http://a.example/", "/b", Some("http://a.example/b"))]
#[case("http://a.example/", "https://a.example/", Some("https://a.example/"))]
#[case("https://a.example/", "http://a.example/", None)]
#[case("https://a.example/", "https://b.example/", None)]
#[case("https://a.example/", "//b.example/", None)]
fn redirects_stay_on_the_host_and_in_tls(#[case] from: &str, #[case] location: &str, #[case] to: Option<&str>) {
    let headers = [(reqwest::header::LOCATION, location.parse().unwrap())].into_iter().collect();
    let reply = Reply {
        method: "GET".to_owned(),
        url: from.to_owned(),
        status: 301,
        headers,
        body: Vec::new(),
        took: Duration::ZERO,
    };
    let followed = super::reader::leads_to(&from.parse().unwrap(), &reply);
    assert_eq!(followed.map(String::from), to.map(str::to_owned));
}

#[tokio::test]
async fn an_error_names_the_request_without_its_secrets() {
    let reader = Reader::new("http://user:hush@127.0.0.1:1").unwrap();
    let report = reader.get("/x?token=hush").await.unwrap_err().report();
    assert!(report.contains("asked: GET http://127.0.0.1:1/x?...") && !report.contains("hush"), "{report}");
}

#[rstest]
#[case("http://127.0.0.1:80", false)]
#[case("http://[::1]:80", false)]
#[case("http://localhost", false)]
#[case("https://app.shop.ai", true)]
fn connections_to_forwards_are_not_kept(#[case] base: &str, #[case] kept: bool) {
    assert_eq!(HttpOptions::new(base).keep_alive, kept);
}

#[tokio::test]
async fn a_wait_ends_with_the_budget() {
    let (run, url) = (tempfile::tempdir().unwrap(), answers(with_body("503 Not yet", "{}")).await);
    let budget = std::sync::Arc::new(Budget::of(run.path(), 2, std::time::Duration::from_millis(1)));
    let reader = Reader::with(HttpOptions { budget: Some(budget), ..HttpOptions::new(&url) }).unwrap();
    let text = reader.answers("/", std::time::Duration::from_secs(60)).await.unwrap_err().report();
    assert!(text.contains("the budget of 2 requests a run is spent"), "{text}");
}
