# Local volumes over directories, and their reclaim: nothing else would provision or reuse them.
# shellcheck shell=bash

VOLUMES=12

# As on a real node: owned by root, so a pod that is not root depends on its fsGroup.
fresh_volume() {
    rm -rf "$1"
    mkdir -p "$1"
    chmod 0755 "$1"
}

volume_manifests() {
    local number path
    cat <<'CLASS'
{"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "local",
  "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
 "provisioner": "kubernetes.io/no-provisioner", "volumeBindingMode": "WaitForFirstConsumer"}
CLASS
    for ((number = 1; number <= VOLUMES; number++)); do
        path="$RUN/volumes/$number"
        [ -d "$path" ] || fresh_volume "$path"
        cat <<VOLUME
{"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "local-$number"},
 "spec": {"capacity": {"storage": "20Gi"}, "accessModes": ["ReadWriteOnce"],
  "storageClassName": "local", "persistentVolumeReclaimPolicy": "Retain",
  "local": {"path": "$path"},
  "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [
   {"key": "kubernetes.io/hostname", "operator": "In", "values": ["$NODE"]}]}]}}}}
VOLUME
    done
}

start_volumes() {
    volume_manifests | kube apply -f - >"$LOGS/volumes.log" 2>&1 ||
        { show_log "$LOGS/volumes.log"; die "the volumes could not be made"; }
    start volume-loop bash "$TEST_BED/lib/volume-loop"
}

# A volume whose PVC is gone is emptied and offered again.
reclaim_volumes() {
    local name path
    kube get --raw /api/v1/persistentvolumes |
        jq -r '.items[] | select(.status.phase == "Released") | "\(.metadata.name) \(.spec.local.path)"' |
        while read -r name path; do
            case "$path" in "$RUN"/volumes/*) ;; *) continue ;; esac
            fresh_volume "$path"
            kube patch persistentvolume "$name" --type json \
                --patch '[{"op": "remove", "path": "/spec/claimRef"}]' </dev/null
        done
}
