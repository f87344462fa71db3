# The cluster's authority, the certificates and tokens of its parts, and the users' kubeconfig.
# shellcheck shell=bash disable=SC2034 # the addresses are for kubernetes.sh too

PKI="$RUN/pki"
SERVICE_ADDRESSES=10.96.0.0/16
KUBERNETES_SERVICE=10.96.0.1

# A configuration of our own: the system's would make an authority of each certificate.
openssl_request() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 \
        -config <(printf '[req]\ndistinguished_name=name\n[name]\n') "$@" 2>>"$LOGS/openssl.log"
}

# certificate NAME SUBJECT EXTENSION…
certificate() {
    local name="$1" subject="$2" extension extensions=()
    shift 2
    for extension in basicConstraints=critical,CA:FALSE "$@"; do
        extensions+=(-addext "$extension")
    done
    openssl_request -CA "$PKI/ca.crt" -CAkey "$PKI/ca.key" -subj "$subject" \
        -keyout "$PKI/$name.key" -out "$PKI/$name.crt" "${extensions[@]}"
}

token() { od -An -N16 -tx1 /dev/urandom | tr -d ' \n'; }

# make_credentials ADDRESS: everything that a fresh cluster needs, under $PKI.
make_credentials() (
    local address="$1" user groups
    # All of it is secret.
    umask 077
    mkdir -p "$PKI" "$LOGS"
    openssl_request -subj /CN=test-bed -keyout "$PKI/ca.key" -out "$PKI/ca.crt" \
        -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign
    certificate apiserver /CN=kube-apiserver extendedKeyUsage=serverAuth \
        "subjectAltName=IP:$address,IP:127.0.0.1,IP:$KUBERNETES_SERVICE,DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local"
    # With this the API server calls the kubelet, for logs, exec and port-forward.
    certificate kubelet-client /CN=kube-apiserver extendedKeyUsage=clientAuth
    openssl ecparam -name prime256v1 -genkey -noout -out "$PKI/service-accounts.key"
    openssl ec -in "$PKI/service-accounts.key" -pubout -out "$PKI/service-accounts.pub" \
        2>>"$LOGS/openssl.log"
    while read -r user groups; do
        printf '%s,%s,%s,"%s"\n' "$(token)" "$user" "$user" "$groups"
    done >"$PKI/tokens.csv" <<USERS
admin system:masters
nobody-user
system:kube-controller-manager
system:kube-scheduler
system:kube-proxy
system:node:$NODE system:nodes
USERS
    write_kubeconfig "$address" admin >"$RUN/admin.kubeconfig"
    write_kubeconfig "$address" nobody-user >"$RUN/nobody-user.kubeconfig"
    for user in controller-manager scheduler proxy; do
        write_kubeconfig "$address" "system:kube-$user" >"$RUN/kube-$user.kubeconfig"
    done
    write_kubeconfig "$address" "system:node:$NODE" >"$RUN/kubelet.kubeconfig"
    write_user_kubeconfig
)

# write_kubeconfig ADDRESS USER: one context for one user, on standard output (JSON is YAML too).
write_kubeconfig() {
    jq -n --arg server "https://$1:6443" --arg authority "$(base64 -w0 "$PKI/ca.crt")" \
        --arg token "$(grep ",$2,$2," "$PKI/tokens.csv" | cut -d, -f1)" '{
        apiVersion: "v1", kind: "Config", "current-context": "admin",
        clusters: [{name: "testbed",
            cluster: {server: $server, "certificate-authority-data": $authority}}],
        users: [{name: "admin", user: {token: $token}}],
        contexts: [{name: "admin", context: {cluster: "testbed", user: "admin"}}]
    }'
}

# Two contexts for the tests: `admin` may do all, `forbidden` nothing.
write_user_kubeconfig() {
    jq --slurpfile nobody "$RUN/nobody-user.kubeconfig" '
        .users += [{name: "nobody-user", user: $nobody[0].users[0].user}] |
        .contexts += [{name: "forbidden", context: {cluster: "testbed", user: "nobody-user"}}]
    ' "$RUN/admin.kubeconfig" >"$KUBECONFIG_FILE"
}
