#!/bin/sh
# The tutorial's worker as a shell script: says what it works on, and takes a while.
#   kubectl workqueue local apple banana cherry -- examples/worker.sh
# The item is on standard input. Exit 0: it is done. Exit 65: it is bad, do not try it again.
# Anything else: try again. WORKQUEUE_ITEM_ID and WORKQUEUE_ATTEMPT tell repeats apart.
set -eu

item=$(cat)
if [ -z "$item" ]; then
    echo "the item is empty" >&2
    exit 65
fi
echo "Processing $item"
sleep "${WORK_SECONDS:-1}"
