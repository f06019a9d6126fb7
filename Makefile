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

run: ## Runs the service on :8080, its probes and metrics on :8081.
	cargo run

build: ## Builds the release binary.
	TEMPLATE_COMMIT=$(TEMPLATE_COMMIT) cargo build --locked --release

tools: ## Installs what the tests use: proxies, load generators, promtool, helm and validators.
	scripts/gate tools/install $(TOOLS)

lint: ## Checks formatting, lints and documentation links.
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --lib

# Numbered, with a summary; the checks are the engine's, in the version that this service depends on (`scripts/gate` lists
# them). They start the service with the settings of tests/app.env.
STEPS = MAKE="$(MAKE)" scripts/gate steps
SERVICE_STEPS = unit chart ops workflows api load

test: ## Runs all checks, as CI does.
	+$(STEPS) tools lint $(SERVICE_STEPS) $(ENGINE_STEPS)

service: ## Runs the service's own tests, one run of the program, chart, rules, workflows, API description, load.
	+$(STEPS) $(SERVICE_STEPS)

unit: ## Runs the service's tests: units, and one run of the program.
	cargo test --locked

# buildah and podman keep a HEALTHCHECK in images of the Docker format only.
image: ## Builds the container image IMAGE; BUILDER is docker, podman or buildah.
	$(BUILDER) build $(if $(filter podman buildah,$(notdir $(BUILDER))),--format docker) --tag $(IMAGE) \
	  --build-arg SERVICE_COMMIT=$(shell git rev-parse HEAD) --build-arg TEMPLATE_COMMIT=$(TEMPLATE_COMMIT) \
	  --build-arg IMAGE_VERSION=$(lastword $(subst :, ,$(notdir $(IMAGE)))) .

chart: ## Checks the chart and the manifests rendered from it.
	cargo build --locked
	scripts/gate chart/check

api: ## Checks the API description with two validators, and runs schemathesis against the live service.
	scripts/gate api/check

policy: ## Runs checkov and trivy on chart, manifests and Dockerfile; installs 1 GB.
	scripts/gate policy/check

sbom: ## Prints the SBOM of a program built with cargo-auditable, as in the image: PROGRAM=path.
	scripts/gate image/sbom $(PROGRAM)

base-digests: ## Prints the base image with its digest, for --build-arg; needs the network and skopeo or docker.
	scripts/gate image/digest $(shell sed -n 's/^ARG RUST_IMAGE=//p' Dockerfile)

cluster-up: image ## Creates a kind cluster with the image loaded.
	IMAGE=$(IMAGE) scripts/gate cluster/run up

e2e-cluster: ## Install, helm test, roll, scale, roll back and autoscale under load, uninstall; on any KUBECONFIG.
	IMAGE=$(IMAGE) scripts/gate cluster/run e2e

cluster-down: ## Deletes that cluster.
	scripts/gate cluster/run down

ops: ## Checks rules, runbooks, and the dashboard against the live service.
	cargo build --locked
	scripts/gate ops/check

workflows: ## Runs actionlint, zizmor, yamllint and shellcheck on the workflows.
	scripts/gate workflows/check

load: ## Tests the service's routes under load, and restarts behind HAProxy without losing requests.
	cargo build --locked
	scripts/gate load/check

generate: $(ENGINE_GENERATED) ## Regenerates files from the code and the chart.
	UPDATE=1 cargo test --locked --test service generated::
	cargo build --locked
	scripts/gate chart/tools
	scripts/gate chart/generate
	scripts/gate chart/render-k8s

engine-update: ## In a clone: takes the newest engine, in the way that Cargo.toml depends on it.
	scripts/template-update --engine

template-update: ## In a clone: merges the template's changes; ARGUMENTS=--check only shows how far behind it is.
	scripts/template-update $(ARGUMENTS)

check: ## Validates the settings and prints the effective ones.
	cargo run --quiet -- check

deny: ## Checks licences, advisories and sources of the dependencies.
	for manifest in Cargo.toml $(DENY_ALSO); do \
	  cargo deny --manifest-path "$$manifest" --workspace --locked --config deny.toml check $(DENY) || exit 1; done

clean:
	cargo clean
