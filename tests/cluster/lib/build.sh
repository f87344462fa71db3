# The Kubernetes servers, built from Debian's source package (the binary one has the client only).
# shellcheck shell=bash disable=SC2034 # the package list is for up

KUBERNETES_VERSION=1.20.2
# Counts up when the recipe changes, so that the binaries of an older one are not taken for it.
KUBERNETES_RECIPE=1
KUBERNETES="$CACHE/kubernetes-$KUBERNETES_VERSION-$KUBERNETES_RECIPE"
KUBERNETES_COMMANDS=(kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy)

KUBERNETES_BUILD_PACKAGES=(golang-1.19-go rsync jq make gcc libc6-dev ca-certificates)

kubernetes_built() { [ -x "$KUBERNETES/kubelet" ]; }

# apt fetches and verifies the source by a list of its own: the machine's own stays as it is.
fetch_kubernetes_source() {
    local dir="$1" mirror apt
    mirror="$(debian_mirror)"
    mkdir -p "$dir/lists/partial"
    printf 'deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s bookworm main\n' \
        "$mirror" >"$dir/sources.list"
    apt=(apt-get -qq
        -o "Dir::Etc::sourcelist=$dir/sources.list" -o Dir::Etc::sourceparts=-
        -o "Dir::State::lists=$dir/lists"
        -o "Dir::Cache::pkgcache=" -o "Dir::Cache::srcpkgcache="
        # The copy of an archive may be older than its Release file says it should be used.
        -o Acquire::Check-Valid-Until=false -o Acquire::Check-Date=false
        -o APT::Sandbox::User=root)
    "${apt[@]}" update
    (cd "$dir" && "${apt[@]}" source --download-only kubernetes)
}

# Leaves the binaries in DIR/out. Runs in a directory that is thrown away, whatever happens.
compile_kubernetes() {
    local dir="$1" tarball command targets=()
    fetch_kubernetes_source "$dir"
    tarball="$(echo "$dir"/kubernetes_*really"$KUBERNETES_VERSION".orig.tar.*)"
    [ -f "$tarball" ] || die "the source package holds no Kubernetes $KUBERNETES_VERSION"
    mkdir "$dir/src" "$dir/tmp"
    tar -C "$dir/src" --strip-components=1 -xf "$tarball"
    rm -rf "$tarball" "$dir/lists"
    cat >"$dir/version" <<'VERSION'
KUBE_GIT_COMMIT='0000000000000000000000000000000000000000'
KUBE_GIT_TREE_STATE='clean'
KUBE_GIT_VERSION='v1.20.2'
KUBE_GIT_MAJOR='1'
KUBE_GIT_MINOR='20'
VERSION
    command -v kubectl >/dev/null || KUBERNETES_COMMANDS+=(kubectl)
    for command in "${KUBERNETES_COMMANDS[@]}"; do
        targets+=("cmd/$command")
    done
    # bookworm's own Go by its full path: the sources do not build with a much newer one.
    env PATH="/usr/lib/go-1.19/bin:$PATH" GO111MODULE=off GOFLAGS='' GOTOOLCHAIN=local \
        GOCACHE="$dir/gocache" GOTMPDIR="$dir/tmp" KUBE_BUILD_PLATFORMS=linux/amd64 \
        KUBE_GIT_VERSION_FILE="$dir/version" \
        make -C "$dir/src" all WHAT="${targets[*]}"
    mkdir "$dir/out"
    for command in "${KUBERNETES_COMMANDS[@]}"; do
        install -s "$dir/src/_output/local/bin/linux/amd64/$command" "$dir/out/$command"
    done
}

# The rename is the last step, so binaries that are there are whole. A trap removes the rest.
build_kubernetes() {
    local dir
    # What a killed build left; the lock keeps a running one out of here.
    rm -rf "$CACHE"/build.*
    dir="$(mktemp -d "$CACHE/build.XXXXXX")"
    # shellcheck disable=SC2064 # the path of now
    trap "rm -rf '$dir'" EXIT
    trap 'exit 143' TERM
    compile_kubernetes "$dir"
    rm -rf "$KUBERNETES"
    mv "$dir/out" "$KUBERNETES"
}

# A machine without kubectl gets the one that was then built along with the rest.
require_kubectl() {
    command -v kubectl >/dev/null || die "there is no kubectl: remove $KUBERNETES and run this again"
}
command -v kubectl >/dev/null || PATH="$PATH:$KUBERNETES"
