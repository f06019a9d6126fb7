{{/* Values that are null or empty: `key:` with nothing behind it is null in YAML. */}}

{{/* Gives each such key its default. Helm drops null keys before the schema and the templates see them, and with them the
default; every template begins with this, as Helm renders them in an order of its own. Parents come first, since `range`
sorts the keys. */}}
{{- define "service.defaults" -}}
{{- range $key, $default := .Files.Get "files/defaults.yaml" | fromYaml }}
{{- $path := splitList "." $key }}
{{- $place := $.Values }}
{{- range initial $path }}
{{- if not (kindIs "map" (get $place .)) }}{{ $_ := set $place . dict }}{{ end }}
{{- $place = get $place . }}
{{- end }}
{{- if kindIs "invalid" (index $place (last $path)) }}
{{- $_ := set $place (last $path) $default }}
{{- end }}
{{- end }}
{{- end }}
