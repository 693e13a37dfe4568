{{/* names.selector: what finds a component's pods, for ever the same. Call: (list $ "component"), as for the next two. */}}
{{- define "names.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ $root.Chart.Name }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{/* names.podLabels: nothing in them changes with a chart's version, so that a new one restarts no pod. */}}
{{- define "names.podLabels" -}}
{{- $root := index . 0 -}}
{{ include "names.selector" . }}
app.kubernetes.io/part-of: jetscale
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
{{- end }}

{{/* names.labels: for the objects themselves. */}}
{{- define "names.labels" -}}
{{- $root := index . 0 -}}
{{ include "names.podLabels" . }}
helm.sh/chart: {{ $root.Chart.Name }}-{{ $root.Chart.Version }}
{{- end }}

{{/* names.image: by digest; by tag in dev mode alone (the schema sees to that). */}}
{{- define "names.image" -}}
{{- $chart := .Chart.Name -}}
{{- with .Values.image -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ required (printf "%s.image.digest (or, in dev mode, %s.image.tag) is empty" $chart $chart) .tag }}{{ end }}
{{- end }}
{{- end }}

{{/* names.containerSecurity: Pod Security "restricted". Call: whether its root file system is read-only. */}}
{{- define "names.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: {{ . }}
capabilities:
  drop: [ALL]
{{- end }}

{{/* names.lastWords: of a container that fails, the end of its log stands in its status, where it is read at once. */}}
{{- define "names.lastWords" -}}
{{- if .Values.global.lastWordsFromLog -}}
terminationMessagePolicy: FallbackToLogsOnError
{{- end }}
{{- end }}
