//! Tests with a small chart, and the lines of its paths.

use rstest::rstest;

use super::*;

const TEMPLATE: &str = r#"apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}-backend
  labels: {{- include "backend.labels" . | nindent 4 }}
spec:
  replicas: {{ .Values.api.replicas }}
  template:
    spec:
      {{- include "backend.pod" . | nindent 6 }}
      containers:
        - name: api
          # a comment
          {{- with .Values.api.command }}
          command: {{- toYaml . | nindent 12 }}
          {{- end }}
          livenessProbe:
            httpGet: {path: /, port: http}
          resources: {{- toYaml .Values.api.resources | nindent 12 }}
          securityContext: {{- include "backend.other" . | nindent 12 }}
        - name: other
          image: x
---
kind: Service
metadata:
  name: {{ .Release.Name }}-other
spec:
  ports:
    - {name: http, port: 80}
---
kind: Service
metadata:
  name: {{ .Release.Name }}-backend
spec:
  ports:
    - {name: http, port: 80}
"#;
const NAMES: &str = r#"{{- define "backend.other" -}}
x: y
{{- end }}
{{- define "backend.pod" -}}
securityContext:
  runAsNonroot: true
{{- end }}
"#;

fn sources() -> TemplateSources {
    let texts = [
        ("charts/backend/templates/api.yaml", TEMPLATE),
        ("charts/backend/templates/_names.tpl", NAMES),
        ("charts/backend/values.yaml", "api:\n  replicas: 1\n  resources:\n    limits: {memory: 1Gi}\n"),
        ("charts/app/values.live.yaml", "# live\nbackend:\n  api:\n    resources:\n      requests: {cpu: 1}\n"),
    ];
    TemplateSources(texts.into_iter().map(|(name, text)| (name.to_owned(), text.to_owned())).collect())
}

/// A path as a test writes it: a key, or `-` and the name of a list's item.
fn path(text: &str) -> Path {
    text.split(' ').filter(|step| !step.is_empty()).fold(Path::default(), |path, step| match step.strip_prefix('-') {
        Some(name) => path.item(0, (!name.is_empty()).then_some(name)),
        None => path.key(step),
    })
}

#[rstest]
#[case::object("Deployment", "", "charts/backend/templates/api.yaml:1")]
#[case::third_document("Service", "spec ports -http port", "charts/backend/templates/api.yaml:36")]
#[case::key("Deployment", "spec template spec containers -api livenessProbe", "charts/backend/templates/api.yaml:17")]
#[case::flow_map(
    "Deployment",
    "spec template spec containers -api livenessProbe httpGet path",
    "charts/backend/templates/api.yaml:18"
)]
#[case::item("Deployment", "spec template spec containers -other", "charts/backend/templates/api.yaml:21")]
#[case::of_an_item("Deployment", "spec template spec containers -other image", "charts/backend/templates/api.yaml:22")]
#[case::included(
    "Deployment",
    "spec template spec securityContext runAsNonroot",
    "charts/backend/templates/_names.tpl:6"
)]
#[case::included_below_a_key(
    "Deployment",
    "spec template spec containers -api securityContext x",
    "charts/backend/templates/_names.tpl:2"
)]
#[case::of_the_stage(
    "Deployment",
    "spec template spec containers -api resources requests",
    "charts/app/values.live.yaml:5"
)]
#[case::of_the_chart("Deployment", "spec replicas", "charts/backend/values.yaml:2")]
#[case::absent(
    "Deployment",
    "spec template spec containers -api readinessProbe",
    "charts/backend/templates/api.yaml:12"
)]
fn lines(#[case] kind: &str, #[case] steps: &str, #[case] place: &str) {
    assert_eq!(located("probes", kind, steps), place);
}

#[rstest]
#[case::whose_value_is_one_of_the_values("spec replicas", "charts/backend/templates/api.yaml:7")]
#[case::within_a_value("spec template spec containers -api resources requests", "charts/app/values.live.yaml:5")]
fn an_unknown_field(#[case] steps: &str, #[case] place: &str) {
    assert_eq!(located(FIELDS, "Deployment", steps), place);
}

fn located(rule: &'static str, kind: &str, steps: &str) -> String {
    let template = Place { file: "app/charts/backend/templates/api.yaml".to_owned(), line: None };
    let subject = Some(Subject { kind: kind.to_owned(), name: "shop-backend".to_owned() });
    let finding = Finding { subject, path: path(steps), ..Finding::at(rule, template, "") };
    sources().locate(finding, "values.live.yaml").place.unwrap().to_string()
}
