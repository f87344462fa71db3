# Runs a function whenever something changes in collections of the API.
# shellcheck shell=bash

# One line for each change, for as long as every watch lasts (the server ends them now and then).
changes() {
    local path
    for path in "$@"; do
        kube get --raw "$path?watch=true&timeoutSeconds=300" 2>/dev/null &
    done
    wait -n || true
    # shellcheck disable=SC2046 # a list of pids
    kill $(jobs -p) 2>/dev/null || true
}

# on_change FUNCTION PATH…: never returns. A watch begins with what is there, so the first call
# comes at once; a burst of changes is one call; a call that failed is made up for by the next.
on_change() {
    local function="$1" changes
    shift
    while true; do
        exec {changes}< <(changes "$@")
        while read -r -u "$changes" _; do
            # No longer than a busy cluster's changes may keep a name from being known.
            for _ in {1..20}; do
                read -r -t 0.02 -u "$changes" _ || break
            done
            "$function" || true
        done
        exec {changes}<&-
        # The API server is away: it may be stopped on purpose.
        sleep 0.5
    done
}
