# Everything that the commands are made of.
# shellcheck shell=bash

for part in common jobs processes packages build docker base registry images credentials kubernetes \
    watch dns volumes machine teardown; do
    # shellcheck source=/dev/null
    . "$(dirname "${BASH_SOURCE[0]}")/$part.sh"
done
unset part
