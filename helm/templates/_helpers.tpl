{{/* The name that everything begins with. */}}
{{- define "gristmill.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* What selects the pods of a role: (dict "root" $ "role" "worker"). */}}
{{- define "gristmill.selector" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .role }}
{{- end -}}

{{- define "gristmill.labels" -}}
{{ include "gristmill.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "gristmill.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (ternary (include "gristmill.fullname" .) "default" .Values.serviceAccount.create) -}}
{{- end -}}

{{- define "gristmill.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}

{{- define "gristmill.redisUrl" -}}
{{- .Values.redis.url | default (printf "redis://%s-valkey:6379" (include "gristmill.fullname" .)) -}}
{{- end -}}

{{/* What every pod of ours says of its security. */}}
{{- define "gristmill.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "gristmill.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* The environment that coordinators and workers share: (dict "root" $ "role" "worker"). */}}
{{- define "gristmill.environment" -}}
{{- $v := .root.Values -}}
- {name: GRISTMILL_WORKSPACE, value: {{ required "workspace: say where jobs keep their objects, s3://BUCKET/PREFIX" $v.workspace | quote }}}
- {name: GRISTMILL_REDIS, value: {{ include "gristmill.redisUrl" .root | quote }}}
- {name: GRISTMILL_QUEUE_PREFIX, value: {{ $v.queue.prefix | quote }}}
- {name: GRISTMILL_LEASE, value: {{ $v.queue.lease | quote }}}
- {name: GRISTMILL_MAX_ATTEMPTS, value: {{ $v.queue.maxAttempts | quote }}}
- {name: GRISTMILL_ALLOW_EXTERNAL, value: {{ $v.allowExternal | quote }}}
- {name: GRISTMILL_METRICS, value: "0.0.0.0:9090"}
- {name: GRISTMILL_SCRATCH, value: /scratch}
- {name: TMPDIR, value: /scratch}
- {name: GRISTMILL_LOG, value: {{ $v.log | quote }}}
- {name: GRISTMILL_LOG_FORMAT, value: json}
{{- with $v.redis.user }}
- {name: GRISTMILL_REDIS_USER, value: {{ . | quote }}}
{{- end }}
{{- if $v.redis.passwordSecret.name }}
- {name: GRISTMILL_REDIS_PASSWORD_FILE, value: /etc/gristmill/redis/password}
{{- end }}
{{- if $v.redis.caSecret.name }}
- {name: GRISTMILL_REDIS_CA, value: /etc/gristmill/redis-ca/ca.crt}
{{- end }}
{{- if $v.redis.clientCertSecret.name }}
- {name: GRISTMILL_REDIS_CERT, value: /etc/gristmill/redis-cert/tls.crt}
- {name: GRISTMILL_REDIS_KEY, value: /etc/gristmill/redis-cert/tls.key}
{{- end }}
{{- with $v.s3.endpoint }}
- {name: GRISTMILL_S3_ENDPOINT, value: {{ . | quote }}}
{{- end }}
{{- with $v.s3.region }}
- {name: GRISTMILL_S3_REGION, value: {{ . | quote }}}
{{- end }}
{{- if not (kindIs "invalid" $v.s3.pathStyle) }}
- {name: GRISTMILL_S3_PATH_STYLE, value: {{ $v.s3.pathStyle | quote }}}
{{- end }}
{{- if $v.s3.anonymous }}
- {name: GRISTMILL_S3_ANONYMOUS, value: "true"}
{{- end }}
{{- if $v.s3.credentialsSecret.name }}
- name: AWS_ACCESS_KEY_ID
  valueFrom: {secretKeyRef: {name: {{ $v.s3.credentialsSecret.name | quote }}, key: {{ $v.s3.credentialsSecret.accessKey | quote }}}}
- name: AWS_SECRET_ACCESS_KEY
  valueFrom: {secretKeyRef: {name: {{ $v.s3.credentialsSecret.name | quote }}, key: {{ $v.s3.credentialsSecret.secretKey | quote }}}}
{{- end }}
{{- if $v.tracing.endpoint }}
- {name: OTEL_EXPORTER_OTLP_ENDPOINT, value: {{ $v.tracing.endpoint | quote }}}
- {name: OTEL_SERVICE_NAME, value: {{ printf "gristmill-%s" .role | quote }}}
- {name: OTEL_TRACES_SAMPLER, value: {{ $v.tracing.sampler | quote }}}
{{- with $v.tracing.samplerArg }}
- {name: OTEL_TRACES_SAMPLER_ARG, value: {{ . | quote }}}
{{- end }}
- {name: POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
- {name: POD_NAMESPACE, valueFrom: {fieldRef: {fieldPath: metadata.namespace}}}
- {name: OTEL_RESOURCE_ATTRIBUTES, value: "k8s.pod.name=$(POD_NAME),k8s.namespace.name=$(POD_NAMESPACE)"}
{{- end }}
{{- end -}}

{{/* Secrets that coordinators and workers read as files. */}}
{{- define "gristmill.mounts" -}}
- {name: scratch, mountPath: /scratch}
{{- if .Values.redis.passwordSecret.name }}
- {name: redis-password, mountPath: /etc/gristmill/redis, readOnly: true}
{{- end }}
{{- if .Values.redis.caSecret.name }}
- {name: redis-ca, mountPath: /etc/gristmill/redis-ca, readOnly: true}
{{- end }}
{{- if .Values.redis.clientCertSecret.name }}
- {name: redis-cert, mountPath: /etc/gristmill/redis-cert, readOnly: true}
{{- end }}
{{- end -}}

{{- define "gristmill.volumes" -}}
{{- with .Values.redis.passwordSecret }}
{{- if .name }}
- name: redis-password
  secret: {secretName: {{ .name | quote }}, defaultMode: 0440, items: [{key: {{ .key | quote }}, path: password}]}
{{- end }}
{{- end }}
{{- with .Values.redis.caSecret }}
{{- if .name }}
- name: redis-ca
  secret: {secretName: {{ .name | quote }}, defaultMode: 0440, items: [{key: {{ .key | quote }}, path: ca.crt}]}
{{- end }}
{{- end }}
{{- with .Values.redis.clientCertSecret.name }}
- name: redis-cert
  secret: {secretName: {{ . | quote }}, defaultMode: 0440}
{{- end }}
{{- end -}}

{{- define "gristmill.probes" -}}
startupProbe:
  httpGet: {path: /healthz, port: metrics}
  periodSeconds: 2
  failureThreshold: 60
livenessProbe:
  httpGet: {path: /healthz, port: metrics}
  periodSeconds: 15
  timeoutSeconds: 5
  failureThreshold: 4
readinessProbe:
  httpGet: {path: /readyz, port: metrics}
  periodSeconds: 5
  timeoutSeconds: 3
{{- end -}}
