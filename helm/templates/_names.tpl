{{/* Names, labels and metadata. */}}

{{- define "service.name" -}}
{{- include "service.labelText" (.Values.nameOverride | default .Chart.Name) }}
{{- end }}

{{/* A text as a label's value: an alias, a version and an appVersion may have characters that a label may not, and each end
has to be a letter or digit, also after the cut. */}}
{{- define "service.labelText" -}}
{{- regexReplaceAll "[^A-Za-z0-9_.-]" . "_" | trunc 63 | trimAll "-._" }}
{{- end }}

{{/* 50 of the 63 characters that a name may have: room for "-test-traffic". */}}
{{- define "service.fullname" -}}
{{- $name := .Values.nameOverride | default .Chart.Name }}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) }}
{{- $name = regexReplaceAll "[^a-z0-9-]" (.Values.fullnameOverride | default $full | lower) "-" | trimAll "-" }}
{{- /* RFC 1035, which names of Services follow, begins with a letter. */}}
{{- if not (regexMatch "^[a-z]" $name) }}{{ $name = printf "service-%s" $name }}{{ end }}
{{- $name | trunc 50 | trimAll "-" }}
{{- end }}

{{- define "service.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (ternary (include "service.fullname" .) "default" .Values.serviceAccount.create) }}
{{- end }}

{{- define "service.image" -}}
{{- if not .Values.image.repository }}{{ include "service.refuse" (list "image.repository" "must be set") }}{{ end }}
{{- $registry := "" }}
{{- with .Values.global }}{{ $registry = .imageRegistry | default "" | trimSuffix "/" }}{{ end }}
{{- with $registry }}{{ . }}/{{ end }}{{ .Values.image.repository }}
{{- if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ with .Values.image.tag }}{{ . }}{{ else }}{{ include "service.appTag" $ }}{{ end }}{{ end }}
{{- end }}

{{/* The appVersion as a tag, which has no plus sign: `1.0.0+build` is `1.0.0_build`, as Helm has it for charts. */}}
{{- define "service.appTag" -}}
{{- $tag := regexReplaceAll "[^A-Za-z0-9_.-]" (.Chart.AppVersion | default "") "_" }}
{{- $tag = regexReplaceAll "^[.-]+" $tag "" | trunc 128 }}
{{- if not $tag }}{{ include "service.refuse" (list "image.tag" "must be set, since the chart has no appVersion") }}{{ end }}
{{- $tag }}
{{- end }}

{{/* What selects the pods that serve, or the workers. The component keeps test pods out. */}}
{{- define "service.selectorLabels" -}}
app.kubernetes.io/name: {{ include "service.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/component: {{ .component | default "server" }}
{{- end }}

{{/* Labels of (dict "root" $ "component" "server" "labels" more); what the chart needs wins. */}}
{{- define "service.labels" -}}
{{- $own := dict
  "helm.sh/chart" (printf "%s-%s" .root.Chart.Name .root.Chart.Version | include "service.labelText")
  "app.kubernetes.io/name" (include "service.name" .root)
  "app.kubernetes.io/instance" .root.Release.Name
  "app.kubernetes.io/component" (.component | default .root.component | default "server")
  "app.kubernetes.io/version" (.root.Chart.AppVersion | default "" | include "service.labelText")
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

{{- define "service.migrateName" -}}
{{ include "service.fullname" . }}-migrate
{{- end }}
