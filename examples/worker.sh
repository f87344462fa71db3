#!/bin/sh
# The tutorial's worker as a shell script: prints its item, then takes a while.
#   kubectl workqueue local apple banana cherry -- examples/worker.sh
# The item is on standard input. Exit with 0 if it is done, with 65 if it is bad and must not be
# retried; any other exit status means that the attempt failed. An item can be processed more than
# once: make your program idempotent. WORKQUEUE_ITEM_ID stays the same each time.
set -eu

item=$(cat)
if [ -z "$item" ]; then
    echo "the item is empty" >&2
    exit 65
fi
echo "Processing $item"
sleep "${WORK_SECONDS:-1}"
