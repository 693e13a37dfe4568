//! Tests of the policy: a release that breaks no rule, and for each rule changes that it must find.

use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::types;

const HEX: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// A release with a Deployment with an init container, a StatefulSet, and their objects; words in capitals stand for
/// [`WORDS`].
const RELEASE: &str = r#"
---
# Source: app/templates/web.yaml
apiVersion: apps/v1
kind: Deployment
metadata: {name: r-web, labels: {LABELS, app.kubernetes.io/component: web, helm.sh/chart: app-0.1.0}}
spec:
  revisionHistoryLimit: 3
  progressDeadlineSeconds: 300
  strategy: {type: RollingUpdate, rollingUpdate: {maxUnavailable: 0, maxSurge: 1}}
  selector: {matchLabels: {app: web}}
  template:
    metadata:
      labels: {LABELS, app.kubernetes.io/component: web, app: web, part: r}
      annotations: {conf: CONFHASH}
    spec:
      serviceAccountName: r-web
      automountServiceAccountToken: false
      enableServiceLinks: false
      securityContext: POD
      topologySpreadConstraints:
        - {topologyKey: zone, maxSkew: 1, whenUnsatisfiable: ScheduleAnyway, labelSelector: {matchLabels: {app: web}}}
      volumes:
        - {name: conf, configMap: {name: r-web}}
        - {name: tmp, emptyDir: {sizeLimit: 64Mi}}
      initContainers:
        - name: first
          image: r.internal/web@sha256:HEX
          resources: RESOURCES
          securityContext: SECURITY
          terminationMessagePolicy: FallbackToLogsOnError
      containers:
        - name: web
          image: r.internal/web@sha256:HEX
          env:
            - {name: DB_PASSWORD, valueFrom: {secretKeyRef: {name: r-auth, key: db}}}
            - {name: TOKEN_TTL_SECS, value: "60"}
            - {name: DB_URL, value: "postgres://shop@r-db:5432/x"}
          ports: [{name: http, containerPort: 8080}]
          startupProbe: STARTS
          readinessProbe: SERVES
          livenessProbe: LIVES
          resources: RESOURCES
          securityContext: SECURITY
          terminationMessagePolicy: FallbackToLogsOnError
          volumeMounts:
            - {name: conf, mountPath: /etc/nginx/nginx.conf, subPath: nginx.conf, readOnly: true}
            - {name: tmp, mountPath: /tmp}
---
# Source: app/templates/db.yaml
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: r-db, labels: {LABELS, app.kubernetes.io/component: db, helm.sh/chart: app-0.1.0}}
spec:
  serviceName: r-db
  revisionHistoryLimit: 3
  podManagementPolicy: Parallel
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {LABELS, app.kubernetes.io/component: db, app: db, part: r}}
    spec:
      serviceAccountName: r-db
      automountServiceAccountToken: false
      enableServiceLinks: false
      securityContext: POD
      containers:
        - name: db
          image: r.internal/db@sha256:HEX
          ports: [{name: sql, containerPort: 5432}]
          startupProbe: STARTS
          readinessProbe: SERVES
          livenessProbe: LIVES
          resources: RESOURCES
          securityContext: SECURITY
          terminationMessagePolicy: FallbackToLogsOnError
---
# Source: app/templates/web.yaml
apiVersion: v1
kind: Service
metadata: {name: r-web, labels: {LABELS, app.kubernetes.io/component: web, helm.sh/chart: app-0.1.0}}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: http}]}
---
# Source: app/templates/db.yaml
apiVersion: v1
kind: Service
metadata: {name: r-db, labels: {LABELS, app.kubernetes.io/component: db, helm.sh/chart: app-0.1.0}}
spec: {selector: {app: db}, ports: [{port: 5432}]}
---
# Source: app/templates/web.yaml
apiVersion: v1
kind: ServiceAccount
metadata: {name: r-web, labels: {LABELS, app.kubernetes.io/component: web, helm.sh/chart: app-0.1.0}}
automountServiceAccountToken: false
---
# Source: app/templates/db.yaml
apiVersion: v1
kind: ServiceAccount
metadata: {name: r-db, labels: {LABELS, app.kubernetes.io/component: db, helm.sh/chart: app-0.1.0}}
automountServiceAccountToken: false
---
# Source: app/templates/web.yaml
apiVersion: v1
kind: ConfigMap
metadata: {name: r-web, labels: {LABELS, app.kubernetes.io/component: web, helm.sh/chart: app-0.1.0}}
data: {nginx.conf: "server {}"}
---
# Source: app/templates/all.yaml
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: r-all, labels: {LABELS, app.kubernetes.io/component: all, helm.sh/chart: app-0.1.0}}
spec:
  podSelector:
    matchExpressions:
      - {key: app, operator: In, values: [db, web]}
---
# Source: app/templates/all.yaml
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: r, labels: {LABELS, app.kubernetes.io/component: all, helm.sh/chart: app-0.1.0}}
spec:
  tls: [{hosts: [pr-1.app.shop.ai]}]
  rules:
    - host: pr-1.app.shop.ai
      http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: r-frontend, port: {name: http}}}}]}
---
# Source: app/templates/web.yaml
apiVersion: v1
kind: Service
metadata: {name: r-frontend, labels: {LABELS, app.kubernetes.io/component: web, helm.sh/chart: app-0.1.0}}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: http}]}
"#;

/// Texts that stand in [`RELEASE`] more than once.
const WORDS: [(&str, &str); 8] = [
    (
        "LABELS",
        "app.kubernetes.io/name: app, app.kubernetes.io/instance: r, app.kubernetes.io/managed-by: Helm, app.kubernetes.io/part-of: r",
    ),
    ("STARTS", "{httpGet: {path: /, port: http}, periodSeconds: 1, timeoutSeconds: 2, failureThreshold: 120}"),
    ("SERVES", "{httpGet: {path: /, port: http}, periodSeconds: 2, timeoutSeconds: 4, failureThreshold: 5}"),
    ("LIVES", "{httpGet: {path: /, port: http}, timeoutSeconds: 5, failureThreshold: 6}"),
    ("POD", "{runAsNonRoot: true, runAsUser: 5, runAsGroup: 5, fsGroup: 5, seccompProfile: {type: RuntimeDefault}}"),
    ("RESOURCES", "{requests: {cpu: 10m, memory: 8Mi}, limits: {memory: 16Mi}}"),
    ("SECURITY", "{allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}"),
    ("HEX", HEX),
];

fn release(dev: bool) -> Rendered {
    let text = WORDS.iter().fold(RELEASE.to_owned(), |text, (word, meaning)| text.replace(word, meaning));
    let text = text.replace("CONFHASH", &harness_base::hash::text("server {}"));
    Rendered::parse(&text, ("shop", "r"), dev)
}

/// Sets the value at a JSON pointer in the object of a kind and name; null removes it, and without a pointer the value is a
/// new object.
fn change(rendered: &mut Rendered, object: &str, pointer: &str, value: Value) {
    if pointer.is_empty() {
        rendered.objects.push(Object { value, template: String::new() });
        return;
    }
    let pointer = match pointer.split_at(1) {
        ("C", rest) => format!("/spec/template/spec/containers/0{rest}"),
        ("I", rest) => format!("/spec/template/spec/initContainers/0{rest}"),
        _ => pointer.to_owned(),
    };
    let named = |one: &&mut Object| format!("{} {}", one.kind(), one.name()) == object;
    let object = rendered.objects.iter_mut().find(named).unwrap();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let parent = object.value.pointer_mut(parent).unwrap();
    match (parent, value) {
        (Value::Array(list), value) => list[key.parse::<usize>().unwrap()] = value,
        (Value::Object(map), Value::Null) => drop(map.remove(key)),
        (Value::Object(map), value) => drop(map.insert(key.replace("~1", "/"), value)),
        (other, _) => panic!("{other} has nothing below it"),
    }
}

#[rstest]
#[case::elsewhere(false)]
#[case::in_dev(true)]
fn a_good_release_breaks_no_rule(#[case] dev: bool) {
    let rendered = release(dev);
    assert_eq!((rendered.objects.len(), rendered.broken.len()), (10, 0));
    assert_eq!(types::check(&rendered), []);
    assert_eq!(check(&rendered), []);
}

const WEB: &str = "Deployment r-web";
const DB: &str = "StatefulSet r-db";

/// A budget for the pods with that label.
fn budget(app: &str, most: u64) -> Value {
    json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "r-web"},
        "spec": {"maxUnavailable": most, "unhealthyPodEvictionPolicy": "AlwaysAllow", "selector": {"matchLabels": {"app": app}}}})
}

// A pointer that starts with C is below the first container, with I below the first init container. The last column says
// whether the rule applies in stage dev too.
#[rstest]
// images
#[case::tag("image-digest", WEB, "C/image", json!("r.internal/web:1.2"), false)]
#[case::short_digest("image-digest", WEB, "C/image", json!("web@sha256:12"), false)]
#[case::tag_of_an_init_container("image-digest", WEB, "I/image", json!("r.internal/web:1.2"), false)]
#[case::latest("image-latest", WEB, "C/image", json!("r.internal:5000/web:latest"), true)]
#[case::no_tag("image-latest", WEB, "C/image", json!("r.internal:5000/web"), true)]
#[case::latest_by_digest("image-latest", DB, "C/image", json!(format!("web:latest@sha256:{HEX}")), true)]
// probes, resources, command
#[case::not_ready("probes", WEB, "C/readinessProbe", json!(null), true)]
#[case::not_started("probes", DB, "C/startupProbe", json!(null), true)]
#[case::not_live("probes", WEB, "C/livenessProbe", json!(null), true)]
#[case::told_late("probe-timing", WEB, "C/livenessProbe/failureThreshold", json!(60), false)]
#[case::never_told("probe-timing", WEB, "C/livenessProbe/failureThreshold", json!(600), true)]
#[case::left_out_at_once("probe-timing", WEB, "C/readinessProbe/failureThreshold", json!(null), true)]
#[case::told_too_soon("probe-timing", DB, "C/startupProbe/failureThreshold", json!(null), true)]
#[case::one_second("probe-timing", WEB, "C/readinessProbe/timeoutSeconds", json!(null), true)]
#[case::fiction("resource-proportion", WEB, "C/resources/limits/memory", json!("1Gi"), true)]
#[case::below_its_request("resource-proportion", WEB, "C/resources/limits/memory", json!("4Mi"), true)]
#[case::too_large("resources-fit", WEB, "C/resources/requests/cpu", json!("2"), true)]
#[case::no_cpu("resources", WEB, "C/resources/requests/cpu", json!(null), true)]
#[case::no_memory("resources", WEB, "C/resources/requests/memory", json!(null), true)]
#[case::no_limit("resources", WEB, "I/resources/limits", json!(null), true)]
#[case::a_command("container-command", WEB, "C/command", json!(["sh"]), false)]
#[case::arguments("container-command", WEB, "I/args", json!(["--debug"]), false)]
// security
#[case::root("security-context", WEB, "/spec/template/spec/securityContext/runAsNonRoot", json!(null), true)]
#[case::own_root("security-context", WEB, "C/securityContext/runAsNonRoot", json!(false), true)]
#[case::user_zero("security-context", WEB, "C/securityContext/runAsUser", json!(0), true)]
#[case::escalation("security-context", WEB, "C/securityContext/allowPrivilegeEscalation", json!(null), true)]
#[case::capabilities("security-context", WEB, "I/securityContext/capabilities/drop", json!(["NET_RAW"]), true)]
#[case::given_back("security-context", WEB, "C/securityContext/capabilities/add", json!(["SYS_ADMIN"]), true)]
#[case::seccomp("security-context", WEB, "/spec/template/spec/securityContext/seccompProfile", json!({"type": "Unconfined"}), true)]
#[case::no_seccomp("security-context", DB, "/spec/template/spec/securityContext/seccompProfile", json!(null), true)]
#[case::privileged("security-context", DB, "C/securityContext/privileged", json!(true), true)]
#[case::host_pid("security-context", DB, "/spec/template/spec/hostPID", json!(true), true)]
#[case::host_path("security-context", WEB, "/spec/template/spec/volumes/0", json!({"name": "h", "hostPath": {"path": "/"}}), true)]
#[case::writable("read-only-root", WEB, "C/securityContext/readOnlyRootFilesystem", json!(false), false)]
#[case::writable_by_default("read-only-root", WEB, "I/securityContext/readOnlyRootFilesystem", json!(null), false)]
// accounts, users, tokens
#[case::token("no-token", WEB, "/spec/template/spec/automountServiceAccountToken", json!(null), true)]
#[case::token_of_an_account("no-token", "ServiceAccount r-web", "/automountServiceAccountToken", json!(true), true)]
#[case::shared_account("own-account", DB, "/spec/template/spec/serviceAccountName", json!("r-web"), true)]
#[case::service_links("no-service-links", WEB, "/spec/template/spec/enableServiceLinks", json!(null), true)]
#[case::other_group("one-user", WEB, "/spec/template/spec/securityContext/fsGroup", json!(6), true)]
#[case::always("pull", WEB, "C/imagePullPolicy", json!("Always"), true)]
// volumes
#[case::no_volume("mounts", WEB, "C/volumeMounts/1/name", json!("temp"), true)]
#[case::no_mount("mounts", WEB, "C/volumeMounts/1", json!({"name": "conf", "mountPath": "/x", "readOnly": true}), true)]
#[case::other_file("mounts", WEB, "C/volumeMounts/0/subPath", json!("nginx.cfg"), true)]
#[case::no_limit_of_scratch("volume-size", WEB, "/spec/template/spec/volumes/1/emptyDir", json!({}), true)]
#[case::scratch_for_nothing("volume-size", WEB, "/spec/template/spec/volumes/1/emptyDir/sizeLimit", json!("1Mi"), true)]
// updates
#[case::recreated("update", WEB, "/spec/strategy/type", json!("Recreate"), true)]
#[case::gone_first("update", WEB, "/spec/strategy/rollingUpdate/maxUnavailable", json!(1), true)]
#[case::no_way_back("update", WEB, "/spec/revisionHistoryLimit", json!(0), true)]
#[case::blocked("update", DB, "/spec/podManagementPolicy", json!(null), true)]
#[case::budget_for_one("disruption", "NetworkPolicy r-all", "", budget("web", 1), true)]
#[case::no_budget("disruption", WEB, "/spec/replicas", json!(2), true)]
#[case::old_configuration("configuration-rolls", "ConfigMap r-web", "/data/nginx.conf", json!("server { }"), true)]
#[case::nobody("spread", WEB, "/spec/replicas", json!(0), true)]
// labels
#[case::version_on_pods("labels", WEB, "/spec/template/metadata/labels/helm.sh~1chart", json!("app-0.1.0"), true)]
#[case::other_instance("labels", "Service r-db", "/metadata/labels/app.kubernetes.io~1instance", json!("s"), true)]
#[case::other_component("labels", "Service r-db", "/metadata/labels/app.kubernetes.io~1component", json!("web"), true)]
// secrets
#[case::password("literal-secret", WEB, "C/env/0", json!({"name": "DB_PASSWORD", "value": "x"}), true)]
#[case::key("literal-secret", WEB, "C/env/0", json!({"name": "jwtKey", "value": "x"}), true)]
#[case::in_a_url("literal-secret", WEB, "C/env/2/value", json!("postgres://u:p@r-db/x"), true)]
#[case::in_a_config_map("literal-secret", "ConfigMap r-web", "/data/api-token", json!("x"), true)]
#[case::private_key("literal-secret", "ConfigMap r-web", "/data/tls.pem", json!("-----BEGIN PRIVATE KEY-----"), true)]
#[case::secret("literal-secret", "ServiceAccount r-web", "/kind", json!("Secret"), true)]
// names
#[case::long_name("name-length", "NetworkPolicy r-all", "/metadata/name", json!("n".repeat(64)), true)]
#[case::long_stateful_set("name-length", DB, "/metadata/name", json!("n".repeat(53)), true)]
#[case::upper_case("name-length", "NetworkPolicy r-all", "/metadata/name", json!("All"), true)]
#[case::long_label("name-length", WEB, "/metadata/labels/app", json!("n".repeat(64)), true)]
#[case::label_of_a_pod("name-length", WEB, "/spec/template/metadata/labels/part", json!("front end"), true)]
#[case::long_port("name-length", WEB, "C/ports/0/name", json!("a-rather-long-port"), true)]
#[case::twice("unique", "NetworkPolicy r-all", "", json!({"kind": "Service", "apiVersion": "v1", "metadata": {"name": "r-db"}}), true)]
#[case::variable_twice("unique", WEB, "C/env/1/name", json!("DB_URL"), true)]
// exposure
#[case::no_host("ingress-host", "Ingress r", "/spec/rules/0/host", json!(null), true)]
#[case::empty_host("ingress-host", "Ingress r", "/spec/rules/0/host", json!(""), true)]
#[case::no_rule("ingress-host", "Ingress r", "/spec/rules", json!([]), true)]
#[case::other_host_with_tls("ingress-host", "Ingress r", "/spec/tls/0/hosts/0", json!("b.example"), true)]
#[case::node_port("node-port", "Service r-web", "/spec/type", json!("NodePort"), false)]
#[case::load_balancer("node-port", "Service r-web", "/spec/type", json!("LoadBalancer"), false)]
#[case::port_of_nodes("node-port", "Service r-web", "/spec/ports/0/nodePort", json!(30000), false)]
#[case::host_port("host-network", WEB, "C/ports/0/hostPort", json!(80), true)]
#[case::host_network("host-network", WEB, "/spec/template/spec/hostNetwork", json!(true), true)]
#[case::past_the_router("ingress-route", "Ingress r", "/spec/rules/0/http/paths/0/backend/service/name", json!("r-web"), true)]
#[case::a_part("ingress-route", "Ingress r", "/spec/rules/0/http/paths/0/path", json!("/api"), true)]
#[case::in_the_clear("ingress-tls", "Ingress r", "/spec/tls", json!(null), true)]
#[case::another_host("ingress-tls", "Ingress r", "/spec/rules/0/host", json!("app.shop.ai"), true)]
#[case::every_port("network-written-out", "NetworkPolicy r-all", "/spec/ingress", json!([{"from": [{"podSelector": {}}]}]), true)]
#[case::everybody("network-written-out", "NetworkPolicy r-all", "/spec/ingress", json!([{"ports": [{"port": 80}]}]), true)]
#[case::hook("hook", "ConfigMap r-web", "/metadata/annotations", json!({"helm.sh/hook": "pre-install"}), true)]
#[case::other_namespace("own-namespace", "ConfigMap r-web", "/metadata/namespace", json!("kube-system"), true)]
#[case::whole_cluster(
    "own-namespace", "NetworkPolicy r-all", "",
    json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "r"}}), true
)]
#[case::silent("last-words", WEB, "/spec/template/spec/containers/0/terminationMessagePolicy", json!(null), true)]
#[case::silent_by_name("last-words", DB, "/spec/template/spec/containers/0/terminationMessagePolicy", json!("File"), true)]
// selectors and references
#[case::own_pods("selectors-match", WEB, "/spec/selector/matchLabels/app", json!("wob"), true)]
#[case::no_selector("selectors-match", WEB, "/spec/selector", json!(null), true)]
#[case::spread("selectors-match", WEB, "/spec/template/spec/topologySpreadConstraints/0/labelSelector/matchLabels/app", json!("db"), true)]
#[case::service("selectors-match", "Service r-web", "/spec/selector/part", json!("x"), true)]
#[case::service_of_none("selectors-match", "Service r-web", "/spec/selector", json!(null), true)]
#[case::service_of_two("selectors-match", "Service r-web", "/spec/selector", json!({"part": "r"}), true)]
#[case::budget("selectors-match", "NetworkPolicy r-all", "", budget("x", 1), true)]
#[case::policy("selectors-match", "NetworkPolicy r-all", "/spec/podSelector/matchExpressions/0/values", json!(["x"]), true)]
#[case::target_port("references-resolve", "Service r-web", "/spec/ports/0/targetPort", json!("https"), true)]
#[case::target_number("references-resolve", "Service r-db", "/spec/ports/0/port", json!(5433), true)]
#[case::backend("references-resolve", "Ingress r", "/spec/rules/0/http/paths/0/backend/service/name", json!("r-api"), true)]
#[case::backends_port("references-resolve", "Ingress r", "/spec/rules/0/http/paths/0/backend/service/port", json!({"number": 81}), true)]
#[case::account("references-resolve", WEB, "/spec/template/spec/serviceAccountName", json!("r-wob"), true)]
#[case::config_map("references-resolve", WEB, "/spec/template/spec/volumes/0/configMap/name", json!("r-wob"), true)]
#[case::governing_service("references-resolve", DB, "/spec/serviceName", json!("r-dbs"), true)]
fn a_planted_violation_is_found(
    #[case] rule: &str,
    #[case] object: &str,
    #[case] pointer: &str,
    #[case] value: Value,
    #[case] in_dev: bool,
) {
    for dev in [false, true] {
        let mut rendered = release(dev);
        change(&mut rendered, object, pointer, value.clone());
        let found = check(&rendered).into_iter().filter(|finding| finding.rule == rule).count();
        assert_eq!(found > 0, in_dev || !dev, "in dev: {dev}; {:?}", check(&rendered));
    }
}

/// In stage live, those who may read pods may not read logs.
#[test]
fn live_shows_no_last_words() {
    let mut rendered = release(false);
    rendered.live = true;
    let quotes = |rendered: &Rendered| check(rendered).iter().any(|finding| finding.rule == "last-words");
    assert!(quotes(&rendered));
    rendered.live = false;
    assert!(!quotes(&rendered));
}

#[test]
fn a_finding_never_shows_a_secret() {
    let mut rendered = release(false);
    change(&mut rendered, WEB, "C/env/0", json!({"name": "DB_PASSWORD", "value": "hunter2"}));
    let text: Vec<_> = check(&rendered).iter().map(ToString::to_string).collect();
    assert_eq!(text.len(), 1);
    assert!(!text[0].contains("hunter2"), "{text:?}");
}

#[rstest]
#[case("DB_PASSWORD", true)]
#[case("jwtSecret", true)]
#[case("api-key", true)]
#[case("GITHUB_TOKEN", true)]
#[case("PASSWORD_FILE", false)]
#[case("TOKEN_TTL_SECS", false)]
#[case("KEYBOARD", false)]
#[case("MONKEY", false)]
#[case("nginx.conf", false)]
fn names_of_secrets(#[case] name: &str, #[case] secret: bool) {
    assert_eq!(super::secrets::is_secret(name), secret);
}
