{{/* At most 53 characters, so that the longest suffix (`-dashboard`) stays within the 63 of a name; a release's own name has 53 at most. */}}
{{- define "operator.fullname" -}}
{{- $chart := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 53 | trimSuffix "-" -}}
{{- else if contains $chart .Release.Name -}}
{{- .Release.Name | trunc 53 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $chart | trunc 53 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "operator.serviceAccount" -}}
{{- default (include "operator.fullname" .) .Values.serviceAccount.name -}}
{{- end -}}

{{/* What never changes for a release, since a Deployment's selector cannot. */}}
{{- define "operator.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* Helm marks what it installs as its own; the chart does not, so that the plain manifest names nobody. */}}
{{- define "operator.labels" -}}
{{ include "operator.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/component: operator
app.kubernetes.io/part-of: claude-gateway
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Takes [image, appVersion]. */}}
{{- define "operator.image" -}}
{{- $image := index . 0 -}}
{{- $image.repository }}:{{ default (index . 1) $image.tag }}
{{- with $image.digest }}@{{ . }}{{ end }}
{{- end -}}

{{/* Takes [cidr, values of the network policy]; the API refuses an exception outside its block. */}}
{{- define "operator.block" -}}
{{- $cidr := index . 0 -}}
{{- $policy := index . 1 -}}
- ipBlock:
    cidr: {{ $cidr | quote }}
    {{- if or (eq $cidr "0.0.0.0/0") (eq $cidr "::/0") }}
    {{- $except := list }}
    {{- range $policy.except }}
    {{- if eq (contains ":" .) (eq $cidr "::/0") }}
    {{- $except = append $except . }}
    {{- end }}
    {{- end }}
    {{- with $except }}
    except:
      {{- range . }}
      - {{ . | quote }}
      {{- end }}
    {{- end }}
    {{- end }}
{{- end -}}
