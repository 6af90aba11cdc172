{{- define "burrow.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{/* At most 40 characters: names of pods and of the peers' Service are made of it. */}}
{{- define "burrow.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains (include "burrow.name" .) .Release.Name }}
{{- .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "burrow.name" .) | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "burrow.selector" -}}
app.kubernetes.io/name: {{ include "burrow.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "burrow.labels" -}}
{{ include "burrow.selector" . }}
app.kubernetes.io/component: relay
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "burrow.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "burrow.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{/* "true" when this is a cluster, else empty. */}}
{{- define "burrow.clustered" -}}
{{- if .Values.cluster.redis.existingSecret }}true{{ end }}
{{- end }}

{{/* What cannot work is said here rather than by pods that do not start. */}}
{{- define "burrow.check" -}}
{{- $several := or .Values.autoscaling.enabled (gt (int .Values.replicas) 1) }}
{{- if and $several (not .Values.cluster.redis.existingSecret) }}
{{- fail "More than one relay is a cluster: set cluster.redis.existingSecret, cluster.secret.existingSecret and database.existingSecret." }}
{{- end }}
{{- if include "burrow.clustered" . }}
{{- if not .Values.cluster.secret.existingSecret }}
{{- fail "cluster.redis needs cluster.secret.existingSecret: what the relays know each other by." }}
{{- end }}
{{- if not .Values.database.existingSecret }}
{{- fail "A cluster keeps its data in PostgreSQL: set database.existingSecret." }}
{{- end }}
{{- end }}
{{- if and (not .Values.database.existingSecret) (not .Values.persistence.enabled) }}
{{- fail "Without database.existingSecret the relay keeps its data on its volume: set persistence.enabled, or all is lost with the pod." }}
{{- end }}
{{- if and .Values.serviceMonitor.enabled (not .Values.metrics.existingSecret) }}
{{- fail "serviceMonitor needs metrics.existingSecret: without a token only loopback may read /metrics." }}
{{- end }}
{{- if and .Values.gateway.enabled (not .Values.gateway.parentRefs) }}
{{- fail "gateway needs gateway.parentRefs: the Gateways that the routes belong to." }}
{{- end }}
{{- if and .Values.proxyProtocol (not .Values.trustedProxies) }}
{{- fail "proxyProtocol needs trustedProxies: whose PROXY headers to believe." }}
{{- end }}
{{- end }}

{{/* The relay's settings: what the chart sets, then .Values.config over it. */}}
{{- define "burrow.config" -}}
{{- $config := dict
  "domain" .Values.domain
  "publicUrl" (default (printf "https://%s" .Values.domain) .Values.publicUrl)
  "dataDir" "/var/lib/burrow"
  "listen" (dict "host" "0.0.0.0" "port" 8150 "trustedProxies" .Values.trustedProxies "proxyProtocol" .Values.proxyProtocol)
  "ssh" (dict "enabled" .Values.ssh.enabled "port" 2222)
  "drain" (dict "graceMs" (mul (int .Values.drainSeconds) 1000))
  "log" (dict "pretty" "never")
}}
{{- if .Values.agentUrl }}
{{- $_ := set $config "agentUrl" .Values.agentUrl }}
{{- end }}
{{- if .Values.tls.existingSecret }}
{{- $_ := set $config.listen "tls" (dict "certFile" "/etc/burrow/tls/tls.crt" "keyFile" "/etc/burrow/tls/tls.key") }}
{{- end }}
{{- if .Values.database.existingSecret }}
{{- $_ := set $config "database" (dict "urlFile" "/etc/burrow/database/url") }}
{{- end }}
{{- if .Values.metrics.existingSecret }}
{{- $_ := set $config "metrics" (dict "tokenFile" "/etc/burrow/metrics/token") }}
{{- end }}
{{- if include "burrow.clustered" . }}
{{- $peer := dict "host" "0.0.0.0" "port" 8151 }}
{{- if .Values.cluster.peerTls.existingSecret }}
{{- $_ := set $peer "tls" (dict "certFile" "/etc/burrow/peers/tls.crt" "keyFile" "/etc/burrow/peers/tls.key" "caFile" "/etc/burrow/peers/ca.crt") }}
{{- end }}
{{- $cluster := dict "redisUrlFile" "/etc/burrow/redis/url" "secretFile" "/etc/burrow/cluster/secret" "peer" $peer }}
{{- if .Values.cluster.redis.caKey }}
{{- $_ := set $cluster "redisCaFile" "/etc/burrow/redis/ca.crt" }}
{{- end }}
{{- $_ := set $config "cluster" $cluster }}
{{- else if .Values.cluster.secret.existingSecret }}
{{- $_ := set $config "cluster" (dict "secretFile" "/etc/burrow/cluster/secret") }}
{{- end }}
{{- mergeOverwrite $config .Values.config | toYaml }}
{{- end }}
