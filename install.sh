#!/bin/sh
# Installs `kubectl workqueue` for the user who runs it: from a release archive that lies unpacked
# around this script, from what --from names, or from a checkout (with cargo).
set -eu

plugin=kubectl-workqueue
shim=kubectl_complete-workqueue
# For this machine's architecture, or for each.
workers='workqueue-worker workqueue-worker-linux-amd64 workqueue-worker-linux-arm64'

usage() {
    cat <<USAGE
Usage: ${0##*/} [--prefix DIR] [--from SOURCE] [--uninstall]

  --prefix DIR     install into DIR/bin (default: /usr/local for root, ~/.local for others)
  --from SOURCE    a release archive (.tar.gz); a directory or an http address with the archives of a
                   release and their SHA256SUMS, of which this machine's is taken; or the directory that
                   an archive was unpacked to
  --uninstall      remove what was installed
USAGE
}

say() { printf '%s\n' "$*"; }

fail() {
    printf 'error: %s\n' "$1" >&2
    if [ $# -gt 1 ]; then printf 'hint: %s\n' "$2" >&2; fi
    exit 1
}

# Sets $prefix, $from and $uninstall.
read_arguments() {
    prefix='' from='' uninstall=no
    while [ $# -gt 0 ]; do
        case $1 in
        --prefix) [ $# -gt 1 ] || fail "--prefix needs a directory"; prefix=$2; shift ;;
        --prefix=*) prefix=${1#*=} ;;
        --from) [ $# -gt 1 ] || fail "--from needs an archive, a directory or an address"; from=$2; shift ;;
        --from=*) from=${1#*=} ;;
        --uninstall) uninstall=yes ;;
        -h | --help) usage; exit 0 ;;
        *) usage >&2; exit 2 ;;
        esac
        shift
    done
    if [ -z "$prefix" ]; then
        if [ "$(id -u)" = 0 ]; then
            prefix=/usr/local
        else
            prefix=${HOME:?is not set: name a directory with --prefix}/.local
        fi
    fi
    # What is printed about PATH has to be an absolute path.
    case $prefix in /*) ;; *) prefix=$PWD/$prefix ;; esac
    bin=${prefix%/}/bin
}

# Sets $source to a directory that holds the program.
find_program() {
    here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
    case $from in
    http://*.tar.gz | https://*.tar.gz) download "$from" ;;
    http://* | https://*) name=$(archive_in "$from") || exit 1; download "${from%/}/$name" ;;
    '')
        if [ -f "$here/$plugin" ]; then
            source=$here
        elif [ -f "$here/Cargo.toml" ]; then
            build
        else
            fail "there is neither $plugin nor a checkout next to ${0##*/}" "name a release archive with --from"
        fi
        ;;
    *)
        if [ -f "$from/$plugin" ]; then
            source=$from
        elif [ -d "$from" ]; then
            name=$(archive_in "$from") || exit 1
            unpack "${from%/}/$name" "$from/SHA256SUMS"
        else
            unpack "$from" "$from.sha256" "$(dirname -- "$from")/SHA256SUMS"
        fi
        ;;
    esac
    [ -f "$source/$plugin" ] || fail "$source holds no $plugin" "is it a release archive of kubectl workqueue?"
}

# This machine as the names of archives have it.
platform() {
    system=$(uname -s) machine=$(uname -m)
    # A shell for amd64 on an arm64 Mac sees a machine for amd64.
    if [ "$system" = Darwin ] && [ "$(sysctl -n sysctl.proc_translated 2>/dev/null)" = 1 ]; then machine=arm64; fi
    case $system in
    Linux) system=linux ;;
    Darwin) system=darwin ;;
    MINGW* | MSYS* | CYGWIN*) fail "this is the installer for Linux and macOS" "run install.ps1 in PowerShell" ;;
    *) fail "there is no archive for $system" "build it here, from a checkout" ;;
    esac
    case $machine in
    x86_64 | amd64) machine=amd64 ;;
    aarch64 | arm64) machine=arm64 ;;
    *) fail "there is no archive for $system on $machine" "build it here, from a checkout" ;;
    esac
    echo "$system-$machine"
}

# The name of this machine's archive among those of a release.
archive_in() {
    suffix=$(platform).tar.gz || exit 1
    case $1 in
    http://* | https://*) fetch "${1%/}/SHA256SUMS" "$temporary/SHA256SUMS" && list=$temporary/SHA256SUMS ;;
    *) list=$1/SHA256SUMS ;;
    esac
    [ -r "$list" ] || fail "$1 holds neither $plugin nor SHA256SUMS" "name an archive with --from"
    names=$(sed -n "s/^[0-9a-f]\{64\} [ *]\($plugin-v[^ /]*-$suffix\)\$/\1/p" "$list")
    case $names in
    '') fail "$1 has no archive for $suffix" ;;
    *"
"*) fail "$1 has archives of several versions" "name one of them with --from" ;;
    esac
    echo "$names"
}

fetch() {
    if command -v curl >/dev/null; then
        curl --fail --silent --show-error --location --output "$2" "$1"
    elif command -v wget >/dev/null; then
        wget -q -O "$2" "$1"
    else
        fail "neither curl nor wget is there to download $1" "download it yourself, and name the file with --from"
    fi || fail "cannot download $1"
}

# What is downloaded is never run unchecked.
download() {
    say "downloading $1"
    fetch "$1" "$temporary/${1##*/}"
    [ -f "$temporary/SHA256SUMS" ] || fetch "$1.sha256" "$temporary/${1##*/}.sha256"
    unpack "$temporary/${1##*/}" "$temporary/${1##*/}.sha256" "$temporary/SHA256SUMS"
}

# Unpacks an archive, after it was compared with the first list of checksums that is there.
unpack() {
    archive=$1
    [ -r "$archive" ] || fail "cannot read $archive"
    shift
    for list; do
        if [ -f "$list" ]; then check_sum "$archive" "$list"; break; fi
    done
    tar -xzf "$archive" -C "$temporary" || fail "$archive is no archive that tar can read"
    # Archives hold one directory.
    for source in "$temporary"/*/; do :; done
    source=${source%/}
}

check_sum() {
    wanted=$(sed -n "s/^\([0-9a-f]\{64\}\) [ *]${1##*/}\$/\1/p" "$2")
    if command -v sha256sum >/dev/null; then sum=$(sha256sum "$1"); else sum=$(shasum -a 256 "$1"); fi
    [ "${sum%% *}" = "$wanted" ] ||
        fail "the checksum of $1 is not the one in $2" "the file is damaged, or not the one that was released"
}

build() {
    command -v cargo >/dev/null ||
        fail "cargo is not there to build the program" "install Rust (rustup.rs), or name a release archive with --from"
    say "building $plugin (this takes some minutes)"
    source=$temporary/built
    "$here/scripts/build-release" "$source" || fail "the build failed"
}

# A running program is not written over: the new file takes the old one's place.
install_file() {
    new=$bin/.$1.new
    if ! { cp "$source/$1" "$new" && chmod 755 "$new" && mv -f "$new" "$bin/$1"; }; then
        rm -f "$new"
        fail "cannot write $bin/$1"
    fi
    say "installed $bin/$1"
}

install_all() {
    "$source/$plugin" --version >/dev/null 2>&1 ||
        fail "$source/$plugin does not run on this machine ($(uname -s) $(uname -m))" "build it here, from a checkout"
    mkdir -p "$bin" 2>/dev/null || fail "cannot make $bin" "choose another place with --prefix"
    [ -w "$bin" ] || fail "you may not write to $bin" "choose another place with --prefix"
    install_file "$plugin"
    install_file "$shim"
    for file in $workers; do
        # One of another version would be taken for this one's.
        if [ -f "$source/$file" ]; then install_file "$file"; else rm -f "$bin/$file"; fi
    done
}

check_path() {
    case ":$PATH:" in
    *":$bin:"*)
        found=$(command -v "$plugin" || true)
        if [ "$found" != "$bin/$plugin" ]; then
            say "warning: $found comes first on PATH, and is what kubectl starts"
        fi
        ;;
    *)
        say "warning: $bin is not on PATH, where kubectl looks for plugins; put this into your shell's profile:"
        say "  export PATH=\"$bin:\$PATH\""
        ;;
    esac
    command -v kubectl >/dev/null || say "warning: there is no kubectl on PATH; \`$plugin\` runs without it too"
}

remove_all() {
    removed=no
    for file in "$plugin" "$shim" $workers; do
        if [ -e "$bin/$file" ]; then
            rm -f "$bin/$file" || fail "cannot remove $bin/$file"
            say "removed $bin/$file"
            removed=yes
        fi
    done
    if [ "$removed" = no ]; then say "nothing of kubectl workqueue is in $bin"; fi
}

read_arguments "$@"
if [ "$uninstall" = yes ]; then
    remove_all
    exit 0
fi
temporary=$(mktemp -d)
trap 'rm -rf "$temporary"' EXIT
trap 'exit 130' INT TERM
find_program
install_all
check_path
say "try: kubectl workqueue --help"
