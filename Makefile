# Cargo does the work; this names the steps. `make test` is what CI runs.
.DEFAULT_GOAL := test

BUILDER ?= docker
# What build_info names; a clone's .template has it.
TEMPLATE_COMMIT ?= $(or $(shell sed -n 's/^commit = "\(.*\)"/\1/p' .template 2>/dev/null),unknown)
IMAGE ?= service:dev

# The engine's own steps, where the engine is.
-include crates/chassis/engine.mk
# All targets are names, none is a file.
.PHONY: $(shell sed -n 's/^\([a-z0-9-]*\):.*/\1/p' $(MAKEFILE_LIST))

run: ## The service on :8080, its probes and metrics on :8081.
	cargo run

build: ## The binary that ships.
	TEMPLATE_COMMIT=$(TEMPLATE_COMMIT) cargo build --locked --release

tools: ## What the tests drive: proxies, load generators, a collector.
	scripts/tools
	scripts/chart-tools

lint: ## Format, lints, and documentation links.
	cargo fmt --all --check
	cargo clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --lib

test: tools lint service $(ENGINE_STEPS) ## Everything, at CI's size.

service: ## The service's own tests: units, API, chart, rules, workflows, load scenarios, pages.
	cargo test --locked
	$(MAKE) chart
	$(MAKE) ops
	$(MAKE) workflows
	$(MAKE) load
	$(MAKE) api
	$(MAKE) docs

# buildah and podman keep a HEALTHCHECK in images of the Docker format only.
image: ## The container image, named IMAGE; BUILDER is docker, podman or buildah.
	$(BUILDER) build $(if $(filter podman buildah,$(notdir $(BUILDER))),--format docker) --tag $(IMAGE) \
	  --build-arg SERVICE_COMMIT=$(shell git rev-parse HEAD) --build-arg TEMPLATE_COMMIT=$(TEMPLATE_COMMIT) \
	  --build-arg IMAGE_VERSION=$(lastword $(subst :, ,$(notdir $(IMAGE)))) .

chart: ## The chart and the manifests that are rendered from it.
	cargo build --locked --bin server
	cargo build --locked --package chassis-tests --bin streams
	scripts/check-chart
	scripts/chart-generate --check
	scripts/render-k8s --check

api: ## The API's description by two validators, and schemathesis against a live server.
	scripts/check-api

policy: ## A second opinion on chart, manifests and Dockerfile: checkov and trivy; 1 GB of them.
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

workflows: ## actionlint, zizmor, yamllint and shellcheck on the workflows.
	scripts/check-workflows

load: ## The load tests' own test: scenarios on a local fleet, faults that have to fail them, reports in a browser.
	cargo build --locked --bin server
	scripts/check-load

docs: ## Runs the commands of the pages, makes their edits in copies of the tree, follows their links.
	scripts/check-docs

generate: ## The files that are generated: from the code, and from the chart.
	UPDATE=1 cargo test --locked --test service generated::
	cargo build --locked
	scripts/chart-tools
	scripts/chart-generate
	scripts/render-k8s
	[ ! -d crates/clone/tests ] || UPDATE=1 cargo test --locked --package clone --test it the_documented_first_route

template-update: ## In a clone: merges what the template has changed since; ARGUMENTS=--check only says how far behind it is.
	scripts/template-update $(ARGUMENTS)

check: ## The settings that a start would use now.
	cargo run --quiet -- check

deny: ## Licences, advisories and sources of the dependencies.
	for manifest in Cargo.toml $(DENY_ALSO); do \
	  cargo deny --manifest-path "$$manifest" --workspace --locked --config deny.toml check $(DENY) || exit 1; done

clean:
	cargo clean
