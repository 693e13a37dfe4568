{{/* backend.databaseHost and backend.redisHost: the external one, or the release's own. */}}
{{- define "backend.databaseHost" -}}
{{ .Values.database.external.host | default (printf "%s-postgres" .Release.Name) }}
{{- end }}

{{- define "backend.redisHost" -}}
{{ .Values.redis.external.host | default (printf "%s-redis" .Release.Name) }}
{{- end }}

{{/* backend.env: what every component reads. The Secret is made beside the chart, never by it. */}}
{{- define "backend.env" -}}
{{- $own := not .Values.database.external.host -}}
- name: JETSCALE_DB_HOST
  value: {{ include "backend.databaseHost" . | quote }}
- name: JETSCALE_DB_PORT
  value: {{ ternary 5432 .Values.database.external.port $own | int | quote }}
- name: JETSCALE_DB_NAME
  value: {{ ternary "jetscale" .Values.database.external.name $own | quote }}
- name: JETSCALE_DB_USER
  value: {{ ternary "jetscale" .Values.database.external.user $own | quote }}
- name: JETSCALE_DB_PASSWORD
  valueFrom: {secretKeyRef: {name: {{ .Release.Name }}-auth, key: db-password}}
- name: JETSCALE_REDIS_HOST
  value: {{ include "backend.redisHost" . | quote }}
- name: JETSCALE_JWT_SECRET_KEY
  valueFrom: {secretKeyRef: {name: {{ .Release.Name }}-auth, key: jwt-secret-key}}
{{- range $name, $value := .Values.env }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}

{{/* backend.admin: the first account, which the api or its migrations make. */}}
{{- define "backend.admin" -}}
- name: JETSCALE_DEFAULT_ADMIN_EMAIL
  valueFrom: {secretKeyRef: {name: {{ .Release.Name }}-auth, key: admin-email}}
- name: JETSCALE_DEFAULT_ADMIN_PASSWORD
  valueFrom: {secretKeyRef: {name: {{ .Release.Name }}-auth, key: admin-password}}
{{- end }}

{{/* backend.pod: the part of the pod that api and WebSocket server share. */}}
{{- define "backend.pod" -}}
automountServiceAccountToken: false
# off: the Service <release>-redis would set JETSCALE_REDIS_PORT=tcp://… in a release named jetscale
enableServiceLinks: false
terminationGracePeriodSeconds: 20
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile: {type: RuntimeDefault}
volumes:
  - name: tmp
    emptyDir: {sizeLimit: 128Mi}
{{- end }}

{{/* backend.spread: over nodes and zones, never in the way of a start. Call: (list $ "component"). */}}
{{- define "backend.spread" -}}
topologySpreadConstraints:
  {{- range $key := list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - topologyKey: {{ $key }}
    maxSkew: 1
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "names.selector" $ | nindent 8 }}
    matchLabelKeys: [pod-template-hash]
  {{- end }}
{{- end }}
