{{- define "sagadsl.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "sagadsl.name" -}}
{{ printf "%s-%s" .Release.Name .part | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "sagadsl.labels" -}}
app.kubernetes.io/name: sagadsl
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: {{ .part }}
{{- end }}

{{/* How a pod reaches Temporal: only places, never a key. */}}
{{- define "sagadsl.env" -}}
- {name: TEMPORAL_ADDRESS, value: {{ .Values.temporal.address | quote }}}
- {name: TEMPORAL_NAMESPACE, value: {{ .Values.temporal.namespace | quote }}}
{{- with .Values.temporal.serverName }}
- {name: TEMPORAL_TLS_SERVER_NAME, value: {{ . | quote }}}
{{- end }}
{{- if .Values.temporal.tlsSecret }}
- {name: TEMPORAL_TLS_CLIENT_CERT_PATH, value: /run/temporal-tls/tls.crt}
- {name: TEMPORAL_TLS_CLIENT_KEY_PATH, value: /run/temporal-tls/tls.key}
- {name: TEMPORAL_TLS_SERVER_CA_CERT_PATH, value: /run/temporal-tls/ca.crt}
{{- end }}
{{- if .Values.temporal.apiKeySecret }}
- {name: SAGADSL_API_KEY_FROM, value: "file:/run/temporal-key/api-key"}
{{- end }}
{{- end }}

{{- define "sagadsl.mounts" -}}
- {name: tmp, mountPath: /tmp}
{{- if .Values.temporal.tlsSecret }}
- {name: temporal-tls, mountPath: /run/temporal-tls, readOnly: true}
{{- end }}
{{- if .Values.temporal.apiKeySecret }}
- {name: temporal-key, mountPath: /run/temporal-key, readOnly: true}
{{- end }}
{{- end }}

{{- define "sagadsl.volumes" -}}
- {name: tmp, emptyDir: {}}
{{- with .Values.temporal.tlsSecret }}
- {name: temporal-tls, secret: {secretName: {{ . | quote }}, defaultMode: 288}}
{{- end }}
{{- with .Values.temporal.apiKeySecret }}
- {name: temporal-key, secret: {secretName: {{ . | quote }}, defaultMode: 288}}
{{- end }}
{{- end }}

{{- define "sagadsl.pod" -}}
{{- with .Values.serviceAccount }}
serviceAccountName: {{ . | quote }}
{{- end }}
{{- with .Values.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - {name: {{ . | quote }}}
  {{- end }}
{{- end }}
securityContext: {runAsNonRoot: true, runAsUser: 10001, fsGroup: 10001, seccompProfile: {type: RuntimeDefault}}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
