//! The cluster's API behind a proxy, and its context in several files: what kubectl takes, we and our children take.

use std::sync::{Arc, Mutex};

use base64::Engine as _;
use harness::k8s;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::cluster;
use super::command::Call;
use super::place::{Place, namespace_of};

/// A name that the proxy alone knows: the API server's, which is on this machine, where no proxy is asked.
const HOST: &str = "kubernetes.rehearsal.invalid";

/// By a proxy of the environment's and one of the cluster's own; then a whole preview by Skaffold, and its end by Helm and
/// kube, through a proxy without which its server has no name.
pub async fn as_by_kubectl(place: &Place) {
    let (proxy, number) = (Proxy::start().await, "161");
    let own = place.kubeconfig();
    let there = own["clusters"][0]["cluster"]["server"].as_str().unwrap().to_owned();
    let hidden = there.replace("127.0.0.1", HOST);
    let mut named = own.clone();
    named["clusters"][0]["cluster"]["proxy-url"] = proxy.url().into();
    let (named, whole, parts) = (place.keep("named", &named), place.keep("whole", &own), split(place, &own, &hidden));
    let list = |files: &str, no_proxy: &str| through(&proxy, place.stack(number, &["list"]), files, no_proxy);

    let ran = list(&whole, "").run().await;
    assert!(ran.passed && proxy.asked().is_empty(), "a proxy was asked for this machine:\n{}", ran.text);
    let ran = list(&named, "*").run().await;
    assert!(ran.passed && proxy.asked().iter().all(|host| there.ends_with(host)), "{}", ran.text);
    assert!(!proxy.forget().is_empty(), "the cluster's own proxy was not asked");
    let ran = list(&parts, "").run().await;
    assert!(ran.passed && proxy.asked().iter().all(|host| hidden.ends_with(host)), "{}", ran.text);
    assert!(!proxy.forget().is_empty(), "the environment's proxy was not asked");
    let ran = list(&parts, ".rehearsal.invalid").run().await;
    assert!(!ran.passed && ran.text.contains("dns error") && proxy.asked().is_empty(), "{}", ran.text);

    let up = through(&proxy, place.up(number), &parts, "").run().await;
    assert!(up.passed, "{}", up.text);
    streams(place, &proxy, number).await;
    let again = through(&proxy, place.up(number), &parts, "").with("JETSCALE_DEPLOYER", "helm").run().await;
    assert!(again.passed, "{}", again.text);
    let status = through(&proxy, place.stack(number, &["status"]), &parts, "").run().await;
    assert!(status.passed && status.text.contains("pr-161  "), "{}", status.text);
    let down = through(&proxy, place.stack(number, &["down"]), &parts, "").run().await;
    assert!(down.passed && down.text.contains("pr-161  removed"), "{}", down.text);
}

fn through(proxy: &Proxy, call: Call, files: &str, no_proxy: &str) -> Call {
    let call =
        ["https_proxy", "ALL_PROXY", "all_proxy", "no_proxy"].iter().fold(call, |call, name| call.with(name, ""));
    call.with("HTTPS_PROXY", &proxy.url()).with("NO_PROXY", no_proxy).with("KUBECONFIG", files)
}

/// The same over three files, the first of which is not there: the second has the server under its other name, with its
/// authority in a file beside it; the third has the users, whose plugin is beside that, and another cluster of that name.
fn split(place: &Place, own: &Value, hidden: &str) -> String {
    let head = json!({"apiVersion": "v1", "kind": "Config"});
    let authority = own["clusters"][0]["cluster"]["certificate-authority-data"].as_str().unwrap();
    let authority = base64::engine::general_purpose::STANDARD.decode(authority).unwrap();
    std::fs::write(place.path("api-ca.pem"), authority).unwrap();
    let mut first = head.clone();
    first["clusters"] = json!([{"name": own["clusters"][0]["name"], "cluster": {
        "server": hidden, "tls-server-name": "kubernetes", "certificate-authority": "api-ca.pem",
    }}]);
    let mut second = own.clone();
    second["clusters"][0]["cluster"] = json!({"server": "https://elsewhere.invalid"});
    second["users"][0]["user"]["exec"]["command"] = "./plugin".into();
    let files = [place.path("missing"), place.keep("first", &first), place.keep("second", &second)];
    files.join(":")
}

/// What goes on after its answer, over a WebSocket: a command in a pod.
async fn streams(place: &Place, proxy: &Proxy, number: &str) {
    let mut admin = serde_json::to_value(place.admin()).unwrap();
    admin["clusters"][0]["cluster"]["proxy-url"] = proxy.url().into();
    let file = place.keep("admin", &admin);
    let client = k8s::connect(file.as_ref(), &place.admin_context()).await.unwrap();
    proxy.forget();
    let api = "app.kubernetes.io/component=api";
    let said = cluster::exec(&client, &namespace_of(number), api, &["echo", "through"]).await;
    assert_eq!(said.trim(), "through");
    assert!(!proxy.forget().is_empty(), "a command in a pod went past the proxy");
}

/// A proxy of HTTP that knows one name more than this machine does, and what it was asked for.
struct Proxy {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Self { port: listener.local_addr().unwrap().port(), asked: Arc::default() };
        let asked = Arc::clone(&proxy.asked);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let asked = Arc::clone(&asked);
                // What a connection ends by is for its two ends to say.
                tokio::spawn(async move { drop(serve(client, &asked).await) });
            }
        });
        proxy
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    /// What it was asked for until now.
    fn forget(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

async fn serve(mut client: TcpStream, asked: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut head = Vec::new();
    // Nothing comes after it before it is answered.
    while !head.ends_with(b"\r\n\r\n") {
        if client.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    }
    let head = String::from_utf8_lossy(&head);
    let Some(target) = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next()) else {
        return client.write_all(b"HTTP/1.1 405 Tunnels Alone\r\n\r\n").await;
    };
    asked.lock().unwrap().push(target.to_owned());
    let mut server = TcpStream::connect(target.replace(HOST, "127.0.0.1")).await?;
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
    tokio::io::copy_bidirectional(&mut client, &mut server).await.map(drop)
}
