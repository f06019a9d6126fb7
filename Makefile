# Cargo does the work; this names the steps. `make test` is what CI runs.
.DEFAULT_GOAL := test
.PHONY: run build tools lint test test-full bench bench-check image image-test chart policy sbom base-digests cluster-up e2e-cluster cluster-down ops generate check deny clean

# Tests that mostly wait run beside each other; those that measure take turns (see tests/it/harness).
TEST_THREADS ?= 8
BUILDER ?= docker
IMAGE ?= service:dev

run: ## The service on :8080, its probes and metrics on :8081.
	cargo run

build: ## The binary that ships.
	cargo build --locked --release

tools: ## What the tests drive: proxies, load generators, a collector.
	scripts/tools

lint: ## Format, lints, and documentation links.
	cargo fmt --all --check
	cargo clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps

test: tools lint ## Everything, at CI's size.
	cargo test --locked -- --test-threads=$(TEST_THREADS)
	$(MAKE) chart ops

test-full: tools lint ## The same with the full number of restarts and requests.
	FLEET_ROUNDS=20 cargo test --locked -- --test-threads=$(TEST_THREADS)
	$(MAKE) bench-check

bench: ## What a request, a connection and a start cost, beside others: docs/performance.md. QUICK=yes for a look, PARTS=cpu for some.
	scripts/tools bench
	benches/run $(if $(QUICK),--quick) $(PARTS)

bench-check: ## Format and lints of what `make bench` builds.
	cargo fmt --manifest-path benches/Cargo.toml --check
	cargo clippy --manifest-path benches/Cargo.toml --target-dir target/benches --locked --all-targets -- -D warnings

image: ## The container image, named IMAGE; BUILDER is docker, podman or buildah.
	$(BUILDER) build --tag $(IMAGE) --build-arg SERVICE_COMMIT=$(shell git rev-parse HEAD) .

image-test: ## The image built on bases made here, and three containers restarted and rolled out under load; root, a quarter of an hour.
	scripts/image-test

chart: ## The chart and the manifests that are rendered from it.
	cargo build --locked --bins --examples
	scripts/check-chart
	scripts/chart-generate --check
	scripts/render-k8s --check

policy: ## A second opinion on chart, Dockerfile and workflows: checkov, trivy, zizmor, actionlint; 1 GB of them.
	scripts/check-policy

sbom: ## A bill of materials of a program that cargo-auditable built, as the image's: PROGRAM=path.
	scripts/sbom $(PROGRAM)

base-digests: ## The base image by its digest, for --build-arg; needs the network and skopeo or docker.
	scripts/image-digest $(shell sed -n 's/^ARG RUST_IMAGE=//p' Dockerfile)

cluster-up: image ## A kind cluster with the image loaded.
	IMAGE=$(IMAGE) scripts/cluster up

e2e-cluster: ## Install, helm test, roll, scale and roll back under load, uninstall; on any KUBECONFIG.
	IMAGE=$(IMAGE) scripts/cluster e2e

cluster-down: ## Deletes what cluster-up made.
	scripts/cluster down

ops: ## Rules, a test of every alert, the dashboard against a live server.
	cargo build --locked
	scripts/check-ops

generate: ## The files that are generated: from the code, and from the chart.
	UPDATE=1 cargo test --locked --test it generated::
	cargo build --locked
	scripts/chart-tools
	scripts/chart-generate
	scripts/render-k8s

check: ## The settings that a start would use now.
	cargo run --quiet -- check

deny: ## Licences, advisories and sources of the dependencies.
	cargo deny check

clean:
	cargo clean
