{{/* redis.selector: what finds a component's pods, for ever the same. Call: (list $ "component"). */}}
{{- define "redis.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ $root.Chart.Name }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{/* redis.podLabels: nothing in them changes with a chart's version, so that a new one restarts no pod. */}}
{{- define "redis.podLabels" -}}
{{- $root := index . 0 -}}
{{ include "redis.selector" . }}
app.kubernetes.io/part-of: jetscale
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
{{- end }}

{{/* redis.labels: for the objects themselves. */}}
{{- define "redis.labels" -}}
{{- $root := index . 0 -}}
{{ include "redis.podLabels" . }}
helm.sh/chart: {{ $root.Chart.Name }}-{{ $root.Chart.Version }}
{{- end }}

{{/* redis.image: by digest; by tag in dev mode alone (the schema sees to that). */}}
{{- define "redis.image" -}}
{{- with .Values.image -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ required "redis.image.digest (or, in dev mode, redis.image.tag) is empty" .tag }}{{ end }}
{{- end }}
{{- end }}

{{/* redis.containerSecurity: Pod Security "restricted". */}}
{{- define "redis.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/* redis.lastWords: of a container that fails, the end of its log stands in its status, where it is read at once. */}}
{{- define "redis.lastWords" -}}
{{- if .Values.global.lastWordsFromLog -}}
terminationMessagePolicy: FallbackToLogsOnError
{{- end }}
{{- end }}
