# The project's commands. `make` lists them.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.ONESHELL:

CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/kubectl-workqueue
# One target directory for all checkouts: a cold build of the dependencies takes minutes.
export CARGO_TARGET_DIR ?= $(CACHE)/target
# Snapshots that have changed fail their test and stay as they are: `cargo insta test --review` updates them.
export INSTA_UPDATE ?= no

SCRIPTS = $(shell git ls-files --cached --others --exclude-standard | xargs -r grep -lE '^\#!.*\b(bash|sh)$$')

.PHONY: help
help: ## List the commands
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

.PHONY: build
build: ## Build the plugin (debug)
	cargo build --locked --workspace

.PHONY: release
release: ## Build the plugin (release)
	cargo build --locked --release

.PHONY: lint
lint: ## Formatting, clippy, shellcheck, actionlint, the chart's README, rustdoc
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	tests/tools/shellcheck $(SCRIPTS)
	tests/tools/actionlint
	tests/tools/chart-readme --check
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --quiet

.PHONY: unit
unit: ## Tests that need no cluster
	cargo test --locked --workspace

.PHONY: cluster
cluster: ## Bring the test bed up, unless WORKQUEUE_TEST_KUBECONFIG names a cluster
	@[[ -n "$${WORKQUEUE_TEST_KUBECONFIG:-}" ]] || tests/cluster/up

.PHONY: e2e
e2e: cluster ## End-to-end tests on the test bed
	[[ -n "$${WORKQUEUE_TEST_KUBECONFIG:-}" ]] || eval "$$(tests/cluster/env)"
	cargo test --locked --test e2e -- --ignored --test-threads=3
	# Somebody's own cluster keeps its API server.
	[[ $$WORKQUEUE_TEST_KUBECONFIG != */kubectl-workqueue/cluster/* ]] || \
	  cargo test --locked --test e2e_alone -- --ignored --test-threads=1
	tests/books/run reduced
	for image in "$$WORKQUEUE_TEST_BROKER_IMAGE" "$$WORKQUEUE_TEST_BROKER_IMAGE_OLD"; do
	  tests/worker/with-broker "$$image" cargo test --locked --test worker -- --ignored --test-threads=6
	  tests/worker/with-broker "$$image" cargo test --locked --test worker_alone -- --ignored --test-threads=1
	done

.PHONY: books
books: cluster ## Whether every item is accounted for under twelve faults, with 2,000 items each
	[[ -n "$${WORKQUEUE_TEST_KUBECONFIG:-}" ]] || eval "$$(tests/cluster/env)"
	tests/books/run full

.PHONY: fresh
fresh: cluster build ## Install the programs in a fresh Debian container, and complete commands there with Tab
	[[ -n "$${WORKQUEUE_TEST_KUBECONFIG:-}" ]] || eval "$$(tests/cluster/env)"
	tests/fresh/run "$$CARGO_TARGET_DIR/debug"

.PHONY: bench-tutorial
bench-tutorial: cluster release ## Time the tutorial by hand against the plugin
	[[ -n "$${WORKQUEUE_TEST_KUBECONFIG:-}" ]] || eval "$$(tests/cluster/env)"
	PATH="$$CARGO_TARGET_DIR/release:$$PATH" benches/tutorial

.PHONY: bench-seeding
bench-seeding: cluster release ## Rates into a queue: the plugin against other clients, by CPU and memory
	[[ -n "$${WORKQUEUE_TEST_KUBECONFIG:-}" ]] || eval "$$(tests/cluster/env)"
	PATH="$$CARGO_TARGET_DIR/release:$$PATH" benches/seeding

.PHONY: bench-ten-million
bench-ten-million: cluster release ## Ten million items through the tunnel: rate and peak memory
	[[ -n "$${WORKQUEUE_TEST_KUBECONFIG:-}" ]] || eval "$$(tests/cluster/env)"
	PATH="$$CARGO_TARGET_DIR/release:$$PATH" benches/ten-million

.PHONY: bench-ledger
bench-ledger: cluster release ## The ledger of ten million items: disk, memory and time to read it
	[[ -n "$${WORKQUEUE_TEST_KUBECONFIG:-}" ]] || eval "$$(tests/cluster/env)"
	PATH="$$CARGO_TARGET_DIR/release:$$PATH" benches/ledger

.PHONY: bench-worker
bench-worker: cluster release ## Rates, memory and size of workers: workqueue-worker against amqp-consume
	[[ -n "$${WORKQUEUE_TEST_KUBECONFIG:-}" ]] || eval "$$(tests/cluster/env)"
	worker=$$(scripts/build-worker)
	PATH="$${worker%/*}:$$CARGO_TARGET_DIR/release:$$PATH" benches/worker

.PHONY: bench-map
bench-map: cluster release ## `map -k` over 100,000 items: rate, and memory of the plugin and the workers
	[[ -n "$${WORKQUEUE_TEST_KUBECONFIG:-}" ]] || eval "$$(tests/cluster/env)"
	worker=$$(scripts/build-worker)
	PATH="$${worker%/*}:$$CARGO_TARGET_DIR/release:$$PATH" benches/map

.PHONY: bench-first-output
bench-first-output: cluster release ## From Enter to the first and the last output, against the tutorial by hand
	[[ -n "$${WORKQUEUE_TEST_KUBECONFIG:-}" ]] || eval "$$(tests/cluster/env)"
	worker=$$(scripts/build-worker)
	PATH="$${worker%/*}:$$CARGO_TARGET_DIR/release:$$PATH" benches/first-output

.PHONY: bench-chart
bench-chart: release ## Render the chart with helm and with the plugin: time and memory
	PATH="$$CARGO_TARGET_DIR/release:$$PATH" benches/chart

.PHONY: fuzz-charts
fuzz-charts: ## Random templates and values for the chart engine, for 10 minutes (FUZZ_SECONDS, FUZZ_SEED)
	FUZZ_SECONDS="$${FUZZ_SECONDS:-600}" cargo test --locked -p helm-template --test fuzz -- --nocapture

.PHONY: record-charts
record-charts: ## Record again what helm makes of the chart engine's test cases
	crates/helm-template/tests/record

.PHONY: fuzz
fuzz: ## Random input for the readers, for 10 minutes (FUZZ_SECONDS, FUZZ_SEED)
	FUZZ_SECONDS="$${FUZZ_SECONDS:-600}" cargo test --locked --test fuzz_readers -- --nocapture

.PHONY: fuzz-runtime
fuzz-runtime: ## Random requests for the Runtime API's endpoint, for 10 minutes (FUZZ_SECONDS, FUZZ_SEED)
	FUZZ_SECONDS="$${FUZZ_SECONDS:-600}" cargo test --locked -p workqueue-worker --lib runtime_api::fuzz -- --nocapture

.PHONY: runtime-clients
runtime-clients: build ## Clients of the Runtime API that CI does not have: lambda_runtime from crates.io
	PATH="$$CARGO_TARGET_DIR/debug:$$PATH" tests/runtime/clients

.PHONY: bench-runtime
bench-runtime: release ## Programs that stay against programs for each item, Celery and Dramatiq
	[[ -n "$${WORKQUEUE_TEST_KUBECONFIG:-}" ]] || eval "$$(tests/cluster/env)"
	worker=$$(scripts/build-worker)
	PATH="$${worker%/*}:$$CARGO_TARGET_DIR/release:$$PATH" \
	  tests/worker/with-broker "$$WORKQUEUE_TEST_BROKER_IMAGE" benches/runtime

.PHONY: test
test: lint unit e2e ## All of these: lint, unit, e2e

.PHONY: deny
deny: ## Licenses, sources and known vulnerabilities of dependencies (needs cargo-deny)
	cargo deny check

.PHONY: clean-cluster
clean-cluster: ## Take the test bed down; its caches stay
	tests/cluster/down
