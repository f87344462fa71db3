# Paths, messages and bounded waits that all parts of the test bed share.
# shellcheck shell=bash disable=SC2034 # most of these are for the other files

TEST_BED="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
CACHE="${XDG_CACHE_HOME:-$HOME/.cache}/kubectl-workqueue/cluster"
RUN="$CACHE/run"
LOGS="$RUN/logs"

REGISTRY_PORT=5000
REGISTRY="127.0.0.1:$REGISTRY_PORT"
KUBECONFIG_FILE="$RUN/kubeconfig"
NODE=testbed

say() { printf '[%4ds] %s\n' "$SECONDS" "$*" >&2; }

die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# A failure is explained by the log of whoever failed. What a Go program says before it dies comes
# before the stacks of its goroutines, which may be long.
show_log() {
    [ -s "$1" ] || return 0
    printf -- '--- the last lines of %s\n' "$1" >&2
    tail -n 25 "$1" >&2
    grep -E '^F[0-9]{4} |^panic:|^fatal error:|level=fatal' "$1" | tail -n 3 >&2 || true
}

# One `up` or `down` at a time: two would undo each other's work.
lock() {
    mkdir -p "$CACHE"
    exec 9>"$CACHE/lock"
    flock --nonblock 9 || say "waiting for another up or down to end"
    flock --wait 1800 9 || die "another up or down has held $CACHE/lock for half an hour"
}

kube() { kubectl --kubeconfig "$KUBECONFIG_FILE" --context admin "$@"; }
