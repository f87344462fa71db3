#!/bin/sh
# Installs `kubectl workqueue` for the user who runs it: from a release archive that lies unpacked
# around this script, from one that --from names, or from a checkout (with cargo).
set -eu

plugin=kubectl-workqueue
shim=kubectl_complete-workqueue
# For this machine's architecture, or for each.
workers='workqueue-worker workqueue-worker-linux-amd64 workqueue-worker-linux-arm64'

usage() {
    cat <<USAGE
Usage: ${0##*/} [--prefix DIR] [--from ARCHIVE] [--uninstall]

  --prefix DIR     install into DIR/bin (default: /usr/local for root, ~/.local for others)
  --from ARCHIVE   a release archive (.tar.gz), or the directory it was unpacked to
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
        --from) [ $# -gt 1 ] || fail "--from needs an archive"; from=$2; shift ;;
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
    if [ -n "$from" ] && [ -d "$from" ]; then
        source=$from
    elif [ -n "$from" ]; then
        unpack "$from"
    elif [ -f "$here/$plugin" ]; then
        source=$here
    elif [ -f "$here/Cargo.toml" ]; then
        build
    else
        fail "there is neither $plugin nor a checkout next to ${0##*/}" "name a release archive with --from"
    fi
    [ -f "$source/$plugin" ] || fail "$source holds no $plugin" "is it a release archive of kubectl workqueue?"
}

unpack() {
    [ -r "$1" ] || fail "cannot read $1"
    tar -xzf "$1" -C "$temporary" || fail "$1 is no archive that tar can read"
    # Archives hold one directory.
    for source in "$temporary"/*/; do :; done
    source=${source%/}
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
