# The images of the tests: each is built when its inputs changed, and pushed to the local registry.
# shellcheck shell=bash disable=SC2034 # the references are for the other files too

IMAGE_LABEL=kubectl-workqueue.inputs
PAUSE_IMAGE="$REGISTRY/pause:1"
BROKER_IMAGE="$REGISTRY/rabbitmq:4.0"
BROKER_IMAGE_OLD="$REGISTRY/rabbitmq:3.10"
IMAGES="$TEST_BED/images"

# A digest of all that goes into an image: names and contents of files, which of them can be run
# (other modes differ from one checkout to the next), and extra words.
digest_of() (
    directory="$1"
    shift
    {
        printf '%s\n' "$@"
        cd "$directory" || exit
        find . -type f -perm -u+x | LC_ALL=C sort
        find . -type f -exec sha256sum {} + | LC_ALL=C sort
    } | sha256sum | cut -c 1-16
)

label_of() {
    engine image inspect --format "{{index .Config.Labels \"$IMAGE_LABEL\"}}" "$1" 2>/dev/null || true
}

ensure_base() {
    local suite="$1" reference="$REGISTRY/debian:$1-slim" digest
    digest="$(sha256sum "$TEST_BED/lib/base.sh" | cut -c 1-16)"
    [ "$(label_of "$reference")" != "$digest" ] || return 0
    say "making the base image debian:$suite-slim"
    perform 600 "base-$suite" make_base "$suite" "$reference" "$IMAGE_LABEL=$digest"
}

# build_image CONTEXT REFERENCE DIGEST [BASE]
build_image() (
    local context
    context="$(mktemp -d)"
    trap 'rm -rf "$context"' EXIT
    cp -a "$1/." "$context"
    if [ -x "$context/prepare" ]; then
        (cd "$context" && ./prepare)
    fi
    # The classic builder is part of every engine; the network is the machine's own, for apt.
    DOCKER_BUILDKIT=0 docker build --network host --force-rm --tag "$2" --label "$IMAGE_LABEL=$3" \
        --build-arg BASE="${4:-scratch}" "$context"
)

# ensure_image NAME:TAG DIRECTORY [BASE]
ensure_image() {
    local reference="$REGISTRY/$1" directory="$IMAGES/$2" base="${3:+$REGISTRY/$3}" digest
    digest="$(digest_of "$directory" "$reference" "${base:+$(label_of "$base")}")"
    [ "$(label_of "$reference")" != "$digest" ] || return 0
    say "building the image $1"
    perform 900 "image-${1//[:\/]/-}" build_image "$directory" "$reference" "$digest" "$base"
}

ensure_images() {
    ensure_base bookworm
    ensure_base trixie
    ensure_image pause:1 pause
    ensure_image busybox:latest busybox debian:bookworm-slim
    ensure_image rabbitmq:4.0 rabbitmq debian:trixie-slim
    ensure_image rabbitmq:3.10 rabbitmq debian:bookworm-slim
    ensure_image seed-worker:1 seed-worker debian:bookworm-slim
    # Only what older builds of these images left.
    engine image prune --force --filter "label=$IMAGE_LABEL" >/dev/null
}

# Pushing again is cheap but not free, so a note beside the registry's data says what it has.
push_images() {
    local name id note
    mkdir -p "$REGISTRY_DATA/pushed"
    for name in debian:bookworm-slim debian:trixie-slim busybox:latest rabbitmq:4.0 rabbitmq:3.10 \
        seed-worker:1 pause:1; do
        note="$REGISTRY_DATA/pushed/${name//:/-}"
        id="$(engine image inspect --format '{{.Id}}' "$REGISTRY/$name")"
        [ "$(cat "$note" 2>/dev/null)" != "$id" ] || continue
        say "pushing $name"
        perform 300 push docker push "$REGISTRY/$name"
        printf '%s\n' "$id" >"$note"
    done
}
