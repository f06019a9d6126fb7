{{/* What the pods ask of a database. */}}

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
