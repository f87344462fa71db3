{{/*
Names.
*/}}

{{- define "workqueue.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* The release's name, followed by the chart's unless it contains that. */}}
{{- define "workqueue.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- if contains $name .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{- define "workqueue.chart" -}}
{{- printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* At most 52 characters, since a StatefulSet's name is part of a label of its pods. */}}
{{- define "workqueue.brokerName" -}}
{{- printf "%s-broker" (include "workqueue.fullname" . | trunc 45 | trimSuffix "-") }}
{{- end }}

{{- define "workqueue.brokerNodesName" -}}
{{- printf "%s-nodes" (include "workqueue.brokerName" .) }}
{{- end }}

{{- define "workqueue.workerName" -}}
{{- default (printf "%s-worker" (include "workqueue.fullname" . | trunc 56 | trimSuffix "-")) .Values.worker.name }}
{{- end }}

{{/*
Labels. The argument is a dict with `root` and, if the object has one,
`component`.
*/}}

{{- define "workqueue.selectorLabels" -}}
app.kubernetes.io/name: {{ include "workqueue.name" .root | quote }}
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end }}

{{- define "workqueue.labels" -}}
helm.sh/chart: {{ include "workqueue.chart" .root }}
{{ include "workqueue.selectorLabels" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Converts a text to a valid label value. Queue names allow more characters. */}}
{{- define "workqueue.labelValue" -}}
{{- regexReplaceAll "[^A-Za-z0-9._-]+" . "-" | trunc 63 | trimAll "-._" }}
{{- end }}

{{/*
What is rendered.
*/}}

{{- define "workqueue.hasExternalBroker" -}}
{{- if or .Values.externalBroker.url .Values.externalBroker.existingSecret -}}
true
{{- end }}
{{- end }}

{{- define "workqueue.hasBroker" -}}
{{- if not (or .Values.tutorial.enabled (include "workqueue.hasExternalBroker" .)) -}}
true
{{- end }}
{{- end }}

{{/*
Credentials.
*/}}

{{- define "workqueue.credentialsName" -}}
{{- default (printf "%s-credentials" (include "workqueue.fullname" .)) .Values.auth.existingSecret }}
{{- end }}

{{/* The Secret of one of the broker's other users, or the one with the cookie. The argument is a dict with `root` and `name`. */}}
{{- define "workqueue.secretName" -}}
{{- default (printf "%s-%s" (include "workqueue.fullname" .root) .name) (get .root.Values.auth.existingSecrets .name) }}
{{- end }}

{{/*
A Secret of the release as it is in the cluster; nothing if another tool has made it, for example
`kubectl workqueue up`. The argument is a dict with `root` and `name`.
*/}}
{{- define "workqueue.isForeign" -}}
{{- $there := lookup "v1" "Secret" .root.Release.Namespace .name | default dict }}
{{- $owner := dig "metadata" "annotations" "meta.helm.sh/release-name" "" $there }}
{{- if and $there (ne $owner .root.Release.Name) -}}
true
{{- end }}
{{- end }}

{{/* What is in a Secret in the cluster, decoded. The argument is a dict with `root`, `name` and `key`. */}}
{{- define "workqueue.secretValue" -}}
{{- $there := lookup "v1" "Secret" .root.Release.Namespace .name | default dict }}
{{- get ($there.data | default dict) .key | default "" | b64dec }}
{{- end }}

{{/*
A password where the cluster is not seen, and a random one would change with every rendering: derived
from the administrator's by scrypt, so that workers do not find that by trying. The argument is a dict
with `root` and `name`.
*/}}
{{- define "workqueue.derivedPassword" -}}
{{- derivePassword 1 "maximum" .root.Values.auth.password .name (printf "%s/%s" .root.Release.Namespace (include "workqueue.credentialsName" .root)) | sha256sum | trunc 40 }}
{{- end }}

{{/* The Secret, and its key, with the URL that workers connect to. */}}
{{- define "workqueue.urlSecretName" -}}
{{- if .Values.worker.urlSecret.name }}
{{- .Values.worker.urlSecret.name }}
{{- else if .Values.externalBroker.existingSecret }}
{{- .Values.externalBroker.existingSecret }}
{{- else if .Values.externalBroker.url }}
{{- printf "%s-external-broker" (include "workqueue.fullname" .) }}
{{- else }}
{{- include "workqueue.secretName" (dict "root" . "name" "workers") }}
{{- end }}
{{- end }}

{{- define "workqueue.urlSecretKey" -}}
{{- if .Values.worker.urlSecret.name }}
{{- .Values.worker.urlSecret.key }}
{{- else if .Values.externalBroker.existingSecret }}
{{- .Values.externalBroker.secretKey }}
{{- else -}}
url
{{- end }}
{{- end }}

{{/* URL of the broker's client Service. The argument is a dict with `root`, `username` and `password`. */}}
{{- define "workqueue.brokerURL" -}}
{{- $scheme := "amqp" }}
{{- $port := 5672 }}
{{- if and .root.Values.broker.tls.enabled .root.Values.broker.tls.only }}
{{- $scheme = "amqps" }}
{{- $port = 5671 }}
{{- end }}
{{- $user := .username | urlquery | replace "+" "%20" }}
{{- $password := .password | urlquery | replace "+" "%20" }}
{{- printf "%s://%s:%s@%s:%d" $scheme $user $password (include "workqueue.brokerName" .root) $port }}
{{- end }}

{{/*
Whether `lookup` works: it finds nothing under `helm template`. The first two
objects are in the release's namespace, where whoever installs the chart can
most likely read them. The Service `kubernetes` exists even if the namespace
does not exist yet.
*/}}
{{- define "workqueue.seesCluster" -}}
{{- if lookup "v1" "ConfigMap" .Release.Namespace "kube-root-ca.crt" -}}
true
{{- else if lookup "v1" "ServiceAccount" .Release.Namespace "default" -}}
true
{{- else if lookup "v1" "Service" "default" "kubernetes" -}}
true
{{- end }}
{{- end }}

{{/*
The broker.
*/}}

{{- define "workqueue.brokerImage" -}}
{{- with .Values.broker.image }}
{{- .repository }}
{{- with .tag }}:{{ . }}{{ end }}
{{- with .digest }}@{{ . }}{{ end }}
{{- end }}
{{- end }}

{{/* The port that is open when the broker accepts clients. */}}
{{- define "workqueue.clientPortName" -}}
{{- if and .Values.broker.tls.enabled .Values.broker.tls.only -}}
amqps
{{- else -}}
amqp
{{- end }}
{{- end }}

{{- define "workqueue.clientPort" -}}
{{- if eq (include "workqueue.clientPortName" .) "amqps" -}}
5671
{{- else -}}
5672
{{- end }}
{{- end }}

{{- define "workqueue.isCluster" -}}
{{- if gt (int .Values.broker.replicas) 1 -}}
true
{{- end }}
{{- end }}

{{/* Bytes of a Kubernetes quantity: 1Gi, 1.5G, 500M, 1073741824. */}}
{{- define "workqueue.bytes" -}}
{{- $quantity := . }}
{{- if not (kindIs "string" .) }}
{{- $quantity = . | int64 | toString }}
{{- end }}
{{- $number := regexFind "^[0-9]+([.][0-9]+)?" $quantity }}
{{- $unit := trimPrefix $number $quantity }}
{{- $units := dict "" 1 "k" 1000 "M" 1000000 "G" 1000000000 "T" 1000000000000 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 }}
{{- if or (not $number) (not (hasKey $units $unit)) }}
{{- fail (printf "%q is not a quantity of bytes: write it as 512Mi, 1Gi or 1.5G" $quantity) }}
{{- end }}
{{- mulf $number (get $units $unit) | int64 }}
{{- end }}

{{/* rabbitmq.conf. RabbitMQ 3.10 and 4.3 know all keys used here: a broker does not start with an unknown key. */}}
{{- define "workqueue.rabbitmqConf" -}}
{{- $broker := .Values.broker -}}
log.console = true
log.file = false
load_definitions = /var/lib/rabbitmq/users.json
{{- if .Values.auth.tokens }}
auth_backends.1 = internal
auth_backends.2 = rabbit_auth_backend_oauth2
{{- end }}
{{- if $broker.tls.enabled }}
{{- if $broker.tls.only }}
listeners.tcp = none
{{- end }}
listeners.ssl.default = 5671
ssl_options.certfile = /etc/rabbitmq/tls/tls.crt
ssl_options.keyfile = /etc/rabbitmq/tls/tls.key
{{- if $broker.tls.hasCA }}
ssl_options.cacertfile = /etc/rabbitmq/tls/ca.crt
{{- end }}
ssl_options.verify = {{ ternary "verify_peer" "verify_none" $broker.tls.verifyClients }}
ssl_options.fail_if_no_peer_cert = {{ $broker.tls.verifyClients }}
{{- end }}
{{- with dig "limits" "memory" "" (default dict $broker.resources) }}
{{- $limit := include "workqueue.bytes" . | int64 }}
{{- if lt $limit 134217728 }}
{{- fail (printf "broker.resources.limits.memory: %s is too little for a broker: set 128Mi or more" (toString .)) }}
{{- end }}
vm_memory_high_watermark.absolute = {{ div (mul $limit (int64 $broker.memoryWatermarkPercent)) 100 }}
raft.wal_max_size_bytes = {{ max 33554432 (min 536870912 (div $limit 16)) }}
{{- end }}
disk_free_limit.absolute = {{ include "workqueue.bytes" $broker.diskFreeLimit }}
consumer_timeout = {{ mul (int64 $broker.consumerTimeoutSeconds) 1000 }}
{{- if $broker.management.enabled }}
management_agent.disable_metrics_collector = false
{{- end }}
cluster_formation.peer_discovery_backend = classic_config
{{- if include "workqueue.isCluster" . }}
cluster_partition_handling = pause_minority
{{- /* A node that no peer lets in must never form a cluster of its own. */}}
cluster_formation.discovery_retry_limit = 1000000
cluster_formation.discovery_retry_interval = 1000
{{- end }}
{{- with $broker.extraConfig }}
{{ . | trim }}
{{- end }}
{{- end }}

{{- define "workqueue.enabledPlugins" -}}
{{- $plugins := list }}
{{- if .Values.broker.management.enabled }}
{{- $plugins = append $plugins "rabbitmq_management" }}
{{- end }}
{{- if .Values.broker.prometheus.enabled }}
{{- $plugins = append $plugins "rabbitmq_prometheus" }}
{{- end }}
{{- if .Values.auth.tokens }}
{{- $plugins = append $plugins "rabbitmq_auth_backend_oauth2" }}
{{- end }}
{{- $plugins = concat $plugins (default list .Values.broker.extraPlugins) | uniq -}}
[{{ join "," $plugins }}].
{{- end }}

{{/* A pod's imagePullSecrets. The argument is a list of names, or of maps with a name. */}}
{{- define "workqueue.pullSecrets" -}}
{{- $secrets := list }}
{{- range . }}
{{- $secrets = append $secrets (kindIs "string" . | ternary (dict "name" .) .) }}
{{- end }}
{{- with $secrets -}}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* An object's annotations: the common ones and its own. The argument is a dict with `root` and `own`. */}}
{{- define "workqueue.annotations" -}}
{{- with mergeOverwrite (deepCopy (default dict .root.Values.commonAnnotations)) (default dict .own) -}}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* The domain in which the brokers of a cluster find each other by their short names. */}}
{{- define "workqueue.peerDomain" -}}
{{- printf "%s.%s.svc.%s" (include "workqueue.brokerNodesName" .) .Release.Namespace .Values.clusterDomain }}
{{- end }}

{{- define "workqueue.brokerAffinity" -}}
{{- $broker := .Values.broker }}
{{- if $broker.affinity }}
{{- toYaml $broker.affinity }}
{{- else if and (include "workqueue.isCluster" .) (ne $broker.antiAffinity "none") }}
{{- $term := dict "topologyKey" "kubernetes.io/hostname" "labelSelector" (dict "matchLabels" (include "workqueue.selectorLabels" (dict "root" . "component" "broker") | fromYaml)) -}}
podAntiAffinity:
  {{- if eq $broker.antiAffinity "hard" }}
  requiredDuringSchedulingIgnoredDuringExecution:
    {{- list $term | toYaml | nindent 4 }}
  {{- else }}
  preferredDuringSchedulingIgnoredDuringExecution:
    {{- list (dict "weight" 100 "podAffinityTerm" $term) | toYaml | nindent 4 }}
  {{- end }}
{{- end }}
{{- end }}

{{- define "workqueue.brokerSpread" -}}
{{- $selector := dict "labelSelector" (dict "matchLabels" (include "workqueue.selectorLabels" (dict "root" . "component" "broker") | fromYaml)) }}
{{- $constraints := list }}
{{- range .Values.broker.topologySpreadConstraints }}
{{- $constraints = append $constraints (hasKey . "labelSelector" | ternary . (merge (deepCopy .) $selector)) }}
{{- end }}
{{- with $constraints }}
{{- toYaml . }}
{{- end }}
{{- end }}

{{/*
Whether a container needs a volume at a path that it writes to: its root file system is
read-only, and nothing is mounted there. The argument is a dict with `path`,
`context` (a securityContext) and `mounts`.
*/}}
{{- define "workqueue.needsDirectory" -}}
{{- if dig "readOnlyRootFilesystem" false (default dict .context) }}
{{- $taken := false }}
{{- range .mounts }}
{{- if eq (trimSuffix "/" (toString .mountPath)) $.path }}
{{- $taken = true }}
{{- end }}
{{- end }}
{{- if not $taken -}}
true
{{- end }}
{{- end }}
{{- end }}

{{/*
The worker.
*/}}

{{- define "workqueue.runLabels" -}}
kubectl-workqueue/queue: {{ include "workqueue.labelValue" .Values.worker.queue | quote }}
{{- with .Values.worker.run }}
kubectl-workqueue/run: {{ . | quote }}
{{- end }}
{{- with .Values.worker.mode }}
kubectl-workqueue/mode: {{ . | quote }}
{{- end }}
{{- end }}

{{/* The chart's variables except for those that worker.env sets, followed by worker.env. */}}
{{- define "workqueue.workerEnv" -}}
{{- $taken := dict }}
{{- range .Values.worker.env }}
{{- $_ := set $taken .name true }}
{{- end }}
{{- $env := list }}
{{- $url := dict "secretKeyRef" (dict "name" (include "workqueue.urlSecretName" .) "key" (include "workqueue.urlSecretKey" .)) }}
{{- $env = append $env (dict "name" "BROKER_URL" "valueFrom" $url) }}
{{- $env = append $env (dict "name" "QUEUE" "value" .Values.worker.queue) }}
{{- with .Values.worker.run }}
{{- $env = append $env (dict "name" "WORKQUEUE_RUN" "value" .) }}
{{- end }}
{{- if and (include "workqueue.hasBroker" .) .Values.broker.tls.enabled .Values.broker.tls.only .Values.broker.tls.hasCA }}
{{- $env = append $env (dict "name" "BROKER_CA_FILE" "value" "/run/workqueue/broker-ca/ca.crt") }}
{{- end }}
{{- $env = append $env (dict "name" "NODE_NAME" "valueFrom" (dict "fieldRef" (dict "fieldPath" "spec.nodeName"))) }}
{{- $env = append $env (dict "name" "HOME" "value" "/tmp") }}
{{- $all := list }}
{{- range $env }}
{{- if not (hasKey $taken .name) }}
{{- $all = append $all . }}
{{- end }}
{{- end }}
{{- concat $all (default list .Values.worker.env) | toYaml }}
{{- end }}

{{/* The image that unpacks the worker from ConfigMaps. */}}
{{- define "workqueue.unpackImage" -}}
{{- if .Values.worker.inject.unpackImage -}}
{{ .Values.worker.inject.unpackImage }}
{{- else if include "workqueue.hasBroker" . -}}
{{ include "workqueue.brokerImage" . }}
{{- else }}
{{- fail "worker.inject.unpackImage: without a broker of its own, the release has no image that unpacks the worker: name one that has sh, gzip and sha256sum, such as busybox" }}
{{- end }}
{{- end }}

{{/*
The broker's image starts as root, which runAsNonRoot refuses. If no user is set for the workers, it
runs as the broker's user.
*/}}
{{- define "workqueue.unpackSecurityContext" -}}
{{- $context := deepCopy (default dict .Values.worker.securityContext) }}
{{- $pod := default dict .Values.worker.podSecurityContext }}
{{- if not (or (hasKey $context "runAsUser") (hasKey $pod "runAsUser") .Values.worker.inject.unpackImage) }}
{{- $context = merge $context (pick (default dict .Values.broker.podSecurityContext) "runAsUser" "runAsGroup") }}
{{- end }}
{{- with $context }}
{{- toYaml . }}
{{- end }}
{{- end }}

{{/* The volumes with the parts of the worker: their names sort as the parts do. */}}
{{- define "workqueue.archives" -}}
{{- $archives := list }}
{{- range $architecture, $archive := .Values.worker.inject.archives }}
{{- range $number, $configMap := $archive.configMaps }}
{{- $directory := printf "%s-%02d" $architecture $number }}
{{- $archives = append $archives (dict "volume" (printf "worker-%s" $directory) "directory" $directory "configMap" $configMap) }}
{{- end }}
{{- end }}
{{- toYaml $archives }}
{{- end }}

{{/*
The command that unpacks the worker for the node's architecture. Its arguments are, for each
architecture, the architecture, the executable's digest and the ConfigMaps. Anybody may have written
these, so nothing is executable before its digest is checked. 126 tells `kubectl workqueue` that
trying again is in vain.
*/}}
{{- define "workqueue.unpackCommand" -}}
{{- $script := `set -eu
arch=$(uname -m)
case $arch in x86_64) arch=amd64 ;; aarch64) arch=arm64 ;; esac
for tool in gzip sha256sum; do
  command -v $tool >/dev/null || { echo "the image that unpacks the worker has no $tool" >&2; exit 126; }
done
digest=
while [ $# -gt 0 ]; do
  if [ "$1" = "$arch" ]; then digest=$2 maps=$3; fi
  shift 3
done
if [ -z "$digest" ]; then
  echo "no worker for linux/$arch was brought along" >&2
  exit 126
fi
unpack() { cat /run/workqueue/archive/"$arch"-*/part | gzip -dc; }
found=$(unpack 2>/dev/null | sha256sum)
if [ "${found%% *}" != "$digest" ]; then
  echo "the worker in the ConfigMaps does not have the SHA-256 digest $digest: somebody has changed $maps" >&2
  exit 126
fi
cd /run/workqueue/bin
unpack >.unpacked || true
found=$(sha256sum <.unpacked)
if [ "${found%% *}" != "$digest" ]; then
  echo "the worker could not be written to /run/workqueue/bin" >&2
  exit 1
fi
chmod 0555 .unpacked
mv .unpacked workqueue-worker
` }}
{{- $command := list "/bin/sh" "-c" $script "unpack" }}
{{- range $architecture, $archive := .Values.worker.inject.archives }}
{{- $command = concat $command (list $architecture $archive.sha256 (join " " $archive.configMaps)) }}
{{- end }}
{{- toYaml $command }}
{{- end }}

{{/* Rules that the schema cannot express. */}}
{{- define "workqueue.validateBroker" -}}
{{- $tls := .Values.broker.tls }}
{{- if and $tls.enabled (not $tls.existingSecret) }}
{{- fail "broker.tls.existingSecret: name the Secret with tls.crt and tls.key" }}
{{- end }}
{{- if and $tls.only (not $tls.enabled) }}
{{- fail "broker.tls.only: closes the plaintext port, so broker.tls.enabled has to be true" }}
{{- end }}
{{- if and $tls.distribution (not (and $tls.enabled $tls.hasCA)) }}
{{- fail "broker.tls.distribution: brokers check each other's certificate, so broker.tls.enabled and broker.tls.hasCA have to be true" }}
{{- end }}
{{- if and $tls.verifyClients (not $tls.hasCA) }}
{{- fail "broker.tls.verifyClients: needs the CA that signed the clients' certificates, so broker.tls.hasCA has to be true" }}
{{- end }}
{{- end }}

{{- define "workqueue.validateWorker" -}}
{{- if and .Values.worker.podFailurePolicy (ne .Values.worker.restartPolicy "Never") }}
{{- fail "worker.podFailurePolicy: Kubernetes accepts it only if worker.restartPolicy is Never" }}
{{- end }}
{{- end }}

{{- /* Quantities as strings: servers before 1.21 refuse numbers in a server-side apply. */}}
{{- define "workqueue.resources" -}}
{{- $resources := dict }}
{{- range $kind, $quantities := . }}
{{- $texts := dict }}
{{- range $name, $quantity := $quantities }}
{{- $_ := set $texts $name (toString $quantity) }}
{{- end }}
{{- $_ := set $resources $kind $texts }}
{{- end }}
{{- toYaml $resources }}
{{- end }}
