{{/* sweeper.labels: of every object here. */}}
{{- define "sweeper.labels" -}}
app.kubernetes.io/name: preview-sweeper
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/part-of: jetscale
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}
{{/* sweeper.account: the sweeper, as the API server calls it. */}}
{{- define "sweeper.account" -}}
system:serviceaccount:{{ .Release.Namespace }}:preview-sweeper
{{- end }}
{{/* sweeper.is-deployer: whether a request is a deployer's, in CEL. */}}
{{- define "sweeper.is-deployer" -}}
{{- $terms := list "false" }}
{{- range .Values.deployers }}
{{- if eq .kind "Group" }}
{{- $terms = append $terms (printf "'%s' in request.userInfo.groups" .name) }}
{{- else if eq .kind "User" }}
{{- $terms = append $terms (printf "request.userInfo.username == '%s'" .name) }}
{{- else }}
{{- $terms = append $terms (printf "request.userInfo.username == 'system:serviceaccount:%s:%s'" .namespace .name) }}
{{- end }}
{{- end }}
{{- join " || " $terms }}
{{- end }}
{{/* sweeper.subjects: deployers as RBAC names them. */}}
{{- define "sweeper.subjects" -}}
{{- range . }}
- kind: {{ .kind }}
  name: {{ .name | quote }}
  {{- if eq .kind "ServiceAccount" }}
  namespace: {{ required "a ServiceAccount among the deployers has no namespace" .namespace }}
  {{- else }}
  apiGroup: rbac.authorization.k8s.io
  {{- end }}
{{- end }}
{{- end }}
