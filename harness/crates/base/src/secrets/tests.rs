use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use rstest::rstest;

use super::*;

/// A secret with characters that each encoding changes.
const PLANTED: &str = "pl4nt/ed+\"s e&c=r<e>t'\\é~?";
/// A JWT as a sign-in returns it, of `{"alg":"HS256","typ":"JWT"}` and `{"sub":"1"}`.
const JWT: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl-_w";

fn redactor(values: &[&str]) -> Redactor {
    let mut redactor = Redactor::new();
    values.iter().for_each(|value| redactor.know(value.as_bytes()));
    redactor
}

fn shown(text: &str) -> String {
    redactor(&[]).redact(text).into_owned()
}

fn percent_encoded(text: &str, kept: &str) -> String {
    let encode = |byte: u8| match byte.is_ascii_alphanumeric() || kept.as_bytes().contains(&byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

fn json(text: &str) -> String {
    let quoted = serde_json::to_string(text).unwrap();
    quoted[1..quoted.len() - 1].to_owned()
}

fn unicode(text: &str) -> String {
    text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect()
}

fn xml(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace('"', "&quot;").replace('\'', "&#39;")
}

#[rstest]
#[case::as_it_is(PLANTED.to_owned())]
#[case::base64(STANDARD.encode(PLANTED))]
#[case::base64_without_padding(STANDARD_NO_PAD.encode(PLANTED))]
#[case::base64_for_urls(URL_SAFE.encode(PLANTED))]
#[case::base64_for_urls_without_padding(URL_SAFE_NO_PAD.encode(PLANTED))]
#[case::base64_after_one(STANDARD.encode(format!("a{PLANTED}")))]
#[case::base64_after_two(STANDARD.encode(format!("ab{PLANTED}")))]
#[case::base64_after_three_and_before_some(STANDARD.encode(format!("abc{PLANTED} and more")))]
#[case::an_account(STANDARD.encode(format!("robot:{PLANTED}")))]
#[case::an_account_in_a_pull_secret(STANDARD.encode(format!("{{\"auth\":\"{}\"}}", STANDARD.encode(format!("robot:{PLANTED}")))))]
#[case::after_a_path(format!("/data/{}", STANDARD.encode(PLANTED)))]
#[case::percent(percent_encoded(PLANTED, "-._~"))]
#[case::percent_in_lower_case(percent_encoded(PLANTED, "-._~").to_lowercase().replace("%c3%a9", "%C3%a9"))]
#[case::percent_for_a_path(percent_encoded(PLANTED, "-._~/+=&'"))]
#[case::form(percent_encoded(PLANTED, "*-._").replace("%20", "+"))]
#[case::base64_in_an_address(percent_encoded(&STANDARD.encode(PLANTED), ""))]
#[case::json(json(PLANTED))]
#[case::json_with_slashes(json(PLANTED).replace('/', "\\/"))]
#[case::json_in_json(json(&json(PLANTED)))]
#[case::json_by_numbers(unicode(PLANTED))]
#[case::as_rust_shows_it(format!("{PLANTED:?}"))]
#[case::xml(xml(PLANTED))]
#[case::xml_of_json(xml(&json(PLANTED)))]
#[case::an_annotation(json(PLANTED).replace('%', "%25"))]
fn a_known_value_is_nowhere(#[case] text: String) {
    let redactor = redactor(&[PLANTED]);
    let clean = redactor.redact(&format!("before {text}, after")).into_owned();
    let rest = clean.replace(MARK, "");
    assert!(rest.starts_with("before ") && rest.ends_with(", after"), "{clean}");
    assert!(rest.len() <= "before \"\", after".len(), "{clean}");
}

#[rstest]
#[case::shorter("short", "it is short")]
#[case::a_word("postgres", "connect to Postgres as postgres")]
#[case::a_word_in_capitals("Shop", "Shop Stack")]
#[case::empty("", "nothing at all")]
fn texts_stay_readable(#[case] value: &str, #[case] text: &str) {
    assert_eq!(redactor(&[value]).redact(text), text);
}

#[rstest]
#[case::longest_first(&["hunter2", "hunter2-and-more"], "a: hunter2-and-more, hunter2", "a: [secret], [secret]")]
#[case::overlapping(&["abcdef-ghi", "ghi-jklmno"], "(abcdef-ghi-jklmno)", "([secret])")]
#[case::line_by_line(&["first line of many words\nsecond line of many words"], "| second line of many words\n", "| [secret]\n")]
#[case::with_its_end_of_line(&["hunter2\n"], "hunter2!", "[secret]!")]
#[case::of_an_address(&["postgres://app:p%40ssw0rd@db/app"], "as app with p@ssw0rd", "as app with [secret]")]
#[case::beside_letters_of_many_bytes(&["hunter2"], "é hunter2é", "é [secret]é")]
fn known(#[case] values: &[&str], #[case] text: &str, #[case] clean: &str) {
    assert_eq!(redactor(values).redact(text), clean);
}

#[rstest]
#[case::jwt(&format!("token {JWT} is valid"), "token [secret] is valid")]
#[case::unsigned_jwt("eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0. is refused", "[secret] is refused")]
#[case::jwt_in_json(&format!("{{\"data\":[\"{JWT}\"]}}"), "{\"data\":[\"[secret]\"]}")]
#[case::jwt_in_base64(&STANDARD.encode(JWT), "[secret]")]
#[case::sign_in(
    "{\"tokens\":{\"access_token\":\"opaque\",\"expires_in\":3600}}",
    "{\"tokens\":{\"access_token\":\"[secret]\",\"expires_in\":3600}}"
)]
#[case::escaped_sign_in(r#""{\"refreshToken\": \"opaque\"}""#, r#""{\"refreshToken\": \"[secret]\"}""#)]
#[case::query("GET /ws?token=opaque&page=2", "GET /ws?token=[secret]&page=2")]
#[case::presigned("?X-Amz-Credential=AKIA&X-Amz-Signature=0f0f", "?X-Amz-Credential=AKIA&X-Amz-Signature=[secret]")]
#[case::form("login=somebody&password=a%20b", "login=somebody&password=[secret]")]
#[case::variable("DB_PASSWORD=hunter2 helm upgrade", "DB_PASSWORD=[secret] helm upgrade")]
#[case::quoted_variable("API_KEY='a b' go", "API_KEY='[secret]' go")]
#[case::flag("login --password hunter2 --user robot", "login --password [secret] --user robot")]
#[case::yaml("user: robot\n  password: hunter2\n", "user: robot\n  password: [secret]\n")]
#[case::debug("Login { user: \"robot\", password: \"hunter2\" }", "Login { user: \"robot\", password: \"[secret]\" }")]
#[case::of_a_container(
    "{\"name\":\"DB_PASSWORD\",\"value\":\"x\"}",
    "{\"name\":\"DB_PASSWORD\",\"value\":\"[secret]\"}"
)]
#[case::authorization("> Authorization: Digest a=b, c=d\n> Host: x", "> Authorization: [secret]\n> Host: x")]
#[case::authorization_in_json("\"authorization\":\"Basic cm9ib3Q6eA==\"", "\"authorization\":\"[secret]\"")]
#[case::basic("sent Basic cm9ib3Q6eDEyMw== to it", "sent Basic [secret] to it")]
#[case::cookie("Set-Cookie: session=abc; HttpOnly\nVary: a", "Set-Cookie: [secret]\nVary: a")]
#[case::address("redis://default:hunter2@redis:6379/0", "redis://default:[secret]@redis:6379/0")]
#[case::private_key("a -----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY----- b", "a [secret] b")]
#[case::cut_private_key("-----BEGIN EC PRIVATE KEY-----\nMIIE", "[secret]")]
#[case::github("https://ghs_0123456789abcdefghij@github.com", "https://[secret]@github.com")]
fn shapes_are_found(#[case] text: &str, #[case] clean: &str) {
    assert_eq!(shown(text), clean);
    assert_eq!(shown(clean), clean, "twice is as once");
}

#[rstest]
#[case::prose("a bearer token, which is not shown; basic authentication is off")]
#[case::kubernetes("Error: secret \"shop-auth\" not found; couldn't find key db-password in Secret shop/shop-auth")]
#[case::challenge("WWW-Authenticate: Bearer realm=\"https://auth.docker.io/token\",service=\"registry\"")]
#[case::build("docker buildx build --secret id=ca,src=/etc/ssl/ca.pem --build-arg PYTHON_IMAGE=python@sha256:0a1b")]
#[case::names("secretName: shop-auth, tokenExpirationSeconds: 3600, automountServiceAccountToken: false")]
#[case::colon("cannot read the token: no such file")]
#[case::already("DB_PASSWORD=… helm")]
#[case::hosts("backend.shop.svc.cluster.local:8000, eyes.on.the.road")]
#[case::digests("ghcr.io/shop/backend@sha256:6c3c624b58dbbcd3c0dd82b4c53f04194d1247c6eebdaab7c610cf7d66709b3b")]
#[case::ports("http://127.0.0.1:8000/docs and user@host:22")]
fn what_is_no_secret_stays(#[case] text: &str) {
    assert_eq!(shown(text), text);
}

#[rstest]
#[case("SHOP_REGISTRY_PASSWORD", true)]
#[case("AWS_SECRET_ACCESS_KEY", true)]
#[case("AWS_SESSION_TOKEN", true)]
#[case("GITHUB_TOKEN", true)]
#[case("jwt-secret-key", true)]
#[case("AWS_ACCESS_KEY_ID", false)]
#[case("PATH", false)]
#[case("PWD", false)]
#[case("OLDPWD", false)]
#[case("DB_PWD", true)]
#[case("TOKENIZERS_PARALLELISM", false)]
fn names(#[case] name: &str, #[case] is: bool) {
    assert_eq!(is_named_like_one(name), is);
}

#[test]
fn a_large_text_takes_no_time_to_speak_of() {
    let redactor = redactor(&[PLANTED, "hunter2-and-more"]);
    let line = "2026-01-01T00:00:00Z INFO \\\"GET /api/v2/items?page=2%20\\\" 200 backend-7d9f8c-x2x4z &amp; more\n";
    let text = line.repeat(2000);
    let started = std::time::Instant::now();
    assert_eq!(redactor.redact(&text), text);
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
}
