//! Registries and whose accounts they want: a real one that gives no image without a token, `docker login` to it, helpers of
//! the engine's client that are left over or fail, and Docker Hub under its three names.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use harness::artifacts::{Reference, RegistryCredentials};
use harness::settings::Settings;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::binaries;
use super::docker::{docker, run, tool};
use super::environment::script;
use super::place::{IMAGES, Place, Seat};
use super::planted::Thing;
use super::process::Ran;
use super::trial::Shown;

const NO_REGISTRY: &str = "the engine holds no registry's image yet";
/// The account, and a password that no output may show.
const ACCOUNT: (&str, &str) = ("robot", "hunter2-of-the-registry");
/// Docker Hub, as references name it.
const HUB: [&str; 3] = ["docker.io", "index.docker.io", "registry-1.docker.io"];
/// As `docker login` writes the hub's, whichever of its names it was given.
const KEY_OF_HUB: &str = "https://index.docker.io/v1/";
/// What a helper says that knows nothing of a server (docker-credential-helpers).
const UNKNOWN: &str = "echo credentials not found in native keychain; exit 1";

/// A registry that takes tokens alone, and who gives them: for what is below `open/` to everybody, else to the account.
struct Registry {
    address: String,
    /// One image in it, without its registry.
    open: String,
    closed: String,
    platform: String,
    /// What tokens were asked for.
    asked: Arc<Mutex<Vec<String>>>,
}

impl Registry {
    /// `None` where the engine has no image of one.
    async fn start(place: &Place) -> Option<Self> {
        let listed = docker(&["images", "--format", "{{.Repository}}:{{.Tag}}"]).await;
        let image = listed.lines().find(|name| name.contains("/base/registry:") || name.starts_with("registry:2"))?;
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["foreign".to_owned()]).unwrap();
        let signer = Signer {
            key: EncodingKey::from_ec_der(&signing_key.serialize_der()),
            certificate: STANDARD.encode(cert.der()),
        };
        let asked = Arc::new(Mutex::new(Vec::new()));
        let tokens = serve_tokens(signer, Arc::clone(&asked)).await;
        std::fs::write(place.path("certificate.pem"), cert.pem()).unwrap();
        let name = format!("foreign-registry-{}", std::process::id());
        let realm = format!("REGISTRY_AUTH_TOKEN_REALM=http://{tokens}/token");
        let mut create = vec!["create", "--name", &name, "--publish", "127.0.0.1::5000"];
        for variable in [
            // Behind another name it is found again.
            "REGISTRY_HTTP_RELATIVEURLS=true",
            "REGISTRY_AUTH=token",
            &realm,
            "REGISTRY_AUTH_TOKEN_SERVICE=foreign",
            "REGISTRY_AUTH_TOKEN_ISSUER=foreign",
            "REGISTRY_AUTH_TOKEN_ROOTCERTBUNDLE=/certificate.pem",
        ] {
            create.extend(["--env", variable]);
        }
        create.push(image);
        let id = docker(&create).await;
        docker(&["cp", &place.path("certificate.pem").to_string_lossy(), &format!("{id}:/certificate.pem")]).await;
        docker(&["start", &id]).await;
        place.note(Thing::Container(id.clone())).await;
        let address = docker(&["port", &id, "5000"]).await.lines().next().unwrap().to_owned();
        let limit = Duration::from_secs(20);
        let reader = harness_http::Reader::new(&format!("http://{address}")).unwrap();
        let answers = async { while reader.head("/v2/").await.is_err() {} };
        tokio::time::timeout(limit, answers).await.expect("the registry does not answer");
        let platform = docker(&["image", "inspect", "--format", "{{.Os}}/{{.Architecture}}", image]).await;
        let mut registry = Self { address, open: String::new(), closed: String::new(), platform, asked };
        let folder = registry.login(place).await;
        registry.open = registry.push(&folder, image, "open/thing").await;
        registry.closed = registry.push(&folder, image, "closed/thing").await;
        Some(registry)
    }

    /// What `docker login` leaves, in a folder.
    async fn login(&self, place: &Place) -> PathBuf {
        let folder = place.path("logged-in");
        let mut login = tool("docker");
        login.arg("--config").arg(&folder).args(["login", "--username", ACCOUNT.0, "--password", ACCOUNT.1]);
        run(login.arg(&self.address)).await.unwrap();
        folder
    }

    async fn push(&self, folder: &std::path::Path, image: &str, repository: &str) -> String {
        let name = format!("{}/{repository}:it", self.address);
        docker(&["tag", image, &name]).await;
        let pushed = run(tool("docker").arg("--config").arg(folder).args(["push", &name])).await.unwrap();
        docker(&["image", "rm", "--no-prune", &name]).await;
        let digest = pushed.split_whitespace().find(|word| word.starts_with("sha256:")).expect("a digest");
        format!("{repository}@{digest}")
    }

    /// Checks a set whose images are all this one, by the name that the registry goes by here.
    async fn check(&self, place: &Place, seat: &Seat, registry: &str, image: &str) -> Ran {
        let build = |name: &str| json!({"imageName": name, "tag": format!("{registry}/{image}")});
        let builds = ["backend", "frontend", "postgres", "redis"].map(build);
        let revision = "0123456789abcdef0123456789abcdef01234567";
        let set = json!({"builds": builds, "revision": revision, "platform": self.platform});
        let file = place.path("artifacts.json");
        std::fs::write(&file, set.to_string()).unwrap();
        let ran = seat.stack(&["artifacts", "show", &file.to_string_lossy(), "--check"]).run().await;
        assert!(!ran.text.contains(ACCOUNT.1), "the password is shown\n{}", ran.text);
        ran
    }
}

/// Who says by a token what its bearer may do, as the registry's certificate proves.
struct Signer {
    key: EncodingKey,
    certificate: String,
}

impl Signer {
    /// A token for what a scope (`repository:NAME:pull,push`) asks for; without one, or for a stranger, one that allows nothing.
    fn token(&self, scope: Option<&str>, is_known: bool) -> String {
        let parts = scope.map(|scope| scope.splitn(3, ':').collect::<Vec<_>>());
        let access: Vec<Value> = match parts.as_deref() {
            Some([kind, name, actions]) if is_known || name.starts_with("open/") && *actions == "pull" => {
                vec![json!({"type": kind, "name": name, "actions": actions.split(',').collect::<Vec<_>>()})]
            }
            _ => Vec::new(),
        };
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
        let claims = json!({
            "iss": "foreign", "sub": "", "aud": "foreign", "exp": now + 300, "nbf": now - 10, "iat": now,
            "jti": now.to_string(), "access": access,
        });
        let mut header = Header::new(Algorithm::ES256);
        header.x5c = Some(vec![self.certificate.clone()]);
        encode(&header, &claims, &self.key).unwrap()
    }
}

/// Serves tokens as the registry's documentation has it ("Token Authentication Specification"); gives the address.
async fn serve_tokens(signer: Signer, asked: Arc<Mutex<Vec<String>>>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut stream = BufReader::new(stream);
            let Some(head) = head(&mut stream).await else { continue };
            let line = head.lines().next().unwrap_or_default().to_owned();
            let target = query(line.split(' ').nth(1).unwrap_or_default());
            let scope = target.iter().find(|(name, _)| name == "scope").map(|(_, value)| value.as_str());
            let account = head.lines().find_map(|line| {
                let (name, value) = line.split_once(": ")?;
                name.eq_ignore_ascii_case("authorization").then(|| value.trim().to_owned())
            });
            let right = format!("Basic {}", STANDARD.encode(format!("{}:{}", ACCOUNT.0, ACCOUNT.1)));
            let who = if account.is_some() { ACCOUNT.0 } else { "nobody" };
            asked.lock().unwrap().push(format!("{who} {}", scope.unwrap_or("without a scope")));
            let (status, body) = match account {
                Some(account) if account != right => ("401 Unauthorized", json!({"details": "wrong password"})),
                account => ("200 OK", json!({"token": signer.token(scope, account.is_some())})),
            };
            let body = body.to_string();
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            );
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    address
}

/// The pairs of a request's query.
fn query(target: &str) -> Vec<(String, String)> {
    let pairs = target.split_once('?').map_or("", |(_, query)| query);
    let plain = |text: &str| text.replace("%3A", ":").replace("%2F", "/").replace("%2C", ",");
    pairs.split('&').filter_map(|pair| pair.split_once('=')).map(|(name, value)| (plain(name), plain(value))).collect()
}

/// A request up to its empty line.
async fn head(stream: &mut (impl tokio::io::AsyncBufRead + Unpin)) -> Option<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).await.ok()? == 0 {
            return None;
        }
    }
    Some(head)
}

/// Somebody with this configuration of the engine's client, and with a helper of this name in PATH if there is a script.
fn with_client(place: &Place, seat: &Seat, config: &Value, helper: Option<&str>) -> Seat {
    let folder = place.path("docker");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("config.json"), config.to_string()).unwrap();
    let program = place.path("bin").join("docker-credential-foreign");
    let _ = std::fs::remove_file(&program);
    if let Some(lines) = helper {
        script(&program, &format!("#!/bin/sh\nread -r server\n{lines}\n"));
    }
    let path = format!("{}:{}", place.path("bin").display(), binaries::get().path);
    seat.clone().with("DOCKER_CONFIG", folder.to_string_lossy()).with("PATH", path)
}

/// What a helper prints that knows the account of one server.
fn knows(server: &str) -> String {
    let answer = json!({"ServerURL": server, "Username": ACCOUNT.0, "Secret": ACCOUNT.1});
    format!("if [ \"$server\" = '{server}' ]; then echo '{answer}'; else {UNKNOWN}; fi")
}

fn in_a_file(server: &str, password: &str) -> Value {
    json!({"auths": {server: {"auth": STANDARD.encode(format!("{}:{password}", ACCOUNT.0))}}})
}

/// Images are built, pushed and held where the client's configuration names a helper that is gone, or that fails.
pub async fn a_left_over_helper_keeps_no_image_from_being_built(place: &Place) -> Shown {
    let seat = place.seat("one").await;
    let format = "{{range .ClientInfo.Plugins}}{{if eq .Name \"buildx\"}}{{.Path}}{{end}}{{end}}";
    let plugin = docker(&["info", "--format", format]).await;
    std::fs::create_dir_all(place.path("docker/cli-plugins")).unwrap();
    std::os::unix::fs::symlink(plugin, place.path("docker/cli-plugins/docker-buildx")).unwrap();
    for helper in [None, Some("echo the keychain is locked >&2; exit 1")] {
        let seat = with_client(place, &seat, &json!({"credsStore": "foreign"}), helper);
        seat.suite(&IMAGES).run().await.passes(&format!("a scenario about images with the helper {helper:?}"));
    }
    "images were built, pushed and pulled with a helper that is gone, and with one that fails".into()
}

/// Whoever may pull without an account needs none; else the account counts, wherever it is kept, and what kept it away is said.
pub async fn an_account_is_asked_for_where_a_token_needs_one(place: &Place) -> Shown {
    let Some(registry) = Registry::start(place).await else { return Shown::Nothing(NO_REGISTRY) };
    let (seat, address) = (place.seat("one").await, registry.address.clone());
    let left_over = json!({"credsStore": "foreign"});
    let fails = format!("echo {}; exit 1", ACCOUNT.1);
    let none = "wants credentials, and there are none";
    for (what, helper, says) in [
        ("is gone", None, "docker-credential-foreign"),
        ("fails", Some(fails.as_str()), "the credential helper docker-credential-foreign fails (exit status: 1)"),
        ("knows none", Some(UNKNOWN), "names no account for it"),
    ] {
        let seat = with_client(place, &seat, &left_over, helper);
        let ran = registry.check(place, &seat, &address, &registry.open).await;
        ran.passes(&format!("an image for everybody with a helper that {what}"));
        let ran = registry.check(place, &seat, &address, &registry.closed).await;
        ran.refuses(&format!("an image for the account with a helper that {what}"), &[none, says]);
    }
    let logged_in = seat.clone().with("DOCKER_CONFIG", place.path("logged-in").to_string_lossy());
    let ran = registry.check(place, &logged_in, &address, &registry.closed).await;
    ran.passes("an image for the account, after docker login");
    let helped = with_client(place, &seat, &left_over, Some(&knows(&address)));
    let ran = registry.check(place, &helped, &address, &registry.closed).await;
    ran.passes("an image for the account, which a helper knows");
    let wrong = with_client(place, &seat, &in_a_file(&address, "wrong"), None);
    let ran = registry.check(place, &wrong, &address, &registry.closed).await;
    ran.refuses("an image for the account with a wrong password", &["refuses the credentials of robot"]);
    // Another name of this machine is another registry, which needs no certificate either.
    let named = address.replace("127.0.0.1", "localhost");
    let local = with_client(place, &seat, &in_a_file(&named, ACCOUNT.1), None);
    registry.check(place, &local, &named, &registry.closed).await.passes("an image for the account at localhost");
    let asked = registry.asked.lock().unwrap().join("\n");
    for one in ["robot without a scope", "nobody repository:open/thing:pull", "robot repository:closed/thing:pull"] {
        assert!(asked.contains(one), "no token was asked for by {one}:\n{asked}");
    }
    "tokens with and without an account; what a helper did not give is named where the account was needed".into()
}

/// A proxy behind which the three names of Docker Hub are this registry, with certificates that a file has us trust.
async fn serve_hub(place: &Place, registry: String) -> (String, PathBuf, Arc<Mutex<Vec<String>>>) {
    harness_http::install_tls();
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(HUB.map(str::to_owned)).unwrap();
    let authority = place.path("hub.pem");
    std::fs::write(&authority, cert.pem()).unwrap();
    let key = signing_key.serialize_der().try_into().unwrap();
    let config = rustls::ServerConfig::builder().with_no_client_auth();
    let tls = TlsAcceptor::from(Arc::new(config.with_single_cert(vec![cert.der().clone()], key).unwrap()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (tls, registry, noted) = (tls.clone(), registry.clone(), Arc::clone(&noted));
            tokio::spawn(async move {
                let mut stream = BufReader::new(stream);
                let head = head(&mut stream).await?;
                let host = head.strip_prefix("CONNECT ")?.split(':').next()?.to_owned();
                noted.lock().unwrap().push(host.clone());
                // Whatever else is behind the proxy is away.
                let is_hub = HUB.contains(&host.as_str());
                let answer = if is_hub { "HTTP/1.1 200 OK\r\n\r\n" } else { "HTTP/1.1 502 Bad Gateway\r\n\r\n" };
                stream.write_all(answer.as_bytes()).await.ok()?;
                let mut stream = tls.accept(stream.into_inner()).await.ok().filter(|_| is_hub)?;
                let mut there = TcpStream::connect(&registry).await.ok()?;
                tokio::io::copy_bidirectional(&mut stream, &mut there).await.ok()
            });
        }
    });
    (address, authority, asked)
}

/// `docker login` writes one account for all of them, and so do the settings.
pub async fn the_hub_has_one_account_under_its_three_names(place: &Place) -> Shown {
    let Some(registry) = Registry::start(place).await else { return Shown::Nothing(NO_REGISTRY) };
    let (proxy, authority, asked) = serve_hub(place, registry.address.clone()).await;
    let seat = place.seat("one").await.with("HTTPS_PROXY", &proxy).with("NO_PROXY", "");
    let seat = seat.with("JETSCALE_CA_BUNDLE", authority.to_string_lossy());
    let by_helper = knows(KEY_OF_HUB);
    for name in HUB {
        let nobody = with_client(place, &seat, &json!({}), None);
        let ran = registry.check(place, &nobody, name, &registry.closed).await;
        ran.refuses(&format!("an image of {name} without an account"), &["wants credentials, and there are none"]);
        let in_file = with_client(place, &seat, &in_a_file(KEY_OF_HUB, ACCOUNT.1), None);
        let ran = registry.check(place, &in_file, name, &registry.closed).await;
        ran.passes(&format!("an image of {name} with the account that docker login wrote"));
        for config in [json!({"credsStore": "foreign"}), json!({"credHelpers": {KEY_OF_HUB: "foreign"}})] {
            let helped = with_client(place, &seat, &config, Some(&by_helper));
            let ran = registry.check(place, &helped, name, &registry.closed).await;
            ran.passes(&format!("an image of {name} with the account that a helper keeps by {config}"));
        }
        for set in HUB {
            let settings = with_client(place, &seat, &json!({}), None).with("JETSCALE_REGISTRY_SERVER", set);
            let settings = settings.with("JETSCALE_REGISTRY_USERNAME", ACCOUNT.0);
            let settings = settings.with("JETSCALE_REGISTRY_PASSWORD", ACCOUNT.1);
            let ran = registry.check(place, &settings, name, &registry.closed).await;
            ran.passes(&format!("an image of {name} with the account that is set for {set}"));
        }
    }
    let asked = asked.lock().unwrap().clone();
    assert!(asked.iter().all(|host| HUB.contains(&host.as_str())) && !asked.is_empty(), "{asked:?}");
    "its account in a file, with a helper and in settings, by whichever name".into()
}

/// The library copies an image there, whose first question is for a part of it.
pub async fn the_hub_takes_an_image_by_its_account(place: &Place) -> Shown {
    let Some(registry) = Registry::start(place).await else { return Shown::Nothing(NO_REGISTRY) };
    let (proxy, authority, _) = serve_hub(place, registry.address.clone()).await;
    std::fs::create_dir_all(place.path("docker")).unwrap();
    let accounts = json!({"auths": {
        &registry.address: in_a_file("", ACCOUNT.1)["auths"][""],
        KEY_OF_HUB: in_a_file("", ACCOUNT.1)["auths"][""],
    }});
    std::fs::write(place.path("docker/config.json"), accounts.to_string()).unwrap();
    let variables = [
        ("HTTPS_PROXY", proxy),
        ("JETSCALE_CA_BUNDLE", authority.to_string_lossy().into_owned()),
        ("DOCKER_CONFIG", place.path("docker").to_string_lossy().into_owned()),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value)).into();
    let credentials = RegistryCredentials::of(&Settings::parse(&variables)).unwrap();
    let from: Reference = format!("{}/{}", registry.address, registry.closed).parse().unwrap();
    for name in HUB {
        // A repository of its own each time: what is there already is not sent again.
        let repository = format!("{name}/copied/from-{}", name.replace('.', "-"));
        let to = Reference { repository, ..from.clone() };
        let copied = harness::artifacts::copy(&from, &to, &credentials).await;
        assert!(copied.is_ok(), "no copy to {name}: {}", copied.unwrap_err().report());
    }
    "an image was copied there by each of its names".into()
}
