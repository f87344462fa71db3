# Names for Services and for the pods of headless Services, by dnsmasq on the bridge's address.
# shellcheck shell=bash

start_dns() {
    mkdir -p "$RUN/hosts"
    # Whatever else is asked goes to the machine's own servers; nothing is remembered that is not
    # there, since a name may come into being at any time.
    start dnsmasq dnsmasq --keep-in-foreground --conf-file=/dev/null --user=root \
        --pid-file= --log-facility=- \
        --bind-interfaces --except-interface=lo --listen-address="$(bridge_address)" \
        --no-hosts --hostsdir="$RUN/hosts" --local=/cluster.local/ --no-negcache
    start dns-loop bash "$TEST_BED/lib/dns-loop"
    wait_for 20 dns-loop grep -rq ' kubernetes.default.svc.' "$RUN/hosts"
    running dnsmasq || { show_log "$LOGS/dnsmasq.log"; die "dnsmasq has ended"; }
}

# The lines of a hosts file. A pod's name comes before those that it shares, because the first
# name of an address is its name when looked up in reverse. For a headless Service, Endpoints
# already list pods that are not ready where publishNotReadyAddresses says so.
# shellcheck disable=SC2016 # the dollar signs are jq's
HOSTS_FILTER='
    ($services[0].items | map({key: "\(.metadata.namespace)/\(.metadata.name)", value: .spec}) | from_entries) as $spec |
    [.items[] | .metadata as $m | select($spec["\($m.namespace)/\($m.name)"].clusterIP == "None") |
        "\($m.name).\($m.namespace).svc.cluster.local" as $name |
        .subsets[]?.addresses[]? | {ip, name: $name, host: .hostname}] as $pods |
    ($pods[] | select(.host) | "\(.ip) \(.host).\(.name)"),
    ($pods[] | "\(.ip) \(.name)"),
    ($services[0].items[] | select(.spec.clusterIP // "None" | . != "None" and . != "") |
        "\(.spec.clusterIP) \(.metadata.name).\(.metadata.namespace).svc.cluster.local")
'

# Replaces the hosts file as a whole, and only when it differs: dnsmasq reads it on the rename.
write_hosts() {
    local new="$RUN/hosts.new"
    kube get --raw /api/v1/services >"$RUN/services.json"
    kube get --raw /api/v1/endpoints >"$RUN/endpoints.json"
    jq -r --slurpfile services "$RUN/services.json" "$HOSTS_FILTER" "$RUN/endpoints.json" |
        LC_ALL=C awk '!seen[$0]++' >"$new"
    cmp -s "$new" "$RUN/hosts/cluster" || mv "$new" "$RUN/hosts/cluster"
}
