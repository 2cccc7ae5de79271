{{/* What the pods of one component are called and found by: (list $ "sidecar") */}}
{{- define "nightsort.labels" -}}
{{- $top := index . 0 -}}
app.kubernetes.io/name: nightsort
app.kubernetes.io/instance: {{ $top.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- define "nightsort.image" -}}
image: {{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{- end }}

{{/* What holds for every pod: no rights, no token of the cluster. */}}
{{- define "nightsort.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: {{ .Values.user }}
  runAsGroup: {{ .Values.user }}
  fsGroup: {{ .Values.user }}
  # volumes with many photos would be gone through at every start otherwise
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "nightsort.container" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end }}

{{- define "nightsort.settings" -}}
{{- range $name, $value := merge (dict) .Values.settings (dict "LOG_FORMAT" "json") }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}

{{/* A volume of a claim: (list $ "data") */}}
{{- define "nightsort.claim" -}}
{{- $top := index . 0 -}}
{{- $name := index . 1 -}}
- name: {{ $name }}
  persistentVolumeClaim:
    claimName: {{ (index $top.Values $name).existingClaim | default (printf "%s-%s" $top.Release.Name $name) }}
{{- end }}

{{- define "nightsort.mounts" -}}
- name: data
  mountPath: /data
- name: state
  mountPath: /state
- name: tmp
  mountPath: /tmp
{{- end }}
