{{/* The service's settings, and what the pod takes from them. */}}

{{/* Milliseconds of (dict "key" key "value" duration), such as 250ms, 5s, 1m, 2h or 0. */}}
{{- define "service.milliseconds" -}}
{{- $text := toString .value }}
{{- if not (regexMatch "^(0|[0-9]{1,9}(ms|s|m|h))$" $text) }}
{{- fail (printf "%s: expected a duration such as 250ms, 5s, 1m or 2h" .key) }}
{{- end }}
{{- $number := regexFind "^[0-9]+" $text | int64 }}
{{- $unit := regexFind "[a-z]+$" $text | default "s" }}
{{- mul $number (get (dict "ms" 1 "s" 1000 "m" 60000 "h" 3600000) $unit) }}
{{- end }}

{{/* The same of a key below `config`, which has to be there. */}}
{{- define "service.setting" -}}
{{- $section := get (.root.Values.config | default dict) .section | default dict }}
{{- $key := printf "config.%s.%s" .section .key }}
{{- if not (hasKey $section .key) }}{{ fail (printf "%s: is required; the chart computes with it" $key) }}{{ end }}
{{- include "service.milliseconds" (dict "key" $key "value" (get $section .key)) }}
{{- end }}

{{/* Seconds that the pod needs from SIGTERM on; 1 s between the phases is the service's own margin. */}}
{{- define "service.drainSeconds" -}}
{{- $delay := include "service.setting" (dict "root" . "section" "lifecycle" "key" "drain_delay") | int64 }}
{{- $timeout := include "service.setting" (dict "root" . "section" "lifecycle" "key" "drain_timeout") | int64 }}
{{- $flush := include "service.setting" (dict "root" . "section" "lifecycle" "key" "flush_timeout") | int64 }}
{{- div (add $delay $timeout $flush 1000 999) 1000 }}
{{- end }}

{{/* terminationGracePeriodSeconds. 4 s more than is needed: for a slow node, as the kubelet's clock starts first. */}}
{{- define "service.graceSeconds" -}}
{{- $needed := add (include "service.drainSeconds" . | int64) (.Values.preStopSleepSeconds | int64) }}
{{- if kindIs "invalid" .Values.terminationGracePeriodSeconds }}
{{- add $needed 4 }}
{{- else }}
{{- $grace := .Values.terminationGracePeriodSeconds | int64 }}
{{- if lt $grace $needed }}
{{- fail (printf "terminationGracePeriodSeconds: %d is less than the %d s that preStopSleepSeconds, config.lifecycle.drain_delay, drain_timeout, flush_timeout and 1 s come to; raise it, or shorten the drain" $grace $needed) }}
{{- end }}
{{- $grace }}
{{- end }}
{{- end }}

{{/* I/O threads by the CPU limit, else the request; `auto` where there is neither. Without this, a pod without a limit would
start as many as the node has cores. As many work threads; but with a limit they are `auto`, and follow it when the pod is
resized. */}}
{{- define "service.threads" -}}
{{- $requests := .Values.resources.requests | default dict }}
{{- $limits := .Values.resources.limits | default dict }}
{{- $cpu := toString ($limits.cpu | default $requests.cpu | default "") }}
{{- if $cpu }}
{{- $cores := ternary (divf (trimSuffix "m" $cpu | float64) 1000) (float64 $cpu) (hasSuffix "m" $cpu) }}
{{- max 2 (ceil $cores | int64) }}
{{- end }}
{{- end }}

{{/* The settings as the pod gets them: `config`, the grace period, and the threads. */}}
{{- define "service.settings" -}}
{{- $settings := deepCopy .Values.config }}
{{- $grace := sub (include "service.graceSeconds" . | int64) (.Values.preStopSleepSeconds | int64) }}
{{- $_ := set $settings.lifecycle "grace_period" (printf "%ds" $grace) }}
{{- with include "service.threads" . }}
{{- $limit := ($.Values.resources.limits | default dict).cpu }}
{{- $threads := dict "worker_threads" (int64 .) "work_threads" (ternary (int64 .) "auto" (empty $limit)) }}
{{- $_ := set $settings "runtime" (merge (deepCopy ($settings.runtime | default dict)) $threads) }}
{{- end }}
{{- toYaml $settings }}
{{- end }}

{{/* The port of the first plain-HTTP listener. */}}
{{- define "service.httpPort" -}}
{{- $port := "" }}
{{- range .Values.config.server.listen }}
{{- if and (not $port) (regexMatch "^http://.*:[0-9]+/?$" .) }}{{ $port = regexFind "[0-9]+/?$" . | trimSuffix "/" }}{{ end }}
{{- end }}
{{- if not $port }}{{ fail "config.server.listen: expected one URL such as http://[::]:8080; the Service needs a TCP port" }}{{ end }}
{{- $port }}
{{- end }}

{{- define "service.adminPort" -}}
{{- $listen := dig "admin" "listen" "" .Values.config }}
{{- if not (regexMatch ":[0-9]+$" $listen) }}{{ fail "config.admin.listen: expected an address and a port, such as [::]:8081" }}{{ end }}
{{- regexFind "[0-9]+$" $listen }}
{{- end }}
