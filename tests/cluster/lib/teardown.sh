# The end of a test bed, from any state it may be in: whole, half started, or killed.
# shellcheck shell=bash

# Keeps the caches, and of the run directory only the logs.
tear_down() {
    stop dns-loop 2
    stop volume-loop 2
    stop dnsmasq 2
    stop_kubernetes
    stop registry 5
    stop_docker
    if [ -e "$RUN/docker.json" ]; then
        end_orphans
        unmount_below "$DOCKER_DATA"
    fi
    unmount_below "$RUN"
    remove_cgroups
    restore_machine
    if [ -d "$RUN" ]; then
        find "$RUN" -mindepth 1 -maxdepth 1 ! -name logs -exec rm -rf {} +
    fi
}
