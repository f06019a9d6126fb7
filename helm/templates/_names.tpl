{{/* Names, labels and metadata. */}}

{{- define "service.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* 50 of the 63 characters that a name may have: room for "-test-traffic". */}}
{{- define "service.fullname" -}}
{{- $name := .Values.nameOverride | default .Chart.Name }}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) }}
{{- $name = .Values.fullnameOverride | default $full | replace "." "-" | trunc 50 | trimSuffix "-" }}
{{- /* RFC 1035, which names of Services follow. */}}
{{- if not (regexMatch "^[a-z]" $name) }}
{{- fail (printf "fullnameOverride: must be set, since %s does not begin with a letter" $name) }}
{{- end }}
{{- $name }}
{{- end }}

{{- define "service.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (ternary (include "service.fullname" .) "default" .Values.serviceAccount.create) }}
{{- end }}

{{- define "service.image" -}}
{{- $registry := "" }}
{{- with .Values.global }}{{ $registry = .imageRegistry | default "" | trimSuffix "/" }}{{ end }}
{{- with $registry }}{{ . }}/{{ end }}{{ .Values.image.repository }}
{{- if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{/* What selects the pods that serve. The component keeps test pods out. */}}
{{- define "service.selectorLabels" -}}
app.kubernetes.io/name: {{ include "service.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/component: server
{{- end }}

{{/* Labels of (dict "root" $ "component" "server" "labels" more); what the chart needs wins. */}}
{{- define "service.labels" -}}
{{- $own := dict
  "helm.sh/chart" (printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-")
  "app.kubernetes.io/name" (include "service.name" .root)
  "app.kubernetes.io/instance" .root.Release.Name
  "app.kubernetes.io/component" (.component | default "server")
  "app.kubernetes.io/version" (.root.Chart.AppVersion | replace "+" "_" | trunc 63)
  "app.kubernetes.io/managed-by" .root.Release.Service }}
{{- merge $own (.labels | default dict) .root.Values.commonLabels | include "service.texts" }}
{{- end }}

{{/* Metadata of (dict "root" $ "name" name "component" … "labels" … "annotations" …). */}}
{{- define "service.metadata" -}}
name: {{ .name | default (include "service.fullname" .root) | quote }}
namespace: {{ .root.Release.Namespace | quote }}
labels:
  {{- include "service.labels" . | nindent 2 }}
{{- with merge dict (.annotations | default dict) .root.Values.commonAnnotations }}
annotations:
  {{- include "service.texts" . | nindent 2 }}
{{- end }}
{{- end }}

{{/* The admin Service and its kin. */}}
{{- define "service.adminName" -}}
{{ include "service.fullname" . }}-admin
{{- end }}

{{- define "service.overlayName" -}}
{{ .Values.overlay.existingConfigMap | default (printf "%s-overlay" (include "service.fullname" .)) }}
{{- end }}
