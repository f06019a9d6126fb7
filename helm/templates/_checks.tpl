{{/* What the schema cannot say: values that contradict each other. Each message names the key. */}}

{{- define "service.checks" -}}
{{- include "service.checkSettings" . }}
{{- include "service.checkScaling" . }}
{{- include "service.checkDatabase" . }}
{{- include "service.checkEnv" . }}
{{- include "service.checkPod" . }}
{{- include "service.checkDoors" . }}
{{- include "service.checkMonitoring" . }}
{{- end }}

{{- define "service.refuse" -}}
{{- fail (printf "%s: %s" (index . 0) (index . 1)) }}
{{- end }}

{{- define "service.checkSettings" -}}
{{- if hasKey (.Values.config.lifecycle | default dict) "grace_period" }}
{{- include "service.refuse" (list "config.lifecycle.grace_period" "the chart derives it; set terminationGracePeriodSeconds") }}
{{- end }}
{{- $drain := include "service.setting" (dict "root" . "section" "lifecycle" "key" "drain_timeout") | int64 }}
{{- $request := include "service.milliseconds" (dict "key" "config.server.request_timeout" "value" (.Values.config.server.request_timeout | default "30s")) | int64 }}
{{- if lt $drain $request }}
{{- include "service.refuse" (list "config.lifecycle.drain_timeout" (printf "is less than config.server.request_timeout (%d ms < %d ms): a request could be cut" $drain $request)) }}
{{- end }}
{{- with .Values.startupProbe }}
{{- $start := include "service.milliseconds" (dict "key" "config.lifecycle.start_timeout" "value" ($.Values.config.lifecycle.start_timeout | default "55s")) | int64 }}
{{- $granted := add (.initialDelaySeconds | default 0 | int64) (mul (.periodSeconds | default 10 | int64) (.failureThreshold | default 3 | int64)) }}
{{- if ge $start (mul $granted 1000) }}
{{- include "service.refuse" (list "config.lifecycle.start_timeout" (printf "%d ms is not below the %d s that startupProbe grants: the kubelet would kill a start before it could say its reason" $start $granted)) }}
{{- end }}
{{- end }}
{{- if eq (include "service.httpPort" .) (include "service.adminPort" .) }}
{{- include "service.refuse" (list "config.admin.listen" "has the port of config.server.listen") }}
{{- end }}
{{- range $key, $listen := dict "config.admin.listen" .Values.config.admin.listen "config.server.listen" (first .Values.config.server.listen) }}
{{- if regexMatch "(^|//)(localhost|127\\.|\\[::1\\])" $listen }}
{{- include "service.refuse" (list $key (printf "%s is out of reach for Service and kubelet; use [::] or 0.0.0.0" $listen)) }}
{{- end }}
{{- end }}
{{- if and .Values.overlay.existingConfigMap .Values.overlay.values }}
{{- include "service.refuse" (list "overlay.values" "has no effect with overlay.existingConfigMap; set one of them") }}
{{- end }}
{{- if and .Values.overlay.values (not .Values.overlay.enabled) }}
{{- include "service.refuse" (list "overlay.values" "has no effect without overlay.enabled") }}
{{- end }}
{{- /* The API server bounds all annotations of an object to 256 KiB. */}}
{{- if gt (len (include "service.settings" .)) 204800 }}
{{- include "service.refuse" (list "config" "is larger than 200 KiB, more than a pod's annotations can carry; use secretConfig") }}
{{- end }}
{{- end }}

{{- define "service.checkScaling" -}}
{{- $at := ternary "worker." "" (eq (.component | default "") "worker") }}
{{- if and .Values.autoscaling.enabled .Values.keda.enabled }}
{{- include "service.refuse" (list (printf "%skeda.enabled" $at) "and autoscaling.enabled: two autoscalers would fight; enable one") }}
{{- end }}
{{- range $name := list "autoscaling" "keda" }}
{{- $scaler := get $.Values $name }}
{{- if and $scaler.enabled (gt (int64 $scaler.minReplicas) (int64 $scaler.maxReplicas)) }}
{{- include "service.refuse" (list (printf "%s%s.minReplicas" $at $name) (printf "is above %s%s.maxReplicas" $at $name)) }}
{{- end }}
{{- end }}
{{- with .Values.autoscaling }}
{{- if and .enabled (not .targetCPUUtilizationPercentage) (not .targetMemoryUtilizationPercentage) (not .metrics) }}
{{- include "service.refuse" (list "autoscaling.targetCPUUtilizationPercentage" "no metric to scale by; set it, or autoscaling.metrics") }}
{{- end }}
{{- end }}
{{- with .Values.keda }}
{{- if and .enabled (not .prometheusAddress) (not .triggers) }}
{{- include "service.refuse" (list "keda.prometheusAddress" "must be set, or keda.triggers") }}
{{- end }}
{{- if and .enabled (or (lt (int64 .fallbackReplicas) (int64 .minReplicas)) (gt (int64 .fallbackReplicas) (int64 .maxReplicas))) }}
{{- include "service.refuse" (list (printf "%skeda.fallbackReplicas" $at) (printf "is not between %skeda.minReplicas and %skeda.maxReplicas" $at $at)) }}
{{- end }}
{{- end }}
{{- with include "service.lostReplicas" . | default "{}" | fromJson }}
{{- if eq .operation "Apply" }}
{{- $part := dict "apiVersion" "apps/v1" "kind" "Deployment" "metadata" (dict "name" (include "service.fullname" $)) "spec" (dict "replicas" (int64 .replicas)) | toJson }}
{{- include "service.refuse" (list (ternary "autoscaling.enabled" "keda.enabled" $.Values.autoscaling.enabled) (printf "the %d running replicas would fall to 1, since only Helm owns their number; hand it over, then run this again: echo '%s' | kubectl --namespace %s apply --server-side --field-manager=replicas-handover --validate=false --filename -" (int64 .replicas) $part $.Release.Namespace)) }}
{{- end }}
{{- end }}
{{- with .Values.podDisruptionBudget }}
{{- if and .enabled (not (kindIs "invalid" .minAvailable)) (not (kindIs "invalid" .maxUnavailable)) }}
{{- include "service.refuse" (list "podDisruptionBudget.minAvailable" "and podDisruptionBudget.maxUnavailable exclude each other; set one to null") }}
{{- end }}
{{- if and .enabled (kindIs "invalid" .minAvailable) (kindIs "invalid" .maxUnavailable) }}
{{- include "service.refuse" (list "podDisruptionBudget.maxUnavailable" "or podDisruptionBudget.minAvailable must be set") }}
{{- end }}
{{- end }}
{{- $rolling := .Values.strategy.rollingUpdate | default dict }}
{{- if and (has (toString $rolling.maxUnavailable) (list "0" "0%")) (has (toString $rolling.maxSurge) (list "0" "0%")) }}
{{- include "service.refuse" (list "strategy.rollingUpdate.maxSurge" "and strategy.rollingUpdate.maxUnavailable are both 0: no rollout could ever begin") }}
{{- end }}
{{- if and (eq .Values.strategy.type "Recreate") .Values.strategy.rollingUpdate }}
{{- include "service.refuse" (list "strategy.rollingUpdate" "requires the type RollingUpdate; set it to null") }}
{{- end }}
{{- if ge (int64 .Values.minReadySeconds) (int64 .Values.progressDeadlineSeconds) }}
{{- include "service.refuse" (list "progressDeadlineSeconds" "must be greater than minReadySeconds") }}
{{- end }}
{{- end }}

{{- define "service.checkEnv" -}}
{{- $elsewhere := dict "OTEL_RESOURCE_ATTRIBUTES" "resourceAttributes" "APP__SERVER__LISTEN" "config.server.listen" "APP__ADMIN__LISTEN" "config.admin.listen" "APP__SERVER__REQUEST_TIMEOUT" "config.server.request_timeout" }}
{{- $seen := dict }}
{{- range list "POD_NAME" "NODE_NAME" "POD_NAMESPACE" "POD_UID" }}{{ $_ := set $seen . true }}{{ end }}
{{- range .Values.secretFiles }}
{{- $name := include "service.fileVariable" .key }}
{{- $plain := trimSuffix "__FILE" $name }}
{{- if hasKey $elsewhere $plain }}
{{- include "service.refuse" (list "secretFiles" (printf "%s: the chart computes with it; set %s" .key (get $elsewhere $plain))) }}
{{- end }}
{{- if hasPrefix "lifecycle." (lower .key) }}
{{- include "service.refuse" (list "secretFiles" (printf "%s: the grace period follows from it; set config.%s" .key .key)) }}
{{- end }}
{{- if hasKey $seen $name }}
{{- include "service.refuse" (list "secretFiles" (printf "%s is duplicated" .key)) }}
{{- end }}
{{- $_ := set $seen $name true }}
{{- $_ := set $seen $plain true }}
{{- end }}
{{- range include "service.extraEnv" . | fromYamlArray }}
{{- /* The service takes its own names in any case. */}}
{{- $name := ternary (upper .name) .name (hasPrefix "APP__" (upper .name)) }}
{{- if hasKey $elsewhere $name }}
{{- include "service.refuse" (list "extraEnv" (printf "%s: the chart computes with it; set %s" .name (get $elsewhere $name))) }}
{{- end }}
{{- if hasPrefix "APP__LIFECYCLE__" $name }}
{{- include "service.refuse" (list "extraEnv" (printf "%s: the grace period follows from it; set config.lifecycle.%s" .name (trimPrefix "APP__LIFECYCLE__" $name | lower))) }}
{{- end }}
{{- if hasKey $seen $name }}
{{- include "service.refuse" (list "extraEnv" (printf "%s is duplicated; server-side apply refuses that" .name)) }}
{{- end }}
{{- $_ := set $seen $name true }}
{{- end }}
{{- end }}

{{- define "service.checkPod" -}}
{{- $names := list "server" }}
{{- range concat .Values.sidecars .Values.initContainers }}
{{- if has .name $names }}
{{- include "service.refuse" (list "sidecars, initContainers" (printf "a container %s already exists" .name)) }}
{{- end }}
{{- $names = append $names .name }}
{{- end }}
{{- $volumes := list "settings" "secret" "secrets" "overlay" }}
{{- range .Values.volumes }}
{{- if has .name $volumes }}
{{- include "service.refuse" (list "volumes" (printf "a volume %s already exists" .name)) }}
{{- end }}
{{- $volumes = append $volumes .name }}
{{- end }}
{{- range .Values.volumeMounts }}
{{- if not (has .name $volumes) }}
{{- include "service.refuse" (list "volumeMounts" (printf "there is no volume %s; add it to volumes" .name)) }}
{{- end }}
{{- if hasPrefix "/etc/service/" (printf "%s/" .mountPath) }}
{{- include "service.refuse" (list "volumeMounts" (printf "%s is where the chart mounts the settings" .mountPath)) }}
{{- end }}
{{- end }}
{{- range $name := list "startupProbe" "livenessProbe" "readinessProbe" }}
{{- with get $.Values $name }}
{{- if not (or .httpGet .tcpSocket .grpc .exec) }}
{{- include "service.refuse" (list $name "must have httpGet, tcpSocket, grpc or exec; set the whole probe to null to leave it out") }}
{{- end }}
{{- range $kind := list "httpGet" "tcpSocket" "grpc" }}
{{- with get (get $.Values $name) $kind }}
{{- if kindIs "invalid" .port }}
{{- include "service.refuse" (list (printf "%s.%s.port" $name $kind) "must be set") }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- range $key := list "app.kubernetes.io/name" "app.kubernetes.io/instance" "app.kubernetes.io/component" }}
{{- if hasKey $.Values.podLabels $key }}
{{- include "service.refuse" (list "podLabels" (printf "%s selects the pods; use nameOverride" $key)) }}
{{- end }}
{{- end }}
{{- if hasKey .Values.podAnnotations "service/settings" }}
{{- include "service.refuse" (list "podAnnotations" "service/settings carries the settings; use config") }}
{{- end }}
{{- end }}

{{- define "service.checkDoors" -}}
{{- with .Values.service }}
{{- if and .nodePort (eq .type "ClusterIP") }}
{{- include "service.refuse" (list "service.nodePort" "requires the type NodePort or LoadBalancer") }}
{{- end }}
{{- range $key := list "loadBalancerClass" "loadBalancerSourceRanges" }}
{{- if and (get $.Values.service $key) (ne $.Values.service.type "LoadBalancer") }}
{{- include "service.refuse" (list (printf "service.%s" $key) "requires the type LoadBalancer") }}
{{- end }}
{{- end }}
{{- if and .externalTrafficPolicy (eq .type "ClusterIP") }}
{{- include "service.refuse" (list "service.externalTrafficPolicy" "requires the type NodePort or LoadBalancer") }}
{{- end }}
{{- if and (eq .ipFamilyPolicy "SingleStack") (gt (len .ipFamilies) 1) }}
{{- include "service.refuse" (list "service.ipFamilies" "has two, and service.ipFamilyPolicy is SingleStack") }}
{{- end }}
{{- end }}
{{- if and .Values.ingress.enabled (not .Values.ingress.hosts) }}
{{- include "service.refuse" (list "ingress.hosts" "must name at least one") }}
{{- end }}
{{- range $name := list "httpRoute" "grpcRoute" }}
{{- $route := get $.Values $name }}
{{- if and $route.enabled (not $route.parentRefs) }}
{{- include "service.refuse" (list (printf "%s.parentRefs" $name) "must name a gateway") }}
{{- end }}
{{- end }}
{{- if and .Values.httpRoute.enabled (not .Values.httpRoute.rules) }}
{{- include "service.refuse" (list "httpRoute.rules" "must contain at least one") }}
{{- end }}
{{- if and .Values.grpcRoute.enabled (ne .Values.service.appProtocol "kubernetes.io/h2c") }}
{{- include "service.refuse" (list "service.appProtocol" "must be kubernetes.io/h2c for grpcRoute.enabled: gRPC is HTTP/2") }}
{{- end }}
{{- with .Values.certificate }}
{{- if and .enabled (not .issuerRef.name) }}
{{- include "service.refuse" (list "certificate.issuerRef" "must name an issuer") }}
{{- end }}
{{- if and .enabled (not (include "service.dnsNames" $ | fromYamlArray)) }}
{{- include "service.refuse" (list "certificate.dnsNames" "must name at least one; no Ingress or route names one") }}
{{- end }}
{{- end }}
{{- end }}

{{- define "service.checkMonitoring" -}}
{{- if and .Values.serviceMonitor.enabled .Values.podMonitor.enabled }}
{{- include "service.refuse" (list "podMonitor.enabled" "and serviceMonitor.enabled: all would be scraped twice; enable one") }}
{{- end }}
{{- if and .Values.serviceMonitor.enabled (not .Values.adminService.enabled) }}
{{- include "service.refuse" (list "serviceMonitor.enabled" "needs adminService.enabled; or use podMonitor") }}
{{- end }}
{{- if and .Values.prometheusRule.enabled (not (.Files.Get "files/rules.yaml")) (not .Values.prometheusRule.additionalGroups) }}
{{- include "service.refuse" (list "prometheusRule.enabled" "the chart has no files/rules.yaml") }}
{{- end }}
{{- if and .Values.dashboard.enabled (not (.Files.Get "files/dashboard.json")) }}
{{- include "service.refuse" (list "dashboard.enabled" "the chart has no files/dashboard.json") }}
{{- end }}
{{- end }}
