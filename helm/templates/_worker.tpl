{{/* The workers: the same image and settings, without a Service. */}}

{{/* Puts into the dict (index . 1) the root with which the templates of the serving pods make those of the workers: another
name, another component, and the values of `worker` in the place of the serving pods' own. */}}
{{- define "service.asWorker" -}}
{{- $root := index . 0 }}
{{- $out := index . 1 }}
{{- $worker := $root.Values.worker }}
{{- $values := deepCopy $root.Values }}
{{- $name := include "service.fullname" $root }}
{{- $_ := set $values "fullnameOverride" (printf "%s-worker" ($name | trunc 43 | trimSuffix "-")) }}
{{- $_ := set $values.overlay "existingConfigMap" (include "service.overlayName" $root) }}
{{- $_ := set $values.overlay "values" dict }}
{{- $_ := set $values.serviceAccount "name" (include "service.serviceAccountName" $root) }}
{{- $_ := set $values "replicaCount" $worker.replicaCount }}
{{- $_ := set $values "extraEnv" (concat $root.Values.extraEnv $worker.env) }}
{{- if $worker.resources }}{{ $_ := set $values "resources" $worker.resources }}{{ end }}
{{- $_ := set $values "autoscaling" (merge (deepCopy $worker.autoscaling) (dict "targetMemoryUtilizationPercentage" nil "metrics" list "behavior" $root.Values.autoscaling.behavior)) }}
{{- $query := printf "max(sum by (pod) (jobs_depth{namespace=%q, job=%q, state=~\"ready|running\"}))" $root.Release.Namespace $values.fullnameOverride }}
{{- $keda := dict "query" $query "targetSaturation" $worker.keda.jobsPerReplica "prometheusAddress" $root.Values.keda.prometheusAddress "triggers" list }}
{{- range list "pollingInterval" "cooldownPeriod" "fallbackBehavior" "annotations" }}{{ $_ := set $keda . (get $root.Values.keda .) }}{{ end }}
{{- range list "enabled" "minReplicas" "maxReplicas" "fallbackReplicas" }}{{ $_ := set $keda . (get $worker.keda .) }}{{ end }}
{{- $_ := set $values "keda" $keda }}
{{- /* No Service selects them, so a ServiceMonitor finds nothing. */}}
{{- $monitor := ternary $root.Values.serviceMonitor $root.Values.podMonitor $root.Values.serviceMonitor.enabled }}
{{- $_ := set $values "podMonitor" $monitor }}
{{- $_ := set $values "serviceMonitor" (dict "enabled" false) }}
{{- range $key, $value := dict "Values" $values "Chart" $root.Chart "Release" $root.Release "Files" $root.Files "Capabilities" $root.Capabilities "Template" $root.Template "component" "worker" }}
{{- $_ := set $out $key $value }}
{{- end }}
{{- end }}
