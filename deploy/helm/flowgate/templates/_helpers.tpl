{{- define "flowgate.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "flowgate.fullname" -}}
{{- $name := include "flowgate.name" . -}}
{{- if .Values.fullnameOverride -}}{{ .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else if contains $name .Release.Name -}}{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else -}}{{ printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" }}
{{- end -}}
{{- end -}}

{{- define "flowgate.selector" -}}
app.kubernetes.io/name: {{ include "flowgate.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: gateway
{{- end -}}

{{- define "flowgate.valkeySelector" -}}
app.kubernetes.io/name: {{ include "flowgate.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: valkey
{{- end -}}

{{- define "flowgate.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{/* Whether the pod has a volume that only one pod may have. */}}
{{- define "flowgate.isAlone" -}}
{{- if or (eq .Values.mode "sidecar") (and .Values.persistence.enabled (not .Values.valkey.enabled)) -}}true{{- end -}}
{{- end -}}

{{- define "flowgate.keysSecret" -}}
{{- .Values.keys.existingSecret | default (printf "%s-keys" (include "flowgate.fullname" .)) -}}
{{- end -}}

{{- define "flowgate.servicePort" -}}
{{- .Values.service.port | default (ternary 8443 8080 .Values.tls.enabled) -}}
{{- end -}}

{{/* What the chart says in flowgate.yaml; the value `config` is laid over it. */}}
{{- define "flowgate.base" -}}
server:
  {{- if .Values.tls.enabled }}
  listen: null
  tls:
    listen: 0.0.0.0:8443
    cert_file: ${FLOWGATE_TLS_DIR:-/etc/flowgate/tls}/tls.crt
    key_file: ${FLOWGATE_TLS_DIR:-/etc/flowgate/tls}/tls.key
  {{- else }}
  listen: 0.0.0.0:8080
  {{- end }}
  shutdown_grace: 30s
  trusted_proxies: {{ toJson .Values.trustedProxies }}
  {{- if .Values.extAuth.enabled }}
  ext_auth:
    listen: 0.0.0.0:8081
    headers: {pass_upstream_key: {{ .Values.extAuth.passUpstreamKey }}}
  {{- end }}
admin:
  listen: 0.0.0.0:9090
  {{- if .Values.admin.tokenSecret }}
  token_file: ${ADMIN_TOKEN_FILE:-/etc/flowgate/admin/token}
  {{- end }}
upstreams:
  {{- if eq .Values.mode "engine" }}
  local:
    engine:
      flows_dir: ${FLOWGATE_FLOWS_DIR:-/etc/flowgate/flows}
  {{- else }}
  flowise:
    flowise:
      urls: [{{ ternary "http://127.0.0.1:3000" .Values.flowise.url (eq .Values.mode "sidecar") | quote }}]
      {{- if .Values.flowise.keySecret }}
      api_key_file: ${FLOWISE_KEY_FILE:-/etc/flowgate/flowise/api-key}
      {{- end }}
  {{- end }}
keys_file: ${FLOWGATE_KEYS_FILE:-/etc/flowgate/keys/keys.yaml}
state:
  dir: /var/lib/flowgate
  {{- if .Values.valkey.enabled }}
  valkey:
    {{- if .Values.valkey.deploy }}
    urls: ["redis://{{ include "flowgate.fullname" . }}-valkey:6379/0"]
    {{- else }}
    urls: {{ toJson .Values.valkey.urls }}
    {{- end }}
    {{- if .Values.valkey.passwordSecret }}
    password_file: ${VALKEY_PASSWORD_FILE:-/etc/flowgate/valkey/password}
    {{- end }}
  {{- end }}
{{- end -}}

{{- define "flowgate.config" -}}
{{- mergeOverwrite (include "flowgate.base" . | fromYaml) (deepCopy .Values.config) | toYaml -}}
{{- end -}}

{{/* What does not go together, told before anything is made. */}}
{{- define "flowgate.check" -}}
{{- if not (or .Values.keys.existingSecret .Values.keys.file) }}
{{- fail "keys: set keys.existingSecret, or keys.file (--set-file keys.file=keys.yaml)" }}
{{- end }}
{{- $isMany := or .Values.autoscaling.enabled (gt (int .Values.replicaCount) 1) }}
{{- if and $isMany (eq .Values.mode "sidecar") }}
{{- fail "mode sidecar: one pod, since Flowise has one database in it; set replicaCount to 1 and autoscaling.enabled to false" }}
{{- end }}
{{- if and $isMany (include "flowgate.isAlone" .) }}
{{- fail "several pods cannot have one volume: enable valkey, which keeps what they share, or set persistence.enabled to false" }}
{{- end }}
{{- if and .Values.extAuth.enabled (ne .Values.mode "gateway") }}
{{- fail "extAuth: in mode gateway only; a sidecar's Flowise and the engine's flows are reached through flowgate alone" }}
{{- end }}
{{- if and .Values.extAuth.enabled (not .Values.trustedProxies) }}
{{- fail "trustedProxies: name the network of the ingress controller's pods, which alone may ask with extAuth" }}
{{- end }}
{{- if and .Values.valkey.enabled .Values.valkey.deploy (not .Values.valkey.passwordSecret) }}
{{- fail "valkey.passwordSecret: the shipped Valkey wants a password" }}
{{- end }}
{{- if and .Values.valkey.enabled (not .Values.valkey.deploy) (not .Values.valkey.urls) }}
{{- fail "valkey.urls: name your Valkey, or let the chart deploy one" }}
{{- end }}
{{- end -}}
