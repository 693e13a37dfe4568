{{/* postgres.selector: what finds a component's pods, for ever the same. Call: (list $ "component"). */}}
{{- define "postgres.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ $root.Chart.Name }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{/* postgres.podLabels: nothing in them changes with a chart's version, so that a new one restarts no pod. */}}
{{- define "postgres.podLabels" -}}
{{- $root := index . 0 -}}
{{ include "postgres.selector" . }}
app.kubernetes.io/part-of: jetscale
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
{{- end }}

{{/* postgres.labels: for the objects themselves. */}}
{{- define "postgres.labels" -}}
{{- $root := index . 0 -}}
{{ include "postgres.podLabels" . }}
helm.sh/chart: {{ $root.Chart.Name }}-{{ $root.Chart.Version }}
{{- end }}

{{/* postgres.image: by digest; by tag in dev mode alone (the schema sees to that). */}}
{{- define "postgres.image" -}}
{{- with .Values.image -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ required "postgres.image.digest (or, in dev mode, postgres.image.tag) is empty" .tag }}{{ end }}
{{- end }}
{{- end }}

{{/* postgres.containerSecurity: Pod Security "restricted". */}}
{{- define "postgres.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/* postgres.lastWords: of a container that fails, the end of its log stands in its status, where it is read at once. */}}
{{- define "postgres.lastWords" -}}
{{- if .Values.global.lastWordsFromLog -}}
terminationMessagePolicy: FallbackToLogsOnError
{{- end }}
{{- end }}
