{{/* What a namespace that enforces `restricted` asks of a pod and of its containers, and a root nobody can write. */}}
{{- define "operator.podSecurity" -}}
securityContext:
  runAsNonRoot: true
  {{- if .Values.podSecurity.fixedIds }}
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  {{- end }}
  seccompProfile:
    type: RuntimeDefault
{{- end -}}

{{- define "operator.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end -}}
