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

{{/* The most pods of the Deployment at once: those that it may be scaled to, and a rollout's surge. */}}
{{- define "service.mostPods" -}}
{{- $replicas := int64 .Values.replicaCount }}
{{- if .Values.autoscaling.enabled }}{{ $replicas = int64 .Values.autoscaling.maxReplicas }}{{ end }}
{{- if .Values.keda.enabled }}{{ $replicas = int64 .Values.keda.maxReplicas }}{{ end }}
{{- $surge := 0 }}
{{- if ne .Values.strategy.type "Recreate" }}
{{- /* The API's default, rounded up as the API does. */}}
{{- $rolling := .Values.strategy.rollingUpdate | default dict }}
{{- $given := ternary (toString $rolling.maxSurge) "25%" (hasKey $rolling "maxSurge") }}
{{- $surge = ternary (ceil (divf (mul $replicas (trimSuffix "%" $given | int64)) 100) | int64) (int64 $given) (hasSuffix "%" $given) }}
{{- end }}
{{- add $replicas $surge }}
{{- end }}

{{/* Those of the workers with them. */}}
{{- define "service.allPods" -}}
{{- $pods := include "service.mostPods" . | int64 }}
{{- if .Values.worker.enabled }}
{{- $worker := dict }}
{{- include "service.asWorker" (list . $worker) }}
{{- $pods = add $pods (include "service.mostPods" $worker | int64) }}
{{- end }}
{{- $pods }}
{{- end }}

{{/* The budget as an annotation; none where the server's connections are not given. */}}
{{- define "service.connections" -}}
{{- if and .Values.database.maxConnections (not .component) }}
{{- $pods := include "service.allPods" . | int64 }}
service/database-connections: {{ printf "%d pods x %d = %d, beside %d reserved of %d" $pods (int64 .Values.database.poolSize) (mul $pods (int64 .Values.database.poolSize)) (int64 .Values.database.reservedConnections) (int64 .Values.database.maxConnections) | quote }}
{{- end }}
{{- end }}

{{- define "service.checkDatabase" -}}
{{- $database := .Values.database }}
{{- if and $database.maxConnections (not .component) }}
{{- $pods := include "service.allPods" . | int64 }}
{{- $pool := int64 $database.poolSize }}
{{- $left := sub (int64 $database.maxConnections) (int64 $database.reservedConnections) }}
{{- if gt (mul $pods $pool) $left }}
{{- include "service.refuse" (list "database.maxConnections" (printf "%d pods, a rollout's surge included, with database.poolSize %d may open %d connections, and %d less database.reservedConnections are %d: lower the number of pods or the pool, or raise the server's max_connections" $pods $pool (mul $pods $pool) (int64 $database.maxConnections) $left)) }}
{{- end }}
{{- $told := dig "app" "database" "max_connections" nil .Values.config }}
{{- if and (not (kindIs "invalid" $told)) (ne (int64 $told) $pool) }}
{{- include "service.refuse" (list "database.poolSize" (printf "is %d, and config.app.database.max_connections is %d" $pool (int64 $told))) }}
{{- end }}
{{- end }}
{{- end }}
