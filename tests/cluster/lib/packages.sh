# What the machine itself must have: Debian, root, and packages of the distribution.
# shellcheck shell=bash

require_machine() {
    local why="" VERSION_CODENAME="" ID=""
    # shellcheck source=/dev/null
    [ ! -r /etc/os-release ] || . /etc/os-release
    if [ "$(id -u)" != 0 ]; then
        why="it must run as root"
    elif [ "$ID" != debian ] || [ "$VERSION_CODENAME" != bookworm ]; then
        why="it is made for Debian 12 (bookworm)"
    elif [ "$(dpkg --print-architecture)" != amd64 ]; then
        why="it is made for amd64"
    fi
    [ -n "$why" ] || return 0
    die "this test bed cannot be started here: $why.
To use a cluster of your own (kind, k3d, …) instead, set WORKQUEUE_TEST_KUBECONFIG to its kubeconfig
and WORKQUEUE_TEST_REGISTRY to a registry that its nodes can pull from."
}

missing_packages() {
    local package
    for package in "$@"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
            printf '%s\n' "$package"
    done
}

# Installs those of the named packages that are missing.
need_packages() {
    local missing
    mapfile -t missing < <(missing_packages "$@")
    [ "${#missing[@]}" -gt 0 ] || return 0
    say "installing ${missing[*]}"
    perform 900 packages install_packages "${missing[@]}"
}

# The packages may not start services of their own, for the ports are ours to hand out. The lists
# are fetched only when those at hand do not do.
install_packages() {
    local policy=/usr/sbin/policy-rc.d
    local install=(apt-get install -y --no-install-recommends -o DPkg::Lock::Timeout=600)
    if [ ! -e "$policy" ]; then
        trap 'rm -f /usr/sbin/policy-rc.d' EXIT
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod +x "$policy"
    fi
    export DEBIAN_FRONTEND=noninteractive
    "${install[@]}" "$@" && return 0
    apt-get update
    "${install[@]}" "$@"
}

# The archive that this machine installs from; images and sources come from there too.
debian_mirror() {
    local mirror
    list_mirror() {
        # shellcheck disable=SC2016 # apt expands it
        apt-get indextargets --format '$(REPO_URI)' \
            'Codename: bookworm' 'Component: main' 'Created-By: Packages' | head -n 1
    }
    mirror="$(list_mirror)"
    if [ -z "$mirror" ]; then
        apt-get update >/dev/null 2>&1 || true
        mirror="$(list_mirror)"
    fi
    [ -n "$mirror" ] || die "apt knows no archive of Debian bookworm"
    printf '%s\n' "$mirror"
}
