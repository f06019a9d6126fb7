{{/* Numbers of values files, which Helm holds as float64: printed as they are, a million is 1e+06. */}}

{{/* A text, number or boolean as it was written. All numbers go through here, or through toYaml, which is as exact. */}}
{{- define "service.text" -}}
{{- if kindIs "string" . }}{{ . }}{{ else }}{{ toJson . }}{{ end }}
{{- end }}

{{/* A map whose values the API wants as texts: labels, annotations, a trigger's metadata. */}}
{{- define "service.texts" -}}
{{- $texts := dict }}
{{- range $key, $value := . }}{{ $_ := set $texts $key (include "service.text" $value) }}{{ end }}
{{- toYaml $texts }}
{{- end }}

{{/* A list of maps in which the API wants `value` as a text: variables, tolerations, DNS options. A fieldRef gets its apiVersion,
as in service.env. */}}
{{- define "service.valueTexts" -}}
{{- $items := list }}
{{- range . }}
{{- $item := deepCopy . }}
{{- if not (kindIs "invalid" .value) }}{{ $_ := set $item "value" (include "service.text" .value) }}{{ end }}
{{- with $item.valueFrom }}{{ with .fieldRef }}{{ $_ := set . "apiVersion" (.apiVersion | default "v1") }}{{ end }}{{ end }}
{{- $items = append $items $item }}
{{- end }}
{{- toYaml $items }}
{{- end }}

{{/* Containers of the user's own: arguments and variables are texts. */}}
{{- define "service.containers" -}}
{{- $containers := list }}
{{- range . }}
{{- $container := deepCopy . }}
{{- range $name := list "command" "args" }}
{{- with get $container $name }}
{{- $texts := list }}
{{- range . }}{{ $texts = append $texts (include "service.text" .) }}{{ end }}
{{- $_ := set $container $name $texts }}
{{- end }}
{{- end }}
{{- with $container.env }}{{ $_ := set $container "env" (include "service.valueTexts" . | fromYamlArray) }}{{ end }}
{{- $containers = append $containers $container }}
{{- end }}
{{- toYaml $containers }}
{{- end }}
