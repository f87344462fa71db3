# Starts and stops the parts of Kubernetes: etcd, the control plane and the one node.
# shellcheck shell=bash

ETCD=http://127.0.0.1:23790
# Started in this order, stopped in the reverse one.
KUBERNETES_PARTS=(etcd kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy)

# In memory: nothing in it outlives the cluster, and each write waits for its disk.
start_etcd() {
    running etcd && return 0
    mkdir -p "$RUN/etcd"
    mountpoint -q "$RUN/etcd" || mount -t tmpfs -o size=1g,mode=0700 etcd "$RUN/etcd"
    start etcd etcd --data-dir "$RUN/etcd/data" --logger zap --log-level warn \
        --listen-client-urls "$ETCD" --advertise-client-urls "$ETCD" \
        --listen-peer-urls http://127.0.0.1:23800 \
        --initial-advertise-peer-urls http://127.0.0.1:23800 \
        --initial-cluster default=http://127.0.0.1:23800
}

# It listens on the bridge's address only: pods and this machine reach it, the network does not.
start_apiserver() {
    local address
    address="$(bridge_address)"
    start kube-apiserver "$KUBERNETES/kube-apiserver" \
        --etcd-servers "$ETCD" \
        --bind-address "$address" --advertise-address "$address" --secure-port 6443 \
        --cert-dir "$PKI" --tls-cert-file "$PKI/apiserver.crt" --tls-private-key-file "$PKI/apiserver.key" \
        --token-auth-file "$PKI/tokens.csv" --authorization-mode Node,RBAC --allow-privileged \
        --service-cluster-ip-range "$SERVICE_ADDRESSES" \
        --service-account-issuer https://kubernetes.default.svc.cluster.local \
        --service-account-signing-key-file "$PKI/service-accounts.key" \
        --service-account-key-file "$PKI/service-accounts.pub" \
        --kubelet-client-certificate "$PKI/kubelet-client.crt" \
        --kubelet-client-key "$PKI/kubelet-client.key" \
        --kubelet-preferred-address-types InternalIP
    wait_for 90 kube-apiserver kube --request-timeout 5s get --raw /readyz
}

# The long grace periods keep the node Ready while builds take all the processors' time.
start_controllers() {
    start kube-controller-manager "$KUBERNETES/kube-controller-manager" \
        --kubeconfig "$RUN/kube-controller-manager.kubeconfig" --leader-elect=false \
        --port 0 --bind-address 127.0.0.1 --cert-dir "$PKI" \
        --use-service-account-credentials \
        --service-account-private-key-file "$PKI/service-accounts.key" --root-ca-file "$PKI/ca.crt" \
        --flex-volume-plugin-dir "$RUN/volume-plugins" \
        --node-monitor-grace-period 300s --pvclaimbinder-sync-period 3s \
        --kube-api-qps 200 --kube-api-burst 400
    start kube-scheduler "$KUBERNETES/kube-scheduler" \
        --kubeconfig "$RUN/kube-scheduler.kubeconfig" --leader-elect=false \
        --port 0 --bind-address 127.0.0.1 --cert-dir "$PKI" \
        --kube-api-qps 200 --kube-api-burst 400
}

# Nothing is evicted or collected for want of disk, and small pods are not slowed by rate limits.
write_kubelet_config() {
    jq -n --arg address "$(bridge_address)" --arg authority "$PKI/ca.crt" \
        --arg driver "$(engine info --format '{{.CgroupDriver}}')" '{
        apiVersion: "kubelet.config.k8s.io/v1beta1", kind: "KubeletConfiguration",
        address: $address, port: 10250, readOnlyPort: 0, healthzPort: 0,
        authentication: {anonymous: {enabled: false}, webhook: {enabled: false},
            x509: {clientCAFile: $authority}},
        authorization: {mode: "AlwaysAllow"},
        clusterDomain: "cluster.local", clusterDNS: [$address], cgroupDriver: $driver,
        failSwapOn: false, featureGates: {DevicePlugins: false},
        evictionHard: {"memory.available": "50Mi", "nodefs.available": "0%",
            "nodefs.inodesFree": "0%", "imagefs.available": "0%"},
        imageGCHighThresholdPercent: 100, imageGCLowThresholdPercent: 99,
        nodeStatusUpdateFrequency: "2s", syncFrequency: "5s", serializeImagePulls: false, registryPullQPS: 0, eventRecordQPS: 0,
        kubeAPIQPS: 200, kubeAPIBurst: 400
    }' >"$RUN/kubelet.json"
}

start_kubelet() {
    running kubelet && return 0
    write_kubelet_config
    # Without the variable the kubelet looks for a cloud's metadata server at its start.
    start kubelet env AWS_EC2_METADATA_DISABLED=true "$KUBERNETES/kubelet" --config "$RUN/kubelet.json" \
        --kubeconfig "$RUN/kubelet.kubeconfig" --hostname-override "$NODE" \
        --node-ip "$(bridge_address)" --root-dir "$RUN/kubelet" --cert-dir "$PKI" \
        --volume-plugin-dir "$RUN/volume-plugins" \
        --container-runtime docker --experimental-dockershim-root-directory "$RUN/dockershim" \
        --pod-infra-container-image "$PAUSE_IMAGE"
}

# The zeros leave the machine's connection tracking as it is.
start_proxy() {
    start kube-proxy "$KUBERNETES/kube-proxy" --kubeconfig "$RUN/kube-proxy.kubeconfig" \
        --hostname-override "$NODE" --proxy-mode iptables --cluster-cidr "$(bridge_subnet)" \
        --healthz-bind-address 127.0.0.1:10256 --metrics-bind-address 127.0.0.1:10249 \
        --iptables-min-sync-period 0s --conntrack-max-per-core 0 \
        --conntrack-tcp-timeout-established 0 --conntrack-tcp-timeout-close-wait 0
}

node_ready() {
    kube --request-timeout 5s get node "$NODE" -o jsonpath='{.status.conditions[?(@.type=="Ready")].status}' | grep -q True
}

service_accounts_ready() { kube --request-timeout 5s get serviceaccount default; }

start_kubernetes() {
    running kube-apiserver || say "starting the control plane"
    start_etcd
    start_apiserver
    start_controllers
    running kubelet || say "starting the node"
    start_kubelet
    start_proxy
    wait_for 90 kubelet node_ready
    wait_for 60 kube-controller-manager service_accounts_ready
}

# What they hold goes with them, so none of them is waited for long.
stop_kubernetes() {
    local index
    for ((index = ${#KUBERNETES_PARTS[@]} - 1; index >= 0; index--)); do
        stop "${KUBERNETES_PARTS[index]}" 3
        [ "${KUBERNETES_PARTS[index]}" != kubelet ] || remove_pod_containers
    done
}
