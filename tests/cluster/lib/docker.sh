# The Docker engine: the machine's own where one answers, else one of ours with its data cached.
# shellcheck shell=bash

# The kubelet speaks to this socket, so whatever the user's context or DOCKER_HOST says is passed over.
export DOCKER_HOST=unix:///var/run/docker.sock
unset DOCKER_CONTEXT
DOCKER_DATA="$CACHE/docker"

# Short questions to the engine; one that does not answer is not waited for.
engine() { timeout 60 docker "$@"; }

engine_answers() { timeout 10 docker version --format '{{.Server.Version}}'; }

# Without CAP_SYS_RESOURCE (bit 24) runc may not lower a process's oom_score_adj, and no pod starts.
lacks_sys_resource() {
    local effective
    effective="$(sed -n 's/^CapEff:[[:space:]]*//p' /proc/self/status)"
    [ $((0x$effective & 1 << 24)) = 0 ]
}

# A runc that raises a negative score to 0 before it makes a container.
write_runc_wrapper() {
    cat >"$RUN/runc" <<'WRAPPER'
#!/bin/bash
bundle=.
create=
previous=
for argument in "$@"; do
    case "$previous" in --bundle | -b) bundle="$argument" ;; esac
    case "$argument" in create | run) create=1 ;; esac
    previous="$argument"
done
config="$bundle/config.json"
if [ -n "$create" ] && grep -q '"oomScoreAdj":-' "$config"; then
    sed -i 's/"oomScoreAdj":-[0-9]*/"oomScoreAdj":0/' "$config"
fi
exec /usr/sbin/runc "$@"
WRAPPER
    chmod +x "$RUN/runc"
}

# All settings are in a file of ours: /etc/docker is not touched. userland-proxy=false lets a pod
# reach itself through its Service (it turns on the bridge's hairpin mode).
write_docker_config() {
    local runtime='{}'
    if lacks_sys_resource; then
        write_runc_wrapper
        runtime='{
            "default-runtime": "runc-without-oom-score",
            "runtimes": {"runc-without-oom-score": {"path": "'"$RUN/runc"'"}},
            "oom-score-adjust": 0
        }'
    fi
    jq -n --argjson runtime "$runtime" --arg data "$DOCKER_DATA" --arg run "$RUN" '{
        "data-root": $data,
        "exec-root": ($run + "/docker"),
        "pidfile": ($run + "/docker.pid"),
        "deprecated-key-path": ($run + "/docker-key.json"),
        "hosts": ["unix:///var/run/docker.sock"],
        "exec-opts": ["native.cgroupdriver=cgroupfs"],
        "storage-driver": "overlay2",
        "userland-proxy": false,
        "log-level": "warn"
    } + $runtime' >"$RUN/docker.json"
}

start_docker() {
    if ! running dockerd; then
        if engine_answers >/dev/null 2>&1; then
            say "using the Docker engine that runs here"
            ! lacks_sys_resource ||
                say "warning: CAP_SYS_RESOURCE is missing, so that engine may fail to start pods"
            return 0
        fi
        say "starting the Docker engine"
        # What a killed engine left would keep the new one from starting.
        rm -f "$RUN/docker.pid"
        write_docker_config
        start dockerd dockerd --config-file "$RUN/docker.json"
    fi
    wait_for 60 dockerd engine_answers
}

# Pods get addresses on the engine's default bridge; the cluster listens on the bridge's own.
bridge_address() {
    ip -4 -json address show dev docker0 | jq -er '.[0].addr_info[0].local'
}

bridge_subnet() {
    engine network inspect bridge --format '{{(index .IPAM.Config 0).Subnet}}'
}

# The containers that the kubelet made, and no others.
remove_pod_containers() {
    local containers
    engine_answers >/dev/null 2>&1 || return 0
    mapfile -t containers < <(engine ps -aq --filter label=io.kubernetes.pod.uid)
    [ "${#containers[@]}" = 0 ] || engine rm --force --volumes "${containers[@]}" >/dev/null 2>&1 || true
}

stop_docker() {
    running dockerd || return 0
    stop dockerd 20
    # The bridge is remembered in the data directory and comes back with the engine.
    ip link delete docker0 2>/dev/null || true
}
