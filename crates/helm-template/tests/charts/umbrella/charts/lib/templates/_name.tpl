{{- define "lib.name" -}}
{{ printf "%s-%s" .Release.Name .Chart.Name | lower }}
{{- end }}
