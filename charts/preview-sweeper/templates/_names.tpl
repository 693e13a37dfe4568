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
{{/* sweeper.keeper: the keeper of stores, as the API server calls it. */}}
{{- define "sweeper.keeper" -}}
system:serviceaccount:{{ .Release.Namespace }}:preview-stores
{{- end }}
{{/* sweeper.cluster: what this cluster calls itself. */}}
{{- define "sweeper.cluster" -}}
{{ required "cluster is empty: give this cluster a name (docs/preview.md)" .Values.cluster }}
{{- end }}
{{/* sweeper.image: of the sweeper and the keeper, by digest. */}}
{{- define "sweeper.image" -}}
{{ required "image.repository is empty" .Values.image.repository }}@{{ required "image.digest is empty" .Values.image.digest }}
{{- end }}
{{/* sweeper.kubeconfig: the one context that either names and is allowed: the cluster that it runs in. */}}
{{- define "sweeper.kubeconfig" -}}
apiVersion: v1
kind: Config
clusters:
  - name: in-cluster
    cluster:
      server: https://kubernetes.default.svc
      certificate-authority: /var/run/secrets/kubernetes.io/serviceaccount/ca.crt
users:
  - name: in-cluster
    user: {tokenFile: /var/run/secrets/kubernetes.io/serviceaccount/token}
contexts:
  - name: in-cluster
    context: {cluster: in-cluster, user: in-cluster}
{{- end }}
{{/* sweeper.env: of either. */}}
{{- define "sweeper.env" -}}
- {name: KUBECONFIG, value: /etc/preview-sweeper/kubeconfig}
- {name: JETSCALE_KUBE_CONTEXT, value: in-cluster}
- {name: JETSCALE_KUBE_CONTEXT_ALLOW, value: in-cluster}
- {name: JETSCALE_PREVIEW_CLUSTER, value: {{ include "sweeper.cluster" . | quote }}}
- {name: XDG_STATE_HOME, value: /tmp}
- {name: XDG_CACHE_HOME, value: /tmp}
{{- end }}
{{/* sweeper.podSecurity: restricted. */}}
{{- define "sweeper.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65534
runAsGroup: 65534
fsGroup: 65534
seccompProfile: {type: RuntimeDefault}
{{- end }}
{{- define "sweeper.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
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
{{/* sweeper.peer: whether a policy's peer p is this one, in CEL: its block, or all of its namespace's labels. */}}
{{- define "sweeper.peer" -}}
{{- $terms := list }}
{{- with .ipBlock }}
{{- $terms = append $terms (printf "has(p.ipBlock) && p.ipBlock.cidr == '%s'" .cidr) }}
{{- range .except }}
{{- $terms = append $terms (printf "has(p.ipBlock.except) && '%s' in p.ipBlock.except" .) }}
{{- end }}
{{- end }}
{{- with .namespaceSelector }}
{{- $labels := "p.namespaceSelector.matchLabels" }}
{{- $terms = append $terms (printf "has(p.namespaceSelector) && has(%s)" $labels) }}
{{- range $name, $value := required "a peer's namespaceSelector names no label" .matchLabels }}
{{- $terms = append $terms (printf "'%s' in %s && %s['%s'] == '%s'" $name $labels $labels $name $value) }}
{{- end }}
{{- end }}
{{- join " && " $terms | printf "(%s)" }}
{{- end }}
