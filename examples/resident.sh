#!/bin/sh
# A program that stays, as a shell script with curl: it asks for one item after the other.
#   kubectl workqueue local apple banana cherry --runtime-api -- examples/resident.sh
# The item is the event: a JSON document as it is, other text as a JSON string. What is posted to
# `response` is the item's output. A post to `error` means that the attempt failed.
set -eu

api=http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime
head=$(mktemp)
trap 'rm -f "$head"' EXIT

while true; do
    # The request waits for an item, so it has no time limit. Without an answer the worker is gone.
    event=$(curl -sSf -D "$head" "$api/invocation/next") || exit 1
    id=$(tr -d '\r' <"$head" | sed -n 's/^Lambda-Runtime-Aws-Request-Id: //p')
    if [ "$event" = '""' ]; then
        error='{"errorType": "DoNotRetry", "errorMessage": "the item is empty"}'
        curl -sSf -o /dev/null -d "$error" "$api/invocation/$id/error"
    else
        printf 'Processed %s\n' "$event" |
            curl -sSf -o /dev/null --data-binary @- "$api/invocation/$id/response"
    fi
done
