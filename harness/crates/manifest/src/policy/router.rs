//! Rules about the router's configuration: routes, headers and logs, limits.

use harness_http::ContentSecurityPolicy;
use harness_settings::spec::spec;
use regex_lite::Regex;

use super::pod;
use crate::finding::Finding;
use crate::nginx::{self, Directive};
use crate::object::{Node, Rendered};

/// The directives of folders that nginx writes to (nginx.org, "http core": *_temp_path).
const TEMP: [&str; 5] =
    ["client_body_temp_path", "proxy_temp_path", "fastcgi_temp_path", "uwsgi_temp_path", "scgi_temp_path"];
/// Parts of a request that may hold a secret, and must not be in a log line.
const TOLD: [&str; 7] =
    ["$request ", "$request\"", "$request_uri", "$args", "$query_string", "$arg_", "$http_authorization"];
/// Security headers: the name, the map entry that is meant where the value is a map's variable, and the text it must hold.
const HEADERS: [(&str, &str, &str); 8] = [
    ("Strict-Transport-Security", "https", "max-age=31536000; includeSubDomains"),
    ("Content-Security-Policy", "default", "default-src 'self'"),
    ("Cache-Control", "default", "no-cache"),
    ("X-Content-Type-Options", "", "nosniff"),
    ("X-Frame-Options", "", "DENY"),
    ("Referrer-Policy", "", "strict-origin-when-cross-origin"),
    ("Permissions-Policy", "", "camera=()"),
    ("Cross-Origin-Opener-Policy", "", "same-origin"),
];
/// Headers that tell the services about a request, with their values.
const FORWARDED: [(&str, &str); 7] = [
    ("Host", "$http_host"),
    ("X-Real-IP", "$remote_addr"),
    ("X-Forwarded-For", "$proxy_add_x_forwarded_for"),
    ("X-Forwarded-Proto", "$forwarded_proto"),
    ("X-Forwarded-Host", "$forwarded_host"),
    ("Upgrade", "$http_upgrade"),
    ("Connection", "$connection_upgrade"),
];
/// The router's own answers: the status, its location, the status that is sent, and the content type.
const PAGES: [(&str, &str, &str, &str); 5] = [
    ("404", "@not_found", "404", "text/plain"),
    ("413", "@too_large", "413", "application/json"),
    ("502", "@unavailable", "503", "text/plain"),
    ("503", "@unavailable", "503", "text/plain"),
    ("504", "@unavailable", "503", "text/plain"),
];
/// Content types of a page's files, by their ending.
const TYPES: [(&str, &str); 5] = [
    ("html", "text/html"),
    ("css", "text/css"),
    ("js", "text/javascript"),
    ("svg", "image/svg+xml"),
    ("json", "application/json"),
];

/// A router's parsed configuration.
struct Router {
    top: Vec<Directive>,
}

impl Router {
    fn http(&self) -> &[Directive] {
        nginx::find(&self.top, "http").map_or(&[], |http| &http.block)
    }

    fn server(&self) -> &[Directive] {
        nginx::find(self.http(), "server").map_or(&[], |server| &server.block)
    }

    /// The entries of the map behind a variable; a plain value is one entry with an empty key.
    fn meanings<'a>(&'a self, value: &'a str) -> Vec<(&'a str, &'a str)> {
        let map = self.http().iter().find(|one| one.name == "map" && one.arg(1) == value);
        let entries = |map: &'a Directive| map.block.iter().map(|one| (one.name.as_str(), one.arg(0))).collect();
        map.map_or_else(|| vec![("", value)], entries)
    }
}

/// The findings of a check in each router's configuration; one that does not parse is a finding itself.
fn each(rendered: &Rendered, check: impl Fn(&Router, &mut Vec<String>)) -> Vec<Finding> {
    let is_router = |object: &&crate::Object| {
        object.kind() == "ConfigMap"
            && object.root().at(&["metadata", "labels", spec().charts.component_label]).text() == spec().router.label
    };
    let mut findings = Vec::new();
    for at in rendered.objects.iter().filter(is_router).map(|object| object.root().at(&["data", "nginx.conf"])) {
        let mut wrong = Vec::new();
        match nginx::parse(at.text()) {
            Ok(top) if top.is_empty() => wrong.push("there is no configuration".to_owned()),
            Ok(top) => check(&Router { top }, &mut wrong),
            Err(error) => wrong.push(error),
        }
        findings.extend(wrong.into_iter().map(|what| at.finding(what)));
    }
    findings
}

/// Rule: each path is answered by the component that the contract says; every upstream is a Service of the release.
pub fn routes(rendered: &Rendered) -> Vec<Finding> {
    each(rendered, |router, wrong| {
        let locations = Location::all(router.server());
        for (path, component) in spec().routing.routes {
            let location = Location::of(&locations, path);
            let upstream =
                location.and_then(|location| nginx::find(&location.block, "proxy_pass")).map(|pass| pass.arg(0));
            match (upstream, component) {
                (None, None) => {
                    let tries = location.and_then(|location| nginx::find(&location.block, "try_files"));
                    let ends = tries.and_then(|tries| tries.args.last()).is_some_and(|last| last.text == "=404");
                    if !(ends && tries.is_some_and(|tries| tries.arg(0) == "$uri" && tries.arg(1) == "$uri/index.html"))
                    {
                        wrong.push(format!("{path} is no file of the page, or 404"));
                    }
                }
                (Some(to), Some(component)) if leads_to(router, rendered, to, component.suffix) => {}
                (to, component) => {
                    let wanted = component.map_or("the page", |component| component.label);
                    wrong.push(format!("{path} leads to {}, and it is of {wanted}", to.unwrap_or("the page")));
                }
            }
        }
        for upstream in router.http().iter().filter(|one| one.name == "upstream") {
            let servers: Vec<_> = upstream.block.iter().filter(|one| one.name == "server").collect();
            // Tried once more, and never marked as failed: the Service knows which pods are ready.
            if servers.len() != 2 || servers.iter().any(|server| server.arg(1) != "max_fails=0") {
                wrong.push(format!(
                    "upstream {} does not name its Service twice with max_fails=0: a pod that goes is a failure",
                    upstream.arg(0)
                ));
            }
        }
        let errors = router.server().iter().filter(|one| one.name == "error_page");
        let told: Vec<&str> = errors.flat_map(|one| one.args.iter().map(|arg| arg.text.as_str())).collect();
        for (status, at, answer, kind) in PAGES {
            let page = router.server().iter().find(|one| one.name == "location" && one.arg(0) == at);
            let says = page.and_then(|page| nginx::find(&page.block, "return"));
            let internal = page.is_some_and(|page| nginx::find(&page.block, "internal").is_some());
            let plain = page.is_some_and(|page| {
                let types = nginx::find(&page.block, "types").is_some_and(|types| types.block.is_empty());
                types && nginx::find(&page.block, "default_type").is_some_and(|one| one.arg(0) == kind)
            });
            if !plain {
                wrong.push(format!("the text of {status} is sent as what the path's ending says"));
            }
            if !told.contains(&status)
                || !told.contains(&at)
                || says.is_none_or(|says| says.arg(0) != answer)
                || !internal
            {
                wrong.push(format!("{status} is answered by nginx's own page, which carries its name"));
            }
        }
    })
}

/// A `location` of a server.
struct Location<'a> {
    directive: &'a Directive,
    /// The location's regular expression, if it has one.
    expression: Option<Regex>,
}

impl<'a> Location<'a> {
    fn all(server: &'a [Directive]) -> Vec<Self> {
        let locations = server.iter().filter(|one| one.name == "location");
        let expression = |one: &Directive| (one.arg(0) == "~").then(|| Regex::new(one.arg(1)).ok()).flatten();
        locations.map(|directive| Self { expression: expression(directive), directive }).collect()
    }

    /// The location that nginx takes for a path: the first matching expression, else the longest prefix.
    fn of(all: &[Self], path: &str) -> Option<&'a Directive> {
        let matches = |one: &&Self| one.expression.as_ref().is_some_and(|expression| expression.is_match(path));
        let prefix = |one: &&Self| one.directive.args.len() == 1 && path.starts_with(one.directive.arg(0));
        let longest = || all.iter().filter(prefix).max_by_key(|one| one.directive.arg(0).len());
        all.iter().find(matches).or_else(longest).map(|one| one.directive)
    }
}

/// Whether all servers of an upstream are a component's Service.
fn leads_to(router: &Router, rendered: &Rendered, to: &str, suffix: &str) -> bool {
    let name = to.strip_prefix("http://").unwrap_or_default();
    let upstream = router.http().iter().find(|one| one.name == "upstream" && one.arg(0) == name);
    let servers: Vec<&Directive> =
        upstream.iter().flat_map(|one| one.block.iter()).filter(|one| one.name == "server").collect();
    let is_service = |server: &&Directive| {
        let Some((host, port)) = server.arg(0).split_once(':') else { return false };
        let service = rendered.objects.iter().find(|object| object.kind() == "Service" && object.name() == host);
        let ports = service.map(|service| service.root().at(&["spec", "ports"]));
        let opens = ports.is_some_and(|ports| ports.items().any(|one| is_port(&one.get("port"), port)));
        host == format!("{}-{suffix}", rendered.release) && opens
    };
    !servers.is_empty() && servers.iter().all(is_service)
}

/// Rule: answers and logs have no version and no secret of a request, and answers have the security headers.
pub fn tells(rendered: &Rendered) -> Vec<Finding> {
    each(rendered, |router, wrong| {
        let http = router.http();
        let is = |name: &str, value: &str| nginx::find(http, name).is_some_and(|one| one.arg(0) == value);
        if !is("server_tokens", "off") {
            wrong.push("server_tokens is not off: every answer carries nginx's version".to_owned());
        }
        if !is("absolute_redirect", "off") {
            wrong.push("absolute_redirect is not off: a redirect leads to the container's port".to_owned());
        }
        let format = http.iter().find(|one| one.name == "log_format" && one.arg(0) == "main");
        let line: String =
            format.iter().flat_map(|one| one.args.iter().skip(1)).map(|arg| format!("{} ", arg.text)).collect();
        if !["$uri", "$status", "$remote_addr", "$upstream_status", "$request_time"]
            .iter()
            .all(|part| line.contains(part))
        {
            wrong.push("a log line does not say who asked for what, and what became of it".to_owned());
        }
        wrong.extend(
            TOLD.iter()
                .filter(|part| line.contains(**part))
                .map(|part| format!("a log line has {part}, and with it the token of a query")),
        );
        let access = nginx::find(http, "access_log").map(Directive::head).unwrap_or_default();
        if !access.starts_with("access_log /dev/stdout main") {
            wrong.push("access_log does not go to the pod's log by that format".to_owned());
        }
        if !nginx::find(&router.top, "error_log").is_some_and(|one| one.arg(0) == "stderr" && one.arg(1) == "warn") {
            wrong.push("error_log does not go to the pod's log".to_owned());
        }
        let sent: Vec<_> = router.server().iter().filter(|one| one.name == "add_header").collect();
        let meanings = |name: &str| {
            let header = sent.iter().find(|one| one.arg(0) == name && one.arg(2) == "always");
            header.map(|header| router.meanings(header.arg(1))).unwrap_or_default()
        };
        for (name, entry, part) in HEADERS {
            if !meanings(name).iter().any(|(key, value)| *key == entry && value.contains(part)) {
                wrong.push(format!("{name} is not sent with every answer, with {part}"));
            }
        }
        let policies = meanings("Content-Security-Policy");
        if policies.iter().any(|(_, policy)| is_open(policy)) {
            wrong.push("a Content-Security-Policy lets anybody's scripts run, or anybody frame the page".to_owned());
        }
        if let Some((path, origin)) = spec().routing.scripts_from {
            let expression = format!("~^{path}");
            if !policies.iter().any(|(key, policy)| key.starts_with(&expression) && policy.contains(origin)) {
                wrong.push(format!("the policy of {path} does not let it load scripts from {origin}"));
            }
        }
        if !meanings("Strict-Transport-Security").contains(&("default", "")) {
            wrong.push("HSTS is sent over plain HTTP".to_owned());
        }
        let kept = meanings("Cache-Control");
        if !kept.iter().any(|(_, value)| value.split(", ").eq(["public", "max-age=31536000", "immutable"])) {
            wrong.push("a file with a hash in its name is asked for again and again".to_owned());
        }
        if nginx::all(router.server())
            .iter()
            .filter(|one| one.name == "location")
            .any(|one| nginx::find(&one.block, "add_header").is_some())
        {
            wrong.push("a location with an add_header of its own drops all others".to_owned());
        }
        let types = nginx::find(http, "types").map_or(&[][..], |types| &types.block);
        for (ending, kind) in TYPES {
            let known = types.iter().any(|one| one.name == kind && one.args.iter().any(|arg| arg.text == ending));
            if !known {
                wrong.push(format!("a file .{ending} is not {kind}"));
            }
        }
        let packed: Vec<&str> = nginx::find(http, "gzip_types")
            .iter()
            .flat_map(|one| one.args.iter())
            .map(|arg| arg.text.as_str())
            .collect();
        if !is("gzip", "on")
            || !["text/css", "text/javascript", "application/json", "image/svg+xml"]
                .iter()
                .all(|kind| packed.contains(kind))
        {
            wrong.push("text is sent whole, which takes several times as long".to_owned());
        }
    })
}

/// Whether a policy allows sources that it does not name.
fn is_open(text: &str) -> bool {
    const CLOSED: [(&str, &str); 4] =
        [("default-src", "'self'"), ("object-src", "'none'"), ("base-uri", "'none'"), ("frame-ancestors", "'none'")];
    let policy = ContentSecurityPolicy::parse(text);
    text.split([';', ' ']).any(|word| matches!(word, "*" | "'unsafe-eval'" | "http:" | "https:"))
        || CLOSED.iter().any(|(directive, source)| !policy.allows_alone(directive, source))
}

/// Rule: timeouts, sizes, forwarded headers, ports and writable paths are right.
pub fn limits(rendered: &Rendered) -> Vec<Finding> {
    each(rendered, |router, wrong| {
        let http = router.http();
        let value = |name: &str| nginx::find(http, name).map_or("", |one| one.arg(0));
        let mut within = |name: &str, text: &str, least: u64, most: u64, why: &str| {
            if !seconds(text).is_some_and(|secs| (least..=most).contains(&secs)) {
                wrong.push(format!("{name} is {text:?}, not {least} to {most} s: {why}"));
            }
        };
        within("proxy_connect_timeout", value("proxy_connect_timeout"), 1, 10, "a pod that is gone is told late");
        within(
            "proxy_read_timeout",
            value("proxy_read_timeout"),
            30,
            // A debugger may hold an answer at a breakpoint.
            if rendered.dev { 3600 } else { 120 },
            "a slow answer is cut, or a dead one waited for",
        );
        within("proxy_send_timeout", value("proxy_send_timeout"), 10, 120, "a slow upload is cut");
        within("proxy_next_upstream_timeout", value("proxy_next_upstream_timeout"), 2, 30, "a second try never ends");
        within(
            "client_header_timeout",
            value("client_header_timeout"),
            5,
            60,
            "whoever sends nothing holds a connection",
        );
        within(
            "client_body_timeout",
            value("client_body_timeout"),
            10,
            120,
            "whoever sends nothing holds a connection",
        );
        within(
            "keepalive_timeout",
            value("keepalive_timeout"),
            61,
            300,
            "a load balancer keeps connections for 60 s, and would use one that is closed",
        );
        if let Some(path) = spec().routing.websocket {
            let locations = Location::all(router.server());
            let socket = Location::of(&locations, path).map_or(&[][..], |location| &location.block);
            for name in ["proxy_read_timeout", "proxy_send_timeout"] {
                let text = nginx::find(socket, name).map_or(value(name), |one| one.arg(0));
                within(&format!("{name} of a WebSocket"), text, 600, 86_400, "a silent WebSocket is cut");
            }
        }
        let shutdown = nginx::find(&router.top, "worker_shutdown_timeout").map_or("", |one| one.arg(0));
        within("worker_shutdown_timeout", shutdown, 5, 12, "what was begun is cut, or the pod is killed first");
        let body = value("client_max_body_size");
        let routing = &spec().routing;
        if bytes(body) != Some(routing.body_bytes) {
            let meant = routing.body_bytes;
            wrong.push(format!("client_max_body_size is {body:?}, not {meant} bytes, as the api has it"));
        }
        let attachments = Location::of(&Location::all(router.server()), routing.attachment);
        let body = attachments.and_then(|location| nginx::find(&location.block, "client_max_body_size"));
        let (body, (least, most)) =
            (body.map_or(value("client_max_body_size"), |one| one.arg(0)), routing.attachment_bytes);
        if !bytes(body).is_some_and(|size| (least..=most).contains(&size)) {
            wrong.push(format!("client_max_body_size of attachments is {body:?}, not {least} to {most} bytes: one is refused, or its refusal lost"));
        }
        let pid = nginx::find(&router.top, "pid").map_or("", |one| one.arg(0));
        for (name, path) in TEMP.iter().map(|name| (*name, value(name))).chain([("pid", pid)]) {
            if !path.starts_with("/tmp/") {
                wrong.push(format!("{name} is {path:?}: the root file system is read-only, /tmp is not"));
            }
        }
        let told: Vec<(&str, &str)> =
            http.iter().filter(|one| one.name == "proxy_set_header").map(|one| (one.arg(0), one.arg(1))).collect();
        for header in FORWARDED {
            if !told.contains(&header) {
                wrong.push(format!("a service is not told {} as {}", header.0, header.1));
            }
        }
        if value("proxy_http_version") != "1.1" {
            wrong.push("proxy_http_version is not 1.1: no WebSocket opens".to_owned());
        }
        if value("proxy_next_upstream") != "error" || value("proxy_next_upstream_tries") != "2" {
            wrong.push("a connection that fails is not tried once more, or more than once".to_owned());
        }
        let no_store = spec().routing.no_store.map(|expression| [(expression, "no-store")]);
        let no_store = no_store.as_ref().map(|pairs| (CACHE_CONTROL, &pairs[..]));
        for (variable, pairs) in MAPS.iter().copied().chain(no_store) {
            let map = http.iter().find(|one| one.name == "map" && one.arg(1) == variable);
            let has = |(key, value): &(&str, &str)| {
                map.is_some_and(|map| map.block.iter().any(|one| one.name == *key && one.arg(0) == *value))
            };
            if !pairs.iter().all(has) {
                wrong.push(format!("{variable} is not {pairs:?}"));
            }
        }
        listens(router, rendered, wrong);
        starts(router, wrong);
    })
}

/// The variable of the map that says what caches may keep.
const CACHE_CONTROL: &str = "$cache_control";

/// Maps whose errors only users would notice, with the entries that they must have.
const MAPS: &[(&str, &[(&str, &str)])] = &[
    ("$connection_upgrade", &[("default", "upgrade"), ("", "close")]),
    ("$forwarded_proto", &[("default", "$http_x_forwarded_proto"), ("", "$scheme")]),
    ("$forwarded_host", &[("default", "$http_x_forwarded_host"), ("", "$http_host")]),
    ("$loggable", &[("default", "1"), ("~^kube-probe/", "0")]),
    (CACHE_CONTROL, &[("default", "no-cache"), ("~^[^:]", "")]),
];

/// Collects faults of the listening port, which must be the container's, and of the page's folder.
fn listens(router: &Router, rendered: &Rendered, wrong: &mut Vec<String>) {
    let port = nginx::find(router.server(), "listen").map_or("", |one| one.arg(0));
    let routers = rendered.objects.iter().filter_map(pod);
    let is_router =
        |pod: &Node<'_>| pod.at(&["metadata", "labels", spec().charts.component_label]).text() == spec().router.label;
    let opens = routers.filter(is_router).flat_map(|pod| pod.at(&["spec", "containers"]).items().collect::<Vec<_>>());
    let mut ports = opens.flat_map(|container| container.get("ports").items().collect::<Vec<_>>());
    if !ports.any(|one| is_port(&one.get("containerPort"), port)) {
        wrong.push(format!("it listens at {port:?}, which its container does not open"));
    }
    let root = nginx::find(router.server(), "root").map_or("", |one| one.arg(0));
    let index = nginx::find(router.server(), "index").map_or("", |one| one.arg(0));
    if (root, index) != ("/usr/share/nginx/html", "index.html") {
        wrong
            .push(format!("the page is {root:?}, {index:?}, and the image has it as /usr/share/nginx/html/index.html"));
    }
}

fn is_port(node: &Node<'_>, text: &str) -> bool {
    node.value.as_u64().is_some_and(|port| text.parse() == Ok(port))
}

/// Directives whose value is `on` or `off` (nginx.org).
const FLAGS: [&str; 6] = ["absolute_redirect", "gzip", "gzip_vary", "sendfile", "server_tokens", "tcp_nopush"];
/// nginx's own variables that a router's configuration uses; those of `http_…` and `upstream_…` are known too.
const VARIABLES: [&str; 13] = [
    "body_bytes_sent",
    "http_host",
    "proxy_add_x_forwarded_for",
    "remote_addr",
    "request",
    "request_method",
    "request_time",
    "scheme",
    "status",
    "uri",
    "host",
    "args",
    "request_uri",
];

/// Collects faults for which nginx would not start; here they are found in seconds.
fn starts(router: &Router, wrong: &mut Vec<String>) {
    let all = nginx::all(&router.top);
    if nginx::find(&router.top, "events").is_none() {
        wrong.push("there is no events section: nginx does not start".to_owned());
    }
    for flag in all.iter().filter(|one| FLAGS.contains(&one.name.as_str()) && !matches!(one.arg(0), "on" | "off")) {
        wrong.push(format!("{} is neither on nor off: nginx does not start", flag.head()));
    }
    let maps: Vec<&str> =
        all.iter().filter(|one| one.name == "map").map(|one| one.arg(1).trim_start_matches('$')).collect();
    let is_known = |name: &str| {
        maps.contains(&name) || VARIABLES.contains(&name) || name.starts_with("http_") || name.starts_with("upstream_")
    };
    // In a regular expression a dollar is the end of the text.
    let texts = all.iter().filter(|one| !(one.name == "location" && one.arg(0) == "~")).flat_map(|one| one.args.iter());
    for text in texts.filter(|argument| !argument.text.starts_with('~')) {
        for part in text.text.split('$').skip(1) {
            let end =
                part.find(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_')).unwrap_or(part.len());
            let name = &part[..end];
            if !name.is_empty() && !is_known(name) {
                wrong.push(format!("nobody knows the variable ${name}: nginx does not start"));
            }
        }
    }
}

/// A time of nginx in seconds; `None` for other forms.
fn seconds(text: &str) -> Option<u64> {
    let unit = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..unit].parse().ok()?;
    match &text[unit..] {
        "" | "s" => Some(number),
        "m" => Some(number * 60),
        "h" => Some(number * 3600),
        _ => None,
    }
}

/// A size of nginx in bytes; `None` for other forms.
fn bytes(text: &str) -> Option<u64> {
    let unit = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..unit].parse().ok()?;
    match text[unit..].to_ascii_lowercase().as_str() {
        "" => Some(number),
        "k" => Some(number << 10),
        "m" => Some(number << 20),
        _ => None,
    }
}
