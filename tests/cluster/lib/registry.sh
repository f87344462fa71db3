# A container registry on loopback: the engine lets it be without TLS, and its data is cached.
# shellcheck shell=bash

REGISTRY_DATA="$CACHE/registry"

registry_answers() {
    local answer
    exec 3<>"/dev/tcp/127.0.0.1/$REGISTRY_PORT" || return 1
    printf 'GET /v2/ HTTP/1.0\r\n\r\n' >&3
    read -r -t 2 answer <&3 && [[ "$answer" == *" 200 "* ]]
}

start_registry() {
    if ! running registry; then
        if registry_reachable 2>/dev/null; then
            die "something else listens on $REGISTRY"
        fi
        say "starting the registry"
        mkdir -p "$REGISTRY_DATA"
        cat >"$RUN/registry.yml" <<CONFIG
version: 0.1
log: {level: warn, accesslog: {disabled: true}}
storage:
  filesystem: {rootdirectory: $REGISTRY_DATA}
  delete: {enabled: true}
http: {addr: "$REGISTRY"}
CONFIG
        start registry docker-registry serve "$RUN/registry.yml"
    fi
    wait_for 20 registry registry_reachable
}

# In a subshell, so that the connection does not outlive the question.
registry_reachable() { (registry_answers); }
