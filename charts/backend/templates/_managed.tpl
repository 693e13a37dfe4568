{{/* What the api and its migrations get beside the rest when a store is a managed one; nothing otherwise. */}}

{{/* backend.databaseTlsEnv: for the api and its migrations. */}}
{{- define "backend.databaseTlsEnv" -}}
{{- with .Values.database.external }}
{{- if and .host .tls.mode }}
- name: JETSCALE_DB_SSLMODE
  value: {{ .tls.mode | quote }}
{{- if .tls.caSecret.name }}
- name: JETSCALE_DB_CA_FILE
  value: /etc/jetscale/database-ca/ca.crt
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* backend.redisEnv: for the api. A user's password is redis-password in <release>-auth. */}}
{{- define "backend.redisEnv" -}}
{{- with .Values.redis.external }}
{{- if .host }}
{{- if or .tls.enabled (ne (int .port) 6379) }}
- name: JETSCALE_REDIS_URL
  value: {{ printf "%s://%s:%d/0" (ternary "rediss" "redis" .tls.enabled) .host (int .port) | quote }}
{{- end }}
{{- if and .tls.enabled .tls.caSecret.name }}
- name: JETSCALE_REDIS_CA_FILE
  value: /etc/jetscale/redis-ca/ca.crt
{{- end }}
{{- with .user }}
- name: JETSCALE_REDIS_USER
  value: {{ . | quote }}
- name: JETSCALE_REDIS_PASSWORD
  valueFrom: {secretKeyRef: {name: {{ $.Release.Name }}-auth, key: redis-password}}
{{- end }}
{{- with .prefix }}
- name: JETSCALE_REDIS_PREFIX
  value: {{ . | quote }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* backend.storageEnv: for the api. No key is among it: a role's token is exchanged for keys that end. */}}
{{- define "backend.storageEnv" -}}
{{- with .Values.storage }}
{{- if .bucket }}
- name: JETSCALE_S3_BUCKET
  value: {{ .bucket | quote }}
- name: JETSCALE_S3_REGION
  value: {{ .region | quote }}
{{- with .prefix }}
- name: JETSCALE_S3_PREFIX
  value: {{ . | quote }}
{{- end }}
{{- with .endpoint }}
- name: JETSCALE_S3_ENDPOINT
  value: {{ . | quote }}
{{- end }}
{{- with .stsEndpoint }}
- name: AWS_ENDPOINT_URL_STS
  value: {{ . | quote }}
{{- end }}
{{- if .caSecret.name }}
- name: AWS_CA_BUNDLE
  value: /etc/jetscale/storage-ca/ca.crt
{{- end }}
# else the SDK asks the node's metadata for the node's own role
- name: AWS_EC2_METADATA_DISABLED
  value: "true"
{{- if .webIdentityToken.enabled }}
- name: AWS_ROLE_ARN
  value: {{ .roleArn | quote }}
- name: AWS_WEB_IDENTITY_TOKEN_FILE
  value: /var/run/secrets/jetscale/web-identity/token
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* backend.databaseCaMount: for the api and its migrations. */}}
{{- define "backend.databaseCaMount" -}}
{{- with .Values.database.external }}
{{- if and .host .tls.mode .tls.caSecret.name }}
- {name: database-ca, mountPath: /etc/jetscale/database-ca, readOnly: true}
{{- end }}
{{- end }}
{{- end }}

{{/* backend.managedMounts: the api's other ones. */}}
{{- define "backend.managedMounts" -}}
{{- with .Values.redis.external }}
{{- if and .host .tls.enabled .tls.caSecret.name }}
- {name: redis-ca, mountPath: /etc/jetscale/redis-ca, readOnly: true}
{{- end }}
{{- end }}
{{- with .Values.storage }}
{{- if and .bucket .caSecret.name }}
- {name: storage-ca, mountPath: /etc/jetscale/storage-ca, readOnly: true}
{{- end }}
{{- if and .bucket .webIdentityToken.enabled }}
- {name: web-identity, mountPath: /var/run/secrets/jetscale/web-identity, readOnly: true}
{{- end }}
{{- end }}
{{- end }}

{{/* backend.managedVolumes: what the mounts above need; goes on with the list that backend.pod ends with. */}}
{{- define "backend.managedVolumes" -}}
{{- with .Values.database.external }}
{{- if and .host .tls.mode .tls.caSecret.name }}
- name: database-ca
  secret: {secretName: {{ .tls.caSecret.name }}, items: [{key: {{ .tls.caSecret.key }}, path: ca.crt}]}
{{- end }}
{{- end }}
{{- with .Values.redis.external }}
{{- if and .host .tls.enabled .tls.caSecret.name }}
- name: redis-ca
  secret: {secretName: {{ .tls.caSecret.name }}, items: [{key: {{ .tls.caSecret.key }}, path: ca.crt}]}
{{- end }}
{{- end }}
{{- with .Values.storage }}
{{- if and .bucket .caSecret.name }}
- name: storage-ca
  secret: {secretName: {{ .caSecret.name }}, items: [{key: {{ .caSecret.key }}, path: ca.crt}]}
{{- end }}
{{- if and .bucket .webIdentityToken.enabled }}
- name: web-identity
  projected:
    sources:
      # for STS alone: the API server does not take it
      - serviceAccountToken:
          audience: {{ .webIdentityToken.audience }}
          expirationSeconds: {{ int .webIdentityToken.expirationSeconds }}
          path: token
{{- end }}
{{- end }}
{{- end }}

{{/* backend.linkLocal: of an IPv4 block: "holds" 169.254.0.0/16 and more, lies "within" it, or nothing. */}}
{{- define "backend.linkLocal" -}}
{{- $octets := splitList "." (first (splitList "/" .)) -}}
{{- $bits := int (last (splitList "/" .)) -}}
{{- if eq (len $octets) 4 -}}
{{- $half := add (mul 256 (int (index $octets 0))) (int (index $octets 1)) -}}
{{- $unit := 1 -}}
{{- range until (int (sub 16 (min 16 $bits))) -}}
{{- $unit = mul 2 $unit -}}
{{- end -}}
{{- if eq (div $half $unit) (div 43518 $unit) -}}{{/* 169 * 256 + 254 */}}
{{- ternary "holds" "within" (lt $bits 16) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* backend.peers: where a pod may go, never to the node's metadata, which would give it the node's role. */}}
{{- define "backend.peers" -}}
{{- $peers := list -}}
{{- range . -}}
{{- $peer := . -}}
{{- with .ipBlock -}}
{{- $place := include "backend.linkLocal" .cidr -}}
{{- if eq $place "within" -}}
{{- fail (printf "%s is link-local, where a node's metadata is: no pod of ours goes there (backend.storage.podIdentity opens the one address that it needs)" .cidr) -}}
{{- end -}}
{{- if eq $place "holds" -}}
{{- $peer = dict "ipBlock" (dict "cidr" .cidr "except" (append (.except | default list) "169.254.0.0/16" | uniq)) -}}
{{- end -}}
{{- if eq .cidr "::/0" -}}
{{- $peer = dict "ipBlock" (dict "cidr" .cidr "except" (append (.except | default list) "fd00:ec2::/32" | uniq)) -}}
{{- end -}}
{{- end -}}
{{- $peers = append $peers $peer -}}
{{- end -}}
{{ toYaml $peers }}
{{- end }}
