{{/* frontend.selector: what finds a component's pods, for ever the same. Call: (list $ "component"). */}}
{{- define "frontend.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ $root.Chart.Name }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{/* frontend.podLabels: nothing in them changes with a chart's version, so that a new one restarts no pod. */}}
{{- define "frontend.podLabels" -}}
{{- $root := index . 0 -}}
{{ include "frontend.selector" . }}
app.kubernetes.io/part-of: jetscale
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
{{- end }}

{{/* frontend.labels: for the objects themselves. */}}
{{- define "frontend.labels" -}}
{{- $root := index . 0 -}}
{{ include "frontend.podLabels" . }}
helm.sh/chart: {{ $root.Chart.Name }}-{{ $root.Chart.Version }}
{{- end }}

{{/* frontend.image: by digest; by tag in dev mode alone (the schema sees to that). */}}
{{- define "frontend.image" -}}
{{- with .Values.image -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ required "frontend.image.digest (or, in dev mode, frontend.image.tag) is empty" .tag }}{{ end }}
{{- end }}
{{- end }}

{{/* frontend.containerSecurity: Pod Security "restricted"; only dev mode, for its live update, writes into an image. */}}
{{- define "frontend.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: {{ not .Values.global.devMode }}
capabilities:
  drop: [ALL]
{{- end }}

{{/* frontend.lastWords: of a container that fails, the end of its log stands in its status, where it is read at once. */}}
{{- define "frontend.lastWords" -}}
{{- if .Values.global.lastWordsFromLog -}}
terminationMessagePolicy: FallbackToLogsOnError
{{- end }}
{{- end }}
