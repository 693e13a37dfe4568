{{/* backend.selector: what finds a component's pods, for ever the same. Call: (list $ "component"). */}}
{{- define "backend.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ $root.Chart.Name }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{/* backend.podLabels: nothing in them changes with a chart's version, so that a new one restarts no pod. */}}
{{- define "backend.podLabels" -}}
{{- $root := index . 0 -}}
{{ include "backend.selector" . }}
app.kubernetes.io/part-of: jetscale
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
{{- end }}

{{/* backend.labels: for the objects themselves. */}}
{{- define "backend.labels" -}}
{{- $root := index . 0 -}}
{{ include "backend.podLabels" . }}
helm.sh/chart: {{ $root.Chart.Name }}-{{ $root.Chart.Version }}
{{- end }}

{{/* backend.image: by digest; by tag in dev mode alone (the schema sees to that). */}}
{{- define "backend.image" -}}
{{- with .Values.image -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ required "backend.image.digest (or, in dev mode, backend.image.tag) is empty" .tag }}{{ end }}
{{- end }}
{{- end }}

{{/* backend.containerSecurity: Pod Security "restricted"; only dev mode, for its live update, writes into an image. */}}
{{- define "backend.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: {{ not .Values.global.devMode }}
capabilities:
  drop: [ALL]
{{- end }}

{{/* backend.lastWords: of a container that fails, the end of its log stands in its status, where it is read at once. */}}
{{- define "backend.lastWords" -}}
{{- if .Values.global.lastWordsFromLog -}}
terminationMessagePolicy: FallbackToLogsOnError
{{- end }}
{{- end }}
