# The book-keeping of the processes that `up` starts, so that `down` ends those and no others.
# shellcheck shell=bash

PIDS="$RUN/pids"

# A pid alone may have been given to another process since; with its start time it is unique.
start_time() {
    local stat
    stat="$(cat "/proc/$1/stat" 2>/dev/null)" || return 1
    # The name (field 2) may hold spaces and brackets, so the count begins behind the last one.
    stat="${stat##*) }"
    # shellcheck disable=SC2086 # split into fields on purpose
    set -- $stat
    [ "$1" != Z ] && printf '%s\n' "${20}"
}

# Whether the process that `up` recorded under this name still lives.
running() {
    local pid started
    [ -r "$PIDS/$1" ] || return 1
    read -r pid started <"$PIDS/$1" || return 1
    [ "$(start_time "$pid")" = "$started" ]
}

# start NAME COMMAND…: runs COMMAND in a session of its own, with a log and no inherited
# descriptors (9 is the lock), so that it outlives this shell and holds nothing of it open.
start() {
    local name="$1" pid
    shift
    running "$name" && return 0
    mkdir -p "$LOGS" "$PIDS"
    setsid nohup "$@" </dev/null >>"$LOGS/$name.log" 2>&1 9>&- &
    pid=$!
    disown "$pid"
    printf '%s %s\n' "$pid" "$(start_time "$pid")" >"$PIDS/$name"
}

# stop NAME [SECONDS]: ends that process and its group, by force when it takes too long.
stop() {
    local name="$1" seconds="${2:-10}" pid deadline
    if running "$name"; then
        read -r pid _ <"$PIDS/$name"
        kill -- "-$pid" 2>/dev/null || true
        deadline=$((SECONDS + seconds))
        while running "$name"; do
            if [ "$SECONDS" -ge "$deadline" ]; then
                kill -KILL -- "-$pid" 2>/dev/null || true
                sleep 0.2
                break
            fi
            sleep 0.05
        done
    fi
    rm -f "$PIDS/$name"
}

# wait_for SECONDS NAME COMMAND…: polls COMMAND until it succeeds. It is in vain when the time is up
# or when the process of that name has ended.
wait_for() {
    local seconds="$1" name="$2" deadline
    shift 2
    deadline=$((SECONDS + seconds))
    until "$@" >/dev/null 2>&1; do
        if ! running "$name"; then
            show_log "$LOGS/$name.log"
            die "$name has ended"
        elif [ "$SECONDS" -ge "$deadline" ]; then
            show_log "$LOGS/$name.log"
            die "$name is not ready after $seconds s"
        fi
        sleep 0.2
    done
}
