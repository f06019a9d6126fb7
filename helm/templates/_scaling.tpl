{{/* The number of replicas, when an autoscaler takes it over. */}}

{{/* JSON of `replicas` and `operation` where an upgrade would set the running number to 1, else nothing. An autoscaler's chart
names no number; a field that its only owner no longer names goes, and the API then puts its default, 1. The operation is
Apply where Helm applies on the server's side, and a second owner keeps the number; Update where Helm sends a patch that
removes it, whoever owns it. Only a cluster has what to look up: `helm template` and GitOps do not see it. */}}
{{- define "service.lostReplicas" -}}
{{- if or .Values.autoscaling.enabled .Values.keda.enabled }}
{{- with lookup "apps/v1" "Deployment" .Release.Namespace (include "service.fullname" .) }}
{{- $operations := list }}
{{- $others := false }}
{{- range .metadata.managedFields }}
{{- if hasKey (dig "fieldsV1" "f:spec" dict .) "f:replicas" }}
{{- if hasPrefix "helm" .manager }}{{ $operations = append $operations .operation }}{{ else }}{{ $others = true }}{{ end }}
{{- end }}
{{- end }}
{{- if and $operations (not $others) (gt (int64 .spec.replicas) 1) }}
{{- dict "replicas" (int64 .spec.replicas) "operation" (first $operations) | toJson }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
