# The Debian base images, made by debootstrap from the archive that the machine installs from.
# shellcheck shell=bash

# What apt inside an image needs to know about this machine's archive: how it is reached, and that
# a copy of it may be older than its Release file says it should be used.
base_apt_config() {
    apt-config dump | grep -E '^Acquire::(http|https)::Proxy ' || true
    cat <<'EOF_APT'
Acquire::Check-Valid-Until "false";
Acquire::Check-Date "false";
APT::Install-Recommends "false";
EOF_APT
}

base_dpkg_config() {
    cat <<'EOF_DPKG'
force-unsafe-io
path-exclude=/usr/share/doc/*
path-exclude=/usr/share/man/*
path-exclude=/usr/share/locale/*
EOF_DPKG
}

# make_base SUITE REFERENCE LABEL: leaves the image in the engine.
make_base() (
    local suite="$1" reference="$2" label="$3" mirror include="" tree
    mirror="$(debian_mirror)"
    case "$mirror" in https:*) include=--include=ca-certificates ;; esac
    tree="$(mktemp -d "$CACHE/base.XXXXXX")"
    trap 'rm -rf "$tree"' EXIT
    # shellcheck disable=SC2086 # an empty include is no argument
    debootstrap --variant=minbase $include "$suite" "$tree" "$mirror"
    base_apt_config >"$tree/etc/apt/apt.conf.d/99-test-bed"
    base_dpkg_config >"$tree/etc/dpkg/dpkg.cfg.d/99-test-bed"
    rm -rf "$tree"/var/cache/apt/* "$tree"/var/lib/apt/lists/* "$tree"/usr/share/{doc,man,locale}/* \
        "$tree"/var/log/*.log
    # An image layer cannot hold sockets.
    find "$tree" -type s -delete
    tar -C "$tree" -c . | docker import --change "LABEL $label" --change 'CMD ["bash"]' - "$reference"
)
