#!/bin/bash
# Behaves as the official image's entry point: root gives the data to the user rabbitmq and becomes
# that user, anybody else just starts the command.
set -euo pipefail

if [[ "$1" == rabbitmq* ]] && [ "$(id -u)" = 0 ]; then
    if [ "$1" = rabbitmq-server ]; then
        find /var/lib/rabbitmq \! -user rabbitmq -exec chown rabbitmq '{}' +
    fi
    exec setpriv --reuid rabbitmq --regid rabbitmq --init-groups "${BASH_SOURCE[0]}" "$@"
fi

for variable in RABBITMQ_DEFAULT_USER_FILE RABBITMQ_DEFAULT_PASS_FILE \
    RABBITMQ_VM_MEMORY_HIGH_WATERMARK "${!RABBITMQ_SSL_@}" "${!RABBITMQ_MANAGEMENT_SSL_@}"; do
    if [ -n "${!variable:-}" ]; then
        echo "error: $variable is set but deprecated" >&2
        exit 1
    fi
done

# A node whose host name has a domain needs long names.
if [ -z "${RABBITMQ_USE_LONGNAME:-}" ] && [ "$(hostname)" != "$(hostname -s)" ]; then
    export RABBITMQ_USE_LONGNAME=true
fi

exec "$@"
