# What `up` changes on the machine beyond its own directory, and how `down` takes it back.
# shellcheck shell=bash

# The kubelet, kube-proxy and the engine set these.
SYSCTLS=(vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops
    kernel/keys/root_maxkeys kernel/keys/root_maxbytes net/ipv4/ip_forward
    net/ipv4/conf/all/route_localnet net/bridge/bridge-nf-call-iptables
    net/bridge/bridge-nf-call-ip6tables)
# The kubelet makes these whatever its root directory is.
KUBELET_PATHS=(/var/log/pods /var/log/containers /var/lib/kubelet /var/run/dockershim.sock)

# Before anything is started: how things were.
remember_machine() {
    local name path
    for name in "${SYSCTLS[@]}"; do
        [ ! -r "/proc/sys/$name" ] || printf '%s %s\n' "$name" "$(cat "/proc/sys/$name")"
    done >"$RUN/sysctls"
    for path in "${KUBELET_PATHS[@]}"; do
        [ -e "$path" ] || printf '%s\n' "$path"
    done >"$RUN/made-paths"
    iptables -S FORWARD 2>/dev/null | sed -n 's/^-P FORWARD //p' >"$RUN/forward-policy"
}

restore_machine() {
    local name value path
    remove_iptables_rules
    [ -d "$RUN" ] || return 0
    if [ -r "$RUN/sysctls" ]; then
        while read -r name value; do
            [ "$(cat "/proc/sys/$name" 2>/dev/null)" = "$value" ] ||
                printf '%s\n' "$value" 2>/dev/null >"/proc/sys/$name" || true
        done <"$RUN/sysctls"
    fi
    if [ -r "$RUN/made-paths" ]; then
        while read -r path; do
            rm -rf "$path"
        done <"$RUN/made-paths"
    fi
}

# Kubernetes' chains, and the engine's if it is ours; everybody else's rules stay.
remove_iptables_rules() {
    local ours='KUBE-' policy="" command rules
    if [ -e "$RUN/docker.json" ]; then
        ours='KUBE-|DOCKER|docker0'
        policy="$(cat "$RUN/forward-policy" 2>/dev/null || true)"
    fi
    for command in iptables ip6tables; do
        rules="$("$command-save" 2>/dev/null || true)"
        grep -Eq "$ours" <<<"$rules" || continue
        grep -Ev "$ours" <<<"$rules" | "$command-restore" --wait 5 || true
        [ -z "$policy" ] || "$command" --wait 5 -P FORWARD "$policy"
    done
}

unmount_below() {
    local directory="$1" point
    while read -r point; do
        case "$point/" in "$directory"/*) ;; *) continue ;; esac
        umount "$point" 2>/dev/null || umount -l "$point" 2>/dev/null || true
    done < <(cut -d ' ' -f 2 /proc/self/mounts | tac)
}

# What a killed engine of ours leaves running: the processes of its containers, found by the control
# groups that have their ids, and the shims, which name its directory.
end_orphans() {
    local id file pid
    for file in "$DOCKER_DATA"/containers/*; do
        id="$(basename "$file")"
        # Nothing but a container's whole id may choose what is killed: a stray word, or the bare
        # pattern of an empty directory, would match the groups of all other processes.
        [[ "$id" =~ ^[0-9a-f]{64}$ ]] || continue
        find /sys/fs/cgroup -type d -name "$id" 2>/dev/null | while read -r file; do
            xargs -r kill -KILL <"$file/cgroup.procs" 2>/dev/null || true
        done
    done
    for file in /proc/[0-9]*/comm; do
        case "$(cat "$file" 2>/dev/null)" in containerd*) ;; *) continue ;; esac
        pid="${file#/proc/}"
        pid="${pid%/comm}"
        tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -qF "$RUN/docker/" || continue
        kill -KILL "$pid" 2>/dev/null || true
    done
}

# The kubelet's own groups are at the top; those of clusters within containers are further down.
remove_cgroups() {
    find /sys/fs/cgroup/kubepods /sys/fs/cgroup/*/kubepods -depth -type d -exec rmdir {} + \
        2>/dev/null || true
}

# Two kubelets or proxies on one machine would take each other's containers and rules for their own.
require_no_other_kubelet() {
    local file pid
    for file in /proc/[0-9]*/comm; do
        pid="${file#/proc/}"
        pid="${pid%/comm}"
        case "$(cat "$file" 2>/dev/null)" in kubelet | kube-proxy | k3s*) ;; *) continue ;; esac
        # Those of a cluster that runs in containers (kind, k3d) are out of the way.
        [ "$(readlink "/proc/$pid/ns/pid")" = "$(readlink /proc/self/ns/pid)" ] || continue
        start_time "$pid" >/dev/null || continue
        die "another Kubernetes node runs on this machine (pid $pid)"
    done
}
