{{/* Parts of the pod. */}}

{{/* The container's variables, as a list. Those of the downward API come before those that refer to them. Each fieldRef names
the apiVersion that the API would put there: without it, `kubectl apply --server-side` after a plain `kubectl apply` conflicts. */}}
{{- define "service.env" -}}
{{- $more := include "service.extraEnv" . | fromYamlArray }}
{{- $attributes := list "k8s.namespace.name=$(POD_NAMESPACE)" "k8s.node.name=$(NODE_NAME)" "k8s.pod.name=$(POD_NAME)" "k8s.pod.uid=$(POD_UID)" }}
{{- range $key, $value := .Values.resourceAttributes }}
{{- /* Percent-encoded, as of the specification of OTEL_RESOURCE_ATTRIBUTES. */}}
{{- $attributes = append $attributes (printf "%s=%s" $key (include "service.text" $value | urlquery | replace "+" "%20")) }}
{{- end }}
{{- $named := list }}
{{- range $more }}{{ $named = append $named .name }}{{ end }}
- name: POD_NAME
  valueFrom:
    fieldRef:
      apiVersion: v1
      fieldPath: metadata.name
- name: NODE_NAME
  valueFrom:
    fieldRef:
      apiVersion: v1
      fieldPath: spec.nodeName
- name: POD_NAMESPACE
  valueFrom:
    fieldRef:
      apiVersion: v1
      fieldPath: metadata.namespace
- name: POD_UID
  valueFrom:
    fieldRef:
      apiVersion: v1
      fieldPath: metadata.uid
{{- if not (has "ZONE" $named) }}
# Empty, which means none, on clusters that do not copy the node's zone to its pods.
- name: ZONE
  valueFrom:
    fieldRef:
      apiVersion: v1
      fieldPath: metadata.labels['topology.kubernetes.io/zone']
{{- end }}
{{- if not (has "OTEL_SERVICE_NAME" $named) }}
- name: OTEL_SERVICE_NAME
  value: {{ include "service.fullname" . | quote }}
{{- end }}
- name: OTEL_RESOURCE_ATTRIBUTES
  value: {{ join "," $attributes | quote }}
{{- range .Values.secretFiles }}
- name: {{ include "service.fileVariable" .key }}
  value: {{ printf "/etc/service/secrets/%s" .key | quote }}
{{- end }}
{{- with $more }}
{{ include "service.valueTexts" . }}
{{- end }}
{{- end }}

{{/* The variables of the values; serving pods have more while there are workers. */}}
{{- define "service.extraEnv" -}}
{{- $serves := and .Values.worker.enabled (not .component) }}
{{- concat .Values.extraEnv (ternary .Values.worker.servingEnv list $serves) | toYaml }}
{{- end }}

{{/* The variable that names the file of a setting: `app.token` is `APP__APP__TOKEN__FILE`. */}}
{{- define "service.fileVariable" -}}
{{ printf "APP__%s__FILE" (. | replace "." "__" | upper) }}
{{- end }}

{{/* What is behind the subcommand. */}}
{{- define "service.args" -}}
- --config
- /etc/service/settings/settings.yaml
{{- if .Values.secretConfig.existingSecret }}
- --config
- /etc/service/secret/settings.yaml
{{- end }}
{{- if .Values.overlay.enabled }}
- --overlay
- /etc/service/overlay/overlay.yaml
{{- end }}
{{- end }}

{{- define "service.volumes" -}}
- name: settings
  downwardAPI:
    items:
      - path: settings.yaml
        fieldRef:
          apiVersion: v1
          fieldPath: metadata.annotations['service/settings']
{{- if .Values.secretConfig.existingSecret }}
- name: secret
  secret:
    secretName: {{ .Values.secretConfig.existingSecret | quote }}
    items:
      - key: {{ .Values.secretConfig.key | quote }}
        path: settings.yaml
{{- end }}
{{- with .Values.secretFiles }}
- name: secrets
  projected:
    sources:
      {{- range . }}
      - secret:
          name: {{ .secretName | quote }}
          items:
            - key: {{ .secretKey | quote }}
              path: {{ .key | quote }}
      {{- end }}
{{- end }}
{{- if .Values.overlay.enabled }}
- name: overlay
  configMap:
    name: {{ include "service.overlayName" . | quote }}
    optional: true
{{- end }}
{{- with .Values.volumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "service.volumeMounts" -}}
- name: settings
  mountPath: /etc/service/settings
  readOnly: true
{{- if .Values.secretConfig.existingSecret }}
- name: secret
  mountPath: /etc/service/secret
  readOnly: true
{{- end }}
{{- if .Values.secretFiles }}
- name: secrets
  mountPath: /etc/service/secrets
  readOnly: true
{{- end }}
{{- if .Values.overlay.enabled }}
- name: overlay
  mountPath: /etc/service/overlay
  readOnly: true
{{- end }}
{{- with .Values.volumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Over zones, then hosts; matchLabelKeys counts each revision by itself, so that a rollout does not end lopsided. */}}
{{- define "service.topologySpread" -}}
{{- if kindIs "invalid" .Values.topologySpreadConstraints }}
{{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
- maxSkew: 1
  topologyKey: {{ . }}
  whenUnsatisfiable: ScheduleAnyway
  matchLabelKeys:
    - pod-template-hash
  labelSelector:
    matchLabels:
      {{- include "service.selectorLabels" $ | nindent 6 }}
{{- end }}
{{- else if .Values.topologySpreadConstraints }}
{{ toYaml .Values.topologySpreadConstraints }}
{{- end }}
{{- end }}

{{/* What the pods may reach, where that is restricted. */}}
{{- define "service.egress" -}}
- ports:
    - port: 53
      protocol: UDP
    - port: 53
      protocol: TCP
{{- with .Values.networkPolicy.egress.rules }}
{{ toYaml . }}
{{- end }}
{{- end }}
