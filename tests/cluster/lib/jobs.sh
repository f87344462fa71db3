# Long steps of `up` (builds, downloads): each has a log and a deadline, and dies with `up`.
# shellcheck shell=bash

declare -A JOBS=()

# spawn NAME COMMAND…: begins a step. Monitor mode gives it a process group of its own, so that it
# can be ended with all its children.
spawn() {
    local name="$1"
    shift
    mkdir -p "$LOGS"
    set -m
    ("$@") </dev/null >"$LOGS/$name.log" 2>&1 &
    JOBS[$name]=$!
    set +m
}

# finish NAME SECONDS: waits for a step, with a sign of life each minute; its failure is ours.
finish() {
    local name="$1" seconds="$2" pid="${JOBS[$1]}" began="$SECONDS" sign
    sign=$((began + 60))
    while kill -0 "$pid" 2>/dev/null; do
        if [ "$SECONDS" -ge $((began + seconds)) ]; then
            show_log "$LOGS/$name.log"
            die "$name: not done after $seconds s"
        fi
        if [ "$SECONDS" -ge "$sign" ]; then
            say "still at $name"
            sign=$((SECONDS + 60))
        fi
        sleep 0.1
    done
    unset "JOBS[$name]"
    wait "$pid" && return 0
    show_log "$LOGS/$name.log"
    die "$name failed: see $LOGS/$name.log"
}

# perform SECONDS NAME COMMAND…
perform() {
    local seconds="$1" name="$2"
    shift
    spawn "$@"
    finish "$name" "$seconds"
}

end_jobs() {
    local pid
    for pid in "${JOBS[@]}"; do
        kill -- "-$pid" 2>/dev/null || true
    done
}
