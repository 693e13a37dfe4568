use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};

use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use rstest::rstest;
use serde_json::json;

use super::*;
use crate::k8s;

const SERVER: &str = "https://k8s.example:6443";

fn environment(pairs: &[(&str, &str)]) -> Environment {
    Environment::new(&pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
}

fn chosen(server: &str, own: &str, pairs: &[(&str, &str)]) -> Result<Option<String>> {
    let found = of(&server.parse().unwrap(), Some(own), &environment(pairs))?;
    Ok(found.map(|found| found.uri().to_string().trim_end_matches('/').to_owned()))
}

#[rstest]
#[case::nothing_set(SERVER, &[], None)]
#[case::of_https(SERVER, &[("HTTPS_PROXY", "http://p:3128")], Some("http://p:3128"))]
#[case::lower_case(SERVER, &[("https_proxy", "http://p:3128")], Some("http://p:3128"))]
#[case::upper_case_first(SERVER, &[("https_proxy", "http://q"), ("HTTPS_PROXY", "http://p")], Some("http://p"))]
#[case::empty(SERVER, &[("HTTPS_PROXY", "")], None)]
#[case::without_a_scheme(SERVER, &[("HTTPS_PROXY", "p:3128")], Some("http://p:3128"))]
#[case::over_tls(SERVER, &[("HTTPS_PROXY", "https://p")], Some("https://p"))]
#[case::of_socks(SERVER, &[("HTTPS_PROXY", "socks5://u:hunter2@p")], Some("socks5://p"))]
#[case::of_socks_with_names(SERVER, &[("HTTPS_PROXY", "socks5h://p")], Some("socks5h://p"))]
#[case::of_http_for_https(SERVER, &[("HTTP_PROXY", "http://p")], None)]
#[case::of_http("http://k8s.example", &[("HTTPS_PROXY", "http://q"), ("HTTP_PROXY", "http://p")], Some("http://p"))]
#[case::of_everything(SERVER, &[("ALL_PROXY", "http://p")], None)]
#[case::for_localhost("https://localhost:6443", &[("HTTPS_PROXY", "http://p")], None)]
#[case::for_loopback("https://127.8.0.1:6443", &[("HTTPS_PROXY", "http://p")], None)]
#[case::for_loopback_of_ipv6("https://[::1]:6443", &[("HTTPS_PROXY", "http://p")], None)]
#[case::of_nothing_that_counts("https://localhost", &[("HTTPS_PROXY", "ftp://p")], None)]
fn the_environment_names_a_proxy(#[case] server: &str, #[case] pairs: &[(&str, &str)], #[case] proxy: Option<&str>) {
    assert_eq!(chosen(server, "", pairs).unwrap().as_deref(), proxy);
}

#[rstest]
#[case::everything(SERVER, "*", true)]
#[case::the_host(SERVER, "other, K8S.example", true)]
#[case::its_domain(SERVER, "example", true)]
#[case::its_domain_with_a_dot(SERVER, ".example", true)]
#[case::its_domain_with_a_star(SERVER, "*.example", true)]
#[case::subdomains_alone(SERVER, ".k8s.example", false)]
#[case::another_of_that_end(SERVER, "8s.example", false)]
#[case::its_port(SERVER, "k8s.example:6443", true)]
#[case::another_port(SERVER, "k8s.example:443", false)]
#[case::the_port_that_https_has("https://k8s.example", "k8s.example:443", true)]
#[case::an_address("https://10.0.0.1:6443", "10.0.0.1", true)]
#[case::an_address_and_port("https://10.0.0.1:6443", "10.0.0.1:6443", true)]
#[case::a_network("https://10.0.0.1:6443", "10.0.0.0/8", true)]
#[case::another_network("https://10.0.0.1:6443", "192.168.0.0/16", false)]
#[case::an_address_of_ipv6("https://[fd00::1]:6443", "fd00::1", true)]
#[case::an_address_of_ipv6_and_port("https://[fd00::1]:6443", "[fd00::1]:6443", true)]
// What kube compares the list with.
#[case::the_proxy(SERVER, "p", false)]
fn no_proxy_names_servers(#[case] server: &str, #[case] list: &str, #[case] direct: bool) {
    for name in ["NO_PROXY", "no_proxy"] {
        let found = chosen(server, "", &[("HTTPS_PROXY", "http://p"), (name, list)]).unwrap();
        assert_eq!(found.is_none(), direct, "{name}");
    }
}

#[rstest]
#[case::before_the_environment(SERVER, "http://own:1")]
#[case::for_loopback("https://127.0.0.1:6443", "https://own:1")]
#[case::of_socks(SERVER, "socks5://own:1")]
fn a_clusters_own_proxy_counts_for_whatever_server(#[case] server: &str, #[case] own: &str) {
    let pairs = [("HTTPS_PROXY", "http://p"), ("NO_PROXY", "*")];
    assert_eq!(chosen(server, own, &pairs).unwrap().as_deref(), Some(own));
}

#[rstest]
#[case::own_scheme("ftp://u:hunter2@p", &[], "proxy-url names no proxy")]
#[case::own_names("socks5h://p", &[], "proxy-url names no proxy")]
#[case::own_without_a_scheme("p:3128", &[], "proxy-url names no proxy")]
#[case::scheme("", &[("HTTPS_PROXY", "socks4://u:hunter2@p")], "HTTPS_PROXY names no proxy")]
#[case::lower_case("", &[("https_proxy", "http://")], "https_proxy names no proxy")]
fn no_proxy_at_all_is_refused(#[case] own: &str, #[case] pairs: &[(&str, &str)], #[case] says: &str) {
    let error = chosen(SERVER, own, pairs).unwrap_err().report();
    assert!(error.contains(says) && error.contains("next: ") && !error.contains("hunter2"), "{error}");
}

/// One connection to a proxy that answers by `talk`, which gives what it was asked.
fn proxy(talk: fn(&mut TcpStream) -> String) -> (String, std::thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (address, std::thread::spawn(move || talk(&mut listener.accept().unwrap().0)))
}

fn refuses_a_tunnel(stream: &mut TcpStream) -> String {
    let lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let head: Vec<String> = lines.map(std::io::Result::unwrap).take_while(|line| !line.is_empty()).collect();
    stream.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n").unwrap();
    head.join("\n")
}

/// Of SOCKS 5 (RFC 1928): no authentication, and "connection refused".
fn refuses_by_socks(stream: &mut TcpStream) -> String {
    let mut greeting = [0; 3];
    stream.read_exact(&mut greeting).unwrap();
    stream.write_all(&[5, 0]).unwrap();
    let mut asked = [0; 5];
    stream.read_exact(&mut asked).unwrap();
    let mut host = vec![0; usize::from(asked[4]) + 2];
    stream.read_exact(&mut host).unwrap();
    stream.write_all(&[5, 5, 0, 1, 0, 0, 0, 0, 0, 0]).unwrap();
    let port = host.split_off(usize::from(asked[4]));
    format!("{} {}", String::from_utf8(host).unwrap(), u16::from_be_bytes([port[0], port[1]]))
}

#[rstest]
#[case::http(
    "http://u:pa%40ss@",
    refuses_a_tunnel,
    "Proxy-Authorization: Basic dTpwYUBzcw==",
    "proxy authorization required"
)]
#[case::socks("socks5://", refuses_by_socks, "kubernetes.invalid 6443", "refused")]
#[tokio::test]
async fn what_a_proxy_refuses_is_its_refusal(
    #[case] start: &str,
    #[case] talk: fn(&mut TcpStream) -> String,
    #[case] asked: &str,
    #[case] says: &str,
) {
    let (address, heard) = proxy(talk);
    let file = tempfile::NamedTempFile::new().unwrap();
    let config = json!({
        "clusters": [{"name": "c", "cluster": {"server": "https://kubernetes.invalid:6443"}}],
        "contexts": [{"name": "test", "context": {"cluster": "c"}}],
    });
    std::fs::write(file.path(), config.to_string()).unwrap();
    let variables = BTreeMap::from([("HTTPS_PROXY".to_owned(), format!("{start}{address}"))]);
    let client =
        k8s::connect_with(&file.path().to_owned().into(), "test", &Environment::new(&variables)).await.unwrap();
    let api: Api<Namespace> = Api::all(client);
    let error = k8s::call("ask for a namespace", api.get("x")).await.unwrap_err().report();
    assert!(error.contains(&format!("://{address}/")) && error.to_lowercase().contains(says), "{error}");
    assert!(!error.contains("pa%40ss"), "{error}");
    let heard = heard.join().unwrap();
    assert!(heard.contains("kubernetes.invalid") && heard.contains(asked), "{heard}");
}
